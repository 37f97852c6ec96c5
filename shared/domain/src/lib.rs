//! The rules of the house, as plain types: what a run is and how it moves, how its ligands are cut into shards, who
//! gets a GPU next, what a worker may report, what a result row holds. No I/O, no clock, no HTTP: every function here
//! takes what it needs and can be tried in a test without a server.

mod account;
mod aggregation;
mod cost;
mod delivery;
mod forecast;
mod ids;
mod item;
mod news;
mod notice;
mod plan;
mod pool;
mod profile;
mod progress;
mod question;
mod repair;
mod report;
mod results;
mod round;
mod run;
pub mod safeguard;
mod shard;
pub mod simulate;
mod summary;
mod tier;
mod time;
mod webhook;

pub use account::{Account, Demanded, Exceeded, Holding, LimitKind, Purged, Window, roles};
pub use aggregation::Aggregation;
pub use cost::{Budget, Cost, Price};
pub use delivery::{Attempt, Attempting, Delivery, DeliveryState, Outcome as DeliveryOutcome, Verdict};
pub use forecast::{Forecast, forecast};
pub use ids::{ChildId, IdError, JobId, JobRef, Uid};
pub use item::{Item, Rejected};
pub use notice::{EventError, EventKind, Notice, NoticeEvent};
pub use plan::{CostProfile, Group, Known, Plan, Planning, SizeClass, Strategy};
pub use pool::{Demand, Lane, Lease, LeasedShard, MAX_TASKS, Pool, Slots};
pub use profile::{Learned, MeasuredItem, Measurement, ligand_class};
pub use progress::{MILESTONES, Progress};
pub use question::{LigandHash, Molecule, question};
pub use repair::{DeadLetterRecord, Repair, RepairKind, Repairs};
pub use report::{ItemError, Outcome, OutcomeStatus, Report, Timing};
pub use results::{BatchResults, Ranking, ResultRow, Scores, SortDirection};
pub use round::Round;
pub use run::{JobType, Priority, Run, RunError, Source, Status};
pub use shard::{Claim, MAX_LAUNCHES, Shard, ShardState, Worker};
pub use summary::{Histogram, Summary, Tally};
pub use tier::{Limits, Role, Scope, Tier};
pub use time::Timestamp;
pub use webhook::{
    Disabled, DisabledNotice, DisabledReason, MAX_WEBHOOKS, OVERLAP_SECONDS, Secret, Webhook, WebhookId, Webhooks,
};
