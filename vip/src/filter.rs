//! The kernel's packet filter, as much as the daemon needs: addresses that stay
//! mute (no answer to ARP or neighbour discovery) in the grace after a
//! hand-over, addresses that take no packets (`no_accept`), and virtual interfaces
//! (`use_vmac`) that the kernel must not speak from while this host is backup.
//!
//! The tables belong to this process: the kernel drops them when it ends.

use crate::netlink::{self, ACK, CREATE, Message, NLMSG_ERROR, REQUEST, error_of, messages};
use nix::sys::socket::{MsgFlags, SockFlag, SockProtocol, recv, send, setsockopt, sockopt};
use nix::sys::time::TimeVal;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};

// <linux/netfilter/nf_tables.h>, <linux/netfilter/nfnetlink.h>
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEW_TABLE: u16 = 0;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
/// The table ends with the socket that made it (Linux 5.12).
const OWNED: u32 = 2;
/// A rule goes behind those that are there.
const APPEND: u16 = 0x800;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
/// Keys of the meta data: the interface a packet leaves by, its layer 4 protocol.
const OUT: u32 = 5;
const PROTOCOL: u32 = 16;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Multicast listener reports and router solicitations.
const GROUP_TALK: [u8; 4] = [131, 132, 133, 143];
const ARP_REPLY: [u8; 2] = [0, 2];

/// A family of tables and the hook of its one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    family: u8,
    hook: u32,
    chain: &'static str,
}

const ARP_OUT: Place = Place {
    family: 3,
    hook: 1,
    chain: "mute",
};
const V6_OUT: Place = Place {
    family: 10,
    hook: 3,
    chain: "mute",
};
const V4_OUT: Place = Place {
    family: 2,
    hook: 3,
    chain: "mute",
};
const V4_IN: Place = Place {
    family: 2,
    hook: 1,
    chain: "closed",
};
const V6_IN: Place = Place {
    family: 10,
    hook: 1,
    chain: "closed",
};

/// A part of a rule.
enum Part {
    /// Bytes of the packet: header, offset, what they must be.
    Bytes(u32, u32, Vec<u8>),
    /// The layer 4 protocol.
    Protocol(u8),
    /// The number of the interface that it leaves by.
    Out(u32),
    /// What happens to the packet.
    Verdict(u32),
}

/// What is wanted of the packet filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Nobody is told the link-layer address of these.
    pub mute: Vec<IpAddr>,
    /// Who announces one of these is not answered: with a virtual link-layer address the answer
    /// would turn the switch back to the host that has them still.
    pub shared: Vec<IpAddr>,
    /// Packets to these are dropped, neighbour discovery apart.
    pub closed: Vec<IpAddr>,
    /// The kernel says nothing of its own on these interfaces: a report from a virtual
    /// link-layer address would turn the switch to a host that is backup.
    pub silent: Vec<u32>,
}

/// The packet filter.
#[derive(Debug, Default)]
pub struct Filter {
    fd: Option<OwnedFd>,
    sequence: u32,
    set: Wanted,
    /// The kernel refused once: it is not asked again for what is only desirable.
    refused: bool,
}

impl Filter {
    /// Brings the kernel's tables to what is wanted, if they are not there already.
    ///
    /// # Errors
    /// When the kernel has no packet filter, or one older than 5.12.
    pub fn set(&mut self, mut wanted: Wanted) -> io::Result<()> {
        for list in [&mut wanted.mute, &mut wanted.shared, &mut wanted.closed] {
            list.sort();
        }
        wanted.silent.sort();
        if wanted == self.set || (self.refused && wanted.closed == self.set.closed) {
            return Ok(());
        }
        let result = self.replace(&wanted);
        self.refused = result.is_err();
        self.set = wanted;
        result
    }

    /// Silences an interface, or lets it speak.
    pub fn silence(&mut self, index: u32, silent: bool) -> io::Result<()> {
        let mut wanted = self.set.clone();
        wanted.silent.retain(|i| *i != index);
        if silent {
            wanted.silent.push(index);
        }
        self.set(wanted)
    }

    /// All tables anew in one transaction.
    fn replace(&mut self, wanted: &Wanted) -> io::Result<()> {
        let mut batch = Batch::default();
        for family in [ARP_OUT.family, V4_IN.family, V6_IN.family] {
            let rules = rules(wanted, family);
            let before = !self.rules_of(family).is_empty();
            if rules.is_empty() && !before {
                continue;
            }
            // made, so that it can be deleted whether or not it was there
            batch.table(family, NEW_TABLE);
            batch.table(family, DELETE_TABLE);
            if rules.is_empty() {
                continue;
            }
            batch.table(family, NEW_TABLE);
            let mut made: Vec<Place> = Vec::new();
            for (place, parts) in rules {
                if !made.contains(&place) {
                    batch.chain(place);
                    made.push(place);
                }
                batch.rule(place, &parts);
            }
        }
        self.commit(batch)
    }

