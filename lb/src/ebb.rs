//! When memory goes back to the system: after many connections have gone.
//!
//! The allocator keeps what small blocks leave behind, between those that live on: after thousands of
//! clients of the statistics page, or of slow readers, that is a hundred megabytes and more.

/// So many connections fewer than at the last high tide are worth the look.
const MANY: u32 = 500;

/// Watches how the number of connections falls.
#[derive(Debug, Default)]
pub struct Ebb {
    peak: u32,
}

impl Ebb {
    /// Takes note of the connections of now; true when so many have gone since the last high tide
    /// that memory should be given back. Then this is the tide to compare with.
    pub fn is_low(&mut self, connections: u32) -> bool {
        self.peak = self.peak.max(connections);
        let gone = self.peak - connections;
        let low = gone >= MANY && connections <= self.peak / 2;
        if low {
            self.peak = connections;
        }
        low
    }
}

#[cfg(test)]
mod tests {
    use super::Ebb;

    #[test]
    fn memory_goes_back_once_after_half_of_many_have_gone() {
        let mut ebb = Ebb::default();
        let tides = [0, 300, 0, 9000, 8400, 4501, 4500, 4000, 0, 0, 499, 0];
        let low: Vec<u32> = tides.into_iter().filter(|n| ebb.is_low(*n)).collect();
        assert_eq!(low, [4500, 0]);
    }
}
