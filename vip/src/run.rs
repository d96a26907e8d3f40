//! The worker: the loop that waits for a packet, a deadline, a link change, a
//! signal or an operator, and feeds the daemon. Timers fire before packets are
//! read (those of backups after it), and of packets only a bounded number per turn.

use crate::core::Time;
use crate::core::cause::Cause;
use crate::core::connections::Part;
use crate::core::track::Level;
use crate::daemon::Daemon;
use crate::frame;
use crate::guardian::Ward;
use crate::log;
use crate::mailbox::{Mailbox, mailbox};
use crate::net::Net;
use crate::netlink::Monitor;
use crate::notify::Order;
use crate::options::Options;
use crate::packet::Ear;
use crate::pair::Pair;
use crate::poller::{Poller, Source, Ticket};
use crate::raw::{self, Kind};
use crate::renewals::Renewals;
use crate::signals::{self, Wish};
use crate::tickle::Tickle;
use crate::watch::{self, Key, ToWatch};
use crate::{ask, reload, rights, serve, sys};
use conf::vip::model::{Family, Global};
use conf::vip::statics::Statics;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use service::Watchdog;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Packets of one socket per turn.
const PER_TURN: u32 = 64;
/// A wait that ends sooner found something that was there already: more of it may be. Otherwise
/// one packet is read and not, after it, that there is no second one.
const BUSY: Duration = Duration::from_micros(100);
/// A second stop signal sooner than this is the same one, come twice (a service manager
/// signals every process of the service).
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// From the start to the moment at which everything has run once, a first takeover at adverts
/// of 1 s among it.
const TIDY_AFTER: Duration = Duration::from_secs(5);

/// What other threads tell the router thread.
#[derive(Debug)]
pub enum ToRouter {
    /// A tracked thing says something new.
    Tracked(Key, Level),
    /// An operator asks; the answer goes back as text.
    Ask(ask::Ask, SyncSender<String>),
    /// The notify scripts that were given so far are done.
    Finished,
    /// A part of the list of this host's connections, for the peers.
    Connections(Part),
}

/// What can be read, in the order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ready {
    /// VRRP packets of the listener at this place.
    Listener(usize),
    /// Claims of addresses, heard by the ear at this place.
    Ear(usize),
    /// The pair channel's socket at this place.
    Pair(usize),
    Line,
    Monitor,
    Mailbox,
    Signals,
}

/// An ear, unless it could not be opened, and the interface and ethertype that it listens to.
struct Listening {
    index: u32,
    ethertype: u16,
    ear: Option<Ear>,
    ticket: Ticket,
}

struct Loop {
    daemon: Daemon,
    options: Options,
    monitor: Monitor,
    signals: SignalFd,
    mailbox: Mailbox<ToRouter>,
    line: Option<OwnedFd>,
    /// When pages of the start are let go once more: the health thread has had its start, too.
    tidy_at: Option<Instant>,
    watchdog: Option<Watchdog>,
    ears: Vec<Listening>,
    poller: Poller<Ready>,
    /// What the last wait found.
    ready: Vec<Ready>,
    /// For the packet at hand.
    buffer: Vec<u8>,
    /// Of what is opened once.
    ticket: Ticket,
    stop_at: Option<Time>,
    finishing: bool,
    finished: bool,
    /// Of the admin socket, until the end.
    _place: Option<serve::Place>,
}

/// Runs the worker to its end.
pub fn worker(options: &Options) -> ExitCode {
    let signals = match block_signals() {
        Ok(signals) => signals,
        Err(error) => {
            eprintln!("evenkeel vip: {error}");
            return ExitCode::FAILURE;
        }
    };
    log::start(options);
    match prepare(options, signals) {
        Ok(mut running) => {
            let code = running.run();
            log::finish();
            code
        }
        Err(error) => {
            error!(%error, "cannot start");
            log::finish();
            ExitCode::FAILURE
        }
    }
}

fn block_signals() -> io::Result<SignalFd> {
    let set = signals::watched();
    set.thread_block()?;
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&set, flags)?)
}

