//! What Google's clients answer, in the words of [`Error`]. Whether a refusal means "exists", "changed" or "absent"
//! depends on what was asked, so the adapters ask [`reason`] first and leave the rest to [`failed`].

use crate::Error;
use google_cloud_gax::error::{Error as Cause, rpc::Code};

/// Why a call was refused, over gRPC and over HTTP alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Absent,
    /// A precondition did not hold.
    Precondition,
    /// A range that begins past the end.
    Range,
    Invalid,
    /// Asked to wait, or no answer.
    Unavailable,
    Other,
}

pub(super) fn reason(cause: &Cause) -> Reason {
    if let Some(status) = cause.http_status_code() {
        return match status {
            404 => Reason::Absent,
            412 => Reason::Precondition,
            416 => Reason::Range,
            400 => cause.status().map_or(Reason::Invalid, |status| of_code(status.code)),
            408 | 429 | 500.. => Reason::Unavailable,
            _ => Reason::Other,
        };
    }
    if let Some(status) = cause.status() {
        return of_code(status.code);
    }
    let silent = cause.is_timeout() || cause.is_io() || cause.is_connect() || cause.is_transport();
    if silent || cause.is_exhausted() { Reason::Unavailable } else { Reason::Other }
}

fn of_code(code: Code) -> Reason {
    match code {
        Code::NotFound => Reason::Absent,
        Code::FailedPrecondition => Reason::Precondition,
        Code::OutOfRange => Reason::Range,
        Code::InvalidArgument => Reason::Invalid,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Aborted | Code::Internal => {
            Reason::Unavailable
        }
        _ => Reason::Other,
    }
}

/// The error of a call whose refusal means nothing in particular.
pub(super) fn failed(what: &'static str, cause: Cause) -> Error {
    match reason(&cause) {
        Reason::Unavailable => Error::unavailable(what, cause),
        Reason::Invalid => Error::Invalid(format!("{what} refused the request: {cause}")),
        _ => Error::internal(what, cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_gax::error::rpc::Status;

    #[test]
    fn the_same_refusal_means_the_same_over_both_transports() {
        let grpc = |code| reason(&Cause::service(Status::default().set_code(code)));
        let http = |status| reason(&Cause::http(status, Default::default(), Default::default()));
        assert_eq!((grpc(Code::NotFound), http(404)), (Reason::Absent, Reason::Absent));
        assert_eq!((grpc(Code::FailedPrecondition), http(412)), (Reason::Precondition, Reason::Precondition));
        assert_eq!((grpc(Code::Unavailable), http(503)), (Reason::Unavailable, Reason::Unavailable));
        assert_eq!((grpc(Code::ResourceExhausted), http(429)), (Reason::Unavailable, Reason::Unavailable));
        assert_eq!((grpc(Code::PermissionDenied), http(403)), (Reason::Other, Reason::Other));
    }
}
