//! The pair channel: heartbeats between Evenkeel hosts over unicast UDP.
//!
//! Peers are `unicast_peer`s, `pair_peer`s, and whoever is heard as master; a
//! host that is greeted with a right HMAC learns its greeter. A peer counts
//! only after it echoed our boot id, so old messages prove nothing. Silence on
//! every path makes a suspect; a probe of the address decides (see `docs/adr`).

use crate::core::Time;
use crate::core::heartbeat::{BootId, Heartbeat, LARGEST, Role, RouterView, Secret};
use crate::core::router::PeerView;
use conf::vip::model::{Auth, Config, Family};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn6, sendmsg};
use sha2::{Digest, Sha256};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;
use tracing::{info, warn};

/// Heartbeats missed on every path before a peer is suspected. With the probe that is less than
/// the 0.2 s after which a client's TCP sends again: its connections are told at the first try.
const MISSES: u32 = 3;
/// A host without an active router speaks so many times less often: nobody waits for its death.
const QUIET: u32 = 4;
/// How long probes of the address may stay unanswered, and the pause between them.
const PROBE: Duration = Duration::from_millis(30);
const PROBES: u32 = 3;
/// Heartbeats in a row that must agree before "active too" is evidence.
const STREAK: u32 = 4;
/// Peers that are remembered.
const MOST_PEERS: usize = 32;
/// Greetings to somebody who does not answer, before they get rare.
const EAGER: u32 = 40;
const RARE: Duration = Duration::from_secs(2);

/// One way to a peer.
#[derive(Debug)]
struct Path {
    address: SocketAddr,
    /// From the configuration: greeted for ever.
    configured: bool,
    unanswered: u32,
    next_at: Time,
    /// Boot id last heard here, and when.
    boot: BootId,
    heard_at: Option<Time>,
    /// It echoed our boot id.
    verified: bool,
    sequence: u64,
    leaving: bool,
    routers: Vec<RouterView>,
    digest: [u8; 8],
    streak: u32,
    verdict: Verdict,
}

/// What is thought of a silent peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Alive,
    /// So many probes are out since then.
    Probing(Time, u32),
    /// It did not answer the probe either, or left.
    Dead,
    /// Its kernel answered: plain VRRP decides.
    Uncertain,
}

/// What the daemon must do after a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Probe the addresses of routers that follow this master.
    Probe(IpAddr),
    /// This host is dead.
    Dead(IpAddr),
}

/// A peer as the status shows it.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its address.
    pub address: IpAddr,
    /// Whether heartbeats come and are verified.
    pub alive: bool,
    /// Since the last heartbeat.
    pub silent: Option<Duration>,
    /// Whether its configuration fits ours.
    pub same_configuration: bool,
    /// Its routers.
    pub routers: Vec<RouterView>,
}

/// The channel.
#[derive(Debug)]
pub struct Pair {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    port: u16,
    secret: Secret,
    digest: [u8; 8],
    boot: BootId,
    sequence: u64,
    interval: Duration,
    paths: Vec<Path>,
    hurry: bool,
    own: Vec<RouterView>,
    /// The hosts' own addresses by interface: never a virtual one may be the source.
    pub sources: Vec<(u32, IpAddr)>,
    /// Messages dropped: wrong HMAC, version, replayed.
    pub refused: u64,
}

fn bind(any: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let domain = if any.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if any.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::new(any, port).into())?;
    Ok(socket.into())
}

impl Path {
    /// Silence after which this path is suspected: the sender's pace follows from its roles.
    fn limit(&self, interval: Duration) -> Duration {
        interval * MISSES * pace(&self.routers)
    }
}

/// Intervals between two heartbeats of a host with these routers.
fn pace(routers: &[RouterView]) -> u32 {
    if routers.iter().any(|r| r.role == Role::Active) {
        1
    } else {
        QUIET
    }
}

