//! What users are told of: the run they sent has ended, the batch has come so far. A notice is written in the same
//! commit as the move it tells of and is never changed, so that neither is lost without the other; who tells whom, and
//! how, begins with the document. No molecule and no secret is ever part of one.

use crate::{JobId, MILESTONES, Timestamp, Uid};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// How long a notice is kept: longer than the tries to deliver it take.
const KEPT_SECONDS: u64 = 7 * 24 * 3600;

/// The kinds of event, as subscribers name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum EventKind {
    #[serde(rename = "job.completed")]
    JobCompleted,
    #[serde(rename = "job.failed")]
    JobFailed,
    /// 10, 25, 50, 75, 90 or 100 percent of the items have ended.
    #[serde(rename = "batch.milestone")]
    BatchMilestone,
    #[serde(rename = "batch.completed")]
    BatchCompleted,
    #[serde(rename = "batch.failed")]
    BatchFailed,
}

/// What happened to a run. Written `batch.milestone.50` where there is a percentage, else as its kind is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum NoticeEvent {
    JobCompleted,
    JobFailed,
    /// The percentage, one of [`MILESTONES`].
    BatchMilestone(u8),
    BatchCompleted,
    BatchFailed,
}

/// One thing a user is told of, once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    #[serde(deserialize_with = "Uid::stored")]
    pub uid: Uid,
    pub job_id: JobId,
    pub event: NoticeEvent,
    /// When it happened.
    pub at: Timestamp,
    /// When the document may be forgotten.
    pub expire_at: Timestamp,
}

/// A text that names no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an event")]
pub struct EventError(String);

impl EventKind {
    pub const ALL: [EventKind; 5] = [
        EventKind::JobCompleted,
        EventKind::JobFailed,
        EventKind::BatchMilestone,
        EventKind::BatchCompleted,
        EventKind::BatchFailed,
    ];

    /// As the API and the payloads write it.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::JobCompleted => "job.completed",
            EventKind::JobFailed => "job.failed",
            EventKind::BatchMilestone => "batch.milestone",
            EventKind::BatchCompleted => "batch.completed",
            EventKind::BatchFailed => "batch.failed",
        }
    }
}

impl NoticeEvent {
    pub fn kind(self) -> EventKind {
        match self {
            NoticeEvent::JobCompleted => EventKind::JobCompleted,
            NoticeEvent::JobFailed => EventKind::JobFailed,
            NoticeEvent::BatchMilestone(_) => EventKind::BatchMilestone,
            NoticeEvent::BatchCompleted => EventKind::BatchCompleted,
            NoticeEvent::BatchFailed => EventKind::BatchFailed,
        }
    }

    /// The percentage of a milestone.
    pub fn milestone(self) -> Option<u8> {
        match self {
            NoticeEvent::BatchMilestone(percent) => Some(percent),
            _ => None,
        }
    }
}

impl Notice {
    pub fn new(uid: Uid, job_id: JobId, event: NoticeEvent, at: Timestamp) -> Self {
        Notice { uid, job_id, event, at, expire_at: at.plus_seconds(KEPT_SECONDS) }
    }

    /// The id of the document: the same for the same run and event.
    pub fn id(&self) -> String {
        format!("{}.{}", self.job_id, self.event)
    }
}

impl fmt::Display for NoticeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())?;
        self.milestone().map_or(Ok(()), |percent| write!(f, ".{percent}"))
    }
}

impl From<NoticeEvent> for String {
    fn from(event: NoticeEvent) -> String {
        event.to_string()
    }
}

impl TryFrom<String> for NoticeEvent {
    type Error = EventError;

    fn try_from(text: String) -> Result<Self, EventError> {
        let milestones = MILESTONES.into_iter().map(NoticeEvent::BatchMilestone);
        let whole =
            [NoticeEvent::JobCompleted, NoticeEvent::JobFailed, NoticeEvent::BatchCompleted, NoticeEvent::BatchFailed];
        milestones.chain(whole).find(|event| event.to_string() == text).ok_or(EventError(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use serde_json::json;

    #[test]
    fn a_notice_has_one_id_and_reads_back_as_it_was_written() {
        let uid = Uid::named("u1".to_owned()).unwrap();
        let job_id = JobId::new(true, "0123456789abcdefghjkmnpq").unwrap();
        let at = DateTime::from_timestamp_secs(1_700_000_000).unwrap().into();
        let notice = Notice::new(uid, job_id.clone(), NoticeEvent::BatchMilestone(50), at);
        assert_eq!(notice.id(), format!("{job_id}.batch.milestone.50"));
        let body = json!(notice);
        assert_eq!((&body["event"], &body["at"]), (&json!("batch.milestone.50"), &json!("2023-11-14T22:13:20.000Z")));
        assert_eq!(serde_json::from_value::<Notice>(body).unwrap(), notice);
    }

    #[test]
    fn only_events_that_there_are_can_be_read() {
        for kind in EventKind::ALL {
            assert_eq!(json!(kind), kind.as_str());
        }
        for wrong in ["batch.milestone", "batch.milestone.51", "batch.milestone.050", "job.completed.1", ""] {
            assert!(NoticeEvent::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
