//! The one error of all ports. It says what a caller can act on (absent, exists, changed, try again) and keeps the
//! adapter's own error as its source.

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a port answers when it cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The document, object or execution is not there.
    #[error("{0} does not exist")]
    NotFound(String),
    /// A create-once write found something in its place.
    #[error("{0} exists already")]
    AlreadyExists(String),
    /// A compare-and-set lost: the version on which the write was based is no longer the current one.
    #[error("{0} was changed meanwhile")]
    Conflict(String),
    /// The request itself can never succeed.
    #[error("{0}")]
    Invalid(String),
    /// The other side did not answer or asked to wait; the same call may succeed later, and may have succeeded now.
    #[error("{what} is unavailable")]
    Unavailable {
        what: &'static str,
        #[source]
        source: Source,
    },
    /// Anything else, with its cause.
    #[error("{what} failed")]
    Internal {
        what: &'static str,
        #[source]
        source: Source,
    },
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An unexpected failure of `what`, with its cause.
    pub fn internal(what: &'static str, source: impl Into<Source>) -> Self {
        Error::Internal { what, source: source.into() }
    }

    /// True where somebody else got there first: the caller re-reads and decides again.
    pub fn is_race(&self) -> bool {
        matches!(self, Error::Conflict(_) | Error::AlreadyExists(_))
    }
}
