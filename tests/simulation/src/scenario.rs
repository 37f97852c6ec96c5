//! What a world is: how many GPUs, how fast the model is, who asks for what and when. Drawn from the seed.

use rand::{Rng, rngs::SmallRng};
use service::Settings;
use std::{sync::Arc, time::Duration};

/// The users there are; the key of each is their name.
pub const USERS: [&str; 3] = ["u1", "u2", "u3"];
/// Who may have any run repaired.
pub const OPERATOR: &str = "operator";
/// Shards are planned for so many GPUs more than there are, at most: waiting for one is common.
const MORE_PLANNED: u32 = 3;

/// A row of a library.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub smiles: String,
}

/// How a run is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Single,
    Batch,
    Upload,
}

/// One wish of one user.
#[derive(Clone, Debug)]
pub struct Order {
    pub uid: &'static str,
    /// The name the run will have.
    pub label: String,
    pub way: Way,
    pub rows: Vec<Row>,
    /// Sent with an `Idempotency-Key`.
    pub keyed: bool,
    /// The answer to the first request is thrown away and the request sent again.
    pub impatient: bool,
    /// Seconds after the beginning.
    pub at: u32,
    /// Seconds after the submission.
    pub cancel_after: Option<u32>,
    /// Purged as soon as it has ended.
    pub purge: bool,
    /// Sent with a limit on its cost, the lowest that is taken.
    pub limited: bool,
    /// What failed in it is asked for again when it has ended.
    pub retry: bool,
}

/// A world.
#[derive(Debug)]
pub struct Scenario {
    pub orders: Vec<Order>,
    /// As the submitting functions know them.
    pub planning: Arc<Settings>,
    /// As every other function knows them.
    pub settings: Arc<Settings>,
    /// Seconds from a task's start to its first item.
    pub load: u32,
    /// Seconds of one item.
    pub item: u32,
    /// Seconds between two reports.
    pub checkpoint: u32,
    /// Decides which items fail.
    pub luck: u64,
    /// When an operator has runs repaired, in seconds after the beginning: all that are silent, or the first there is.
    pub repairs: Vec<(u32, bool)>,
}

impl Scenario {
    pub fn draw(random: &mut SmallRng) -> Self {
        let capacity = random.random_range(1..=4);
        let settings = Settings {
            gpu_capacity: capacity,
            gpu_reserve: if capacity > 1 { random.random_range(0..=1) } else { 0 },
            task_limit: Duration::from_secs(random.random_range(240..=720)),
            stuck_after: Duration::from_secs(random.random_range(60..=180)),
            limits: false,
            simulated_models: vec!["boltz2".to_owned()],
            ..Settings::default()
        };
        let planning = Settings { gpu_capacity: capacity + random.random_range(0..=MORE_PLANNED), ..settings.clone() };
        let count = [1, 1, 2, 2, 3][random.random_range(0..5)];
        let mut scenario = Scenario {
            orders: (0..count).map(|number| order(random, number)).collect(),
            planning: Arc::new(planning),
            settings: Arc::new(settings),
            load: random.random_range(5..=60),
            item: random.random_range(5..=60),
            checkpoint: random.random_range(10..=40),
            luck: random.random(),
            repairs: (0..random.random_range(0..4)).map(|_| (random.random_range(0..3000), random.random())).collect(),
        };
        let again = random.random_bool(0.4).then(|| again(random, &scenario.orders[0]));
        scenario.orders.extend(again);
        scenario
    }
}

/// What the first order asks for once more, perhaps with more ligands, when that may have ended.
fn again(random: &mut SmallRng, first: &Order) -> Order {
    let more = if first.way == Way::Single { 0 } else { random.random_range(0..=3) };
    let mut rows = first.rows.clone();
    for _ in 0..more {
        rows.push(draw_row(random, rows.len() + 1));
    }
    let label = if first.way == Way::Upload { "again/library.csv".to_owned() } else { "order again".to_owned() };
    let at = first.at + random.random_range(120..1200);
    Order { label, rows, at, purge: random.random_bool(0.15), cancel_after: None, ..first.clone() }
}

fn order(random: &mut SmallRng, number: usize) -> Order {
    let way = [Way::Single, Way::Batch, Way::Batch, Way::Batch, Way::Upload][random.random_range(0..5)];
    let count = if way == Way::Single { 1 } else { random.random_range(1..=7) };
    let label = if way == Way::Upload { format!("screen{number}/library.csv") } else { format!("order {number}") };
    let cancel_after = random.random_bool(0.2).then(|| random.random_range(0..300));
    Order {
        uid: USERS[random.random_range(0..USERS.len())],
        label,
        way,
        rows: (1..=count).map(|row| draw_row(random, row)).collect(),
        keyed: way != Way::Upload && random.random_bool(0.7),
        impatient: random.random_bool(0.2),
        at: random.random_range(0..240),
        cancel_after,
        purge: random.random_bool(if cancel_after.is_some() { 0.5 } else { 0.15 }),
        limited: way != Way::Upload && random.random_bool(0.2),
        retry: way != Way::Single && random.random_bool(0.2),
    }
}

/// Each row another alcohol; some that are no molecule, some that were there before. The first one can always be run.
fn draw_row(random: &mut SmallRng, row: usize) -> Row {
    let kind = if row == 1 { 2 } else { random.random_range(0..12) };
    let smiles = match kind {
        0 => "C1CC".to_owned(),
        1 => "OC".to_owned(),
        _ => format!("{}O", "C".repeat(row)),
    };
    Row { name: format!("ligand {row}"), smiles }
}
