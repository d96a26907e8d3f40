//! Clients of a dead host are asked whether they are still connected.
//!
//! A host whose virtual address moves because it died tells nobody. A client
//! that waits for the next message, as a consumer does, learns of it at its own
//! heartbeat. So the active host lists its connections now and then and tells
//! the others; who takes an address over sends each listed client a segment of
//! no effect ("tickle ACK", as Samba's CTDB calls it). A client that is still
//! connected answers with its own numbers (RFC 9293, 3.10.7.4: an unacceptable
//! segment is answered by an acknowledgement), and the kernel resets what it
//! does not know: the client connects anew. A connection that lives is not
//! disturbed. A thread of its own does all of this beside the router thread.

mod lists;
mod segment;

use crate::core::connections::{self, Connection, Part};
use crate::core::heartbeat::BootId;
use crate::mailbox::Post;
use crate::run::ToRouter;
use crate::{rights, sockets};
use lists::Lists;
use segment::Speaker;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tracing::info;

/// What may wait for the thread; more is dropped, and told again with the next list.
const BOUND: usize = 2048;
/// Stack of the thread, bytes.
const STACK: usize = 128 * 1024;
/// How often the connections are looked at.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The shortest time between two looks.
    least: Duration,
    /// A look takes such a part of a core at most, until [`SELDOM`].
    share: u32,
}
/// While the connections change, and while they stay.
const LIVELY: Pace = Pace {
    least: Duration::from_secs(1),
    share: 1000,
};
const CALM: Pace = Pace {
    least: Duration::from_secs(2),
    share: 4000,
};
/// The longest time between two looks.
const SELDOM: Duration = Duration::from_secs(30);
/// An unchanged list is told again after this long: parts may be lost.
const AGAIN: Duration = Duration::from_secs(10);
/// Between two parts of a list, so that they do not crowd out heartbeats.
const BETWEEN_PARTS: Duration = Duration::from_millis(2);
/// When the clients are asked after a take-over: the first answer may be lost.
const ROUNDS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(600),
    Duration::from_millis(2000),
];
/// Segments without a pause, and the pause.
const BURST: usize = 256;
const PAUSE: Duration = Duration::from_millis(1);

/// What the router thread says.
#[derive(Debug)]
enum Word {
    /// The virtual addresses that are active here, and whether anybody wants to know of their
    /// connections.
    Serve(Vec<IpAddr>, bool),
    /// A part of another host's list.
    Heard(BootId, Part),
    /// These were taken over; their clients are asked this much later.
    Took(Vec<IpAddr>, Duration),
}

/// Counts for the status.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections of this host at the last look.
    pub told: AtomicU64,
    /// Connections that other hosts have told of.
    pub known: AtomicU64,
    /// Clients that were asked so far.
    pub asked: AtomicU64,
}

/// The thread's other end; it ends with this.
#[derive(Debug)]
pub struct Tickle {
    words: SyncSender<Word>,
    counts: Arc<Counts>,
    /// What [`Word::Serve`] last said.
    serving: (Vec<IpAddr>, bool),
}

impl Tickle {
    /// Starts the thread; parts of lists go to the router thread, which signs and sends them.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(router: Post<ToRouter>) -> io::Result<Tickle> {
        let (words, inbox) = sync_channel(BOUND);
        let counts = Arc::new(Counts::default());
        let worker = Worker::new(inbox, router, counts.clone());
        let thread = std::thread::Builder::new().name("tickle".to_owned());
        thread.stack_size(STACK).spawn(move || {
            rights::sender();
            worker.run();
        })?;
        Ok(Tickle {
            words,
            counts,
            serving: (Vec::new(), false),
        })
    }

    /// The virtual addresses that are active here, and whether a peer lives that wants to know of
    /// their connections.
    pub fn serve(&mut self, addresses: Vec<IpAddr>, wanted: bool) {
        let serving = (addresses, wanted);
        if self.serving != serving {
            self.serving = serving.clone();
            self.say(Word::Serve(serving.0, serving.1));
        }
    }

    /// Whether [`Tickle::serve`] last said that a peer wants to know.
    pub fn is_wanted(&self) -> bool {
        self.serving.1
    }

    /// Another host told a part of its list.
    pub fn heard(&self, boot: BootId, part: Part) {
        self.say(Word::Heard(boot, part));
    }

    /// These addresses were taken over: their clients are asked, this much later.
    pub fn took(&self, addresses: Vec<IpAddr>, after: Duration) {
        if self.counts.known.load(Ordering::Relaxed) > 0 {
            self.say(Word::Took(addresses, after));
        }
    }

    /// Told, known, asked; see [`Counts`].
    pub fn counts(&self) -> [u64; 3] {
        let Counts { told, known, asked } = &*self.counts;
        [told, known, asked].map(|count| count.load(Ordering::Relaxed))
    }

    fn say(&self, word: Word) {
        // whatever does not fit now is said again with the next list
        let _ = self.words.try_send(word);
    }
}

