//! What users read: one row per item, and the file a finished batch leaves behind.

use crate::{ItemError, JobId, Molecule, OutcomeStatus, Summary, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A model's scores by their names in the API. Absent means that the model gave none: nothing stands for a missing
/// number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scores(pub BTreeMap<String, f64>);

impl Scores {
    /// The fourteen names that clients of Boltz-2 results know, in the order of the exports.
    pub const FOURTEEN: [&'static str; 14] = [
        "affinity_prob",
        "ens_affinity",
        "ens_prob",
        "ens_aff_1",
        "ens_prob_1",
        "ens_aff_2",
        "ens_prob_2",
        "iptm_score",
        "ligand_iptm",
        "ptm_score",
        "complex_plddt",
        "complex_iplddt",
        "complex_ipde",
        "plddt_score",
    ];

    pub fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// Keeps a number under a name; what is not finite was no answer.
    pub fn set(&mut self, name: &str, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.0.insert(name.to_owned(), value);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortDirection {
    Ascending,
    Descending,
}

/// By which score a run's hits are ranked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ranking {
    pub score: String,
    pub direction: SortDirection,
}

/// One item's result. Numbers are the model's own; null where the model gave none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResultRow {
    /// `<batch id>_0007`, or the job's own id.
    pub job_id: String,
    /// 1 is the best; null for an item without a ranking score.
    pub rank: Option<u32>,
    pub ligand_name: String,
    /// Every other name under which the same molecule stood in the library.
    #[serde(default)]
    pub other_names: Vec<String>,
    pub ligand_smiles: Option<String>,
    /// 1-based row in the user's file or list.
    pub row: u64,
    pub status: OutcomeStatus,
    /// log10(IC50 in µM) for Boltz-2: lower is stronger.
    pub affinity: Option<f64>,
    pub affinity_unit: Option<String>,
    /// 6 − affinity.
    pub pic50: Option<f64>,
    /// The model's own overall confidence, 0 to 1.
    pub confidence: Option<f64>,
    pub has_structure: bool,
    pub affinity_prob: Option<f64>,
    pub ens_affinity: Option<f64>,
    pub ens_prob: Option<f64>,
    pub ens_aff_1: Option<f64>,
    pub ens_prob_1: Option<f64>,
    pub ens_aff_2: Option<f64>,
    pub ens_prob_2: Option<f64>,
    pub iptm_score: Option<f64>,
    pub ligand_iptm: Option<f64>,
    pub ptm_score: Option<f64>,
    pub complex_plddt: Option<f64>,
    pub complex_iplddt: Option<f64>,
    pub complex_ipde: Option<f64>,
    pub plddt_score: Option<f64>,
    /// Scores beyond the fourteen, by name.
    #[serde(default)]
    pub other_scores: BTreeMap<String, f64>,
    pub notes: Vec<String>,
    pub error: Option<ItemError>,
    /// True if a stand-in and not the model made the values.
    pub simulated: bool,
    /// True if an earlier run of the user had the result, and no GPU was used for it.
    #[serde(default)]
    pub cached: bool,
    #[serde(default)]
    pub provenance: BTreeMap<String, String>,
    /// Which molecule it is about, on the way from the report to what later runs look results up by.
    #[serde(skip)]
    #[schema(ignore)]
    pub molecule: Option<Molecule>,
    /// Object names in the artifacts bucket by kind. Not shown to clients, who ask for links.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(ignore)]
    pub files: BTreeMap<String, String>,
}

impl ResultRow {
    /// A score by its name in the API, `affinity`, `pic50` and `confidence` among them.
    pub fn score(&self, name: &str) -> Option<f64> {
        match name {
            "affinity" => self.affinity,
            "pic50" => self.pic50,
            "confidence" => self.confidence,
            "affinity_prob" => self.affinity_prob,
            "ens_affinity" => self.ens_affinity,
            "ens_prob" => self.ens_prob,
            "ens_aff_1" => self.ens_aff_1,
            "ens_prob_1" => self.ens_prob_1,
            "ens_aff_2" => self.ens_aff_2,
            "ens_prob_2" => self.ens_prob_2,
            "iptm_score" => self.iptm_score,
            "ligand_iptm" => self.ligand_iptm,
            "ptm_score" => self.ptm_score,
            "complex_plddt" => self.complex_plddt,
            "complex_iplddt" => self.complex_iplddt,
            "complex_ipde" => self.complex_ipde,
            "plddt_score" => self.plddt_score,
            other => self.other_scores.get(other).copied(),
        }
    }

    /// Fills the fields for scores from what the model gave.
    pub fn with_scores(mut self, mut scores: Scores) -> Self {
        let mut take = |name: &str| scores.0.remove(name);
        self.affinity_prob = take("affinity_prob");
        self.ens_affinity = take("ens_affinity");
        self.ens_prob = take("ens_prob");
        self.ens_aff_1 = take("ens_aff_1");
        self.ens_prob_1 = take("ens_prob_1");
        self.ens_aff_2 = take("ens_aff_2");
        self.ens_prob_2 = take("ens_prob_2");
        self.iptm_score = take("iptm_score");
        self.ligand_iptm = take("ligand_iptm");
        self.ptm_score = take("ptm_score");
        self.complex_plddt = take("complex_plddt");
        self.complex_iplddt = take("complex_iplddt");
        self.complex_ipde = take("complex_ipde");
        self.plddt_score = take("plddt_score");
        self.confidence = take("confidence");
        self.affinity = take("affinity");
        self.pic50 = self.affinity.map(pic50);
        self.affinity_unit = self.affinity.map(|_| "log10(IC50 in uM)".to_owned());
        self.other_scores = scores.0;
        self
    }
}

/// -log10 of the IC50 in M, from log10 of the IC50 in µM.
pub(crate) fn pic50(affinity: f64) -> f64 {
    6.0 - affinity
}

impl Ranking {
    /// Where a row stands in the order of this score: the smaller number comes first. Rows with the score stand before
    /// completed rows without it, and these before failed ones; ties are broken by `row`, the row in the user's file, so
    /// that the order never depends on who finished first.
    pub fn key(&self, score: Option<f64>, status: OutcomeStatus, row: u64) -> u128 {
        let (class, place) = match (score, status) {
            (Some(score), _) => (0, self.direction.place(score)),
            (None, OutcomeStatus::Completed) => (1, 0),
            (None, OutcomeStatus::Failed) => (2, 0),
        };
        class << 126 | u128::from(place) << 62 | u128::from(row.min((1 << 62) - 1))
    }

    /// The same of a row.
    pub fn key_of(&self, row: &ResultRow) -> u128 {
        self.key(row.score(&self.score), row.status, row.row)
    }
}

impl SortDirection {
    /// A whole number for each score, in the order of `f64::total_cmp` or, for descending, in its reverse.
    pub fn place(self, score: f64) -> u64 {
        let bits = score.to_bits();
        // A negative number's bits rise as it falls, and its sign bit would put it above every positive one.
        let rising = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        match self {
            SortDirection::Ascending => rising,
            SortDirection::Descending => !rising,
        }
    }
}

/// `batch_results.json`, version 1.0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchResults {
    pub batch_id: JobId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Of this format.
    pub version: String,
    pub model: String,
    pub model_version: String,
    /// True if any value came from a stand-in.
    pub simulated: bool,
    /// The items in the order of ranks: all of them, or the best where `truncated`.
    pub jobs: Vec<ResultRow>,
    /// True where the batch has more items than `jobs` lists; the tables hold all of them.
    #[serde(default)]
    pub truncated: bool,
    /// How many items `jobs` lists.
    #[serde(default)]
    pub jobs_listed: u32,
    pub summary: Summary,
    pub job_count: u32,
    pub completed_count: u32,
    /// The ten best.
    pub top_predictions: Vec<ResultRow>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u64, scores: &[(&str, f64)]) -> ResultRow {
        let mut given = Scores::default();
        for (name, value) in scores {
            given.set(name, Some(*value));
        }
        let blank = serde_json::json!({"job_id": format!("b_{n}"), "rank": null, "ligand_name": "x", "row": n,
            "status": "completed", "has_structure": true, "notes": [], "simulated": false});
        serde_json::from_value::<ResultRow>(blank).unwrap().with_scores(given)
    }

    #[test]
    fn hits_are_ranked_by_probability_and_strength_by_the_lower_value() {
        let mut rows =
            [row(1, &[("affinity_prob", 0.2), ("affinity", -2.0)]), row(2, &[]), row(3, &[("affinity_prob", 0.9)])];
        let hits = Ranking { score: "affinity_prob".into(), direction: SortDirection::Descending };
        rows.sort_by_key(|row| hits.key_of(row));
        assert_eq!(rows.each_ref().map(|row| row.row), [3, 1, 2]);
        assert_eq!(rows[1].pic50, Some(8.0), "10 nM");
        let strength = Ranking { score: "affinity".into(), direction: SortDirection::Ascending };
        let mut rows = [row(1, &[("affinity", 0.5)]), row(2, &[("affinity", -1.5)])];
        rows.sort_by_key(|row| strength.key_of(row));
        assert_eq!(rows[0].row, 2, "the lower value binds more strongly");
    }

    #[test]
    fn completed_items_without_a_score_stand_before_failed_ones_and_ties_in_the_order_of_the_library() {
        let failed = ResultRow { status: OutcomeStatus::Failed, ..row(1, &[]) };
        let tie = |n| row(n, &[("affinity_prob", 0.5)]);
        for direction in [SortDirection::Ascending, SortDirection::Descending] {
            let mut rows = [failed.clone(), tie(4), row(2, &[]), tie(3)];
            let ranking = Ranking { score: "affinity_prob".into(), direction };
            rows.sort_by_key(|row| ranking.key_of(row));
            assert_eq!(rows.each_ref().map(|row| row.row), [3, 4, 2, 1]);
        }
    }

    #[test]
    fn places_are_in_the_order_of_the_numbers() {
        let numbers = [f64::NEG_INFINITY, -2.5, -f64::MIN_POSITIVE, -0.0, 0.0, 1e-300, 0.5, 3.0, f64::INFINITY];
        assert!(numbers.is_sorted_by_key(|number| SortDirection::Ascending.place(*number)));
        assert!(numbers.iter().rev().is_sorted_by_key(|number| SortDirection::Descending.place(*number)));
    }

    #[test]
    fn a_number_that_is_missing_or_not_finite_stays_null() {
        let mut scores = Scores::default();
        scores.set("affinity_prob", Some(f64::NAN));
        scores.set("iptm_score", None);
        let row = row(1, &[]).with_scores(scores);
        let json = serde_json::to_value(&row).unwrap();
        for name in Scores::FOURTEEN {
            assert!(json[name].is_null(), "{name}");
            assert_eq!(row.score(name), None);
        }
    }
}
