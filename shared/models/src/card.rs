//! What clients may know of a model before they use it.

use domain::Ranking;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A model as the API describes it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ModelCard {
    /// As requests name it.
    pub name: &'static str,
    pub version: &'static str,
    pub title: &'static str,
    /// What it predicts, in a sentence or two.
    pub predicts: &'static str,
    /// What one item of a batch is.
    pub item: ItemKind,
    /// JSON Schema of `inputs`.
    #[schema(value_type = Object)]
    pub inputs: Value,
    /// JSON Schema of `parameters`.
    #[schema(value_type = Object)]
    pub parameters: Value,
    pub limits: Vec<Limit>,
    /// The scores of a result row that mean something here.
    pub scores: Vec<ScoreCard>,
    /// The order of hits.
    pub ranking: Ranking,
    /// What to bear in mind when reading the results.
    pub notes: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemKind {
    /// One ligand against the target.
    Ligand,
    /// One new binder.
    Design,
}

/// The most of something that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Limit {
    pub name: &'static str,
    pub most: u32,
    pub reason: &'static str,
}

/// One score of a result row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ScoreCard {
    pub name: &'static str,
    /// Empty for a number without one.
    pub unit: &'static str,
    pub meaning: &'static str,
    pub better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    Higher,
    Lower,
}

/// One line of a table of scores.
pub(crate) const fn score(name: &'static str, unit: &'static str, better: Better, meaning: &'static str) -> ScoreCard {
    ScoreCard { name, unit, meaning, better }
}
