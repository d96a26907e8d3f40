//! Lists of client connections on the pair channel: sent to whoever takes them,
//! taken from whoever is known. What they are for is `tickle`'s.

use super::Pair;
use crate::core::Time;
use crate::core::connections::Part;
use crate::core::heartbeat::BootId;

/// Parts that wait to be taken; more are dropped, and told again with the next list.
const MOST_WAITING: usize = 256;

impl Pair {
    /// Whether lists are told, and a peer lives that takes them.
    pub fn wants_lists(&self, now: Time) -> bool {
        self.lists && self.alive(now).any(|p| p.lists)
    }

    /// Tells every living peer that takes lists a part of this host's, once each.
    pub fn tell(&self, now: Time, part: &Part) {
        let mut told: Vec<BootId> = Vec::new();
        for path in self.alive(now).filter(|p| p.lists) {
            if !told.contains(&path.boot) {
                told.push(path.boot);
                let bytes = part.encode(&self.boot, &path.boot, &self.secret);
                self.send(path.address, &bytes);
            }
        }
    }

    /// A message with a part of a list: it counts if its sender is known and knows this process.
    pub(super) fn heard_part(&mut self, message: &[u8]) {
        if !self.lists {
            return;
        }
        let known = |(boot, _): &(BootId, Part)| {
            let its = |p: &super::Path| p.boot == *boot && p.verified;
            self.paths.iter().any(its)
        };
        match Part::decode(message, &self.boot, &self.secret).filter(known) {
            Some(part) if self.parts.len() < MOST_WAITING => self.parts.push(part),
            Some(_) => {}
            None => self.refused += 1,
        }
    }

    /// The parts that came since the last time.
    pub fn take_parts(&mut self) -> Vec<(BootId, Part)> {
        std::mem::take(&mut self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Path;
    use super::*;
    use crate::core::connections::{Connection, pack};
    use conf::vip::model::Config;
    use std::time::Duration;

    fn pair() -> Pair {
        let mut config = Config::default();
        config.global.pair_channel.port = 0;
        Pair::new(&config).expect("sockets")
    }

    fn part() -> Part {
        let one = Connection {
            own: ([192, 0, 2, 10], 5672).into(),
            client: ([192, 0, 2, 200], 40_000).into(),
        };
        pack(1, vec![one]).remove(0)
    }

    fn know(pair: &mut Pair, boot: BootId) {
        let mut path = Path::new(([127, 0, 0, 1], 9).into(), true);
        (path.boot, path.verified, path.lists) = (boot, true, true);
        path.heard_at = Some(Time::default());
        pair.paths = vec![path];
    }

    #[test]
    fn a_part_counts_only_from_a_known_process_that_knows_this_one() {
        let mut pair = pair();
        let bytes = part().encode(&[1; 16], &pair.boot, &pair.secret);
        pair.heard_part(&bytes);
        assert_eq!((pair.take_parts(), pair.refused), (Vec::new(), 1));
        know(&mut pair, [1; 16]);
        pair.heard_part(&bytes);
        assert_eq!(pair.take_parts(), [([1; 16], part())]);
        let replayed = part().encode(&[1; 16], &[7; 16], &pair.secret);
        pair.heard_part(&replayed);
        assert_eq!((pair.take_parts(), pair.refused), (Vec::new(), 2));
    }

    #[test]
    fn parts_that_nobody_takes_are_bounded() {
        let mut pair = pair();
        know(&mut pair, [1; 16]);
        let bytes = part().encode(&[1; 16], &pair.boot, &pair.secret);
        for _ in 0..MOST_WAITING + 10 {
            pair.heard_part(&bytes);
        }
        assert_eq!(pair.take_parts().len(), MOST_WAITING);
    }

    #[test]
    fn a_list_is_wanted_while_a_peer_lives_that_takes_it() {
        let mut pair = pair();
        let (now, late) = (
            Time::new(Duration::from_millis(1)),
            Time::new(Duration::from_secs(60)),
        );
        assert!(!pair.wants_lists(now));
        know(&mut pair, [1; 16]);
        assert!(pair.wants_lists(now) && !pair.wants_lists(late));
        pair.paths[0].lists = false;
        assert!(!pair.wants_lists(now), "an older build");
    }

    #[test]
    fn without_pair_tickle_nothing_is_told_or_taken() {
        let mut config = Config::default();
        (
            config.global.pair_channel.port,
            config.global.pair_channel.tickle,
        ) = (0, false);
        let mut pair = Pair::new(&config).expect("sockets");
        know(&mut pair, [1; 16]);
        assert!(!pair.wants_lists(Time::new(Duration::from_millis(1))));
        let bytes = part().encode(&[1; 16], &pair.boot, &pair.secret);
        pair.heard_part(&bytes);
        assert_eq!((pair.take_parts(), pair.refused), (Vec::new(), 0));
    }
}