    fn rules_of(&self, family: u8) -> Vec<(Place, Vec<Part>)> {
        rules(&self.set, family)
    }

    /// Sends a transaction and waits for the kernel's word on each of its requests.
    fn commit(&mut self, batch: Batch) -> io::Result<()> {
        if batch.requests.is_empty() {
            return Ok(());
        }
        let fd = match self.fd.take() {
            Some(fd) => fd,
            None => open()?,
        };
        let first = self.sequence.wrapping_add(1).max(1);
        let mut bytes = Vec::new();
        let mut next = first;
        let mut add = |mut message: Message| {
            message.finish(next);
            next = next.wrapping_add(1);
            bytes.extend(message.bytes);
        };
        let count = batch.requests.len();
        add(edge(BATCH_BEGIN));
        batch.requests.into_iter().for_each(&mut add);
        add(edge(BATCH_END));
        self.sequence = next;
        send(fd.as_raw_fd(), &bytes, MsgFlags::empty())?;
        let result = answers(&fd, first, count);
        self.fd = Some(fd);
        result
    }
}

/// The rules for the tables of a family.
fn rules(wanted: &Wanted, family: u8) -> Vec<(Place, Vec<Part>)> {
    let mut rules = Vec::new();
    for address in &wanted.mute {
        match address {
            IpAddr::V4(a) if family == ARP_OUT.family => {
                let reply = Part::Bytes(NETWORK, 6, ARP_REPLY.to_vec());
                let sender = Part::Bytes(NETWORK, 14, a.octets().to_vec());
                rules.push((ARP_OUT, vec![reply, sender, Part::Verdict(DROP)]));
            }
            IpAddr::V6(a) if family == V6_OUT.family => {
                let kind = Part::Bytes(TRANSPORT, 0, vec![ADVERTISEMENT]);
                let target = Part::Bytes(TRANSPORT, 8, a.octets().to_vec());
                let icmp = Part::Protocol(ICMPV6);
                rules.push((V6_OUT, vec![icmp, kind, target, Part::Verdict(DROP)]));
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
    for address in &wanted.shared {
        if let IpAddr::V4(a) = address
            && family == ARP_OUT.family
        {
            let part = |at, bytes: &[u8]| Part::Bytes(NETWORK, at, bytes.to_vec());
            let (reply, own) = (part(6, &ARP_REPLY), a.octets());
            let parts = vec![reply, part(14, &own), part(24, &own), Part::Verdict(DROP)];
            rules.push((ARP_OUT, parts));
        }
    }
    for index in &wanted.silent {
        let out = || Part::Out(*index);
        if family == V4_OUT.family {
            let parts = vec![out(), Part::Protocol(IGMP), Part::Verdict(DROP)];
            rules.push((V4_OUT, parts));
        }
        for kind in GROUP_TALK.into_iter().filter(|_| family == V6_OUT.family) {
            let kind = Part::Bytes(TRANSPORT, 0, vec![kind]);
            let icmp = Part::Protocol(ICMPV6);
            rules.push((V6_OUT, vec![out(), icmp, kind, Part::Verdict(DROP)]));
        }
    }
    for address in &wanted.closed {
        match address {
            IpAddr::V4(a) if family == V4_IN.family => {
                let to = Part::Bytes(NETWORK, 16, a.octets().to_vec());
                rules.push((V4_IN, vec![to, Part::Verdict(DROP)]));
            }
            IpAddr::V6(a) if family == V6_IN.family => {
                for kind in [SOLICITATION, ADVERTISEMENT] {
                    let kind = Part::Bytes(TRANSPORT, 0, vec![kind]);
                    let icmp = Part::Protocol(ICMPV6);
                    rules.push((V6_IN, vec![icmp, kind, Part::Verdict(ACCEPT)]));
                }
                let to = Part::Bytes(NETWORK, 24, a.octets().to_vec());
                rules.push((V6_IN, vec![to, Part::Verdict(DROP)]));
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
    rules
}

fn open() -> io::Result<OwnedFd> {
    let fd = netlink::open(SockProtocol::NetlinkNetFilter, 0, SockFlag::empty())?;
    // an answer that does not come must not hold up an advert for long
    setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(0, 200_000))?;
    Ok(fd)
}

fn answers(fd: &OwnedFd, first: u32, count: usize) -> io::Result<()> {
    let mut buffer = vec![0; 16_384];
    let mut answered = 0;
    let mut result = Ok(());
    while answered < count {
        let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for (kind, number, body) in messages(&buffer[..length]) {
            if kind != NLMSG_ERROR || number < first {
                continue;
            }
            answered += 1;
            let said = error_of(body);
            if number == first && said.is_err() {
                // the batch as a whole was refused: nothing else is answered
                return said;
            }
            result = result.and(said);
        }
    }
    result
}

fn edge(kind: u16) -> Message {
    let mut message = Message::new(kind, REQUEST);
    let [high, low] = SUBSYSTEM.to_be_bytes();
    message.bytes.extend([0, 0, high, low]);
    message
}

/// A transaction under construction.
#[derive(Default)]
struct Batch {
    requests: Vec<Message>,
}

impl Batch {
    fn request(&mut self, family: u8, kind: u16, fill: impl FnOnce(&mut Message)) {
        let mut message = Message::new((SUBSYSTEM << 8) | kind, REQUEST | ACK | CREATE | APPEND);
        message.bytes.extend([family, 0, 0, 0]);
        // another daemon in this network namespace has its own
        message.text(1, &format!("evenkeel_vip_{}", std::process::id()));
        fill(&mut message);
        self.requests.push(message);
    }

    fn table(&mut self, family: u8, kind: u16) {
        self.request(family, kind, |message| {
            if kind == NEW_TABLE {
                message.number(2, OWNED);
            }
        });
    }

    fn chain(&mut self, place: Place) {
        self.request(place.family, NEW_CHAIN, |message| {
            message.text(3, place.chain);
            message.nested(4, |hook| {
                hook.number(1, place.hook);
                hook.number(2, 0);
            });
            message.number(5, ACCEPT);
            message.text(7, "filter");
        });
    }

    fn rule(&mut self, place: Place, parts: &[Part]) {
        self.request(place.family, NEW_RULE, |message| {
            message.text(2, place.chain);
            message.nested(4, |list| {
                for part in parts {
                    expressions(list, part);
                }
            });
        });
    }
}

/// One part as the filter's expressions, by way of register 1.
fn expressions(list: &mut Message, part: &Part) {
    let mut expression = |name: &str, fill: &dyn Fn(&mut Message)| {
        list.nested(1, |element| {
            element.text(1, name);
            element.nested(2, fill);
        });
    };
    let mut compare_with = None;
    match part {
        Part::Bytes(header, offset, wanted) => {
            expression("payload", &|data| {
                data.number(1, 1);
                data.number(2, *header);
                data.number(3, *offset);
                data.number(4, wanted.len() as u32);
            });
            compare_with = Some(wanted.clone());
        }
        Part::Protocol(protocol) => {
            expression("meta", &|data| {
                data.number(1, 1);
                data.number(2, PROTOCOL);
            });
            compare_with = Some(vec![*protocol]);
        }
        Part::Out(index) => {
            expression("meta", &|data| {
                data.number(1, 1);
                data.number(2, OUT);
            });
            compare_with = Some(index.to_ne_bytes().to_vec());
        }
        Part::Verdict(code) => expression("immediate", &|data| {
            data.number(1, 0);
            data.nested(2, |value| {
                value.nested(2, |verdict| verdict.number(1, *code));
            });
        }),
    }
    if let Some(wanted) = compare_with {
        expression("cmp", &|data| {
            data.number(1, 1);
            data.number(2, 0);
            data.nested(3, |value| value.attribute(1, &wanted));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(mute: &[&str], closed: &[&str]) -> Wanted {
        let list = |names: &[&str]| {
            names
                .iter()
                .map(|n| n.parse().expect("an address"))
                .collect()
        };
        Wanted {
            mute: list(mute),
            shared: Vec::new(),
            closed: list(closed),
            silent: Vec::new(),
        }
    }

    #[test]
    fn each_family_has_rules_for_its_own_addresses_only() {
        let w = wanted(&["10.77.0.50", "fd77::50"], &["10.77.0.60"]);
        let places = |family| -> Vec<Place> { rules(&w, family).iter().map(|r| r.0).collect() };
        assert_eq!(places(ARP_OUT.family), [ARP_OUT]);
        assert_eq!(places(V4_IN.family), [V4_IN]);
        assert_eq!(places(V6_OUT.family), [V6_OUT]);
    }

    #[test]
    fn nothing_wanted_asks_the_kernel_for_nothing() {
        let mut filter = Filter::default();
        filter.set(Wanted::default()).expect("no request");
        assert!(filter.fd.is_none());
    }
}
