//! The pair channel: heartbeats between Evenkeel hosts over unicast UDP.
//!
//! Peers are `unicast_peer`s, `pair_peer`s, and whoever is heard as master; a
//! host that is greeted with a right HMAC learns its greeter. A peer counts
//! only after it echoed our boot id, so old messages prove nothing. Silence on
//! every path makes a suspect; a probe of the address decides (see `docs/adr`).
//! Heartbeats that only a witness brings are `parted`'s.

mod lists;
mod parted;
mod path;
mod shared;
mod strangers;
mod wire;
mod witness;

use crate::core::Time;
use crate::core::advert::Heard;
use crate::core::connections::{self, Part};
use crate::core::heartbeat::{BootId, Heartbeat, LARGEST, Role, RouterView, Secret};
use crate::core::router::PeerView;
use crate::poller::Ticket;
use conf::vip::model::{Config, Family};
use path::{PROBE, PROBES, Path, Verdict};
use shared::{digest, secret};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;
use tracing::{info, warn};
pub use wire::Sources;
use witness::Witnesses;

/// Heartbeats in a row that must agree before "active too" is evidence.
const STREAK: u32 = 4;
/// Between two lines about peers with another key: senders can be invented.
const QUIET: Duration = Duration::from_secs(10);
/// What this host says of itself.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// Its routers.
    pub routers: Vec<RouterView>,
    /// The shortest interval at which an active one advertises.
    pub advert: Option<Duration>,
    /// Whether it leaves on purpose.
    pub leaving: bool,
}

/// What the daemon must do after a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Probe the addresses of routers that follow this master.
    Probe(IpAddr),
    /// This host is dead.
    Dead(IpAddr),
    /// This host is only heard by a witness, and its router is active there.
    Witnessed(IpAddr, RouterView),
    /// This host says that its router is active.
    Serves(IpAddr, RouterView),
}

/// A peer as the status shows it.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its address.
    pub address: IpAddr,
    /// Whether heartbeats come and are verified.
    pub alive: bool,
    /// Whether it is silent here and a witness brings its heartbeats.
    pub witnessed: bool,
    /// Since the last heartbeat, or an advert that stands for one.
    pub silent: Option<Duration>,
    /// Whether it is silent because it speaks with another key.
    pub other_key: bool,
    /// Whether its configuration fits ours.
    pub same_configuration: bool,
    /// Its routers.
    pub routers: Vec<RouterView>,
}

