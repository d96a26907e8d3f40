//! A set of sequence numbers as ranges: a queue consumed in order is one range, however long.

use std::collections::BTreeMap;

/// Numbers in disjoint ranges, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RangeSet {
    /// First to last.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Adds the numbers from `from` to `to`, both included.
    pub fn insert(&mut self, from: u64, to: u64) {
        if from > to {
            return;
        }
        let (mut from, mut to) = (from, to);
        // Whatever touches the new range becomes part of it.
        while let Some((&first, &last)) = self.ranges.range(..=to.saturating_add(1)).next_back() {
            if last.saturating_add(1) < from {
                break;
            }
            self.ranges.remove(&first);
            from = from.min(first);
            to = to.max(last);
        }
        self.ranges.insert(from, to);
    }

    pub fn contains(&self, number: u64) -> bool {
        self.ranges
            .range(..=number)
            .next_back()
            .is_some_and(|(_, &last)| number <= last)
    }

    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.ranges.iter().map(|(&from, &to)| (from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_in_order_are_one_range() {
        let mut set = RangeSet::default();
        (0..1000).for_each(|n| set.insert(n, n));
        set.insert(5000, u64::MAX);
        set.insert(2000, 1999);
        assert_eq!(
            set.ranges().collect::<Vec<_>>(),
            [(0, 999), (5000, u64::MAX)]
        );
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_set_holds(ranges in proptest::collection::vec((0u64..60, 0u64..8), 0..40)) {
            let (mut set, mut plain) = (RangeSet::default(), BTreeSet::new());
            for (from, length) in ranges {
                set.insert(from, from + length);
                plain.extend(from..=from + length);
            }
            for n in 0..80 {
                prop_assert_eq!(set.contains(n), plain.contains(&n));
            }
            let ranges: Vec<_> = set.ranges().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
