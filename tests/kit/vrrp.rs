//! VRRP on a model LAN: a sniffer and an injector in a host's network
//! namespace, a client that connects to the address again and again, and the
//! wire format, written independently of the daemon under test.

use super::Host;
use nix::sched::{CloneFlags, setns};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Runs a thread in the network namespace of a host.
pub fn thread_in<T: Send + 'static>(
    host: &Host,
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let path = format!("/proc/{}/ns/net", host.init());
    let namespace = File::open(path).expect("the host runs");
    std::thread::spawn(move || {
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("tests run as root");
        work()
    })
}

/// Something seen on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An advert.
    Advert {
        /// Link-layer source.
        mac: [u8; 6],
        /// Link-layer destination.
        to_mac: [u8; 6],
        /// IP source.
        from: IpAddr,
        /// IP destination.
        to: IpAddr,
        /// TTL or hop limit.
        ttl: u8,
        /// The VRRP part.
        body: Vec<u8>,
    },
    /// A gratuitous ARP or an unsolicited neighbour advertisement.
    Announcement {
        /// The claimed address.
        address: IpAddr,
        /// Who claims it.
        mac: [u8; 6],
        /// Flags of a neighbour advertisement (router, solicited, override), 0 for ARP.
        flags: u8,
    },
}

impl Seen {
    /// The advert's priority.
    pub fn priority(&self) -> Option<u8> {
        match self {
            Seen::Advert { body, .. } => body.get(2).copied(),
            Seen::Announcement { .. } => None,
        }
    }

    /// The advert's sender.
    pub fn from(&self) -> Option<IpAddr> {
        match self {
            Seen::Advert { from, .. } => Some(*from),
            Seen::Announcement { .. } => None,
        }
    }
}

fn mac(bytes: &[u8]) -> [u8; 6] {
    bytes.try_into().expect("six bytes")
}

