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

/// The source of an [`Error::Unavailable`] by which the other side said that it did nothing.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Busy(Source);

impl Error {
    /// No answer from `what`, or a request to wait, with its cause.
    pub fn unavailable(what: &'static str, source: impl Into<Source>) -> Self {
        Error::Unavailable { what, source: source.into() }
    }

    /// `what` is well, did nothing, and asks to come back, because others are at the same thing.
    pub fn busy(what: &'static str, source: impl Into<Source>) -> Self {
        Error::Unavailable { what, source: Box::new(Busy(source.into())) }
    }

    /// True for what [`Error::busy`] made: nothing was done, and nothing is wrong with the other side.
    pub fn is_busy(&self) -> bool {
        matches!(self, Error::Unavailable { source, .. } if source.is::<Busy>())
    }

    /// An unexpected failure of `what`, with its cause.
    pub fn internal(what: &'static str, source: impl Into<Source>) -> Self {
        Error::Internal { what, source: source.into() }
    }

    /// True where somebody else got there first: the caller re-reads and decides again.
    pub fn is_race(&self) -> bool {
        matches!(self, Error::Conflict(_) | Error::AlreadyExists(_))
    }
}
