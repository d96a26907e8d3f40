//! Heartbeats that a witness brings: two hosts that do not hear each other, but
//! a third one that hears both. The backup then knows that the master lives and
//! serves, and leaves its clients alone.

use super::path::Path;
use super::{Order, Pair};
use crate::core::Time;
use crate::core::heartbeat::{Heartbeat, LARGEST, Role};
use std::net::{IpAddr, Ipv4Addr};
use tracing::warn;

/// The longest IP header and that of ICMP.
const HEADS: usize = 60 + 8;

impl Pair {
    /// Reads what witnesses brought; at most `budget` messages.
    pub(super) fn receive_witnessed(&mut self, now: Time, budget: u32) {
        let mut buffer = [0; HEADS + LARGEST + 1];
        for _ in 0..budget {
            let Some((witness, data)) = self.witnesses.receive(&mut buffer) else {
                return;
            };
            let known = self.witnesses.knows(witness);
            match Heartbeat::decode(&buffer[data], &self.secret).filter(|_| known) {
                Some(heartbeat) => self.witnessed(now, witness, &heartbeat),
                None => self.refused += 1,
            }
        }
    }

    /// Nobody becomes a peer this way: only a host that echoes our boot id and was verified on
    /// its own path is believed, and only what it said lately.
    fn witnessed(&mut self, now: Time, witness: Ipv4Addr, heartbeat: &Heartbeat) {
        let its = |p: &&Path| p.verified && p.boot == heartbeat.boot;
        let paths = self.paths.iter().filter(its);
        let Some(latest) = paths.map(|p| p.sequence).max() else {
            self.refused += 1;
            return;
        };
        // each path of a round has its own number, and the ways are not equally long
        let late = heartbeat.sequence + (self.paths.len() as u64) < latest;
        if heartbeat.echo != self.boot || late {
            self.refused += 1;
            return;
        }
        self.witnesses.heard(now, witness);
        let interval = self.interval;
        let parted = self
            .paths
            .iter()
            .filter(its)
            .all(|p| p.is_silent(now, interval));
        for path in self.paths.iter_mut().filter(|p| its(&&**p)) {
            if heartbeat.sequence <= path.witness.sequence {
                // another witness was faster
                continue;
            }
            path.witness.sequence = heartbeat.sequence;
            path.witness.heard_at = (!heartbeat.leaving).then_some(now);
            path.answered(now);
            if heartbeat.asks {
                // the first question is answered at once, the others by the pace of doubt
                if !path.is_asked(now, interval) {
                    path.hurry(now);
                }
                path.witness.asked_at = Some(now);
            }
            if !parted || heartbeat.leaving {
                continue;
            }
            let peer = path.address.ip();
            if !std::mem::replace(&mut path.witness.parted, true) {
                warn!(%peer, %witness, "pair channel: the hosts do not hear each other; a witness brings the peer's heartbeats");
            }
            let active = heartbeat.routers.iter().filter(|r| r.role == Role::Active);
            self.news.extend(active.map(|r| Order::Witnessed(peer, *r)));
        }
    }

    /// Sends a heartbeat by the witnesses, too, if that is due on this path.
    pub(super) fn ask_witnesses(&mut self, now: Time, at: usize, doubt: bool, bytes: &[u8]) {
        let path = &mut self.paths[at];
        let IpAddr::V4(peer) = path.address.ip() else {
            return;
        };
        if path.verified && path.needs_witness(now, doubt) {
            path.witness.shown_at = Some(now);
            self.witnesses.send(peer, self.sequence, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::heartbeat::{BootId, RouterView};
    use std::net::SocketAddr;
    use std::time::Duration;

    const WITNESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 21);
    const PEER: BootId = [7; 16];

    fn ms(ms: u64) -> Time {
        Time::new(Duration::from_millis(ms))
    }

    /// A channel whose peer was heard last at zero, with number 10.
    fn pair() -> Option<Pair> {
        let (config, report) =
            conf::vip::load_str("k.conf", "global_defs {}\n", &Default::default());
        let mut config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        config.global.pair_channel.port = 0;
        let mut pair = Pair::new(&config)?;
        let mut path = Path::new(SocketAddr::from(([192, 0, 2, 12], 8112)), false);
        path.verified = true;
        path.boot = PEER;
        path.sequence = 10;
        path.heard_at = Some(ms(0));
        pair.paths.push(path);
        Some(pair)
    }

    fn heartbeat(pair: &Pair, sequence: u64) -> Heartbeat {
        Heartbeat {
            leaving: false,
            hears: false,
            calm: true,
            asks: true,
            lists: false,
            boot: PEER,
            echo: pair.boot,
            sequence,
            digest: pair.digest,
            routers: vec![RouterView {
                vrid: 51,
                v6: false,
                role: Role::Active,
                priority: 110,
            }],
        }
    }

    #[test]
    fn a_witness_tells_of_an_active_peer_that_is_silent_here_once_per_heartbeat() {
        let Some(mut pair) = pair() else { return };
        let told = heartbeat(&pair, 11);
        pair.witnessed(ms(1), WITNESS, &told);
        assert_eq!(pair.news, [], "it is not silent here");
        let told = heartbeat(&pair, 12);
        let late = ms(5000);
        pair.witnessed(late, WITNESS, &told);
        pair.witnessed(late, WITNESS, &told);
        let peer = IpAddr::from([192, 0, 2, 12]);
        assert_eq!(pair.news, [Order::Witnessed(peer, told.routers[0])]);
        assert!(pair.status(late)[0].witnessed);
    }

    #[test]
    fn what_is_old_or_of_a_stranger_is_refused() {
        let Some(mut pair) = pair() else { return };
        let old = heartbeat(&pair, 8);
        let stranger = Heartbeat {
            boot: [9; 16],
            ..heartbeat(&pair, 11)
        };
        let deaf = Heartbeat {
            echo: [0; 16],
            ..heartbeat(&pair, 11)
        };
        for bad in [old, stranger, deaf] {
            pair.witnessed(ms(5000), WITNESS, &bad);
        }
        assert_eq!((pair.refused, pair.news.len()), (3, 0));
        let leaving = Heartbeat {
            leaving: true,
            ..heartbeat(&pair, 12)
        };
        pair.witnessed(ms(5000), WITNESS, &leaving);
        assert_eq!(pair.news, [], "who leaves is not waited for");
    }

    #[test]
    fn two_hosts_that_ask_each_other_keep_their_pace() {
        let Some(mut pair) = pair() else { return };
        let first = heartbeat(&pair, 11);
        pair.witnessed(ms(5000), WITNESS, &first);
        assert!(pair.paths[0].is_ripe(ms(5000)), "answered at once");
        let pause = pair.paths[0].pause_in_doubt(pair.interval);
        pair.paths[0].greeted(ms(5000), pause);
        let second = heartbeat(&pair, 12);
        pair.witnessed(ms(5001), WITNESS, &second);
        assert!(!pair.paths[0].is_ripe(ms(5001)));
    }
}
