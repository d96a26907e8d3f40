//! What a configured instance means for the core: its settings, what it
//! accepts, what it tracks.

use crate::core::advert::{self, Admission, password_bytes};
use crate::core::ah;
use crate::core::pace::Rule;
use crate::core::router::{GRACE, Settings};
use crate::core::track::{Level, Tracked};
use crate::vmac;
use crate::watch::Key;
use conf::vip::model::{self, Auth, Config, Family, Tracks, Version, Weight};
use conf::vip::statics::TrackGroup;
use std::iter;
use std::net::IpAddr;
use std::time::Duration;

/// The address of no host, of the instance's family: its source as long as it has none.
pub fn unspecified(conf: &model::Instance) -> IpAddr {
    match conf.family {
        model::Family::V4 => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        model::Family::V6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

/// Refreshes that nobody asked for, by default: a client that learnt a wrong
/// link-layer address is right again after a second.
const REFRESH: Duration = Duration::from_secs(1);
const REFRESH_IN_PAIR: Duration = Duration::from_secs(30);

/// What the state machine goes by; `address` is the source of its adverts.
pub fn settings(conf: &model::Instance, address: IpAddr) -> Settings {
    let announce = &conf.announce;
    let burst = if announce.minimal { 1 } else { announce.repeat };
    Settings {
        version: conf.version,
        priority: conf.priority.0,
        interval: conf.advert_int,
        down_adverts: u32::from(conf.down_timer_adverts),
        preempt: conf.preempt,
        preempt_delay: conf.preempt_delay,
        address,
        burst,
        second_burst: (!announce.minimal && !announce.delay.is_zero()).then_some(announce.delay),
        refresh: match announce.refresh {
            None => Some(REFRESH),
            Some(every) if every.is_zero() => None,
            Some(every) => Some(every),
        },
        refresh_in_pair: match announce.refresh {
            None => Some(REFRESH_IN_PAIR),
            Some(every) if every.is_zero() => None,
            Some(every) => Some(every),
        },
        refresh_burst: announce.refresh_repeat,
        lower_burst: announce.lower_prio_repeat.unwrap_or(burst),
        lower_second: announce
            .lower_prio_delay
            .or(Some(announce.delay))
            .filter(|d| !announce.minimal && !d.is_zero()),
        answer_lower: !conf.lower_prio_no_advert,
        last_advert: conf.higher_prio_send_advert && conf.vmac.is_none(),
        grace: if conf.vmac.is_some() {
            Duration::ZERO
        } else {
            GRACE
        },
    }
}

/// What packets must look like to be heard.
pub fn admission(conf: &model::Instance, advertised: &[IpAddr]) -> Admission {
    Admission {
        version: conf.version,
        interval: conf.advert_int,
        auth: match &conf.auth {
            None => advert::Auth::None,
            Some(Auth::Pass(password)) => advert::Auth::Password(password_bytes(password)),
            Some(Auth::Ah(password)) => advert::Auth::Header(ah::Key(password_bytes(password))),
        },
        peers: conf
            .peers
            .iter()
            .map(|p| (p.address, p.min_ttl.unwrap_or(0), p.max_ttl.unwrap_or(255)))
            .collect(),
        check_sender: conf.check_unicast_src,
        own: Vec::new(),
        addresses: advertised.to_vec(),
        any_list: conf.skip_check_adv_addr,
        trusted: Vec::new(),
    }
}

/// The interfaces beside the instance's own that its addresses, routes and rules need: without one
/// of them a client would not get what it asks for.
pub fn places(conf: &model::Instance) -> Vec<String> {
    let addresses = conf.addresses.iter().chain(&conf.excluded);
    let addresses = addresses
        .filter(|a| !a.no_track)
        .filter_map(|a| a.dev.as_ref());
    let routes = conf.routes.iter().filter(|r| !r.no_track);
    let routes = routes.flat_map(|r| {
        r.dev
            .iter()
            .chain(r.hops.iter().filter_map(|h| h.dev.as_ref()))
    });
    let rules = conf.rules.iter().filter(|r| !r.no_track);
    let rules = rules.flat_map(|r| r.iif.iter().chain(&r.oif));
    let own = conf.vmac.as_ref().map(|_| vmac::name(conf));
    let other = |name: &&String| **name != conf.interface && Some(*name) != own.as_ref();
    addresses
        .chain(routes)
        .chain(rules)
        .filter(other)
        .cloned()
        .collect()
}

/// The tracked things of an instance and of its groups. The first mention counts; an interface that
/// is needed is a fault when it is lost, whatever weight it has.
pub fn tracked(conf: &model::Instance, config: &Config) -> Vec<(Key, Tracked)> {
    let groups = config.groups.iter();
    let groups = groups.filter(|g| g.members.contains(&conf.name));
    let lists: Vec<&Tracks> = iter::once(&conf.tracks)
        .chain(groups.map(|g| &g.tracks))
        .collect();
    let mut found: Vec<(Key, Tracked)> = Vec::new();
    let mut add = |key: Key, weight: model::Weight| {
        if !found.iter().any(|(known, _)| *known == key) {
            let item = Tracked {
                name: key.to_string(),
                weight,
                level: Level::Unknown,
                trusted: false,
            };
            found.push((key, item));
        }
    };
    for name in places(conf) {
        add(Key::Interface(name), Weight::default());
    }
    for t in lists.iter().flat_map(|l| &l.interfaces) {
        add(Key::Interface(t.name.clone()), t.weight.unwrap_or_default());
    }
    let member = |g: &&TrackGroup| g.members.iter().any(|(name, _)| *name == conf.name);
    for group in config.track_groups.iter().filter(member) {
        add(Key::Statics(group.name.clone()), Weight::default());
    }
    for t in lists.iter().flat_map(|l| &l.scripts) {
        if let Some(s) = config.scripts.iter().find(|s| s.name == t.name) {
            add(Key::Script(s.name.clone()), t.weight.unwrap_or(s.weight));
        }
    }
    for t in lists.iter().flat_map(|l| &l.processes) {
        if let Some(p) = config.processes.iter().find(|p| p.name == t.name) {
            add(Key::Process(p.name.clone()), t.weight.unwrap_or(p.weight));
        }
    }
    for t in lists.iter().flat_map(|l| &l.files) {
        if let Some(f) = config.files.iter().find(|f| f.name == t.name) {
            add(Key::File(f.name.clone()), t.weight.unwrap_or(f.weight));
        }
    }
    for t in lists.iter().flat_map(|l| &l.balancers) {
        if let Some(b) = config.balancers.iter().find(|b| b.name == t.name) {
            add(Key::Balancer(b.name.clone()), t.weight.unwrap_or(b.weight));
        }
    }
    found
}

/// Pauses between announcements: each `garp_group` is one lane, every other interface its own.
pub fn pauses(config: &Config, places: &[(String, u32)]) -> Vec<Rule> {
    let global = &config.global;
    let mut rules = Vec::new();
    for v6 in [false, true] {
        let usual = if v6 {
            global.announce.gna_interval
        } else {
            global.announce.garp_interval
        };
        let mut add = |indices: Vec<u32>, pause: Duration| {
            if !indices.is_empty() && !pause.is_zero() {
                rules.push(Rule { indices, v6, pause });
            }
        };
        let mut left: Vec<&(String, u32)> = places.iter().collect();
        for group in &global.garp_groups {
            let own = if v6 {
                group.gna_interval
            } else {
                group.garp_interval
            };
            let (inside, outside): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|(name, _)| group.interfaces.contains(name));
            left = outside;
            add(inside.iter().map(|p| p.1).collect(), own.unwrap_or(usual));
        }
        for (_, index) in left {
            add(vec![*index], usual);
        }
    }
    rules
}

/// How many addresses an advert carries on a link of this MTU: as many as keepalived counts (it
/// also takes the Ethernet header off), for two hosts must list the same.
pub fn room(version: Version, family: Family, sealed: bool, mtu: u32) -> usize {
    let (header, size) = match family {
        Family::V4 => (20, 4),
        Family::V6 => (40, 16),
    };
    let password = if version == Version::V2 { 8 } else { 0 };
    let seal = if sealed { ah::LENGTH } else { 0 };
    let left = (mtu as usize).saturating_sub(header + 8 + 14 + password + seal);
    (left / size).min(255)
}

/// The source address in the file, where it must be on this host: when it is tracked, when the
/// peers' adverts go to it, and in IPv6, where nothing leaves without it.
pub fn needed_source(conf: &model::Instance) -> Option<IpAddr> {
    let needed = conf.track_source || !conf.peers.is_empty() || conf.family == Family::V6;
    conf.source.filter(|_| needed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What keepalived 2.2.7 says when it has too many.
    #[test]
    fn an_advert_lists_as_many_addresses_as_keepalived_s() {
        let (v2, v3) = (Version::V2, Version::V3);
        let rooms = [
            (v3, Family::V4, 1000),
            (v2, Family::V4, 1000),
            (v3, Family::V4, 1500),
        ];
        assert_eq!(
            rooms.map(|(v, f, mtu)| room(v, f, false, mtu)),
            [239, 237, 255]
        );
        assert_eq!(room(v2, Family::V4, true, 1000), 231);
        let rooms = [1280, 1295, 1312, 1500].map(|mtu| room(v3, Family::V6, false, mtu));
        assert_eq!(rooms, [76, 77, 78, 89]);
        assert_eq!(room(v3, Family::V6, false, 0), 0);
    }
}
