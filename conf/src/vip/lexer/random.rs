//! `${_RANDOM [from [to]]}`: a number that is another one each time, or after `random_seed`
//! the same ones in each reading.

use std::hash::{BuildHasher, Hasher, RandomState};

/// The largest number where none is written.
const MOST: u32 = 32_767;

/// Where the numbers come from.
#[derive(Default)]
pub(super) struct Random {
    seed: Option<u64>,
    drawn: u64,
}

impl Random {
    /// From now on the numbers follow from this one.
    pub(super) fn seed(&mut self, text: &str) {
        self.seed = text.parse().ok();
        self.drawn = 0;
    }

    /// A number of the range that stands behind the name; nothing if that is no range.
    pub(super) fn between(&mut self, range: &str) -> Option<String> {
        if !range.is_empty() && !range.starts_with(' ') {
            return None;
        }
        let bounds: Vec<u32> = range
            .split_whitespace()
            .map(|word| word.parse().ok())
            .collect::<Option<_>>()?;
        let (low, high) = match bounds[..] {
            [] => (0, MOST),
            [low] => (low, MOST),
            [low, high] => (low, high),
            _ => return None,
        };
        let count = u64::from(high.checked_sub(low)?) + 1;
        Some((u64::from(low) + self.draw() % count).to_string())
    }

    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        match self.seed {
            Some(seed) => mix(seed.wrapping_add(self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
            None => RandomState::new().build_hasher().finish(),
        }
    }
}

/// The finish of splitmix64 (Steele, Lea and Flood 2014): numbers in a row become unlike.
fn mix(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lie_in_their_range() {
        let mut random = Random::default();
        for (range, low, high) in [("", 0, 32_767), (" 32760", 32_760, 32_767), (" 7 9", 7, 9)] {
            for _ in 0..100 {
                let number: u32 = random.between(range).unwrap().parse().unwrap();
                assert!((low..=high).contains(&number), "{number} of{range}");
            }
        }
        for range in ["ISE", " 9 7", " a", " 1 2 3", " -1"] {
            assert_eq!(random.between(range), None, "{range}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let numbers = |seed: &str| {
            let mut random = Random::default();
            random.seed(seed);
            let draw = |_| random.between("").unwrap();
            (0..20).map(draw).collect::<Vec<_>>()
        };
        assert_eq!(numbers("5"), numbers("5"));
        assert_ne!(numbers("5"), numbers("6"));
    }
}
