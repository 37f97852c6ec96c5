//! The figures of a finished run, gathered row by row.

use crate::OutcomeStatus;
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

/// The figures while they are gathered, one row after the other.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    total: u32,
    completed: u32,
    affinity: Figures,
    confidence: Figures,
    counts: [u32; BINS],
}

impl Tally {
    /// Takes a row in: its affinity, its confidence and the score that the histogram counts, which lies in 0 to 1.
    pub fn add(&mut self, status: OutcomeStatus, affinity: Option<f64>, confidence: Option<f64>, counted: Option<f64>) {
        self.total += 1;
        self.completed += u32::from(status == OutcomeStatus::Completed);
        self.affinity.add(affinity);
        self.confidence.add(confidence);
        if let Some(value) = counted {
            self.counts[((value * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
    }

    /// The figures so far; `counted` names the histogram's score.
    pub fn summary(&self, counted: Option<&str>) -> Summary {
        let any = self.counts.iter().any(|count| *count > 0);
        let histogram =
            |score: &str| Histogram { score: score.to_owned(), lower: 0.0, upper: 1.0, counts: self.counts.to_vec() };
        Summary {
            total_jobs: self.total,
            completed_jobs: self.completed,
            failed_jobs: self.total - self.completed,
            success_rate: (self.total > 0).then(|| f64::from(self.completed) / f64::from(self.total)),
            best_affinity: self.affinity.lowest,
            worst_affinity: self.affinity.highest,
            mean_affinity: self.affinity.mean(),
            mean_confidence: self.confidence.mean(),
            histogram: counted.filter(|_| any).map(histogram),
        }
    }
}

#[derive(Clone, Debug, Default)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_rows_that_have_the_number() {
        let mut tally = Tally::default();
        tally.add(OutcomeStatus::Completed, Some(-2.0), Some(0.5), Some(1.0));
        tally.add(OutcomeStatus::Completed, Some(1.0), None, Some(0.04));
        tally.add(OutcomeStatus::Failed, None, None, None);
        let summary = tally.summary(Some("affinity_prob"));
        assert_eq!((summary.total_jobs, summary.completed_jobs, summary.failed_jobs), (3, 2, 1));
        assert_eq!((summary.best_affinity, summary.worst_affinity), (Some(-2.0), Some(1.0)));
        assert_eq!((summary.mean_affinity, summary.mean_confidence), (Some(-0.5), Some(0.5)));
        let counts = summary.histogram.unwrap().counts;
        assert_eq!((counts[0], counts[19], counts.iter().sum::<u32>()), (1, 1, 2), "1 is in the last bin");
    }

    #[test]
    fn nothing_has_no_figures() {
        let summary = Tally::default().summary(Some("affinity_prob"));
        assert_eq!((summary.success_rate, summary.mean_affinity, summary.histogram), (None, None, None));
    }
}
