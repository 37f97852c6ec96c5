//! Which ligands share shards: those of like size, where there are enough of them to fill a few shards.

use super::{Group, ROUNDING, SizeClass, work};

/// A group fills at least so many shards: the last of them is rarely full.
const FEWEST_SHARDS: f64 = 4.0;

/// Groups of neighbouring classes, none of them empty, and the shards of each, about `wanted` together; with each group the mean seconds of
/// its items. No shard has more than `longest` seconds of work, in whatever order its group's items come, unless it is a
/// single item that takes longer.
pub fn cut(sizes: &[SizeClass], shard_work: f64, wanted: u32, longest: f64) -> Vec<(Group, f64)> {
    let whole = work(sizes);
    let (mut done, mut given) = (0.0, 0);
    let mut cut = vec![];
    for classes in merge(sizes, shard_work * FEWEST_SHARDS) {
        let items: u32 = classes.iter().map(|class| class.items).sum();
        let seconds = work(classes);
        done += seconds;
        // Of the shards wanted for all groups up to here, those that the groups before have not got.
        let up_to_here = (f64::from(wanted) * done / whole).round() as u32;
        let fewest = items.div_ceil(most_items(classes, longest));
        let shards = up_to_here.saturating_sub(given).clamp(fewest.min(items), items);
        given = given.max(up_to_here);
        let most_atoms = classes.last().map_or(0, |class| class.most_atoms);
        cut.push((Group { most_atoms, items, shards }, seconds / f64::from(items)));
    }
    cut
}

/// Neighbouring classes together until each has `enough` seconds of work; what is left over joins the last.
fn merge(sizes: &[SizeClass], enough: f64) -> Vec<&[SizeClass]> {
    let (mut ends, mut first) = (vec![], 0);
    for end in 1..=sizes.len() {
        if work(&sizes[first..end]) >= enough && work(&sizes[end..]) >= enough {
            ends.push(end);
            first = end;
        }
    }
    ends.extend((!sizes.is_empty()).then_some(sizes.len()));
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| &sizes[start..*end]).collect()
}

/// How many items fit into so many seconds if they are the slowest of these.
fn most_items(classes: &[SizeClass], longest: f64) -> u32 {
    let (mut left, mut fit) = (longest + ROUNDING, 0);
    let mut slowest: Vec<_> = classes.iter().collect();
    slowest.sort_by(|a, b| b.item_seconds.total_cmp(&a.item_seconds));
    for class in slowest {
        let more = ((left / class.item_seconds).floor() as u32).min(class.items);
        fit += more;
        left -= f64::from(more) * class.item_seconds;
        if more < class.items {
            break;
        }
    }
    fit.max(1)
}
