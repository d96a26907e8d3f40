//! Waiting for the first of many descriptors, or for a deadline in nanoseconds.
//! The kernel keeps the list: what it costs to wait does not grow with it.

use crate::sys;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Descriptors that one wait finds ready; the others are found by the next one.
const AT_ONCE: usize = 64;

/// A wait that is short enough to end in time.
const SHORT: Duration = Duration::from_millis(200);

/// The part of a wait after which the rest is waited for on its own. The kernel may wake a process
/// late by a thousandth of what it is told to wait (a two-hundredth at `nice` above 0), which
/// for a Master_Down_Interval of 3.6 s is 3.6 ms.
fn in_time(patience: Duration) -> Duration {
    if patience <= SHORT {
        patience
    } else {
        patience - patience / 128
    }
}

/// Tells one descriptor from a later one that got its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// Unlike every other one of this process.
    pub fn new() -> Ticket {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Ticket(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// Something to wait for: what it is called, its ticket, and what has the descriptor, which is
/// asked for it only when a list of them is made.
pub type Source<'a, T> = (T, Ticket, &'a dyn AsFd);

/// Waits for sources that are called `T`.
#[derive(Debug)]
pub struct Poller<T> {
    epoll: Option<Epoll>,
    members: Vec<(T, Ticket)>,
    events: [EpollEvent; AT_ONCE],
    /// The kernel waits in nanoseconds by itself (Linux 5.11).
    exact: bool,
}

impl<T: Copy + Ord> Poller<T> {
    /// Waits for nothing yet.
    pub fn new() -> Poller<T> {
        Poller {
            epoll: None,
            members: Vec::new(),
            events: [EpollEvent::empty(); AT_ONCE],
            exact: true,
        }
    }

    /// Whether these are the sources that it waits for.
    pub fn waits_for<'a>(&self, sources: impl Iterator<Item = Source<'a, T>>) -> bool
    where
        T: 'a,
    {
        self.epoll.is_some()
            && sources
                .map(|(n, t, _)| (n, t))
                .eq(self.members.iter().copied())
    }

    /// Waits for these from now on.
    pub fn watch(&mut self, sources: &[Source<'_, T>]) -> nix::Result<()> {
        self.members = sources.iter().map(|(n, t, _)| (*n, *t)).collect();
        self.epoll = Some(list(sources)?);
        Ok(())
    }

    /// Waits until one of the sources is readable or broken, at most so long; puts which are
    /// into `ready`, in the order of `T`. A long wait may end a little early with nothing.
    pub fn wait(&mut self, patience: Option<Duration>, ready: &mut Vec<T>) -> nix::Result<()> {
        ready.clear();
        let count = match self.events(patience.map(in_time)) {
            Err(Errno::EINTR) => 0,
            result => result?,
        };
        let name = |e: &EpollEvent| self.members.get(e.data() as usize).map(|(name, _)| *name);
        ready.extend(self.events[..count].iter().filter_map(name));
        ready.sort_unstable();
        Ok(())
    }

    fn events(&mut self, patience: Option<Duration>) -> nix::Result<usize> {
        let Some(epoll) = &self.epoll else {
            return Err(Errno::EBADF);
        };
        if self.exact {
            match sys::epoll_wait(epoll.0.as_fd(), &mut self.events, patience) {
                Err(Errno::ENOSYS) => self.exact = false,
                result => return result,
            }
        }
        // this kernel's epoll counts milliseconds
        let mut whole = [PollFd::new(epoll.0.as_fd(), PollFlags::POLLIN)];
        match ppoll(&mut whole, patience.map(TimeSpec::from), None)? {
            0 => Ok(0),
            _ => epoll.wait(&mut self.events, EpollTimeout::ZERO),
        }
    }
}

fn list<T>(sources: &[Source<'_, T>]) -> nix::Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (at, (_, _, source)) in (0..).zip(sources) {
        epoll.add(source.as_fd(), EpollEvent::new(EpollFlags::EPOLLIN, at))?;
    }
    Ok(epoll)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const BRIEF: Option<Duration> = Some(Duration::from_micros(300));
    const LONG: Option<Duration> = Some(Duration::from_secs(60));

    #[test]
    fn the_kernels_slack_ends_before_the_deadline_and_the_rest_is_short() {
        let long = Duration::from_millis(3609);
        assert!(in_time(long) + long / 200 <= long);
        assert!(long - in_time(long) <= SHORT);
        assert_eq!(in_time(SHORT), SHORT);
    }

    /// What is ready of these, after a look at whether they are those of before.
    fn wait<T: Copy + Ord>(
        poller: &mut Poller<T>,
        sources: &[Source<'_, T>],
        patience: Option<Duration>,
    ) -> Vec<T> {
        if !poller.waits_for(sources.iter().copied()) {
            poller.watch(sources).expect("a list");
        }
        let mut ready = Vec::new();
        poller.wait(patience, &mut ready).expect("waited");
        ready
    }

    #[test]
    fn what_is_ready_is_named_in_order_and_patience_ends() {
        for exact in [true, false] {
            named_in_order(exact);
        }
    }

    fn named_in_order(exact: bool) {
        let (mut to, from) = UnixStream::pair().expect("sockets");
        let (mut to_other, other) = UnixStream::pair().expect("sockets");
        let sources = [
            (2, Ticket::new(), &from as &dyn AsFd),
            (1, Ticket::new(), &other),
        ];
        let mut poller = Poller::new();
        poller.exact = exact;
        assert!(wait(&mut poller, &sources, BRIEF).is_empty());
        to.write_all(b"x").expect("written");
        assert_eq!(wait(&mut poller, &sources, LONG), [2]);
        to_other.write_all(b"x").expect("written");
        assert_eq!(wait(&mut poller, &sources, LONG), [1, 2]);
        drop(to);
        assert_eq!(wait(&mut poller, &sources[..1], LONG), [2], "closed");
    }

    #[test]
    fn a_descriptor_with_the_number_of_a_closed_one_is_another() {
        use std::os::fd::AsRawFd;
        let mut poller = Poller::new();
        let (to, from) = UnixStream::pair().expect("sockets");
        let number = from.as_raw_fd();
        let old = [((), Ticket::new(), &from as &dyn AsFd)];
        assert!(wait(&mut poller, &old, BRIEF).is_empty());
        drop((to, from));
        let (to, from) = UnixStream::pair().expect("sockets");
        // which of the two got the number depends on what other tests do
        let (mut to, from) = if to.as_raw_fd() == number {
            (from, to)
        } else {
            (to, from)
        };
        to.write_all(b"x").expect("written");
        let new = [((), Ticket::new(), &from as &dyn AsFd)];
        assert_eq!(wait(&mut poller, &new, LONG), [()]);
    }
}
