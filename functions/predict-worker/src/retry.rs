//! Patience with the outside world beyond what the ports' own guards have: a GPU task that dies of a short outage has
//! to load its model again, so it outlasts a circuit breaker that has opened.

use platform::{Clock, Error, Result};
use std::{future::Future, time::Duration};

/// Waits before the second, third … try; together longer than `platform::guard::OPEN`.
const WAITS: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// The answer to `call`, asked again while the other side does not answer. The call may have succeeded unheard.
pub(crate) async fn patiently<T, F>(clock: &Clock, mut call: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for wait in WAITS {
        match call().await {
            Err(Error::Unavailable { .. }) => clock.sleep(wait).await,
            answer => return answer,
        }
    }
    call().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn one_unanswered_call_is_asked_again_and_a_refusal_is_not() {
        let calls = Cell::new(0);
        let flaky = || {
            calls.set(calls.get() + 1);
            let silent = calls.get() == 1;
            async move {
                match silent {
                    true => Err(Error::Unavailable { what: "x", source: "no answer".into() }),
                    false => Err::<(), _>(Error::NotFound("x".into())),
                }
            }
        };
        assert!(matches!(patiently(&Clock::system(), flaky).await, Err(Error::NotFound(_))));
        assert_eq!(calls.get(), 2);
    }
}
