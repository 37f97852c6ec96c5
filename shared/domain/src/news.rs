//! What a move of a run is worth telling its user. Found by comparing the run before and after, so that no code which
//! moves a run has to think of it.

use crate::{JobType, Notice, NoticeEvent, Run, Status};

impl Run {
    /// The notices that belong into the commit which replaces `before` by this run. Of several milestones passed at
    /// once, the last is told, and none is told twice. A user who cancels needs no word of it.
    pub fn news(&mut self, before: &Run) -> Vec<Notice> {
        let mut events = vec![];
        let batch = self.job_type != JobType::Individual;
        if batch && self.progress.milestone > self.told && self.progress.total > 0 && self.status != Status::Cancelled {
            self.told = self.progress.milestone;
            events.push(NoticeEvent::BatchMilestone(self.told));
        }
        events.extend(match (self.status, batch) {
            (ended, _) if ended == before.status => None,
            (Status::Completed, true) => Some(NoticeEvent::BatchCompleted),
            (Status::Completed, false) => Some(NoticeEvent::JobCompleted),
            (Status::Failed, true) => Some(NoticeEvent::BatchFailed),
            (Status::Failed, false) => Some(NoticeEvent::JobFailed),
            _ => None,
        });
        let at = self.completed_at.unwrap_or(self.progress_at);
        events.into_iter().map(|event| Notice::new(self.uid.clone(), self.job_id.clone(), event, at)).collect()
    }

    /// The notice of a run that is written for the first time and has failed already.
    pub fn stillborn(&self) -> Option<Notice> {
        let event =
            if self.job_type == JobType::Individual { NoticeEvent::JobFailed } else { NoticeEvent::BatchFailed };
        let at = self.completed_at.unwrap_or(self.created_at);
        (self.status == Status::Failed).then(|| Notice::new(self.uid.clone(), self.job_id.clone(), event, at))
    }
}
