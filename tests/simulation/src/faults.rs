//! What goes wrong, how often, and until when. A seed decides: some worlds are calm, some know one kind of fault, some
//! are stormy.

use chrono::{DateTime, Utc};
use domain::safeguard::Safeguard;
use rand::{Rng, rngs::SmallRng};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An event is delivered twice.
    Duplicate,
    /// An event comes so late that others overtake it.
    Reorder,
    /// An event comes long after, also after leases and executions have run out.
    Late,
    /// An event never comes.
    Lost,
    /// A handler did its work, but its answer is lost: it is called again.
    Nack,
    /// A handler is slower than its deadline: it is called again while it goes on.
    Slow,
    /// A handler dies between two calls.
    Crash,
    /// A worker dies between two calls.
    WorkerCrash,
    /// A call is not answered and was not done.
    Refused,
    /// A call is not answered and was done all the same.
    Unheard,
    /// A task that counts as lost goes on working while its retry begins.
    Zombie,
    /// A machine's clock is wrong by up to ten minutes.
    Skew,
    /// A timer fires twice at once.
    DoubleTimer,
    /// The dispatcher is woken twice at once.
    DoubleDispatch,
    /// An object that is no report, or somebody else's, is dropped among the reports.
    ForeignReport,
    /// An uploaded library is gone before it was read.
    Vanished,
    /// A handler fails at an event however often that is sent.
    Poison,
}

impl Fault {
    /// Every one there is.
    pub const ALL: [Fault; 17] = [
        Fault::Duplicate,
        Fault::Reorder,
        Fault::Late,
        Fault::Lost,
        Fault::Nack,
        Fault::Slow,
        Fault::Crash,
        Fault::WorkerCrash,
        Fault::Refused,
        Fault::Unheard,
        Fault::Zombie,
        Fault::Skew,
        Fault::DoubleTimer,
        Fault::DoubleDispatch,
        Fault::ForeignReport,
        Fault::Vanished,
        Fault::Poison,
    ];

    /// The most often it happens where it can: per event, handler, call, task or timer.
    fn worst(self) -> f64 {
        match self {
            Fault::Refused | Fault::Unheard | Fault::Poison => 0.04,
            Fault::Late | Fault::Slow => 0.1,
            Fault::Lost | Fault::Crash => 0.3,
            Fault::Duplicate | Fault::Nack | Fault::WorkerCrash | Fault::Zombie => 0.4,
            Fault::Reorder | Fault::Skew | Fault::DoubleTimer | Fault::DoubleDispatch => 0.5,
            Fault::ForeignReport | Fault::Vanished => 0.5,
        }
    }
}

/// How often each fault happened.
pub type Counts = [u32; Fault::ALL.len()];

/// The weather of one world.
pub struct Faults {
    rates: [f64; Fault::ALL.len()],
    until: DateTime<Utc>,
    pub counts: Counts,
}

impl Faults {
    /// None at all.
    pub fn none() -> Self {
        Faults { rates: [0.0; Fault::ALL.len()], until: DateTime::UNIX_EPOCH, counts: Counts::default() }
    }

    /// The weather of a seed: every seventh world is calm, the others know each fault with even chance, mildly more
    /// often than wildly.
    pub fn draw(random: &mut SmallRng, until: DateTime<Utc>) -> Self {
        let mut faults = Faults { until, ..Faults::none() };
        if random.random_range(0..7) > 0 {
            for fault in Fault::ALL {
                let rate = fault.worst() * random.random::<f64>().powi(2);
                faults.rates[fault as usize] = if random.random() { rate } else { 0.0 };
            }
        }
        faults
    }

    /// The weather in which a particular failing shows: these faults often, nothing else.
    pub fn only(kinds: &[(Fault, f64)], until: DateTime<Utc>) -> Self {
        let mut faults = Faults { until, ..Faults::none() };
        for (fault, rate) in kinds {
            faults.rates[*fault as usize] = *rate;
        }
        faults
    }

    /// True in a world in which nothing goes wrong.
    pub fn calm(&self) -> bool {
        self.rates.iter().all(|rate| *rate == 0.0)
    }

    /// When the weather clears up.
    pub fn until(&self) -> DateTime<Utc> {
        self.until
    }

    /// Lets the weather clear up now.
    pub fn stop(&mut self, now: DateTime<Utc>) {
        self.until = self.until.min(now);
    }

    /// Whether the fault strikes here and now.
    pub fn strikes(&mut self, fault: Fault, now: DateTime<Utc>, random: &mut SmallRng) -> bool {
        let rate = self.rates[fault as usize];
        let strikes = rate > 0.0 && now < self.until && random.random_bool(rate);
        self.counts[fault as usize] += u32::from(strikes);
        strikes
    }
}

/// The weather in which doing without a safeguard shows.
pub fn against(safeguard: Safeguard) -> &'static [(Fault, f64)] {
    match safeguard {
        Safeguard::AttemptFence => &[(Fault::Zombie, 0.5), (Fault::WorkerCrash, 0.3)],
        Safeguard::SequenceMonotone => &[(Fault::Duplicate, 0.3)],
        Safeguard::LaunchFence | Safeguard::OneWorker => &[(Fault::Slow, 0.5), (Fault::Zombie, 0.6)],
        Safeguard::DoneIsFinal => &[(Fault::Slow, 0.3), (Fault::Zombie, 0.5)],
        Safeguard::CreateOnceReports => &[(Fault::Unheard, 0.1)],
        Safeguard::ReportOwnership => &[(Fault::ForeignReport, 0.5)],
        Safeguard::ReevaluateOnDuplicate => &[(Fault::Crash, 0.4), (Fault::Refused, 0.03)],
        Safeguard::Reconciler | Safeguard::LastLook => &[(Fault::Lost, 0.4)],
        Safeguard::LeaseExpiry => &[(Fault::Lost, 0.4), (Fault::WorkerCrash, 0.4)],
        Safeguard::CompareAndSet => &[(Fault::Duplicate, 0.4), (Fault::DoubleDispatch, 0.5)],
        Safeguard::StartClaim => &[(Fault::Unheard, 0.1), (Fault::DoubleDispatch, 0.5)],
        Safeguard::UploadName => &[(Fault::Duplicate, 0.5), (Fault::Nack, 0.3)],
        Safeguard::Outbox => &[(Fault::Crash, 0.4)],
        Safeguard::AggregationFence => &[(Fault::Duplicate, 0.5), (Fault::Slow, 0.2)],
        Safeguard::DeadLetter => &[(Fault::Refused, 0.2)],
        Safeguard::PoolCapacity
        | Safeguard::ClosingAfterLaunches
        | Safeguard::FinalStatus
        | Safeguard::IdempotencyKey
        | Safeguard::CancelStops => &[],
    }
}
