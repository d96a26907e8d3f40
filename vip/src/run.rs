//! The worker: the loop that waits for a packet, a deadline, a link change, a
//! signal or an operator, and feeds the daemon. Timers fire before packets are
//! read, and of packets only a bounded number per turn.

use crate::core::Time;
use crate::core::cause::Cause;
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
use crate::signals::{self, Wish};
use crate::watch::{self, Key, ToWatch};
use crate::{ask, reload, rights, serve, sys};
use conf::vip::model::{Family, Global};
use conf::vip::statics::Statics;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use service::Watchdog;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::process::ExitCode;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Packets of one socket per turn.
const PER_TURN: u32 = 64;
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
}

/// What can be read, in the order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ready {
    /// VRRP packets of the listener at this place.
    Listener(usize),
    /// Claims of addresses, heard by the ear at this place.
    Ear(usize),
    Pair,
    Line,
    Monitor,
    Mailbox,
    Signals,
}

/// An ear, and the interface and ethertype that it listens to.
struct Listening {
    index: u32,
    ethertype: u16,
    ear: Ear,
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
    /// Of what is opened once.
    ticket: Ticket,
    stop_at: Option<Time>,
    finishing: bool,
    finished: bool,
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
            let _ = std::fs::remove_file(options.socket());
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
    rights::worker()?;
    let ward = Ward::inherited()?;
    let line = ward.line();
    let monitor = Monitor::new()?;
    let net = Net::new()?;
    monitor.overlook_renewals(&net.netlink)?;
    let (to_router, mailbox_router) = mailbox()?;
    let (to_watch, mailbox_watch) = mailbox()?;
    let post = to_router.clone();
    std::thread::Builder::new()
        .name("health".to_owned())
        .spawn(move || watch::run(mailbox_watch, post, fifos))?;
    serve::start(options, config.global.status_page, to_router)?;
    let mut daemon = Daemon::new(config, net, to_watch, ward);
    daemon.pair = Pair::new(&daemon.config);
    daemon.settle();
    daemon.tell_watchers();
    if let Some(command) = daemon.config.global.startup_script.clone() {
        let order = vec![Order::Run(command, Vec::new())];
        daemon.watch().send(ToWatch::Notify(order));
        daemon.watch().send(ToWatch::Finish);
        daemon.start_from(daemon.clock.now() + watch::FAREWELL);
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
        ticket: Ticket::new(),
        stop_at: None,
        finishing: false,
        finished: false,
    })
}

/// This thread comes before others: an advert that is late makes a backup take over.
fn take_place(global: &Global) {
    if let Some(priority) = global.rt_priority {
        if let Err(error) = sys::real_time(priority) {
            warn!(%error, "cannot run with real-time priority {priority}");
        }
    } else if let Err(error) = sys::go_ahead(global.nice) {
        info!(%error, "cannot run with vrrp_priority {}", global.nice);
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
            let ready = match self.wait(patience) {
                Ok(ready) => ready,
                Err(error) => {
                    error!(%error, "cannot wait for events");
                    return ExitCode::FAILURE;
                }
            };
            self.daemon.fire();
            self.read(&ready);
        }
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
            self.finished = !self.daemon.watch().send(ToWatch::Finish);
        }
        self.finished
    }

    /// One ear per interface and family in use.
    fn listen_for_claims(&mut self) {
        let mut wanted: Vec<(u32, u16)> = Vec::new();
        for heard in &self.daemon.listeners {
            let ethertype = match heard.family {
                Family::V4 => frame::ARP,
                Family::V6 => frame::IPV6,
            };
            wanted.push((heard.index, ethertype));
        }
        let at = |e: &Listening| (e.index, e.ethertype);
        self.ears.retain(|e| wanted.contains(&at(e)));
        for (index, ethertype) in wanted {
            if self.ears.iter().any(|e| at(e) == (index, ethertype)) {
                continue;
            }
            match Ear::new(index, ethertype) {
                Ok(ear) => self.ears.push(Listening {
                    index,
                    ethertype,
                    ear,
                    ticket: Ticket::new(),
                }),
                Err(error) => warn!(%error, "cannot listen for claims of our addresses"),
            }
        }
    }

    /// Waits for the next deadline, at most so long, or something to read; says
    /// what is ready.
    fn wait(&mut self, most: Option<Duration>) -> nix::Result<Vec<Ready>> {
        let once = self.ticket;
        let mut sources: Vec<Source<'_, Ready>> = vec![
            (Ready::Signals, once, self.signals.as_fd()),
            (Ready::Mailbox, once, self.mailbox.as_fd()),
            (Ready::Monitor, once, self.monitor.as_fd()),
        ];
        for (at, heard) in self.daemon.listeners.iter().enumerate() {
            sources.push((Ready::Listener(at), heard.ticket, heard.listener.as_fd()));
        }
        for (at, heard) in self.ears.iter().enumerate() {
            sources.push((Ready::Ear(at), heard.ticket, heard.ear.as_fd()));
        }
        if let Some(pair) = &self.daemon.pair {
            let sockets = pair.sockets();
            sources.extend(sockets.map(|s| (Ready::Pair, pair.ticket, s)));
        }
        if let Some(line) = &self.line {
            sources.push((Ready::Line, once, line.as_fd()));
        }
        let now = self.daemon.clock.now();
        let deadline = self.daemon.deadline().map(|at| at - now);
        let patience = deadline.into_iter().chain(most).min();
        self.poller.wait(&sources, patience)
    }

    fn read(&mut self, ready: &[Ready]) {
        for what in ready {
            match what {
                // places hold: listeners and ears change only between turns, or after they are read
                Ready::Listener(at) => self.read_packets(*at),
                Ready::Ear(at) => self.read_claims(*at),
                Ready::Pair => {
                    let now = self.daemon.clock.now();
                    if let Some(pair) = &mut self.daemon.pair {
                        pair.receive(now, PER_TURN);
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
    }

    fn read_claims(&mut self, at: usize) {
        let mut budget = PER_TURN;
        while let Some(heard) = self.ears.get_mut(at) {
            let Some(claim) = heard.ear.next_claim(&mut budget) else {
                return;
            };
            let index = heard.index;
            self.daemon.claim(index, claim);
        }
    }

    fn read_packets(&mut self, at: usize) {
        for _ in 0..PER_TURN {
            // the listener lends its buffer: take the packet out before the daemon moves
            let Some(heard) = self.daemon.listeners.get_mut(at) else {
                return;
            };
            let (index, family) = (heard.index, heard.family);
            let (envelope, bytes) = match heard.listener.receive() {
                Ok(Some((envelope, bytes))) => (envelope, bytes.to_vec()),
                Ok(None) => return,
                Err(error) => {
                    // a link that went down says so once; the next poll goes on
                    tracing::debug!(%error, "receiving");
                    return;
                }
            };
            self.daemon.packet(index, family, &envelope, &bytes);
        }
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