impl Pair {
    /// Opens the channel; nothing when it is off or no socket can be had.
    pub fn new(config: &Config) -> Option<Pair> {
        let channel = &config.global.pair_channel;
        if !channel.enabled {
            return None;
        }
        let mut boot = [0; 16];
        getrandom::fill(&mut boot).ok()?;
        let open = |any: IpAddr| match bind(any, channel.port) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!(port = channel.port, %error, "the pair channel has no socket; plain VRRP goes on");
                None
            }
        };
        let v4 = open(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let v6 = open(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        if v4.is_none() && v6.is_none() {
            return None;
        }
        let mut pair = Pair {
            v4,
            v6,
            port: channel.port,
            secret: secret(config),
            digest: digest(config),
            boot,
            sequence: 0,
            interval: channel.interval,
            paths: Vec::new(),
            hurry: false,
            own: Vec::new(),
            sources: Vec::new(),
            refused: 0,
        };
        pair.configure(config);
        Some(pair)
    }

    /// Takes a new configuration over.
    pub fn configure(&mut self, config: &Config) {
        self.secret = secret(config);
        self.digest = digest(config);
        self.interval = config.global.pair_channel.interval;
        for path in &mut self.paths {
            path.configured = false;
        }
        let unicast = config.instances.iter().flat_map(|i| &i.peers);
        let listed = unicast.map(|p| p.address);
        for address in listed.chain(config.global.pair_channel.peers.iter().copied()) {
            self.learn(SocketAddr::new(address, self.port), true);
        }
    }

    /// The sockets, to be polled.
    pub fn sockets(&self) -> impl Iterator<Item = &UdpSocket> {
        self.v4.iter().chain(&self.v6)
    }

    /// A master was heard at this address on this interface.
    pub fn met(&mut self, address: IpAddr, index: u32) {
        let scope = match address {
            IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80 => index,
            IpAddr::V4(_) | IpAddr::V6(_) => 0,
        };
        let address = match address {
            IpAddr::V4(v4) => SocketAddr::from((v4, self.port)),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, self.port, 0, scope).into(),
        };
        self.learn(address, false);
    }

    fn learn(&mut self, address: SocketAddr, configured: bool) -> Option<usize> {
        if let Some(at) = self.paths.iter().position(|p| p.address == address) {
            self.paths[at].configured |= configured;
            return Some(at);
        }
        if self.paths.len() >= MOST_PEERS {
            let idle = |p: &Path| !p.configured && p.heard_at.is_none();
            let at = self.paths.iter().position(idle)?;
            self.paths.remove(at);
        }
        self.paths.push(Path {
            address,
            configured,
            unanswered: 0,
            next_at: Time::default(),
            boot: [0; 16],
            heard_at: None,
            verified: false,
            sequence: 0,
            leaving: false,
            routers: Vec::new(),
            digest: [0; 8],
            streak: 0,
            verdict: Verdict::Alive,
        });
        Some(self.paths.len() - 1)
    }

    /// The next heartbeat goes at once: something changed.
    pub fn hurry(&mut self) {
        self.hurry = true;
    }

    /// When [`Pair::tick`] is due next.
    pub fn deadline(&self) -> Option<Time> {
        let due = |p: &Path| match p.verdict {
            Verdict::Probing(since, sent) => p.next_at.min(since + PROBE / PROBES * sent),
            Verdict::Alive => match p.heard_at.filter(|_| p.verified) {
                Some(at) => p.next_at.min(at + p.limit(self.interval)),
                None => p.next_at,
            },
            Verdict::Dead | Verdict::Uncertain => p.next_at,
        };
        self.paths.iter().map(due).min()
    }

    /// Reads what came; at most `budget` messages of each socket.
    pub fn receive(&mut self, now: Time, budget: u32) {
        let mut buffer = [0; LARGEST + 1];
        for v6 in [false, true] {
            for _ in 0..budget {
                let socket = if v6 { &self.v6 } else { &self.v4 };
                let Some(Ok((length, from))) = socket.as_ref().map(|s| s.recv_from(&mut buffer))
                else {
                    break;
                };
                match Heartbeat::decode(&buffer[..length], &self.secret) {
                    Some(heartbeat) => self.heard(now, from, heartbeat),
                    None => self.refused += 1,
                }
            }
        }
    }

    fn heard(&mut self, now: Time, from: SocketAddr, heartbeat: Heartbeat) {
        if heartbeat.boot == self.boot {
            return;
        }
        let Some(at) = self.learn(from, false) else {
            return;
        };
        let own = self.own.clone();
        let path = &mut self.paths[at];
        let known = path.boot == heartbeat.boot;
        if known && heartbeat.sequence <= path.sequence {
            self.refused += 1;
            return;
        }
        let fresh = heartbeat.echo == self.boot;
        if !known && path.verified && !fresh {
            // another boot id that does not know ours may be a replay: greet it, believe nothing
            path.next_at = now;
            path.boot = heartbeat.boot;
            path.sequence = heartbeat.sequence;
            return;
        }
        if !known {
            path.next_at = now;
        }
        path.boot = heartbeat.boot;
        path.sequence = heartbeat.sequence;
        path.unanswered = 0;
        if !fresh {
            path.verified = false;
            return;
        }
        if !path.verified {
            info!(peer = %from.ip(), "pair channel: the peer is one of us");
        }
        if path.digest != heartbeat.digest && heartbeat.digest != self.digest {
            warn!(peer = %from.ip(), "pair channel: the peer's configuration does not fit ours (see `evenkeel vip lint`)");
        }
        path.verified = true;
        path.heard_at = Some(now);
        path.leaving = heartbeat.leaving;
        path.digest = heartbeat.digest;
        path.routers = heartbeat.routers;
        path.verdict = Verdict::Alive;
        path.streak = if both_active(&own, &path.routers) {
            path.streak.saturating_add(1)
        } else {
            0
        };
    }

    /// Somebody answered for an address: no probe of it stays unanswered.
    pub fn claimed(&mut self) {
        for path in &mut self.paths {
            if matches!(path.verdict, Verdict::Probing(..)) {
                path.verdict = Verdict::Uncertain;
            }
        }
    }

    /// Sends what is due and judges the silent.
    pub fn tick(&mut self, now: Time, own: Vec<RouterView>, leaving: bool) -> Vec<Order> {
        self.own = own;
        let hurry = std::mem::take(&mut self.hurry);
        // a little early beside an advert costs no wake-up of its own
        let soon = now + self.interval / 5;
        let mut orders = Vec::new();
        for at in 0..self.paths.len() {
            self.judge(now, at, &mut orders);
            let path = &self.paths[at];
            if soon >= path.next_at || (hurry && path.verified) {
                self.greet(now, at, leaving);
            }
        }
        orders
    }

    fn judge(&mut self, now: Time, at: usize, orders: &mut Vec<Order>) {
        let interval = self.interval;
        let boot = self.paths[at].boot;
        let silent = |p: &Path| p.heard_at.is_none_or(|t| now - t >= p.limit(interval));
        let elsewhere = |p: &Path| p.boot == boot && p.verified && !silent(p);
        let path = &self.paths[at];
        if !path.verified || !silent(path) || self.paths.iter().any(elsewhere) {
            return;
        }
        let path = &mut self.paths[at];
        match path.verdict {
            Verdict::Alive if path.leaving => path.verdict = Verdict::Dead,
            Verdict::Alive => {
                path.verdict = Verdict::Probing(now, 1);
                orders.push(Order::Probe(path.address.ip()));
            }
            Verdict::Probing(since, sent) if now < since + PROBE / PROBES * sent => {}
            Verdict::Probing(since, sent) if sent < PROBES => {
                path.verdict = Verdict::Probing(since, sent + 1);
                orders.push(Order::Probe(path.address.ip()));
            }
            Verdict::Probing(..) => {
                path.verdict = Verdict::Dead;
                warn!(peer = %path.address.ip(), "pair channel: the peer is dead");
                orders.push(Order::Dead(path.address.ip()));
            }
            Verdict::Dead | Verdict::Uncertain => {}
        }
    }

    fn greet(&mut self, now: Time, at: usize, leaving: bool) {
        self.sequence += 1;
        let path = &mut self.paths[at];
        let heartbeat = Heartbeat {
            leaving,
            boot: self.boot,
            echo: path.boot,
            sequence: self.sequence,
            digest: self.digest,
            routers: self.own.clone(),
        };
        let pause = if path.unanswered >= EAGER {
            RARE
        } else if path.verified {
            self.interval * pace(&self.own)
        } else {
            self.interval
        };
        path.unanswered = path.unanswered.saturating_add(1);
        path.next_at = now + pause;
        let bytes = heartbeat.encode(&self.secret);
        // unreachable peers are the channel's daily bread: silence is judged, not errors
        let _ = match path.address {
            SocketAddr::V4(to) => self.v4.as_ref().map(|s| s.send_to(&bytes, to).map(drop)),
            SocketAddr::V6(to) => self
                .v6
                .as_ref()
                .map(|s| send_v6(s, &self.sources, to, &bytes)),
        };
        if !path.configured && path.heard_at.is_none() && path.unanswered > EAGER * 4 {
            path.unanswered = EAGER * 2;
            path.next_at = now + RARE * 10;
        }
    }

    fn alive(&self, now: Time) -> impl Iterator<Item = &Path> {
        let interval = self.interval;
        self.paths.iter().filter(move |p| {
            let fresh = |t| now - t < p.limit(interval);
            p.verified && !p.leaving && p.heard_at.is_some_and(fresh)
        })
    }

    /// Addresses of living peers.
    pub fn living(&self, now: Time) -> Vec<IpAddr> {
        self.alive(now).map(|p| p.address.ip()).collect()
    }

    /// What is known of the other host's router. `heard`: the advert sender that this router
    /// follows or last heard, so that the view has the address that its packets carry.
    pub fn view(
        &self,
        now: Time,
        family: Family,
        vrid: u8,
        heard: Option<IpAddr>,
    ) -> Option<PeerView> {
        let v6 = family == Family::V6;
        let of = |p: &Path| {
            p.routers
                .iter()
                .find(|r| r.vrid == vrid && r.v6 == v6)
                .copied()
        };
        let found: Vec<(&Path, RouterView)> = self
            .alive(now)
            .filter_map(|p| of(p).map(|r| (p, r)))
            .collect();
        let (path, router) = *found
            .iter()
            .find(|(p, _)| Some(p.address.ip()) == heard)
            .or(found.first())?;
        let one_host = found.iter().all(|(p, _)| p.boot == path.boot);
        let stranger = heard.is_some_and(|h| !found.iter().any(|(p, _)| p.address.ip() == h));
        let address = match heard {
            Some(heard) if !stranger => heard,
            _ => path.address.ip(),
        };
        Some(PeerView {
            address,
            priority: if router.role == Role::Out {
                0
            } else {
                router.priority
            },
            active: path.streak >= STREAK && router.role == Role::Active,
            sole: one_host && !stranger,
            waiting: router.role == Role::Backup,
        })
    }

    /// All peers for the status.
    pub fn status(&self, now: Time) -> Vec<PeerStatus> {
        let one = |p: &Path| PeerStatus {
            address: p.address.ip(),
            alive: p.verified && p.heard_at.is_some_and(|t| now - t < p.limit(self.interval)),
            silent: p.heard_at.map(|t| now - t),
            same_configuration: p.digest == self.digest,
            routers: p.routers.clone(),
        };
        self.paths
            .iter()
            .filter(|p| p.configured || p.heard_at.is_some())
            .map(one)
            .collect()
    }
}