/// A round of questions that is to come.
#[derive(Debug)]
struct Round {
    at: Instant,
    addresses: Vec<IpAddr>,
    first: bool,
}

struct Worker {
    inbox: Receiver<Word>,
    router: Post<ToRouter>,
    counts: Arc<Counts>,
    serving: Vec<IpAddr>,
    wanted: bool,
    lists: Lists,
    rounds: Vec<Round>,
    next_look: Instant,
    /// Parts of a list that are still to be told, and when the next one goes.
    outgoing: VecDeque<Part>,
    next_part: Instant,
    /// The list that was told last, when, and its number.
    told: Vec<Connection>,
    told_at: Option<Instant>,
    number: u32,
}

impl Worker {
    fn new(inbox: Receiver<Word>, router: Post<ToRouter>, counts: Arc<Counts>) -> Worker {
        Worker {
            inbox,
            router,
            counts,
            serving: Vec::new(),
            wanted: false,
            lists: Lists::default(),
            rounds: Vec::new(),
            next_look: Instant::now(),
            outgoing: VecDeque::new(),
            next_part: Instant::now(),
            told: Vec::new(),
            told_at: None,
            number: 0,
        }
    }

    fn run(mut self) {
        loop {
            let word = match self.due() {
                None => self
                    .inbox
                    .recv()
                    .map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => {
                    let patience = at.saturating_duration_since(Instant::now());
                    self.inbox.recv_timeout(patience)
                }
            };
            match word {
                Ok(word) => self.take(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Ok(word) = self.inbox.try_recv() {
                self.take(word);
            }
            self.ask_clients();
            self.tell_next();
            if self.looks() && Instant::now() >= self.next_look {
                self.look();
            }
        }
    }

    fn looks(&self) -> bool {
        self.wanted && !self.serving.is_empty()
    }

    fn due(&self) -> Option<Instant> {
        let rounds = self.rounds.iter().map(|r| r.at);
        let part = (!self.outgoing.is_empty()).then_some(self.next_part);
        let look = self.looks().then_some(self.next_look);
        rounds.chain(part).chain(look).min()
    }

    fn take(&mut self, word: Word) {
        match word {
            Word::Serve(addresses, wanted) => {
                (self.serving, self.wanted) = (addresses, wanted);
                self.next_look = Instant::now();
                self.told_at = None;
                if !self.looks() {
                    // what was told stays with the peer until it is old: whoever takes over now
                    // asks, should this host not end the connections itself
                    self.counts.told.store(0, Ordering::Relaxed);
                    self.told.clear();
                    self.outgoing.clear();
                }
            }
            Word::Heard(boot, part) => {
                self.lists.add(Instant::now(), boot, part);
                let known = self.lists.count() as u64;
                self.counts.known.store(known, Ordering::Relaxed);
            }
            Word::Took(addresses, after) => {
                let now = Instant::now() + after;
                self.rounds.extend(ROUNDS.iter().map(|later| Round {
                    at: now + *later,
                    addresses: addresses.clone(),
                    first: later.is_zero(),
                }));
            }
        }
    }

    /// Lists the connections, and tells the list if it is news or was told long ago.
    fn look(&mut self) {
        let (before, worked) = (Instant::now(), own_time());
        let found = sockets::connections(&self.serving);
        let took = own_time().saturating_sub(worked);
        let mut found = match found {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "cannot list the connections of virtual addresses");
                self.next_look = before + SELDOM;
                return;
            }
        };
        found.retain(|c| is_elsewhere(c, &self.serving));
        found.sort_unstable();
        self.counts
            .told
            .store(found.len() as u64, Ordering::Relaxed);
        let news = found != self.told;
        let pace = if news { LIVELY } else { CALM };
        self.next_look = before + (took * pace.share).clamp(pace.least, SELDOM);
        let old = self.told_at.is_none_or(|at| before - at >= AGAIN);
        if old || news {
            self.told.clone_from(&found);
            self.told_at = Some(before);
            self.tell(found);
        }
    }

