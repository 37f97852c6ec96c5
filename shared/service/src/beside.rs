//! One piece of work that goes on beside whoever began it, who comes back for what it made.

use crate::telemetry;
use platform::Error;
use tokio::task::JoinHandle;

/// Work under way. Dropped before [`Beside::end`] has it, it goes no further.
pub struct Beside<T, E>(JoinHandle<Result<T, E>>);

impl<T, E> Beside<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
{
    /// Begins the work, under the trace of who begins it.
    pub fn begin(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Self {
        Beside(telemetry::beside(work))
    }

    /// What it made, once it has; `what` it was, for the error where it did not live to.
    pub async fn end(mut self, what: &'static str) -> Result<T, E> {
        (&mut self.0).await.map_err(|error| Error::internal(what, error))?
    }
}

impl<T, E> Drop for Beside<T, E> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn what_was_made_is_handed_over() {
        let work = Beside::<_, Error>::begin(async { Ok(7) });
        assert_eq!(work.end("counting").await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_that_died_is_an_error_that_names_it() {
        let work = Beside::<(), Error>::begin(async { panic!("on purpose") });
        assert!(work.end("counting").await.unwrap_err().to_string().contains("counting"));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_goes_no_further() {
        let (told, hears) = oneshot::channel::<()>();
        let work = Beside::<(), Error>::begin(async move {
            std::future::pending::<()>().await;
            drop(told);
            Ok(())
        });
        drop(work);
        assert!(hears.await.is_err(), "it was dropped with all it held");
    }
}