/// Sends from the interface's own link-local address: the kernel might pick a virtual one,
/// which moves.
fn send_v6(
    socket: &UdpSocket,
    sources: &[(u32, IpAddr)],
    to: SocketAddrV6,
    bytes: &[u8],
) -> io::Result<()> {
    let local = sources.iter().find_map(|(index, source)| match source {
        IpAddr::V6(v6) if *index == to.scope_id() => Some(*v6),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    });
    let Some(local) = local else {
        return socket.send_to(bytes, to).map(drop);
    };
    let info = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr {
            s6_addr: local.octets(),
        },
        ipi6_ifindex: to.scope_id(),
    };
    let control = [ControlMessage::Ipv6PacketInfo(&info)];
    let parts = [IoSlice::new(bytes)];
    let to = SockaddrIn6::from(to);
    sendmsg(
        socket.as_raw_fd(),
        &parts,
        &control,
        MsgFlags::empty(),
        Some(&to),
    )?;
    Ok(())
}

fn both_active(own: &[RouterView], other: &[RouterView]) -> bool {
    let active = |r: &&RouterView| r.role == Role::Active;
    own.iter().filter(active).any(|a| {
        other
            .iter()
            .filter(active)
            .any(|b| (a.vrid, a.v6) == (b.vrid, b.v6))
    })
}