fn parse(frame: &[u8]) -> Option<Seen> {
    let body = frame.get(14..)?;
    match frame.get(12..14)? {
        [0x08, 0x06] => {
            let spa: [u8; 4] = body.get(14..18)?.try_into().ok()?;
            let tpa: [u8; 4] = body.get(24..28)?.try_into().ok()?;
            (spa == tpa && spa != [0; 4]).then(|| Seen::Announcement {
                address: IpAddr::from(spa),
                mac: mac(&body[8..14]),
                flags: 0,
            })
        }
        [0x08, 0x00] if *body.get(9)? == 112 => {
            let four = |i: usize| IpAddr::from([body[i], body[i + 1], body[i + 2], body[i + 3]]);
            let header = usize::from(body[0] & 15) * 4;
            let total = usize::from(u16::from_be_bytes([body[2], body[3]]));
            Some(Seen::Advert {
                mac: mac(&frame[6..12]),
                to_mac: mac(&frame[..6]),
                ttl: body[8],
                from: four(12),
                to: four(16),
                body: body.get(header..total)?.to_vec(),
            })
        }
        [0x86, 0xdd] => {
            let sixteen = |i: usize| {
                let octets: [u8; 16] = body[i..i + 16].try_into().expect("sixteen bytes");
                IpAddr::from(octets)
            };
            let payload = body.get(40..)?;
            match *body.get(6)? {
                112 => Some(Seen::Advert {
                    mac: mac(&frame[6..12]),
                    to_mac: mac(&frame[..6]),
                    ttl: body[7],
                    from: sixteen(8),
                    to: sixteen(24),
                    body: payload.to_vec(),
                }),
                58 if *payload.first()? == 136 => Some(Seen::Announcement {
                    address: IpAddr::from(<[u8; 16]>::try_from(payload.get(8..24)?).ok()?),
                    mac: mac(&frame[6..12]),
                    flags: payload[4] >> 5,
                }),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Collects what arrives at a host's interfaces.
pub struct Sniffer {
    seen: Arc<Mutex<Vec<(Instant, Seen)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Starts on a host.
    pub fn start(host: &Host) -> Sniffer {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (list, end) = (seen.clone(), stop.clone());
        let (ready, wait) = std::sync::mpsc::channel();
        let thread = thread_in(host, move || {
            let all = i32::from((libc_eth_p_all()).to_be());
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(all)))
                .expect("tests run as root");
            socket
                .set_read_timeout(Some(Duration::from_millis(100)))
                .expect("a timeout");
            ready.send(()).expect("the test waits");
            let mut buffer = [0; 4096];
            while !end.load(Ordering::Relaxed) {
                let Ok(length) = (&socket).read(&mut buffer) else {
                    continue;
                };
                if let Some(what) = parse(&buffer[..length]) {
                    let mut list = list.lock().expect("nobody panics with it");
                    list.push((Instant::now(), what));
                }
            }
        });
        wait.recv().expect("the sniffer starts");
        Sniffer {
            seen,
            stop,
            thread: Some(thread),
        }
    }

    /// Everything so far.
    pub fn all(&self) -> Vec<(Instant, Seen)> {
        self.seen.lock().expect("nobody panics with it").clone()
    }

    /// Forgets what was seen.
    pub fn clear(&self) {
        self.seen.lock().expect("nobody panics with it").clear();
    }

    /// Waits for the first thing that fits.
    pub fn wait(&self, what: &str, fits: impl Fn(&Seen) -> bool) -> (Instant, Seen) {
        super::wait_for(what, Duration::from_secs(20), || {
            self.all().into_iter().find(|(_, s)| fits(s))
        })
    }

    /// Times of the adverts of one sender with a priority above 0.
    pub fn adverts_of(&self, sender: IpAddr) -> Vec<Instant> {
        let all = self.all().into_iter();
        let own = all.filter(|(_, s)| s.from() == Some(sender) && s.priority() > Some(0));
        own.map(|(at, _)| at).collect()
    }
}

const fn libc_eth_p_all() -> u16 {
    0x0003
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Internet checksum.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A VRRPv3 advert over IPv4, checksum without pseudo-header; `centis` between adverts.
pub fn v3(vrid: u8, priority: u8, centis: u16, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let [high, low] = centis.to_be_bytes();
    let count = addresses.len() as u8;
    let mut body = vec![0x31, vrid, priority, count, high, low, 0, 0];
    for address in addresses {
        body.extend(address.octets());
    }
    mend(body)
}

/// A VRRPv2 advert; with a password when one is given.
pub fn v2(vrid: u8, priority: u8, seconds: u8, password: &str, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let auth = u8::from(!password.is_empty());
    let count = addresses.len() as u8;
    let mut body = vec![0x21, vrid, priority, count, auth, seconds, 0, 0];
    for address in addresses {
        body.extend(address.octets());
    }
    let mut data = [0; 8];
    data[..password.len()].copy_from_slice(password.as_bytes());
    body.extend(data);
    mend(body)
}

/// Puts the right (plain) checksum in.
pub fn mend(mut body: Vec<u8>) -> Vec<u8> {
    if body.len() >= 8 {
        body[6..8].fill(0);
        let sum = checksum(&body);
        body[6..8].copy_from_slice(&sum.to_be_bytes());
    }
    body
}

/// Sends IPv4 packets with any header from a host's `eth0`.
pub struct Injector {
    socket: Socket,
}

/// What goes around a VRRP message.
#[derive(Clone, Copy)]
pub struct Around {
    /// IP source.
    pub from: Ipv4Addr,
    /// IP destination.
    pub to: Ipv4Addr,
    /// TTL.
    pub ttl: u8,
    /// IP protocol.
    pub protocol: u8,
}

impl Injector {
    /// Opens on a host.
    pub fn new(host: &Host) -> Injector {
        let open = || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112)))?;
            socket.set_header_included_v4(true)?;
            socket.bind_device(Some(b"eth0"))?;
            Ok::<_, std::io::Error>(socket)
        };
        let socket = thread_in(host, open).join().expect("no panic");
        Injector {
            socket: socket.expect("tests run as root"),
        }
    }

    /// Sends a VRRP message.
    pub fn send(&self, around: Around, body: &[u8]) {
        self.send_whole(around.to, &packet(around, body));
    }

    /// Sends a packet with its IPv4 header.
    pub fn send_whole(&self, to: Ipv4Addr, packet: &[u8]) {
        let to = SockAddr::from(SocketAddr::from((to, 0)));
        self.socket.send_to(packet, &to).expect("eth0 is up");
    }
}

