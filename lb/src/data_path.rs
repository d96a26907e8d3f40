//! The data threads together: prepared before the process gives up its
//! privileges, started, given new configurations, stopped.

use crate::counters::Thread;
use crate::facts;
use crate::listener::{self, BindError, Inherited, ListenerSet, Steered};
use crate::state::{Generation, Mailbox, Message, Runtime};
use crate::worker::Worker;
use conf::lb::model::Config;
use mio::Poll;
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// The data threads and what they listen on.
pub struct DataPath {
    runtime: Arc<Runtime>,
    polls: Mutex<Vec<Poll>>,
    listeners: Mutex<ListenerSet>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl DataPath {
    /// Prepares this many data threads, without starting them.
    pub fn prepare(threads: usize) -> io::Result<DataPath> {
        let mut polls = Vec::new();
        let mut mailboxes = Vec::new();
        for number in 0..threads.max(1) {
            let poll = Poll::new()?;
            mailboxes.push(Arc::new(Mailbox::new(Thread(number as u16), &poll)?));
            polls.push(poll);
        }
        Ok(DataPath {
            runtime: Runtime::new(mailboxes),
            polls: Mutex::new(polls),
            listeners: Mutex::default(),
            threads: Mutex::default(),
        })
    }

    /// The shared state.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// Makes a configuration the one at work: binds what is new, keeps what
    /// both have, and only when all of that worked lets new sessions follow
    /// it. On an error everything is as before.
    pub fn apply(&self, conf: Arc<Config>) -> Result<Arc<Generation>, Vec<BindError>> {
        self.apply_with(conf, &mut Inherited::default())
    }

    /// The same at a start that takes over: what another process listens on
    /// is `inherited` rather than bound.
    pub fn apply_with(
        &self,
        conf: Arc<Config>,
        inherited: &mut Inherited,
    ) -> Result<Arc<Generation>, Vec<BindError>> {
        let mut listeners = lock(&self.listeners);
        // Sockets first: building the generation already touches live parts.
        let bound = listener::bind_all(&self.runtime, &conf, &listeners, inherited)?;
        let generation = Generation::next(&self.runtime, conf);
        self.runtime.install(generation.clone());
        facts::set_variables(&self.runtime);
        self.replace(&mut listeners, listener::attach(&generation, bound));
        Ok(generation)
    }

    /// What is listened on.
    pub fn listeners(&self) -> ListenerSet {
        lock(&self.listeners).clone()
    }

    /// Before a soft stop: steers new connections to the sockets that another
    /// process has, too. Nothing: no need, listening may stop at once.
    pub fn steer(&self) -> Vec<Steered> {
        let listeners = lock(&self.listeners);
        let steered = listeners.iter().filter_map(|l| l.bound.steer());
        steered.collect()
    }

    /// Stops listening (soft stop); sessions go on.
    pub fn stop_listening(&self) {
        self.runtime.process.stopping.store(true, Relaxed);
        self.replace(&mut lock(&self.listeners), ListenerSet::default());
    }

    /// Stops listening for one frontend for good (`shutdown frontend`).
    pub fn stop_frontend(&self, name: &str) {
        let mut listeners = lock(&self.listeners);
        let stays = |l: &&Arc<listener::Listener>| l.proxy.name() != name;
        let left = Arc::new(listeners.iter().filter(stays).cloned().collect());
        let generation = self.runtime.generation();
        if let Some(front) = generation.frontend(name).and_then(|p| p.front.as_ref()) {
            front.stopped.store(true, Relaxed);
        }
        self.replace(&mut listeners, left);
    }

    /// Starts the threads; to be called once, after any fork. `before` runs
    /// first on each thread with its number (CPU affinity).
    pub fn start(&self, before: impl Fn(usize) + Send + Sync + 'static) -> io::Result<()> {
        let before = Arc::new(before);
        let polls = std::mem::take(&mut *lock(&self.polls));
        for (number, poll) in polls.into_iter().enumerate() {
            let mailbox = self.runtime.threads()[number].clone();
            let runtime = self.runtime.clone();
            let before = before.clone();
            let thread = std::thread::Builder::new().name(format!("data{number}"));
            let handle = thread.spawn(move || {
                before(number);
                let warn = runtime.clone();
                if let Err(e) = Worker::new(runtime, mailbox, poll).run() {
                    warn.warn(&format!("data thread {number} ended: {e}"));
                }
            })?;
            lock(&self.threads).push(handle);
        }
        Ok(())
    }

    /// Ends all sessions (they are logged) and the threads.
    pub fn stop(&self) {
        self.stop_listening();
        self.runtime.tell_all(|| Message::Stop);
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            // A panic was reported on its thread already.
            let _ = thread.join();
        }
    }

    /// Lets go what only the old set listened on: a socket is closed once the
    /// data threads, which are told, have served who waits there.
    fn replace(&self, listeners: &mut ListenerSet, new: ListenerSet) {
        let old = std::mem::replace(listeners, new.clone());
        let goes =
            |l: &&Arc<listener::Listener>| !new.iter().any(|n| Arc::ptr_eq(&n.bound, &l.bound));
        for listener in old.iter().filter(goes) {
            listener.bound.close();
        }
        self.runtime.tell_all(|| Message::Listeners(new.clone()));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