/// The pair's secret: `pair_key`, or what both files share.
fn secret(config: &Config) -> Secret {
    let mut hash = Sha256::new();
    hash.update(b"evenkeel pair channel, version 1\0");
    match &config.global.pair_channel.key {
        Some(key) => {
            hash.update(b"key\0");
            hash.update(key.as_bytes());
        }
        None => {
            let mut shared: Vec<String> = config
                .instances
                .iter()
                .map(|i| {
                    let password = i.auth.as_ref().map_or("", |Auth::Pass(p)| p.as_str());
                    format!("{} {:?} {password}", i.vrid.0, i.family)
                })
                .collect();
            shared.sort();
            hash.update(shared.join("\n").as_bytes());
        }
    }
    Secret::new(hash.finalize().into())
}

/// A digest of what both configurations must share.
fn digest(config: &Config) -> [u8; 8] {
    let mut lines: Vec<String> = Vec::new();
    for i in &config.instances {
        let mut addresses: Vec<String> =
            i.addresses.iter().map(|a| a.address.to_string()).collect();
        addresses.sort();
        lines.push(format!(
            "{} {:?} {:?} {:?} {:?} {}",
            i.vrid.0,
            i.family,
            i.version,
            i.advert_int,
            i.auth,
            addresses.join(" ")
        ));
    }
    lines.sort();
    let full = Sha256::digest(lines.join("\n").as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&full[..8]);
    short
}
