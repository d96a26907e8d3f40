//! Rings: log lines in memory, for `show events` and for forwarding over TCP.
//!
//! A ring holds as many bytes as its section says; the oldest lines make
//! room. Readers have a place of their own in it: one that falls behind finds
//! its place gone, goes on with the oldest line and counts what it missed.
//! Writing never waits for a reader.

use super::backing::Backing;
use crate::console;
use conf::lb::model::{Host, LogHeader, Ring as Settings, RingServer};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::mpsc;

/// Watchers of a ring at once; further ones only see the past.
const WATCHERS: usize = 32;

/// Lines that a slow watcher may be behind before it loses some.
const BEHIND: usize = 1024;

/// Lines handed to a server at a time.
const BATCH: usize = 64;

/// Patience with a server that cannot be reached, at most.
const RETRY_LIMIT: Duration = Duration::from_secs(10);

/// First pause after a server was lost.
const RETRY_FIRST: Duration = Duration::from_millis(100);

/// How often a forwarder looks whether it is still wanted.
const LOOK: Duration = Duration::from_secs(1);

/// A ring.
pub struct Ring {
    /// Its name.
    pub name: String,
    settings: Mutex<Arc<Settings>>,
    inner: Mutex<Inner>,
    changed: Condvar,
    dropped: AtomicU64,
    forwarders: Mutex<Vec<Forwarder>>,
    backing: Mutex<Option<Backing>>,
}

#[derive(Default)]
struct Inner {
    lines: VecDeque<Arc<str>>,
    bytes: u64,
    /// Number of the oldest line kept; the next one written has this plus their count.
    first: u64,
    watchers: Vec<mpsc::Sender<String>>,
}

struct Forwarder {
    server: RingServer,
    wanted: Arc<AtomicBool>,
}

impl Ring {
    /// An empty one.
    pub fn new(settings: &Arc<Settings>) -> Arc<Ring> {
        let ring = Arc::new(Ring {
            name: settings.name.clone(),
            settings: Mutex::new(settings.clone()),
            inner: Mutex::default(),
            changed: Condvar::new(),
            dropped: AtomicU64::new(0),
            forwarders: Mutex::default(),
            backing: Mutex::default(),
        });
        ring.forward(settings);
        ring.open_file(settings);
        ring
    }

    /// Follows a new configuration; the lines stay.
    pub fn follow(self: &Arc<Ring>, settings: &Arc<Settings>) {
        *lock(&self.settings) = settings.clone();
        self.shrink(&mut lock(&self.inner));
        self.forward(settings);
        self.open_file(settings);
    }

    /// Ends its forwarders: the configuration no longer has it.
    pub fn retire(&self) {
        for forwarder in lock(&self.forwarders).drain(..) {
            forwarder.wanted.store(false, Relaxed);
        }
        self.flush();
        *lock(&self.backing) = None;
        self.changed.notify_all();
    }

    /// Header of lines whose `log` line names none.
    pub fn header(&self) -> LogHeader {
        lock(&self.settings).format
    }

    /// What `show events` says about it.
    pub fn description(&self) -> String {
        let settings = lock(&self.settings).clone();
        settings
            .description
            .clone()
            .unwrap_or_else(|| self.name.clone())
    }

    /// Lines that a server of the ring missed.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Keeps a line, cut to the ring's length, and passes it on.
    pub fn push(&self, line: &str) {
        let longest = lock(&self.settings).max_len as usize;
        let end = (0..=longest.min(line.len()))
            .rev()
            .find(|end| line.is_char_boundary(*end))
            .unwrap_or(0);
        let line: Arc<str> = line[..end].into();
        let mut inner = lock(&self.inner);
        inner.watchers.retain(|watcher| {
            // one that is too slow loses this line, one that left is forgotten
            !matches!(
                watcher.try_send(format!("{line}\n")),
                Err(mpsc::error::TrySendError::Closed(_))
            )
        });
        inner.bytes += cost(&line);
        inner.lines.push_back(line);
        self.shrink(&mut inner);
        drop(inner);
        self.changed.notify_all();
    }

    fn shrink(&self, inner: &mut Inner) {
        let size = lock(&self.settings).size;
        while inner.bytes > size && inner.lines.len() > 1 {
            if let Some(line) = inner.lines.pop_front() {
                inner.bytes -= cost(&line);
                inner.first += 1;
            }
        }
    }

