//! `track_lb`: a balancer through its admin socket. A closed socket is a dead
//! balancer, known at once; a backend without a usable server makes it unfit.
//! One that does not answer has two seconds, unless its process does nothing.

use super::stillness::Watched;
use crate::core::track::Level;
use conf::vip::model::TrackedBalancer;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Largest answer that is looked at.
const LARGEST: usize = 4 << 20;
/// Between two looks at a balancer that is dead or unfit, if its `interval` is not shorter:
/// two hosts whose balancers recover together should know it together.
const HURRY: Duration = Duration::from_millis(100);
/// How long an answer of a balancer that works may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// From the question to the first look at what its process does, and from each to the next: if it
/// did nothing between two of them, it hangs, however long an answer may take.
const STILL: Duration = Duration::from_millis(200);
const PROMPT: &[u8] = b"\n> ";

/// A balancer under watch.
#[derive(Debug)]
pub struct Balancer {
    conf: TrackedBalancer,
    stream: Option<UnixStream>,
    answer: Vec<u8>,
    asked_at: Option<Instant>,
    bad: bool,
    process: Watched,
    /// When it is asked (or called) next.
    next_at: Instant,
}

impl Balancer {
    /// Starts with nothing known.
    pub fn new(conf: TrackedBalancer) -> Balancer {
        Balancer {
            conf,
            stream: None,
            answer: Vec::new(),
            asked_at: None,
            bad: false,
            process: Watched::default(),
            next_at: Instant::now(),
        }
    }

    /// When [`Balancer::tick`] is due next.
    pub fn due(&self) -> Instant {
        let Some(asked) = self.asked_at else {
            return self.next_at;
        };
        asked + (STILL * (self.process.looks() + 1)).min(PATIENCE)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.conf.name
    }

    /// The connection, to be polled.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.stream.as_ref().map(|s| s.as_fd())
    }

    /// Calls or asks, if it is time; gives a level when one is certain.
    pub fn tick(&mut self, now: Instant) -> Option<Level> {
        let level = self.look(now);
        self.noted(now, level)
    }

    /// Remembers what is told; bad news is soon looked at again.
    fn noted(&mut self, now: Instant, level: Option<Level>) -> Option<Level> {
        if let Some(level) = &level {
            self.bad = matches!(level, Level::Bad(_));
            self.next_at = self.next_at.min(now + self.pause());
        }
        level
    }

    fn pause(&self) -> Duration {
        match self.bad {
            true => self.conf.interval.min(HURRY),
            false => self.conf.interval,
        }
    }

    fn look(&mut self, now: Instant) -> Option<Level> {
        if let Some(asked) = self.asked_at {
            return if now < self.due() {
                None
            } else {
                self.doubt(now, asked)
            };
        }
        if now < self.next_at {
            return None;
        }
        self.next_at = now + self.pause();
        if self.stream.is_none()
            && let Err(error) = self.call()
        {
            let path = self.conf.socket.display();
            return Some(Level::Bad(format!("is dead: {path}: {error}")));
        }
        self.ask(now)
    }

    /// The answer is late: what does the balancer do meanwhile?
    fn doubt(&mut self, now: Instant, asked: Instant) -> Option<Level> {
        let level = self.receive(now);
        if self.asked_at != Some(asked) {
            // it was there, and it is this process that is late
            return level;
        }
        let still = self.process.look();
        if !still && now < asked + PATIENCE {
            return None;
        }
        self.hang_up();
        self.next_at = now + self.conf.interval;
        let what = if still {
            "hangs: it does nothing and"
        } else {
            ""
        };
        Some(Level::Bad(
            format!("{what} does not answer on its admin socket")
                .trim()
                .to_owned(),
        ))
    }

    fn call(&mut self) -> io::Result<()> {
        let stream = UnixStream::connect(&self.conf.socket)?;
        stream.set_nonblocking(true)?;
        (&stream).write_all(b"prompt\nshow info\n")?;
        self.process = Watched::behind(&stream);
        self.answer.clear();
        self.stream = Some(stream);
        Ok(())
    }

    fn ask(&mut self, now: Instant) -> Option<Level> {
        let stream = self.stream.as_ref()?;
        match (&*stream).write_all(b"show stat\n") {
            Ok(()) => {
                self.asked_at = Some(now);
                self.process.forget();
                None
            }
            Err(_) => self.closed(now),
        }
    }

    fn hang_up(&mut self) {
        self.stream = None;
        self.asked_at = None;
        self.answer.clear();
    }

    /// The connection closed: it is dead unless a successor already listens.
    fn closed(&mut self, now: Instant) -> Option<Level> {
        self.hang_up();
        self.next_at = now;
        self.look(now)
    }

    /// Reads what came; gives a level when an answer is complete or the socket closed.
    pub fn read(&mut self, now: Instant) -> Option<Level> {
        let level = self.receive(now);
        self.noted(now, level)
    }

    fn receive(&mut self, now: Instant) -> Option<Level> {
        let mut buffer = [0; 16_384];
        loop {
            let stream = self.stream.as_ref()?;
            match (&*stream).read(&mut buffer) {
                Ok(0) => return self.closed(now),
                Ok(length) => self.answer.extend(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.closed(now),
            }
            if self.answer.len() > LARGEST {
                self.hang_up();
                return Some(Level::Bad("answers without end".to_owned()));
            }
        }
        self.digest()
    }

    /// A whole answer ends with the prompt and holds the table.
    fn digest(&mut self) -> Option<Level> {
        if !self.answer.ends_with(PROMPT) && self.answer != b"> " {
            return None;
        }
        let text = String::from_utf8_lossy(&self.answer).into_owned();
        if !text.contains("# pxname") {
            // the prompt's own answer; the table is still to come
            return None;
        }
        self.answer.clear();
        self.asked_at = None;
        self.process.says(&text);
        Some(judge(&text, &self.conf.backends))
    }
}

