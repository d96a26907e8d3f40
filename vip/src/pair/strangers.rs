//! Who is greeted: a bounded number of addresses, as any advert on the link names
//! one, and only few of them eagerly. What waits for an address that nobody has
//! would fill the socket, and the peer would hear nothing.

use super::Pair;
use super::path::Path;
use std::net::SocketAddr;

/// Peers that are remembered.
const MOST_PEERS: usize = 32;
/// Addresses from which nothing was heard and that are greeted often at the same time.
const EAGERLY: usize = 4;

impl Pair {
    /// The path to this address, which is a new one if there is none and there is room.
    pub(super) fn learn(&mut self, address: SocketAddr, configured: bool) -> Option<usize> {
        if let Some(at) = self.paths.iter().position(|p| p.address == address) {
            self.paths[at].configured |= configured;
            return Some(at);
        }
        if self.paths.len() >= MOST_PEERS {
            let at = self.paths.iter().position(Path::is_stranger)?;
            self.paths.remove(at);
        }
        let mut path = Path::new(address, configured);
        let strangers = self.paths.iter().filter(|p| p.is_stranger());
        if !configured && strangers.count() >= EAGERLY {
            path.greet_seldom();
        }
        self.paths.push(path);
        Some(self.paths.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const BEAT: Duration = Duration::from_millis(50);

    #[test]
    fn of_many_invented_senders_few_are_greeted_often() {
        let (config, report) =
            conf::vip::load_str("k.conf", "global_defs {}\n", &Default::default());
        let mut config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        config.global.pair_channel.port = 0;
        let Some(mut pair) = Pair::new(&config) else {
            return;
        };
        let address = |n: u8| SocketAddr::from(([192, 0, 2, n], 8112));
        let listed = pair.learn(address(250), true).expect("room");
        for n in 0..200 {
            pair.learn(address(n), false).expect("the first make room");
        }
        assert_eq!(pair.paths.len(), MOST_PEERS);
        assert!(pair.paths[listed].configured);
        let often = pair
            .paths
            .iter()
            .filter(|p| p.pause(BEAT, &[], false) == BEAT);
        assert!(often.count() <= EAGERLY + 1);
    }
}
