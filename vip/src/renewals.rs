//! Leases are renewed in a thread of their own: the kernel carries out one change
//! of links and addresses after the other, for all namespaces of the machine
//! together, and whoever asks for one waits for its turn. Where containers come
//! and go that took seconds, in which no advert left. Not here: what is
//! renewed and when.

use crate::netlink::{Netlink, Request};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a request is about, in the words for its failure; and the failure.
pub type Failure = (String, io::Error);

/// Failures that wait to be told; what comes on top is dropped (it fails again).
const MOST_FAILURES: usize = 256;

/// Stack of the thread, bytes: an answer of the kernel and little more.
const STACK: usize = 128 * 1024;

#[derive(Debug)]
struct Waiting {
    owner: u64,
    what: String,
    request: Request,
}

#[derive(Debug, Default)]
struct Queue {
    /// Of each owner one request per thing at most.
    waiting: VecDeque<Waiting>,
    /// Whose request the kernel has now.
    at_work: Option<u64>,
    failures: Vec<(u64, Failure)>,
    over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// A request came, or the end.
    came: Condvar,
    /// The kernel has answered.
    done: Condvar,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Performs what comes until the end.
    fn serve(&self, mut perform: impl FnMut(Request) -> io::Result<()>) {
        let mut queue = self.queue();
        while !queue.over {
            let Some(next) = queue.waiting.pop_front() else {
                let woken = self.came.wait(queue);
                queue = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.at_work = Some(next.owner);
            drop(queue);
            let result = perform(next.request);
            queue = self.queue();
            queue.at_work = None;
            if let Err(error) = result
                && queue.failures.len() < MOST_FAILURES
            {
                queue.failures.push((next.owner, (next.what, error)));
            }
            self.done.notify_all();
        }
    }
}

/// The thread's other end; it ends with this.
#[derive(Debug)]
pub struct Renewals {
    shared: Arc<Shared>,
    port: u32,
}

impl Renewals {
    /// Starts the thread, which does `first` before anything else.
    ///
    /// # Errors
    /// When there is no socket or no thread.
    pub fn start(first: impl FnOnce() + Send + 'static) -> io::Result<Renewals> {
        let mut netlink = Netlink::new()?;
        let port = netlink.port()?;
        let perform = move |request| netlink.perform(request);
        Renewals::with(port, first, perform)
    }

    fn with(
        port: u32,
        first: impl FnOnce() + Send + 'static,
        perform: impl FnMut(Request) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Renewals> {
        let shared = Arc::new(Shared::default());
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("leases".to_owned());
        thread.stack_size(STACK).spawn(move || {
            first();
            own.serve(perform);
        })?;
        Ok(Renewals { shared, port })
    }

    /// The number by which the kernel knows the thread's socket.
    pub fn port(&self) -> u32 {
        self.port
    }

    /// Leaves requests of an owner to the thread, unless the same still wait; gives what failed
    /// of its earlier ones.
    pub fn ask(&self, owner: u64, requests: Vec<(String, Request)>) -> Vec<Failure> {
        let mut queue = self.shared.queue();
        for (what, request) in requests {
            let same = |w: &Waiting| w.owner == owner && w.what == what;
            if !queue.waiting.iter().any(same) {
                queue.waiting.push_back(Waiting {
                    owner,
                    what,
                    request,
                });
            }
        }
        self.shared.came.notify_one();
        let its = |(of, _): &mut (u64, Failure)| *of == owner;
        let failures = queue.failures.extract_if(.., its);
        failures.map(|(_, failure)| failure).collect()
    }

    /// Nothing of this owner is performed any more once this returns: what is set or taken away
    /// from then on stays so.
    pub fn cancel(&self, owner: u64) {
        let mut queue = self.shared.queue();
        queue.waiting.retain(|w| w.owner != owner);
        while queue.at_work == Some(owner) {
            let woken = self.shared.done.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Renewals {
    fn drop(&mut self) {
        self.shared.queue().over = true;
        self.shared.came.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::{Change, NewAddress};
    use std::net::IpAddr;
    use std::sync::mpsc::{Receiver, Sender, channel};

    fn request() -> (String, Request) {
        let address = IpAddr::from([192, 0, 2, 1]);
        let new = NewAddress::plain(1, address, 24);
        (address.to_string(), Request::address(Change::Renew, &new))
    }

    /// A kernel that says when it has a request, and answers when it is told.
    fn kernel() -> (Renewals, Receiver<()>, Sender<io::Result<()>>) {
        let (has, had) = channel();
        let (answer, answers) = channel();
        let perform = move |_| {
            has.send(()).expect("the test listens");
            answers.recv().expect("the test answers")
        };
        let renewals = Renewals::with(0, || {}, perform).expect("a thread");
        (renewals, had, answer)
    }

    #[test]
    fn who_asks_does_not_wait_and_the_same_waits_once() {
        let (renewals, had, answer) = kernel();
        renewals.ask(1, vec![request()]);
        had.recv().expect("the kernel has it and does not answer");
        for _ in 0..5 {
            assert!(renewals.ask(1, vec![request()]).is_empty());
        }
        assert_eq!(renewals.shared.queue().waiting.len(), 1);
        renewals.ask(2, vec![request()]);
        assert_eq!(renewals.shared.queue().waiting.len(), 2, "another owner's");
        answer.send(Ok(())).expect("it waits");
        had.recv().expect("the next");
        answer.send(Ok(())).expect("it waits");
    }

    #[test]
    fn nothing_of_an_owner_is_performed_after_it_was_cancelled() {
        let (renewals, had, answer) = kernel();
        renewals.ask(1, vec![request()]);
        had.recv().expect("the kernel has the first");
        renewals.ask(1, vec![request()]);
        renewals.ask(2, vec![request()]);
        let renewals = Arc::new(renewals);
        let (told, cancelled) = channel();
        let other = renewals.clone();
        std::thread::spawn(move || {
            other.cancel(1);
            told.send(()).expect("the test waits");
        });
        while renewals.shared.queue().waiting.len() == 2 {
            std::thread::yield_now();
        }
        assert!(cancelled.try_recv().is_err(), "the kernel is still at it");
        answer.send(Ok(())).expect("it waits");
        cancelled.recv().expect("now it is over");
        had.recv().expect("the other owner's goes on");
        answer.send(Ok(())).expect("it waits");
    }

    #[test]
    fn a_failure_is_told_to_its_owner_once() {
        let (renewals, had, answer) = kernel();
        renewals.ask(1, vec![request()]);
        had.recv().expect("the kernel has it");
        answer
            .send(Err(io::ErrorKind::NotFound.into()))
            .expect("it waits");
        renewals.cancel(1);
        assert!(renewals.ask(2, Vec::new()).is_empty());
        let failures = renewals.ask(1, Vec::new());
        assert_eq!(failures.len(), 1);
        assert_eq!(failures[0].0, "192.0.2.1");
        assert!(renewals.ask(1, Vec::new()).is_empty());
    }
}