fn prepare(options: &Options, signals: SignalFd) -> io::Result<Loop> {
    let (config, report) = conf::vip::load(&options.file, &options.reading());
    let Some(config) = config else {
        eprint!("{}", report.human(false));
        return Err(io::Error::other("the configuration has errors"));
    };
    if options.dump {
        info!("the configuration as understood:\n{config:#?}");
    }
    take_place(&config.global);
    let fifos = watch::Fifos::prepare(&config.global.notify_fifos);
    let global = config.global.clone();
    let renewals = Renewals::start(move || {
        // what fails here fails for the router thread, too, and is told there
        let _ = take_rank(&global);
        let _ = rights::worker();
    })?;
    rights::worker()?;
    let ward = Ward::inherited()?;
    let line = ward.line();
    let monitor = Monitor::new()?;
    let net = Net::new(renewals)?;
    monitor.overlook_renewals(net.renewals.port())?;
    let (to_router, mailbox_router) = mailbox()?;
    let (to_watch, mailbox_watch) = mailbox()?;
    let post = to_router.clone();
    std::thread::Builder::new()
        .name("health".to_owned())
        .spawn(move || watch::run(mailbox_watch, post, fifos))?;
    let tickle = Tickle::start(to_router.clone());
    let place = serve::start(options, config.global.status_page, to_router)?;
    let mut daemon = Daemon::new(config, net, to_watch, ward);
    daemon.pair = Pair::new(&daemon.config);
    daemon.tickle = tickle
        .inspect_err(
            |error| info!(%error, "clients of a dead host are not asked: no thread for it"),
        )
        .ok();
    daemon.hold(&options.held);
    daemon.settle();
    daemon.tell_watchers();
    if let Some(command) = daemon.config.global.startup_script.clone() {
        let order = vec![Order::Run(command, Vec::new())];
        daemon.watch().send(ToWatch::Notify(order));
        let most = daemon.config.global.startup_timeout;
        daemon.watch().send(ToWatch::Finish(most));
        daemon.start_from(daemon.clock.now() + most);
    }
    info!(instances = daemon.instances.len(), "the VRRP daemon runs");
    let main = std::os::unix::process::parent_id();
    daemon.notify.ready(main, &daemon.summary());
    let watchdog = daemon.notify.watchdog(main);
    let _ = sys::let_go_of_startup_pages();
    Ok(Loop {
        daemon,
        options: options.clone(),
        monitor,
        signals,
        mailbox: mailbox_router,
        line,
        tidy_at: Some(Instant::now() + TIDY_AFTER),
        watchdog,
        ears: Vec::new(),
        poller: Poller::new(),
        ready: Vec::new(),
        buffer: vec![0; raw::LARGEST],
        ticket: Ticket::new(),
        stop_at: None,
        finishing: false,
        finished: false,
        _place: place,
    })
}

/// This thread comes before others: an advert that is late makes a backup take over.
fn take_place(global: &Global) {
    match (take_rank(global), global.rt_priority) {
        (Ok(()), _) => {}
        (Err(error), Some(priority)) => {
            warn!(%error, "cannot run with real-time priority {priority}");
        }
        (Err(error), None) => info!(%error, "cannot run with vrrp_priority {}", global.nice),
    }
}

fn take_rank(global: &Global) -> io::Result<()> {
    match global.rt_priority {
        Some(priority) => sys::real_time(priority),
        None => sys::go_ahead(global.nice),
    }
}

impl Loop {
    /// Gives systemd its sign of life if one is due; the time until the next.
    fn sign_of_life(&mut self) -> Option<Duration> {
        let watchdog = self.watchdog.as_mut()?;
        let now = Instant::now();
        watchdog.beat(now);
        Some(watchdog.due().saturating_duration_since(now))
    }

    fn run(&mut self) -> ExitCode {
        loop {
            self.daemon.tick();
            if self.is_over() {
                return ExitCode::SUCCESS;
            }
            self.listen_for_claims();
            if self.tidy_at.take_if(|at| Instant::now() >= *at).is_some() {
                let _ = sys::let_go_of_startup_pages();
            }
            let patience = self.sign_of_life();
            if let Err(error) = self.turn(patience) {
                error!(%error, "cannot wait for events");
                return ExitCode::FAILURE;
            }
        }
    }

    /// Waits at most so long, fires timers, reads what came.
    fn turn(&mut self, patience: Option<Duration>) -> nix::Result<()> {
        let before = self.daemon.clock.now();
        let before = match self.keep_time(before, patience)? {
            Some(last) => last,
            None => {
                self.wait(before, patience)?;
                before
            }
        };
        self.act(before)
    }

    /// Sends adverts as long as nothing else is due and nothing comes. Then somebody must look; gives
    /// when the wait before began. Nothing if there was no advert to wait for.
    fn keep_time(&mut self, now: Time, most: Option<Duration>) -> nix::Result<Option<Time>> {
        let Some((until, first)) = self.daemon.calm() else {
            return Ok(None);
        };
        let tidy = self
            .tidy_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        let others = most.into_iter().chain(tidy).map(|after| now + after);
        let until = until.into_iter().chain(others).min();
        let in_time = |next: Time| until.is_none_or(|until| next < until);
        if !in_time(first) {
            return Ok(None);
        }
        self.list_sources()?;
        let (mut next, mut before) = (first, now);
        loop {
            self.poller.wait(Some(next - before), &mut self.ready)?;
            let now = self.daemon.clock.now();
            if !self.ready.is_empty() || !self.daemon.beat(now) {
                return Ok(Some(before));
            }
            // sending takes its time
            before = self.daemon.clock.now();
            match self.daemon.next_beat().filter(|at| in_time(*at)) {
                Some(at) => next = at,
                None => return Ok(Some(before)),
            }
        }
    }