/// The channel.
#[derive(Debug)]
pub struct Pair {
    /// IPv4, IPv6.
    sockets: [Option<UdpSocket>; 2],
    port: u16,
    secret: Secret,
    digest: [u8; 8],
    boot: BootId,
    sequence: u64,
    interval: Duration,
    paths: Vec<Path>,
    hurry: bool,
    /// Something was heard since the last tick.
    stirred: bool,
    /// Of its sockets.
    pub ticket: Ticket,
    own: Own,
    /// What heartbeats are sent from.
    pub sources: Sources,
    /// When the log last named a peer with another key.
    told_at: Option<Time>,
    /// Messages dropped: wrong HMAC, version, replayed.
    pub refused: u64,
    witnesses: Witnesses,
    /// Active routers that a witness or their host told of since the last tick.
    news: Vec<Order>,
    /// `pair_tickle`: whether lists of connections are told and taken.
    lists: bool,
    /// Parts of lists that peers have told and nobody has taken.
    parts: Vec<(BootId, Part)>,
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
        let open = |any: IpAddr| match wire::bind(any, channel.port) {
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
            sockets: [v4, v6],
            port: channel.port,
            secret: secret(config),
            digest: digest(config),
            boot,
            sequence: 0,
            interval: channel.interval,
            paths: Vec::new(),
            hurry: false,
            stirred: true,
            ticket: Ticket::new(),
            own: Own::default(),
            sources: Sources::default(),
            told_at: None,
            refused: 0,
            witnesses: Witnesses::default(),
            news: Vec::new(),
            lists: false,
            parts: Vec::new(),
        };
        pair.configure(config);
        Some(pair)
    }

    /// Takes a new configuration over.
    pub fn configure(&mut self, config: &Config) {
        self.stirred = true;
        self.secret = secret(config);
        self.digest = digest(config);
        self.interval = config.global.pair_channel.interval;
        self.lists = config.global.pair_channel.tickle;
        for path in &mut self.paths {
            path.configured = false;
        }
        let unicast = config.instances.iter().flat_map(|i| &i.peers);
        let listed = unicast.map(|p| p.address);
        for address in listed.chain(config.global.pair_channel.peers.iter().copied()) {
            self.learn(SocketAddr::new(address, self.port), true);
        }
        if let Err(error) = self
            .witnesses
            .configure(&config.global.pair_channel.witnesses)
        {
            warn!(%error, "pair_witness has no effect: no socket for it");
        }
    }

    /// The port that its sockets have.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The sockets, to be polled, as far as they are open: IPv4, IPv6, that of the witnesses.
    pub fn sockets(&self) -> [Option<&dyn AsFd>; 3] {
        let [v4, v6] = &self.sockets;
        [
            v4.as_ref().map(|s| s as _),
            v6.as_ref().map(|s| s as _),
            self.witnesses.socket().map(|s| s as _),
        ]
    }

    /// A master was heard on this interface.
    pub fn met(&mut self, now: Time, index: u32, heard: &Heard) {
        self.stirred = true;
        let scope = match heard.sender {
            IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfe80 => index,
            IpAddr::V4(_) | IpAddr::V6(_) => 0,
        };
        let address = match heard.sender {
            IpAddr::V4(v4) => SocketAddr::from((v4, self.port)),
            IpAddr::V6(v6) => SocketAddrV6::new(v6, self.port, 0, scope).into(),
        };
        let Some(at) = self.learn(address, false) else {
            return;
        };
        if heard.priority > 0 && path::carries(heard.interval, self.interval) {
            self.paths[at].advert(now);
        }
    }

    /// The next heartbeat goes at once: something changed.
    pub fn hurry(&mut self) {
        self.hurry = true;
    }

    /// When [`Pair::tick`] is due next.
    pub fn deadline(&self) -> Option<Time> {
        self.paths.iter().map(|p| p.due(self.interval)).min()
    }

    /// Before that [`Pair::tick`] finds nothing to do, unless something comes.
    pub fn calm_until(&self) -> Option<Time> {
        let until = |p: &Path| p.due(self.interval).min(p.ripe_at());
        self.paths.iter().map(until).min()
    }

    /// Whether [`Pair::tick`] finds anything to do now.
    pub fn is_due(&self, now: Time) -> bool {
        let due = |p: &Path| p.is_ripe(now) || p.due(self.interval) <= now;
        self.stirred || self.hurry || self.paths.iter().any(due)
    }

    /// Reads what came at the socket at this place; at most `budget` messages.
    pub fn receive(&mut self, now: Time, at: usize, budget: u32) {
        self.stirred = true;
        if at == self.sockets.len() {
            return self.receive_witnessed(now, budget);
        }
        const MOST: usize = if LARGEST > connections::LARGEST {
            LARGEST
        } else {
            connections::LARGEST
        };
        let mut buffer = [0; MOST + 1];
        for _ in 0..budget {
            let socket = self.sockets.get(at).and_then(Option::as_ref);
            let Some(Ok((length, from))) = socket.map(|s| s.recv_from(&mut buffer)) else {
                break;
            };
            let message = &buffer[..length];
            if Part::is_one(message) {
                self.heard_part(message);
                continue;
            }
            match Heartbeat::decode(message, &self.secret) {
                Some(heartbeat) => self.heard(now, from, heartbeat),
                None => self.not_understood(now, from),
            }
        }
    }

    /// Noise from anywhere is only counted. A peer that speaks so has another key, or another version.
    fn not_understood(&mut self, now: Time, from: SocketAddr) {
        self.refused += 1;
        let interval = self.interval;
        let path = self.paths.iter_mut().find(|p| p.address == from);
        let news = path.is_some_and(|p| p.is_newly_foreign(now, interval));
        let quiet = self.told_at.is_some_and(|at| now - at < QUIET);
        if news && !quiet {
            self.told_at = Some(now);
            warn!(peer = %from.ip(), "pair channel: the peer speaks with another key; plain VRRP goes on (both files need the same `pair_key`, or without one the same instances and passwords)");
        }
    }

    fn heard(&mut self, now: Time, from: SocketAddr, heartbeat: Heartbeat) {
        if heartbeat.boot == self.boot {
            return;
        }
        let Some(at) = self.learn(from, false) else {
            return;
        };
        let path = &mut self.paths[at];
        let known = path.boot == heartbeat.boot;
        if known && heartbeat.sequence <= path.sequence {
            self.refused += 1;
            return;
        }
        let fresh = heartbeat.echo == self.boot;
        if !known && path.verified && !fresh {
            // another boot id that does not know ours may be a replay: greet it, believe nothing
            path.hurry(now);
            path.boot = heartbeat.boot;
            path.sequence = heartbeat.sequence;
            path.witness.sequence = 0;
            return;
        }
        if !known {
            path.hurry(now);
            path.witness.sequence = 0;
        }
        path.boot = heartbeat.boot;
        path.sequence = heartbeat.sequence;
        path.answered(now);
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
        path.foreign = false;
        path.heard_at = Some(now);
        if std::mem::take(&mut path.witness.parted) {
            info!(peer = %from.ip(), "pair channel: the hosts hear each other again");
        }
        path.leaving = heartbeat.leaving;
        if path.hears && !heartbeat.hears {
            // our adverts do not arrive any more: heartbeats must
            path.hurry(now);
        }
        path.hears = heartbeat.hears;
        path.calm = heartbeat.calm;
        path.lists = heartbeat.lists;
        path.deaf = heartbeat.asks;
        path.digest = heartbeat.digest;
        path.routers = heartbeat.routers;
        let active = path.routers.iter().filter(|r| r.role == Role::Active);
        let serves = active.map(|r| Order::Serves(from.ip(), *r));
        self.news.extend(serves.filter(|_| !path.leaving));
        path.verdict = Verdict::Alive;
        path.streak = if both_active(&self.own.routers, &path.routers) {
            path.streak.saturating_add(1)
        } else {
            0
        };
    }

    /// Somebody answered for an address: no probe of it stays unanswered.
    pub fn claimed(&mut self) {
        self.stirred = true;
        for path in &mut self.paths {
            if matches!(path.verdict, Verdict::Probing(..)) {
                path.verdict = Verdict::Uncertain;
            }
        }
    }

    /// Sends what is due and judges the silent.
    pub fn tick(&mut self, now: Time, own: Own) -> Vec<Order> {
        self.own = own;
        let hurry = std::mem::take(&mut self.hurry);
        self.stirred = false;
        let mut orders = std::mem::take(&mut self.news);
        for at in 0..self.paths.len() {
            self.judge(now, at, &mut orders);
            let path = &self.paths[at];
            let news = hurry || path.told != path.is_carried(now, self.interval);
            if path.is_ripe(now) || (news && path.verified) {
                self.greet(now, at);
            }
        }
        orders
    }

    fn judge(&mut self, now: Time, at: usize, orders: &mut Vec<Order>) {
        let interval = self.interval;
        let boot = self.paths[at].boot;
        let elsewhere = |p: &Path| p.boot == boot && p.verified && !p.is_silent(now, interval);
        let path = &self.paths[at];
        if !path.verified || !path.is_silent(now, interval) {
            return;
        }
        let heard_elsewhere = self.paths.iter().any(elsewhere);
        let path = &mut self.paths[at];
        if heard_elsewhere || path.is_witnessed(now, interval) {
            path.spare(now, interval);
            return;
        }
        match path.verdict {
            Verdict::Alive if path.leaving => path.verdict = Verdict::Dead,
            Verdict::Alive => {
                // the first question by a witness, too
                path.hurry(now);
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

    fn greet(&mut self, now: Time, at: usize) {
        self.sequence += 1;
        let interval = self.interval;
        let carried = self.own.advert.is_some_and(|a| path::carries(a, interval));
        let path = &mut self.paths[at];
        path.told = path.is_carried(now, interval);
        let doubt = path.is_in_doubt(now, interval);
        let heartbeat = Heartbeat {
            asks: path.verified && path.is_silent(now, interval),
            leaving: self.own.leaving,
            hears: path.told,
            calm: true,
            lists: self.lists,
            boot: self.boot,
            echo: path.boot,
            sequence: self.sequence,
            digest: self.digest,
            routers: self.own.routers.clone(),
        };
        let pause = if doubt && !self.witnesses.is_empty() {
            path.pause_in_doubt(interval)
        } else {
            path.pause(interval, &self.own.routers, carried)
        };
        path.greeted(now, pause);
        let bytes = heartbeat.encode(&self.secret);
        self.ask_witnesses(now, at, doubt, &bytes);
        self.send(self.paths[at].address, &bytes);
    }

    /// Unreachable peers are the channel's daily bread: silence is judged, not errors.
    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let [v4, v6] = &self.sockets;
        let _ = match to {
            SocketAddr::V4(to) => v4.as_ref().map(|s| s.send_to(bytes, to).map(drop)),
            SocketAddr::V6(to) => v6
                .as_ref()
                .map(|s| wire::send_v6(s, &self.sources, to, bytes)),
        };
    }

    fn alive(&self, now: Time) -> impl Iterator<Item = &Path> {
        let interval = self.interval;
        self.paths.iter().filter(move |p| p.is_alive(now, interval))
    }

    /// Whether the host with this address was heard lately, though it may be leaving.
    pub fn speaks(&self, now: Time, address: IpAddr) -> bool {
        let its = |p: &&Path| p.address.ip() == address && p.verified;
        let mut paths = self.paths.iter().filter(its);
        paths.any(|p| !p.is_silent(now, self.interval))
    }

    /// Lists the addresses of living peers.
    pub fn living(&self, now: Time, list: &mut Vec<IpAddr>) {
        list.clear();
        list.extend(self.alive(now).map(|p| p.address.ip()));
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

    /// Each witness with the time at which it last brought a heartbeat.
    pub fn witnesses(&self) -> impl Iterator<Item = (IpAddr, Option<Time>)> + '_ {
        self.witnesses.list()
    }

    /// All peers for the status.
    pub fn status(&self, now: Time) -> Vec<PeerStatus> {
        let one = |p: &Path| PeerStatus {
            address: p.address.ip(),
            alive: p.verified && !p.is_silent(now, self.interval),
            witnessed: p.is_silent(now, self.interval) && p.is_witnessed(now, self.interval),
            silent: p.heard_at.map(|t| now - t),
            other_key: p.foreign && (!p.verified || p.is_silent(now, self.interval)),
            same_configuration: p.digest == self.digest,
            routers: p.routers.clone(),
        };
        self.paths
            .iter()
            .filter(|p| p.configured || p.foreign || p.heard_at.is_some())
            .map(one)
            .collect()
    }
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