    /// The newest lines before a place, of at most this many bytes.
    fn newest(&self, before: u64, bytes: u64) -> String {
        let inner = lock(&self.inner);
        let beyond = (inner.first + inner.lines.len() as u64).saturating_sub(before);
        let mut left = bytes;
        let fits = |line: &&Arc<str>| match left.checked_sub(cost(line)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        };
        let older = inner.lines.iter().rev().skip(beyond as usize);
        let newest: Vec<_> = older.take_while(fits).collect();
        let lines = newest.into_iter().rev();
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// Opens the file that the section names, unless it is open already.
    fn open_file(self: &Arc<Ring>, settings: &Settings) {
        let mut backing = lock(&self.backing);
        let Some(path) = &settings.backing_file else {
            *backing = None;
            return;
        };
        if backing.as_ref().is_some_and(|open| open.path == *path) {
            return;
        }
        let had_one = backing.is_some();
        match Backing::create(path, settings.size) {
            Ok(mut fresh) => {
                fresh.place = lock(&self.inner).first;
                *backing = Some(fresh);
            }
            Err(error) => {
                let path = path.display();
                let name = &self.name;
                console::warning(&format!("ring {name}: backing-file {path}: {error}"));
                return;
            }
        }
        drop(backing);
        if !had_one {
            let ring = Arc::downgrade(self);
            let run = move || {
                while let Some(ring) = ring.upgrade() {
                    let Some(place) = lock(&ring.backing).as_ref().map(|b| b.place) else {
                        return;
                    };
                    ring.wait_beyond(place);
                    ring.flush();
                }
            };
            // without a thread the file is written when the process ends
            let _ = std::thread::Builder::new()
                .name("ring-file".into())
                .spawn(run);
        }
    }

    /// Writes what is not yet in the ring's file.
    pub fn flush(&self) {
        let mut backing = lock(&self.backing);
        while let Some(open) = backing.as_mut() {
            let lines = self.after(&mut open.place);
            if lines.is_empty() {
                return;
            }
            open.place += lines.len() as u64;
            let place = open.place;
            if let Err(error) = open.keep(&lines, |bytes| self.newest(place, bytes)) {
                let path = open.path.display();
                let name = &self.name;
                console::warning(&format!(
                    "ring {name}: backing-file {path} is given up: {error}"
                ));
                *backing = None;
            }
        }
    }

    /// All lines, each with its end.
    pub fn text(&self) -> String {
        let inner = lock(&self.inner);
        inner.lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// What is there (unless only new lines are wanted), then each new line.
    pub fn watch(&self, only_new: bool) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel(BEHIND);
        let past = if only_new { String::new() } else { self.text() };
        // the channel is empty, so this cannot fail
        let _ = sender.try_send(past);
        let mut inner = lock(&self.inner);
        inner.watchers.retain(|watcher| !watcher.is_closed());
        if inner.watchers.len() < WATCHERS {
            inner.watchers.push(sender);
        }
        receiver
    }

    /// Starts a forwarder for each server that has none and ends the others.
    fn forward(self: &Arc<Ring>, settings: &Settings) {
        let mut forwarders = lock(&self.forwarders);
        forwarders.retain(|forwarder| {
            let stays = settings.servers.contains(&forwarder.server);
            forwarder.wanted.store(stays, Relaxed);
            stays
        });
        for server in &settings.servers {
            if forwarders.iter().any(|f| f.server == *server) {
                continue;
            }
            let wanted = Arc::new(AtomicBool::new(true));
            forwarders.push(Forwarder {
                server: server.clone(),
                wanted: wanted.clone(),
            });
            let (ring, server) = (Arc::downgrade(self), server.clone());
            let name = format!("ring-{}", server.name.chars().take(8).collect::<String>());
            let run = move || {
                let mut place = 0;
                let mut pause = RETRY_FIRST;
                while let Some(ring) = ring.upgrade().filter(|_| wanted.load(Relaxed)) {
                    if ring.serve(&server, &wanted, &mut place).is_ok() {
                        pause = RETRY_FIRST;
                    }
                    drop(ring);
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(RETRY_LIMIT);
                }
            };
            // without a thread the lines stay in the ring
            let _ = std::thread::Builder::new().name(name).spawn(run);
        }
    }

    /// Passes lines on over one connection until it fails; good: at least one got there.
    fn serve(
        &self,
        server: &RingServer,
        wanted: &AtomicBool,
        place: &mut u64,
    ) -> Result<(), io::Error> {
        let settings = lock(&self.settings).clone();
        let Host::Ip(ip) = server.host else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let patience = settings.connect_timeout.unwrap_or(Duration::from_secs(5));
        let to = SocketAddr::new(ip, server.port);
        let mut stream = TcpStream::connect_timeout(&to, patience)?;
        stream.set_write_timeout(settings.server_timeout)?;
        let mut sent = false;
        while wanted.load(Relaxed) {
            self.wait_beyond(*place);
            let batch = self.after(place);
            if batch.is_empty() && is_closed(&stream) {
                break;
            }
            let mut bytes = Vec::new();
            for line in &batch {
                frame(&mut bytes, line, server.octet_count);
            }
            match stream.write_all(&bytes) {
                Ok(()) => sent |= !batch.is_empty(),
                Err(_) if sent => break,
                Err(error) => return Err(error),
            }
            *place += batch.len() as u64;
        }
        Ok(())
    }

    /// Waits a moment for a line at this place.
    fn wait_beyond(&self, place: u64) {
        let inner = lock(&self.inner);
        if inner.first + inner.lines.len() as u64 <= place {
            // the time is a look at whether lines are still wanted
            drop(self.changed.wait_timeout(inner, LOOK));
        }
    }

    /// Lines from a place on. A place that is gone moves to the oldest line.
    fn after(&self, place: &mut u64) -> Vec<Arc<str>> {
        let inner = lock(&self.inner);
        if *place < inner.first {
            self.dropped.fetch_add(inner.first - *place, Relaxed);
            *place = inner.first;
        }
        let skip = (*place - inner.first) as usize;
        inner.lines.iter().skip(skip).take(BATCH).cloned().collect()
    }
}

/// Bytes that a line counts for.
fn cost(line: &str) -> u64 {
    line.len() as u64 + 1
}

/// A line as RFC 6587 frames it.
fn frame(out: &mut Vec<u8>, line: &str, octet_count: bool) {
    if octet_count {
        out.extend_from_slice(line.len().to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(line.as_bytes());
    } else {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// The server hung up. It says nothing otherwise, so nothing is read.
fn is_closed(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let closed = match stream.peek(&mut [0]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    };
    stream.set_nonblocking(false).is_err() || closed
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;

    fn ring(size: u64, servers: Vec<RingServer>) -> Arc<Ring> {
        Ring::new(&Arc::new(Settings {
            name: "r".to_owned(),
            size,
            max_len: 20,
            servers,
            ..Settings::default()
        }))
    }

    fn server(listener: &TcpListener, octet_count: bool) -> RingServer {
        let address = listener.local_addr().unwrap();
        RingServer {
            name: "s".to_owned(),
            host: Host::Ip(address.ip()),
            port: address.port(),
            octet_count,
            place: Default::default(),
        }
    }

    #[test]
    fn a_backing_file_holds_the_newest_lines_and_never_more_than_the_ring_may() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let settings = Settings {
            name: "r".to_owned(),
            size: 60,
            max_len: 20,
            backing_file: Some(path.clone()),
            ..Settings::default()
        };
        let ring = Ring::new(&Arc::new(settings.clone()));
        for number in 0..100 {
            ring.push(&format!("line {number}"));
            ring.flush();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(text.len() <= 60, "{text}");
            assert!(text.ends_with(&format!("line {number}\n")), "{text}");
        }
        // the same file after a reload goes on, another one begins with what the ring holds
        ring.follow(&Arc::new(settings.clone()));
        let other = folder.path().join("others");
        ring.follow(&Arc::new(Settings {
            backing_file: Some(other.clone()),
            ..settings
        }));
        ring.flush();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), ring.text());
        ring.retire();
    }

    #[test]
    fn the_oldest_lines_make_room_and_long_ones_are_cut() {
        let ring = ring(50, Vec::new());
        for number in 0..10 {
            ring.push(&format!("line {number} that is much too long"));
        }
        assert_eq!(ring.text(), "line 8 that is much \nline 9 that is much \n");
    }

    #[test]
    fn a_watcher_sees_the_past_and_what_comes() {
        let ring = ring(1000, Vec::new());
        ring.push("one");
        let mut all = ring.watch(false);
        let mut new = ring.watch(true);
        ring.push("two");
        assert_eq!(all.try_recv().unwrap(), "one\n");
        assert_eq!(all.try_recv().unwrap(), "two\n");
        assert_eq!(new.try_recv().unwrap(), "");
        assert_eq!(new.try_recv().unwrap(), "two\n");
    }

    #[test]
    fn lines_are_forwarded_with_their_length_in_front() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ring = ring(1000, vec![server(&listener, true)]);
        ring.push("hello");
        ring.push("you");
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = [0; 12];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"5 hello3 you");
        ring.retire();
    }

    #[test]
    fn a_server_that_comes_back_gets_what_the_ring_still_holds() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ring = ring(1000, vec![server(&listener, false)]);
        ring.push("one");
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert_eq!(line, "one\n");
        drop(stream);
        let (stream, _) = listener.accept().unwrap();
        ring.push("two");
        line.clear();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert_eq!(line, "two\n");
        ring.retire();
    }
}