    /// Fires timers and reads what came. The wait began then.
    fn act(&mut self, before: Time) -> nix::Result<()> {
        let now = self.daemon.clock.now();
        let suspects = self.daemon.fire(before, now);
        if suspects {
            // the wait may have ended before it looked (a process that was stopped)
            self.wait(now, Some(Duration::ZERO))?;
        }
        let more = suspects || now - before < BUSY;
        self.read(now, if more { PER_TURN } else { 1 });
        if suspects {
            self.daemon.take_over(now);
        }
        Ok(())
    }

    /// The routers are gone, then the scripts are done, then the end.
    fn is_over(&mut self) -> bool {
        if !self.daemon.is_over() {
            return false;
        }
        if !self.finishing {
            self.finishing = true;
            let Daemon { statics, net, .. } = &mut self.daemon;
            statics.settle(&Statics::default(), net);
            self.daemon.remove_virtual_links();
            self.daemon.tell_guardian();
            if let Some(command) = self.daemon.config.global.shutdown_script.clone() {
                let order = vec![Order::Run(command, Vec::new())];
                self.daemon.watch().send(ToWatch::Notify(order));
            }
            let most = watch::FAREWELL.max(self.daemon.config.global.shutdown_timeout);
            self.finished = !self.daemon.watch().send(ToWatch::Finish(most));
        }
        self.finished
    }

    /// One ear per interface and family in use.
    fn listen_for_claims(&mut self) {
        let wanted = self.daemon.listeners.iter().filter_map(|heard| {
            let ethertype = match heard.kind {
                Kind::Bare(Family::V4) => frame::ARP,
                Kind::Bare(Family::V6) => frame::IPV6,
                Kind::Sealed => return None,
            };
            Some((heard.index, ethertype))
        });
        let at = |e: &Listening| (e.index, e.ethertype);
        if wanted.clone().eq(self.ears.iter().map(at)) {
            return;
        }
        let mut old = std::mem::take(&mut self.ears);
        for (index, ethertype) in wanted {
            let known = old.iter().position(|e| at(e) == (index, ethertype));
            self.ears.push(match known {
                Some(known) => old.swap_remove(known),
                None => Listening {
                    index,
                    ethertype,
                    ear: Ear::new(index, ethertype)
                        .inspect_err(|error| {
                            warn!(%error, "cannot listen for claims of our addresses");
                        })
                        .ok(),
                    ticket: Ticket::new(),
                },
            });
        }
    }

    /// Waits for the next deadline, at most so long, or something to read.
    fn wait(&mut self, now: Time, most: Option<Duration>) -> nix::Result<()> {
        let deadline = self.daemon.deadline().map(|at| at - now);
        let patience = deadline.into_iter().chain(most).min();
        self.list_sources()?;
        self.poller.wait(patience, &mut self.ready)
    }

    /// What is waited for, if that is no longer the same.
    fn list_sources(&mut self) -> nix::Result<()> {
        if !self.poller.waits_for(self.sources()) {
            let mut poller = std::mem::replace(&mut self.poller, Poller::new());
            let listed = poller.watch(&self.sources().collect::<Vec<_>>());
            self.poller = poller;
            listed?;
        }
        Ok(())
    }

