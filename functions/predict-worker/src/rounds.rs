//! Which items run together next. What a try leaves unfinished runs again without the others; a try that brings
//! nothing at all is cut in half, until the one item stands alone that kills the process. Every step makes a batch
//! smaller or an item older, so it ends.

use domain::Item;
use std::collections::VecDeque;

/// Items that run in one process.
pub(crate) struct Batch {
    pub items: Vec<Item>,
    /// True if these very items were run before and brought nothing.
    again: bool,
}

/// The batches that wait.
pub(crate) struct Rounds(VecDeque<Batch>);

impl Rounds {
    /// Batches of at most `group` items.
    pub fn new(items: &[Item], group: usize) -> Self {
        Rounds(items.chunks(group.max(1)).map(|items| Batch { items: items.to_vec(), again: false }).collect())
    }

    pub fn next(&mut self) -> Option<Batch> {
        self.0.pop_front()
    }

    /// What a try of `batch` left `unfinished` waits for another one. Returns the item that is given up: it was alone,
    /// twice, and brought nothing.
    pub fn put_back(&mut self, batch: &Batch, mut unfinished: Vec<Item>) -> Option<Item> {
        let stuck = unfinished.len() == batch.items.len();
        match (stuck, unfinished.len()) {
            (_, 0) => {}
            (true, 1) if batch.again => return unfinished.pop(),
            (true, 2..) => {
                let later = unfinished.split_off(unfinished.len().div_ceil(2));
                self.0.push_front(Batch { items: later, again: false });
                self.0.push_front(Batch { items: unfinished, again: false });
            }
            (again, _) => self.0.push_front(Batch { items: unfinished, again }),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn items(count: u32) -> Vec<Item> {
        let item = |n| serde_json::from_value(json!({"index": n, "row": n, "name": "x"})).unwrap();
        (1..=count).map(item).collect()
    }

    /// Runs everything with a tool that `kills` some items' processes and gives the others a result. The items given
    /// up, and the number of processes.
    fn play(count: u32, group: usize, kills: &[u32]) -> (Vec<u32>, u32) {
        let (mut rounds, mut given_up, mut tries) = (Rounds::new(&items(count), group), vec![], 0);
        while let Some(batch) = rounds.next() {
            tries += 1;
            assert!(tries < 10_000, "it must end");
            let dies = batch.items.iter().any(|item| kills.contains(&item.index));
            let unfinished = if dies { batch.items.clone() } else { vec![] };
            given_up.extend(rounds.put_back(&batch, unfinished).map(|item| item.index));
        }
        (given_up, tries)
    }

    #[test]
    fn what_kills_the_process_is_found_by_halving_and_only_it_is_given_up() {
        assert_eq!(play(8, usize::MAX, &[]), (vec![], 1));
        assert_eq!(play(64, usize::MAX, &[50]), (vec![50], 14));
        assert_eq!(play(8, usize::MAX, &[2, 7]).0, [2, 7]);
        assert_eq!(play(3, usize::MAX, &[1, 2, 3]).0, [1, 2, 3]);
        assert_eq!(play(3, 1, &[2]), (vec![2], 4), "one retry for an item that stands alone");
    }

    #[test]
    fn a_try_that_brought_something_lets_the_rest_run_together_again() {
        let mut rounds = Rounds::new(&items(4), usize::MAX);
        let batch = rounds.next().unwrap();
        assert!(rounds.put_back(&batch, batch.items[2..].to_vec()).is_none());
        assert_eq!(rounds.next().unwrap().items.len(), 2);
        assert!(rounds.next().is_none());
    }
}
