//! Where log lines go. Nothing here waits: a line that cannot be taken at
//! once is counted and gone.

use super::ring::Ring;
use conf::lb::model::{Host, LogAddress, LogHeader};
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// Lines that wait for a slow descriptor before others are dropped.
const QUEUE_LIMIT: usize = 4096;

/// A target's own end.
pub struct Sink {
    /// What it was opened for.
    pub address: LogAddress,
    kind: Kind,
    dropped: AtomicU64,
}

enum Kind {
    Datagram(Datagram),
    Stream(Arc<Queue>),
    Ring(Arc<Ring>),
    /// Could not be opened; every line counts as dropped.
    Broken,
}

impl Sink {
    /// Opens a target; one that cannot be opened drops its lines, as a log
    /// that is away must not keep the balancer from its work.
    pub fn open(address: &LogAddress, rings: &[Arc<Ring>]) -> Sink {
        let kind = match address {
            LogAddress::Udp {
                host: Host::Ip(ip),
                port,
            } => {
                let to = SocketAddr::new(*ip, *port);
                Datagram::open(Domain::for_address(to), SockAddr::from(to), false)
            }
            LogAddress::Udp {
                host: Host::Name(..),
                ..
            } => None,
            LogAddress::Unix(path) => SockAddr::unix(path)
                .ok()
                .and_then(|to| Datagram::open(Domain::UNIX, to, true)),
            LogAddress::Abstract(name) => {
                let to = SockAddr::unix(crate::sys::abstract_path(name));
                to.ok()
                    .and_then(|to| Datagram::open(Domain::UNIX, to, true))
            }
            LogAddress::Fd(fd) => Queue::start(*fd).map(Kind::Stream),
            LogAddress::Ring(name) => {
                let ring = rings.iter().find(|ring| ring.name == *name);
                ring.map(|ring| Kind::Ring(ring.clone()))
            }
        };
        Sink {
            address: address.clone(),
            kind: kind.unwrap_or(Kind::Broken),
            dropped: AtomicU64::new(0),
        }
    }

    /// Lines that could not be delivered.
    pub fn dropped(&self) -> u64 {
        let waiting = match &self.kind {
            Kind::Stream(queue) => queue.dropped.load(Relaxed),
            Kind::Ring(ring) => ring.dropped(),
            Kind::Datagram(_) | Kind::Broken => 0,
        };
        self.dropped.load(Relaxed) + waiting
    }

    /// Sends a line without waiting.
    pub fn send(&self, mut line: String) {
        let sent = match &self.kind {
            Kind::Datagram(datagram) => {
                // so that a plain reader of datagrams sees lines
                line.push('\n');
                datagram.send(line.as_bytes())
            }
            Kind::Stream(queue) => {
                queue.push(line);
                true
            }
            Kind::Ring(ring) => {
                ring.push(&line);
                true
            }
            Kind::Broken => false,
        };
        if !sent {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Header of its lines where the `log` line names none.
    pub fn header(&self) -> LogHeader {
        match &self.kind {
            Kind::Ring(ring) => ring.header(),
            Kind::Datagram(_) | Kind::Stream(_) | Kind::Broken => LogHeader::Local,
        }
    }

    /// Waits until a stream's queue is empty, at the end of the process.
    pub fn drain(&self) {
        if let Kind::Stream(queue) = &self.kind {
            queue.drain();
        }
    }
}

/// A socket for datagrams.
struct Datagram {
    socket: Socket,
    to: SockAddr,
    /// Connected at once, so that a path stays reachable after a chroot.
    connected: bool,
}

impl Datagram {
    fn open(domain: Domain, to: SockAddr, connected: bool) -> Option<Kind> {
        let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), None).ok()?;
        if connected {
            // nobody there yet: the next line tries again
            let _ = socket.connect(&to);
        }
        Some(Kind::Datagram(Datagram {
            socket,
            to,
            connected,
        }))
    }

    fn send(&self, line: &[u8]) -> bool {
        if !self.connected {
            return self.socket.send_to(line, &self.to).is_ok();
        }
        match self.socket.send(line) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            // the reader was started anew
            Err(_) => self.socket.connect(&self.to).is_ok() && self.socket.send(line).is_ok(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Lines on their way to a descriptor that may block (a terminal, a pipe, a
/// file); a thread of its own writes them.
struct Queue {
    lines: Mutex<Waiting>,
    changed: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<String>,
    writing: bool,
}

impl Queue {
    fn start(fd: RawFd) -> Option<Arc<Queue>> {
        let queue = Arc::new(Queue {
            lines: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let file: Box<dyn Write + Send> = match fd {
            // whatever they are: in the background they become /dev/null
            1 => Box::new(std::io::stdout()),
            2 => Box::new(std::io::stderr()),
            _ => Box::new(File::from(crate::sys::adopt(fd).ok()?)),
        };
        let writer = queue.clone();
        let name = format!("log-fd-{fd}");
        std::thread::Builder::new()
            .name(name)
            .spawn(move || writer.write_to(file))
            .ok()?;
        Some(queue)
    }

    fn push(&self, line: String) {
        let mut waiting = lock(&self.lines);
        if waiting.lines.len() >= QUEUE_LIMIT {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        waiting.lines.push_back(line);
        drop(waiting);
        self.changed.notify_all();
    }

    fn write_to(&self, mut file: Box<dyn Write + Send>) {
        loop {
            let mut waiting = lock(&self.lines);
            while waiting.lines.is_empty() {
                waiting = self
                    .changed
                    .wait(waiting)
                    .unwrap_or_else(|e| e.into_inner());
            }
            let batch = std::mem::take(&mut waiting.lines);
            waiting.writing = true;
            drop(waiting);
            let mut text = String::new();
            for line in &batch {
                text.push_str(line);
                text.push('\n');
            }
            if file
                .write_all(text.as_bytes())
                .and_then(|()| file.flush())
                .is_err()
            {
                self.dropped.fetch_add(batch.len() as u64, Relaxed);
            }
            lock(&self.lines).writing = false;
            self.changed.notify_all();
        }
    }

    fn drain(&self) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(1);
        let mut waiting = lock(&self.lines);
        while waiting.writing || !waiting.lines.is_empty() {
            let left = until.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return;
            }
            let (next, _) = self
                .changed
                .wait_timeout(waiting, left)
                .unwrap_or_else(|e| e.into_inner());
            waiting = next;
        }
    }
}