    /// All that can be read, in any order that stays.
    fn sources(&self) -> impl Iterator<Item = Source<'_, Ready>> {
        let once = self.ticket;
        let listeners = self.daemon.listeners.iter().enumerate();
        let ears = self.ears.iter().enumerate();
        let pair = self.daemon.pair.iter().flat_map(move |pair| {
            let sockets = pair.sockets().into_iter().enumerate();
            sockets.filter_map(|(at, socket)| Some((Ready::Pair(at), pair.ticket, socket?)))
        });
        let fixed: [Source<'_, Ready>; 3] = [
            (Ready::Signals, once, &self.signals),
            (Ready::Mailbox, once, &self.mailbox),
            (Ready::Monitor, once, &self.monitor),
        ];
        let line = self.line.iter();
        fixed
            .into_iter()
            .chain(listeners.map(|(at, h)| (Ready::Listener(at), h.ticket, &h.listener as _)))
            .chain(
                ears.filter_map(|(at, e)| Some((Ready::Ear(at), e.ticket, e.ear.as_ref()? as _))),
            )
            .chain(pair)
            .chain(line.map(move |line| (Ready::Line, once, line as _)))
    }

    /// Reads what is ready, of packets at most `most` from each socket.
    fn read(&mut self, now: Time, most: u32) {
        let ready = std::mem::take(&mut self.ready);
        for what in &ready {
            match what {
                // places hold: listeners and ears change only between turns, or after they are read
                Ready::Listener(at) => self.read_packets(*at, most),
                Ready::Ear(at) => self.read_claims(*at),
                Ready::Pair(at) => {
                    if let Some(pair) = &mut self.daemon.pair {
                        pair.receive(now, *at, most);
                    }
                }
                Ready::Line => self.read_line(),
                Ready::Monitor => {
                    let notices = self.monitor.read();
                    self.daemon.notices(&notices);
                }
                Ready::Mailbox => {
                    for message in self.mailbox.take() {
                        self.message(message);
                    }
                }
                Ready::Signals => {
                    while let Ok(Some(info)) = self.signals.read_signal() {
                        self.signal(info.ssi_signo as i32);
                    }
                }
            }
        }
        self.ready = ready;
    }

    fn read_claims(&mut self, at: usize) {
        let mut budget = PER_TURN;
        while let Some(heard) = self.ears.get_mut(at) {
            let Some(claim) = heard.ear.as_mut().and_then(|e| e.next_claim(&mut budget)) else {
                return;
            };
            let index = heard.index;
            self.read_adverts(index);
            self.daemon.claim(index, claim);
        }
    }

    /// Who takes over says so before it claims an address: its advert waits behind others.
    fn read_adverts(&mut self, index: u32) {
        for at in 0..self.daemon.listeners.len() {
            if self.daemon.listeners[at].index == index {
                self.read_packets(at, PER_TURN);
            }
        }
    }

    fn read_packets(&mut self, at: usize, most: u32) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..most {
            let Some(heard) = self.daemon.listeners.get(at) else {
                break;
            };
            let (index, kind) = (heard.index, heard.kind);
            match heard.listener.receive(&mut buffer) {
                Ok(Some(packet)) => self.daemon.packet(index, kind, &packet),
                Ok(None) => break,
                Err(error) => {
                    // a link that went down says so once; the next poll goes on
                    tracing::debug!(%error, "receiving");
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// The guardian sends the helper's line, or died.
    fn read_line(&mut self) {
        let Some(line) = &self.line else {
            return;
        };
        let mut text = [0; 64];
        let mut space = nix::cmsg_space!([RawFd; 1]);
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(line.as_raw_fd(), &mut parts, Some(&mut space), flags);
        match received {
            Ok(message) if message.bytes > 0 => {
                for control in message.cmsgs().into_iter().flatten() {
                    if let ControlMessageOwned::ScmRights(fds) = control {
                        for fd in fds {
                            let helper = ToWatch::Helper(sys::received_fd(fd));
                            self.daemon.watch().send(helper);
                        }
                    }
                }
            }
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) => {}
            Ok(_) | Err(_) => {
                error!("the guardian died: this process gives its addresses up and ends");
                self.line = None;
                self.daemon.stop(&Cause::GuardianLost);
            }
        }
    }

    fn message(&mut self, message: ToRouter) {
        match message {
            ToRouter::Tracked(key, level) => self.daemon.tracked(&key, &level),
            ToRouter::Connections(part) => self.daemon.tell_connections(&part),
            ToRouter::Finished if self.finishing => self.finished = true,
            // the startup script is done
            ToRouter::Finished => self.daemon.start_from(self.daemon.clock.now()),
            ToRouter::Ask(question, reply) => {
                if question == ask::Ask::Reload {
                    let text = reload::reload(&mut self.daemon, &self.options);
                    let _ = reply.try_send(text);
                    return;
                }
                let text = ask::answer(&mut self.daemon, &question);
                // the asker may have given up meanwhile
                let _ = reply.try_send(text);
            }
        }
    }

    fn signal(&mut self, number: i32) {
        match Wish::of(number) {
            Some(Wish::Stop) => {
                let now = self.daemon.clock.now();
                match self.stop_at {
                    Some(at) if now - at < SAME_SIGNAL => {}
                    Some(_) | None => {
                        info!("told to stop");
                        self.stop_at.get_or_insert(now);
                        self.daemon.stop(&Cause::Stop);
                    }
                }
            }
            Some(Wish::Reload) => {
                reload::reload(&mut self.daemon, &self.options);
            }
            Some(Wish::WriteState) => ask::dump(&mut self.daemon, &self.options),
            Some(Wish::ClearCounters) => {
                ask::dump(&mut self.daemon, &self.options);
                self.daemon.clear_counters();
            }
            None => {}
        }
    }
}
