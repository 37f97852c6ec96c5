//! The scores of a run by column: which there are, and which way each is sorted.

use domain::{Ranking, Run, SortDirection};
use models::Better;

/// The scores that rows can be sorted by, and those that the figures are made of. The ranking's comes first.
#[derive(Clone, Debug)]
pub struct Columns {
    orders: Vec<Ranking>,
    histogram_of: Option<&'static str>,
}

impl Columns {
    pub fn of(run: &Run) -> Self {
        let model = models::find(&run.model);
        let histogram_of = model.and_then(|model| model.histogram_of());
        let mut orders = vec![run.ranking.clone()];
        let cards = model.map(|model| model.card().scores).unwrap_or_default();
        let known = cards.iter().map(|card| (card.name, matches!(card.better, Better::Lower)));
        let figures =
            [("affinity", true), ("confidence", false)].into_iter().chain(histogram_of.map(|name| (name, false)));
        for (score, lower) in known.chain(figures) {
            if orders.iter().all(|order| order.score != score) {
                let direction = if lower { SortDirection::Ascending } else { SortDirection::Descending };
                orders.push(Ranking { score: score.to_owned(), direction });
            }
        }
        Columns { orders, histogram_of }
    }

    /// How rows are ranked.
    pub fn ranking(&self) -> &Ranking {
        &self.orders[0]
    }

    /// The orders that are written, a column each: the score's better end first.
    pub fn orders(&self) -> &[Ranking] {
        &self.orders
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.orders.iter().map(|order| order.score.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.column(name).is_some()
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.names().position(|other| other == name)
    }

    pub fn histogram_of(&self) -> Option<&'static str> {
        self.histogram_of
    }
}
