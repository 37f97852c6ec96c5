//! What keeps a run right when the cloud delivers twice, late or never: one name for each safeguard, asked for where it
//! stands. In a service every one of them holds, as a constant; with the feature `mutations` the simulation switches
//! one off and must then find what goes wrong without it.

/// A rule that some fault of the cloud would break a run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Safeguard {
    /// A report counts only for the attempt that holds the shard.
    AttemptFence,
    /// Within an attempt, a report counts only if its number is higher than that of the last one.
    SequenceMonotone,
    /// A worker of an older launch is refused its claim.
    LaunchFence,
    /// A worker is refused a shard that another worker of the same launch holds.
    OneWorker,
    /// What is done stays done: no report and no claim changes it.
    DoneIsFinal,
    /// A run that has ended never moves again.
    FinalStatus,
    /// A report is written once; whoever finds another one in its place stops.
    CreateOnceReports,
    /// A report is read only as what it says it is: of this user, run, shard and attempt, and of its items.
    ReportOwnership,
    /// The run is looked at after every report, also after one that was no news.
    ReevaluateOnDuplicate,
    /// The reconciler looks at silent runs.
    Reconciler,
    /// A lease that ran out is looked into, and a lost execution gives its shards back.
    LeaseExpiry,
    /// A document is written only over the version that was read.
    CompareAndSet,
    /// A lease has one execution, whoever starts it, and however often.
    StartClaim,
    /// Slots are granted only while some are free.
    PoolCapacity,
    /// A shard that was launched often enough is closed with what there is.
    ClosingAfterLaunches,
    /// An upload's run is named after the writing of the object.
    UploadName,
    /// A request that is sent again under its key is the same run.
    IdempotencyKey,
    /// An ended run's executions are stopped.
    CancelStops,
    /// What a user is to be told of is written in the commit of the move it tells of.
    Outbox,
    /// One writer at a time writes results, each under a token of its own.
    AggregationFence,
    /// What nobody could process is ended, and its owner told.
    DeadLetter,
    /// A run that ended before its shards did is looked at once more, when its workers have stopped.
    LastLook,
}

impl Safeguard {
    /// Every one there is.
    pub const ALL: [Safeguard; 22] = [
        Safeguard::AttemptFence,
        Safeguard::SequenceMonotone,
        Safeguard::LaunchFence,
        Safeguard::OneWorker,
        Safeguard::DoneIsFinal,
        Safeguard::FinalStatus,
        Safeguard::CreateOnceReports,
        Safeguard::ReportOwnership,
        Safeguard::ReevaluateOnDuplicate,
        Safeguard::Reconciler,
        Safeguard::LeaseExpiry,
        Safeguard::CompareAndSet,
        Safeguard::StartClaim,
        Safeguard::PoolCapacity,
        Safeguard::ClosingAfterLaunches,
        Safeguard::UploadName,
        Safeguard::IdempotencyKey,
        Safeguard::CancelStops,
        Safeguard::Outbox,
        Safeguard::AggregationFence,
        Safeguard::DeadLetter,
        Safeguard::LastLook,
    ];
}

/// True while the safeguard is in force.
#[cfg(not(feature = "mutations"))]
pub const fn holds(_: Safeguard) -> bool {
    true
}

#[cfg(feature = "mutations")]
pub use switches::{holds, without};

#[cfg(feature = "mutations")]
mod switches {
    use super::Safeguard;
    use std::cell::Cell;

    thread_local! {
        static OFF: Cell<Option<Safeguard>> = const { Cell::new(None) };
    }

    /// True while the safeguard is in force on this thread.
    pub fn holds(safeguard: Safeguard) -> bool {
        OFF.get() != Some(safeguard)
    }

    /// Switches one safeguard off on this thread, and every other one on.
    pub fn without(safeguard: Option<Safeguard>) {
        OFF.set(safeguard);
    }
}