/// What a `show stat` table says about the balancer's fitness.
fn judge(table: &str, wanted: &[String]) -> Level {
    let usable = usable_servers(table);
    let missing = wanted
        .iter()
        .find(|b| usable.get(*b).copied().unwrap_or(0) == 0);
    if let Some(backend) = missing {
        return Level::Bad(format!("has no usable server in backend {backend}"));
    }
    if wanted.is_empty() && !usable.is_empty() && usable.values().all(|count| *count == 0) {
        return Level::Bad("has no backend with a usable server".to_owned());
    }
    Level::Good
}

/// Usable servers by backend; backends without servers do not appear.
fn usable_servers(table: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut lines = table.lines().skip_while(|l| !l.contains("# pxname"));
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let Some(status) = header.iter().position(|c| *c == "status") else {
        return counts;
    };
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let (Some(proxy), Some(server), Some(state)) =
            (fields.first(), fields.get(1), fields.get(status))
        else {
            continue;
        };
        if matches!(*server, "FRONTEND" | "BACKEND") || proxy.is_empty() {
            continue;
        }
        let usable = state.starts_with("UP") || state.starts_with("no check");
        *counts.entry((*proxy).to_owned()).or_default() += usize::from(usable);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# pxname,svname,qcur,status,weight\n\
        web,FRONTEND,,OPEN,\n\
        rabbit,r1,0,DOWN,1\n\
        rabbit,r2,0,UP 1/3,1\n\
        rabbit,BACKEND,0,UP,1\n\
        admin,a1,0,MAINT,1\n\
        admin,BACKEND,0,DOWN,1\n";

    #[test]
    fn one_backend_with_a_usable_server_is_enough_by_default() {
        assert_eq!(judge(TABLE, &[]), Level::Good);
        let down = TABLE.replace("UP 1/3", "DOWN");
        assert!(matches!(judge(&down, &[]), Level::Bad(_)));
    }

    #[test]
    fn named_backends_must_each_have_one() {
        assert_eq!(judge(TABLE, &["rabbit".to_owned()]), Level::Good);
        let verdict = judge(TABLE, &["rabbit".to_owned(), "admin".to_owned()]);
        assert_eq!(
            verdict,
            Level::Bad("has no usable server in backend admin".to_owned())
        );
    }

    fn balancer(socket: &std::path::Path) -> Balancer {
        Balancer::new(TrackedBalancer {
            name: "proxy".to_owned(),
            place: conf::vip::model::Place(Default::default()),
            socket: socket.to_owned(),
            backends: Vec::new(),
            interval: Duration::from_secs(5),
            weight: Default::default(),
        })
    }

    #[test]
    fn a_silent_balancer_that_may_be_at_work_has_its_whole_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lb.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        let mut balancer = balancer(&path);
        let now = balancer.next_at;
        assert_eq!(balancer.tick(now), None);
        for looks in 1..10 {
            assert_eq!(balancer.due(), now + STILL * looks);
            assert_eq!(balancer.tick(now + STILL * looks), None, "look {looks}");
        }
        let end = balancer.due();
        assert_eq!(end, now + PATIENCE);
        let silent = Level::Bad("does not answer on its admin socket".to_owned());
        assert_eq!(balancer.tick(end), Some(silent));
        drop(listener);
    }

    #[test]
    fn an_answer_that_waits_in_the_socket_counts_however_late_it_is_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("lb.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
        let mut balancer = balancer(&path);
        let now = balancer.next_at;
        assert_eq!(balancer.tick(now), None);
        let (mut other, _) = listener.accept().expect("a call");
        let answer = format!("\n> Pid: 1\n\n> {TABLE}\n> ");
        other.write_all(answer.as_bytes()).expect("written");
        assert_eq!(balancer.tick(now + PATIENCE * 2), Some(Level::Good));
    }

    #[test]
    fn an_unfit_balancer_is_looked_at_again_soon() {
        let mut balancer = balancer("/nowhere/lb.sock".as_ref());
        let now = balancer.next_at;
        assert!(matches!(balancer.tick(now), Some(Level::Bad(_))));
        assert_eq!(balancer.next_at, now + HURRY);
        assert!(matches!(balancer.tick(now + HURRY), Some(Level::Bad(_))));
        assert_eq!(balancer.next_at, now + HURRY * 2);
    }

    #[test]
    fn garbage_is_no_table() {
        assert_eq!(judge("Unknown command", &[]), Level::Good);
        assert!(usable_servers("# pxname\nx").is_empty());
    }
}
