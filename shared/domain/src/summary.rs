//! The figures of a finished run, gathered row by row.

use crate::{OutcomeStatus, ResultRow};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Counts over equal bins; the last bin includes its upper edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Histogram {
    /// The score it counts.
    pub score: String,
    pub lower: f64,
    pub upper: f64,
    pub counts: Vec<u32>,
}

/// Figures over all rows. Those of affinity are null where no row has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    pub total_jobs: u32,
    pub completed_jobs: u32,
    pub failed_jobs: u32,
    /// Completed among all, 0 to 1; null for a run of nothing.
    pub success_rate: Option<f64>,
    /// The strongest: the lowest value.
    pub best_affinity: Option<f64>,
    /// The weakest: the highest value.
    pub worst_affinity: Option<f64>,
    pub mean_affinity: Option<f64>,
    pub mean_confidence: Option<f64>,
    /// Of the ranking score over 0 to 1, for scores that live there.
    pub histogram: Option<Histogram>,
}

const BINS: usize = 20;

impl Summary {
    /// The figures of these rows; `histogram_of` names a score between 0 and 1, if there is one to count.
    pub fn of<'a>(rows: impl Iterator<Item = &'a ResultRow>, histogram_of: Option<&str>) -> Self {
        let (mut affinity, mut confidence) = (Figures::default(), Figures::default());
        let (mut total, mut completed) = (0u32, 0u32);
        let mut counts = vec![0u32; BINS];
        for row in rows {
            total += 1;
            completed += u32::from(row.status == OutcomeStatus::Completed);
            affinity.add(row.affinity);
            confidence.add(row.confidence);
            if let Some(value) = histogram_of.and_then(|score| row.score(score)) {
                counts[((value * BINS as f64) as usize).min(BINS - 1)] += 1;
            }
        }
        let histogram = histogram_of.map(|score| Histogram { score: score.to_owned(), lower: 0.0, upper: 1.0, counts });
        Summary {
            total_jobs: total,
            completed_jobs: completed,
            failed_jobs: total - completed,
            success_rate: (total > 0).then(|| f64::from(completed) / f64::from(total)),
            best_affinity: affinity.lowest,
            worst_affinity: affinity.highest,
            mean_affinity: affinity.mean(),
            mean_confidence: confidence.mean(),
            histogram: histogram.filter(|histogram| histogram.counts.iter().any(|count| *count > 0)),
        }
    }
}

#[derive(Default)]
struct Figures {
    count: u32,
    sum: f64,
    lowest: Option<f64>,
    highest: Option<f64>,
}

impl Figures {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.count += 1;
            self.sum += value;
            self.lowest = Some(self.lowest.map_or(value, |lowest| lowest.min(value)));
            self.highest = Some(self.highest.map_or(value, |highest| highest.max(value)));
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}