    fn tell(&mut self, list: Vec<Connection>) {
        self.number = self.number.wrapping_add(1);
        self.outgoing = connections::pack(self.number, list).into();
        self.next_part = Instant::now();
    }

    fn tell_next(&mut self) {
        let now = Instant::now();
        if now < self.next_part {
            return;
        }
        if let Some(part) = self.outgoing.pop_front() {
            self.router.send(ToRouter::Connections(part));
            self.next_part = now + BETWEEN_PARTS;
        }
    }

    /// Performs the rounds that are due.
    fn ask_clients(&mut self) {
        let now = Instant::now();
        let due = self.rounds.extract_if(.., |r| r.at <= now);
        for round in due.collect::<Vec<_>>() {
            // another host may have taken it over meanwhile
            let here = |a: &IpAddr| self.serving.contains(a);
            let addresses: Vec<IpAddr> = round.addresses.into_iter().filter(here).collect();
            let asked = ask(&self.lists, &addresses);
            if round.first && asked > 0 {
                self.counts.asked.fetch_add(asked as u64, Ordering::Relaxed);
                info!(
                    clients = asked,
                    "clients of the former master are asked whether they are still connected"
                );
            }
        }
    }
}

/// What the calling thread has had of a processor: waiting for one is no part of it.
fn own_time() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.map(Duration::from).unwrap_or_default()
}

/// Whether the client is on another host, and can be reached without naming an interface.
fn is_elsewhere(connection: &Connection, serving: &[IpAddr]) -> bool {
    let client = connection.client.ip();
    let link_local = matches!(client, IpAddr::V6(v6) if v6.is_unicast_link_local());
    !client.is_loopback() && !link_local && !serving.contains(&client)
}

/// Asks the listed clients of these addresses; how many.
fn ask(lists: &Lists, addresses: &[IpAddr]) -> usize {
    let mut asked: usize = 0;
    for address in addresses {
        let mut speaker = None;
        lists.each(|connection| {
            if connection.own.ip() != *address {
                return;
            }
            if speaker.is_none() {
                speaker = Speaker::new(*address).ok();
            }
            if speaker.as_ref().is_some_and(|s| s.ask(&connection).is_ok()) {
                asked += 1;
                if asked.is_multiple_of(BURST) {
                    std::thread::sleep(PAUSE);
                }
            }
        });
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(client: &str) -> Connection {
        Connection {
            own: ([192, 0, 2, 10], 5672).into(),
            client: client.parse().expect("an address with a port"),
        }
    }

    #[test]
    fn a_thread_that_waits_has_worked_for_nothing() {
        let before = own_time();
        std::thread::sleep(Duration::from_millis(200));
        let worked = own_time().saturating_sub(before);
        assert!(worked < Duration::from_millis(100), "{worked:?}");
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) && own_time() == before {}
        assert!(own_time() > before);
    }

    #[test]
    fn clients_on_the_host_itself_are_not_listed() {
        let serving = [IpAddr::from([192, 0, 2, 10])];
        let elsewhere = |client| is_elsewhere(&connection(client), &serving);
        assert!(elsewhere("198.51.100.7:4000"));
        assert!(elsewhere("[fd00::7]:4000"));
        assert!(!elsewhere("192.0.2.10:4000"));
        assert!(!elsewhere("127.0.0.1:4000"));
        assert!(!elsewhere("[fe80::7]:4000"));
    }
}