/// Puts an IPv4 header before a body; the kernel fills in the checksum.
pub fn packet(around: Around, body: &[u8]) -> Vec<u8> {
    let [high, low] = ((20 + body.len()) as u16).to_be_bytes();
    let mut packet = vec![0x45, 0xc0, high, low, 0, 0, 0, 0];
    packet.extend([around.ttl, around.protocol, 0, 0]);
    packet.extend(around.from.octets());
    packet.extend(around.to.octets());
    packet.extend(body);
    packet
}

/// Answers every connection on port 80 of a host with one letter.
pub fn serve(host: &Host, letter: u8) {
    let (ready, wait) = std::sync::mpsc::channel();
    thread_in(host, move || {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)).expect("port 80 is free");
        ready.send(()).expect("the test waits");
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.write_all(&[letter]);
        }
    });
    wait.recv().expect("the server starts");
}

/// Between two attempts of one of a client's threads.
const PAUSE: Duration = Duration::from_millis(5);

/// One attempt of a client.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// When it began.
    pub began: Instant,
    /// When it ended.
    pub ended: Instant,
    /// Who answered.
    pub answer: Option<u8>,
}

/// A client that opens one connection to the address every 5 ms or as fast as they end.
pub struct Client {
    attempts: Arc<Mutex<Vec<Attempt>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Client {
    /// Starts on a host; a connection that takes longer than 300 ms is lost.
    pub fn start(host: &Host, address: IpAddr) -> Client {
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..4).map(|_| {
            let (list, end) = (attempts.clone(), stop.clone());
            thread_in(host, move || {
                while !end.load(Ordering::Relaxed) {
                    let attempt = attempt(SocketAddr::new(address, 80));
                    list.lock().expect("nobody panics with it").push(attempt);
                    std::thread::sleep(PAUSE);
                }
            })
        });
        let threads = threads.collect();
        Client {
            attempts,
            stop,
            threads,
        }
    }

    /// Attempts that began at or after `since`.
    pub fn since(&self, since: Instant) -> Vec<Attempt> {
        let all = self.attempts.lock().expect("nobody panics with it");
        all.iter().filter(|a| a.began >= since).copied().collect()
    }

    /// Longest time without an answer since then, and how many attempts failed.
    pub fn outage(&self, since: Instant) -> (Duration, usize) {
        let attempts = self.since(since);
        let failed = attempts.iter().filter(|a| a.answer.is_none()).count();
        (longest_outage(since, &attempts), failed)
    }

    /// Waits until this host answered an attempt that began after `since`.
    pub fn wait_answer(&self, since: Instant, letter: u8, limit: Duration) -> Instant {
        let what = format!("{} answers the client", char::from(letter));
        super::wait_for(&what, limit, || {
            let of = self.since(since).into_iter();
            of.filter(|a| a.answer == Some(letter))
                .map(|a| a.ended)
                .min()
        })
    }
}

/// Longest time between two answers, without what the client knows nothing of: stretches in which a busy
/// machine did not let it try, far longer than its own pause.
pub fn longest_outage(since: Instant, attempts: &[Attempt]) -> Duration {
    let mut attempts = attempts.to_vec();
    attempts.sort_by_key(|a| a.began);
    let (mut tried_until, mut unknown) = (since, Vec::new());
    for attempt in &attempts {
        if attempt.began.saturating_duration_since(tried_until) > PAUSE * 10 {
            unknown.push((tried_until, attempt.began));
        }
        tried_until = tried_until.max(attempt.ended);
    }
    let answered = attempts.iter().filter(|a| a.answer.is_some());
    let mut good: Vec<Instant> = answered.map(|a| a.ended).chain([since]).collect();
    good.sort();
    let gaps = good.windows(2).map(|w| {
        let inside = |(from, to): &(Instant, Instant)| {
            (*to).min(w[1]).saturating_duration_since((*from).max(w[0]))
        };
        (w[1] - w[0]).saturating_sub(unknown.iter().map(inside).sum())
    });
    gaps.max().unwrap_or_default()
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn attempt(to: SocketAddr) -> Attempt {
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    let answer = TcpStream::connect_timeout(&to, limit)
        .ok()
        .and_then(|mut stream| {
            stream.set_read_timeout(Some(limit)).ok()?;
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            Some(byte[0])
        });
    Attempt {
        began,
        ended: Instant::now(),
        answer,
    }
}
