//! Health: scripts, processes, files and balancers, watched in a thread of
//! their own so that a slow scan never delays an advert. Also the queue of
//! notify scripts, which run one after the other.

mod balancer;
mod errand;
mod fifo;
mod file;
mod process;
mod recognise;
mod script;
mod stillness;

use crate::core::track::Level;
use crate::mailbox::{Mailbox, Post};
use crate::notify::Order;
use crate::run::ToRouter;
pub use fifo::Fifos;

use balancer::Balancer;
use conf::vip::model::{Config, TrackedFile, TrackedProcess};
use errand::Errands;
use file::Folders;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use process::{Herd, Wanted};
use script::Watched;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// A tracked thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `vrrp_script`.
    Script(String),
    /// `vrrp_track_process`.
    Process(String),
    /// `vrrp_track_file`.
    File(String),
    /// `track_lb`.
    Balancer(String),
    /// `track_interface`; known to the router thread itself.
    Interface(String),
    /// `track_group`; known to the router thread itself.
    Statics(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Script(name) => write!(f, "script {name}"),
            Key::Process(name) => write!(f, "process {name}"),
            Key::File(name) => write!(f, "file {name}"),
            Key::Balancer(name) => write!(f, "balancer {name}"),
            Key::Interface(name) => write!(f, "interface {name}"),
            Key::Statics(name) => write!(f, "track_group {name}"),
        }
    }
}

/// What the router thread tells this one.
#[derive(Debug)]
pub enum ToWatch {
    /// Watch this, and nothing else any more.
    Configure(Box<Config>),
    /// Do these in order.
    Notify(Vec<Order>),
    /// The script helper's line.
    Helper(OwnedFd),
    /// Answer with [`ToRouter::Finished`] once the notify scripts are done, at most so much later.
    Finish(Duration),
}

/// How long the scripts of a start and of a stop may take.
pub const FAREWELL: Duration = Duration::from_secs(10);

/// `vrrp_track_process` at work.
struct Process {
    conf: TrackedProcess,
    herd: Herd,
    enough: Option<bool>,
    /// The count changed sides; it counts from then on.
    turning: Option<(bool, Instant)>,
    /// What it said last.
    level: Option<Level>,
    next_at: Instant,
}

struct Watcher {
    mailbox: Mailbox<ToWatch>,
    post: Post<ToRouter>,
    scripts: Vec<Watched>,
    processes: Vec<Process>,
    files: Vec<(TrackedFile, Option<Level>)>,
    folders: Option<Folders>,
    balancers: Vec<Balancer>,
    errands: Errands,
    /// What is configured from now on comes from a reload.
    configured: bool,
    finish_by: Option<Instant>,
}

/// Runs the health thread until its router thread is gone.
pub fn run(mailbox: Mailbox<ToWatch>, post: Post<ToRouter>, fifos: Fifos) {
    let mut watcher = Watcher {
        mailbox,
        post,
        scripts: Vec::new(),
        processes: Vec::new(),
        files: Vec::new(),
        folders: None,
        balancers: Vec::new(),
        errands: Errands::new(fifos),
        configured: false,
        finish_by: None,
    };
    loop {
        let wait = watcher.tick();
        if let Err(error) = watcher.wait(wait) {
            warn!(%error, "the health thread cannot wait for events");
            std::thread::sleep(Duration::from_millis(100));
        }
        watcher.read();
    }
}

impl Watcher {
    fn wait(&self, limit: Duration) -> nix::Result<()> {
        let mut fds = vec![PollFd::new(self.mailbox.as_fd(), PollFlags::POLLIN)];
        let mut add = |fd| fds.push(PollFd::new(fd, PollFlags::POLLIN));
        if let Some(line) = self.errands.line() {
            add(line.as_fd());
        }
        for herd in self.scripts.iter().filter_map(|s| s.herd.as_ref()) {
            herd.pidfds().for_each(|fd| add(fd.as_fd()));
        }
        for process in &self.processes {
            process.herd.pidfds().for_each(|fd| add(fd.as_fd()));
        }
        if let Some(folders) = &self.folders {
            add(folders.as_fd());
        }
        for balancer in &self.balancers {
            if let Some(socket) = balancer.socket() {
                add(socket);
            }
        }
        match ppoll(&mut fds, Some(TimeSpec::from(limit)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Does what is due; gives the time until something is due again.
    fn tick(&mut self) -> Duration {
        let now = Instant::now();
        let mut next = now + Duration::from_secs(3600);
        for script in &mut self.scripts {
            if now >= script.next_at {
                if script.herd.is_some() {
                    let level = script.look(now);
                    say(&self.post, Key::Script(script.conf.name.clone()), level);
                } else {
                    if script.running.is_none() {
                        let timeout = Some(script.timeout());
                        script.running = self.errands.start(&script.conf.command, &[], timeout);
                    }
                    script.next_at = now + script.conf.interval;
                }
            }
            next = next.min(script.next_at);
        }
        for process in &mut self.processes {
            if now >= process.next_at {
                look(process, now, &self.post);
            }
            next = next.min(process.next_at);
        }
        for balancer in &mut self.balancers {
            let level = balancer.tick(now);
            say(&self.post, Key::Balancer(balancer.name().to_owned()), level);
            next = next.min(balancer.due());
        }
        if let Some(again) = self.folders.as_mut().and_then(|f| f.tick(now)) {
            self.read_files();
            next = next.min(again);
        }
        self.errands.go_on();
        if let Some(by) = self.finish_by {
            if self.errands.is_idle() || now >= by {
                self.finish_by = None;
                self.post.send(ToRouter::Finished);
            }
            next = next.min(by);
        }
        next.saturating_duration_since(Instant::now())
    }

    fn read(&mut self) {
        for message in self.mailbox.take() {
            match message {
                ToWatch::Configure(config) => self.configure(*config),
                ToWatch::Notify(orders) => self.errands.queue(orders),
                ToWatch::Helper(line) => {
                    self.errands.helper(line);
                    for script in &mut self.scripts {
                        // what the old one ran is lost, and without one nothing was run
                        script.running = None;
                        script.next_at = Instant::now();
                    }
                }
                ToWatch::Finish(most) => self.finish_by = Some(Instant::now() + most),
            }
        }
        for (id, failure) in self.errands.answers() {
            for script in self.scripts.iter_mut().filter(|s| s.running == Some(id)) {
                script.running = None;
                let level = script.ended(failure.clone());
                say(&self.post, Key::Script(script.conf.name.clone()), level);
            }
        }
        let now = Instant::now();
        for script in &mut self.scripts {
            if script.herd.as_ref().is_some_and(any_dead) {
                let level = script.look(now);
                say(&self.post, Key::Script(script.conf.name.clone()), level);
            }
        }
        for process in &mut self.processes {
            if any_dead(&process.herd) {
                look(process, now, &self.post);
            }
        }
        for balancer in &mut self.balancers {
            let level = balancer.read(now);
            say(&self.post, Key::Balancer(balancer.name().to_owned()), level);
        }
        if self.folders.as_mut().is_some_and(|f| f.changed(now)) {
            self.read_files();
        }
    }

    fn configure(&mut self, config: Config) {
        let reload = std::mem::replace(&mut self.configured, true);
        let mut old = std::mem::take(&mut self.scripts);
        for conf in config.scripts {
            match old.iter().position(|s| s.conf == conf) {
                Some(at) => self.scripts.push(old.swap_remove(at)),
                None if reload => {
                    let known = old.iter().find(|s| s.conf.name == conf.name);
                    let known = known.and_then(|s| s.level.clone());
                    self.scripts.push(Watched::of_reload(conf, known));
                }
                None => self.scripts.push(Watched::new(conf)),
            }
        }
        for script in self.scripts.iter().filter(|s| s.herd.is_some()) {
            info!(
                script = script.conf.name,
                line = script.conf.command.line,
                "watched by pidfd instead of polled"
            );
        }
        let mut old = std::mem::take(&mut self.processes);
        for conf in config.processes {
            match old.iter().position(|p| p.conf == conf) {
                Some(at) => self.processes.push(old.swap_remove(at)),
                None => self.processes.push(Process {
                    herd: Herd::new(Wanted::Tracked(conf.clone())),
                    conf,
                    enough: None,
                    turning: None,
                    level: None,
                    next_at: Instant::now(),
                }),
            }
        }
        self.tell_known();
        self.balancers = config.balancers.into_iter().map(Balancer::new).collect();
        self.watch_files(config.files);
        self.errands.configure(&config.global);
    }

    /// Instances that a reload brings track what has run before, and says nothing for months.
    fn tell_known(&self) {
        for script in &self.scripts {
            let key = Key::Script(script.conf.name.clone());
            say(&self.post, key, script.level.clone());
        }
        for process in &self.processes {
            let key = Key::Process(process.conf.name.clone());
            say(&self.post, key, process.level.clone());
        }
    }

    fn watch_files(&mut self, files: Vec<TrackedFile>) {
        self.folders = None;
        let new = files.into_iter().map(|f| (f, None)).collect();
        let old = std::mem::replace(&mut self.files, new);
        if self.files.is_empty() {
            return;
        }
        // what a reload finds in a file that was tracked before is no initial value
        for (file, _) in &self.files {
            if !old.iter().any(|(known, _)| known.path == file.path) {
                file::prepare(file);
            }
        }
        let folders = self
            .files
            .iter()
            .map(|(f, _)| f.path.parent().unwrap_or(&f.path));
        match Folders::watch(folders) {
            Ok(folders) => self.folders = Some(folders),
            Err(error) => warn!(%error, "cannot watch tracked files"),
        }
        self.read_files();
    }

    fn read_files(&mut self) {
        for (file, told) in &mut self.files {
            let level = file::level(&file.path);
            if told.as_ref() != Some(&level) {
                *told = Some(level.clone());
                say(&self.post, Key::File(file.name.clone()), Some(level));
            }
        }
    }
}

fn any_dead(herd: &Herd) -> bool {
    let mut fds: Vec<PollFd<'_>> = herd
        .pidfds()
        .map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN))
        .collect();
    let none = Some(TimeSpec::from(Duration::ZERO));
    !fds.is_empty() && ppoll(&mut fds, none, None).is_ok_and(|n| n > 0)
}

fn say(post: &Post<ToRouter>, key: Key, level: Option<Level>) {
    if let Some(level) = level
        && !post.send(ToRouter::Tracked(key, level))
    {
        warn!("the router thread does not take health news");
    }
}

/// Counts a tracked process; tells when enough or too few have lived long enough.
fn look(process: &mut Process, now: Instant, post: &Post<ToRouter>) {
    process.herd.gather();
    let count = process.herd.count();
    let conf = &process.conf;
    let most = conf.quorum_max.unwrap_or(u32::MAX) as usize;
    let enough = count >= conf.quorum as usize && count <= most;
    process.next_at = now
        + if enough {
            Duration::from_secs(2)
        } else {
            Duration::from_millis(200)
        };
    if process.enough == Some(enough) {
        process.turning = None;
        return;
    }
    let delay = if enough {
        conf.fork_delay
    } else {
        conf.terminate_delay
    };
    let since = match process.turning {
        Some((side, since)) if side == enough => since,
        Some(_) | None => now,
    };
    if process.enough.is_some() && now - since < delay {
        process.turning = Some((enough, since));
        process.next_at = since + delay;
        return;
    }
    process.turning = None;
    process.enough = Some(enough);
    process.level = Some(if enough {
        Level::Good
    } else {
        Level::Bad(format!("runs {count} times, wanted are {}", conf.quorum))
    });
    say(post, Key::Process(conf.name.clone()), process.level.clone());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::mailbox;

    fn watcher(own: Mailbox<ToWatch>, to_router: Post<ToRouter>) -> Watcher {
        Watcher {
            mailbox: own,
            post: to_router,
            scripts: Vec::new(),
            processes: Vec::new(),
            files: Vec::new(),
            folders: None,
            balancers: Vec::new(),
            errands: Errands::new(Fifos::default()),
            configured: false,
            finish_by: None,
        }
    }

    fn read(text: &str) -> Config {
        let (config, _) = conf::vip::load_str("x", text, &conf::vip::Options::default());
        config.expect("a good file")
    }

    #[test]
    fn a_reload_leaves_the_number_in_a_tracked_file_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("health");
        let number = || std::fs::read_to_string(&path).expect("a file");
        let text = format!(
            "vrrp_track_file f {{\n file {}\n init_file 5 overwrite\n}}\n",
            path.display()
        );
        let (_post, own) = mailbox().expect("a queue");
        let (to_router, _router) = mailbox().expect("a queue");
        let mut watcher = watcher(own, to_router);
        std::fs::write(&path, "7").expect("writable");
        watcher.configure(read(&text));
        assert_eq!(number(), "5\n");
        std::fs::write(&path, "9").expect("writable");
        watcher.configure(read(&text));
        assert_eq!(number(), "9");
    }

    #[test]
    fn what_is_known_is_told_again_after_a_reload_and_init_fail_at_once() {
        let text = "vrrp_script a {\n script \"/bin/check\"\n init_fail\n interval 60\n}\n\
                    vrrp_script b {\n script \"/bin/check\"\n interval 60\n}\n";
        let (_post, own) = mailbox().expect("a queue");
        let (to_router, mut router) = mailbox().expect("a queue");
        let mut watcher = watcher(own, to_router);
        let mut told = |watcher: &mut Watcher, text: &str| -> Vec<(String, bool)> {
            watcher.configure(read(text));
            let news = router.take().into_iter().map(|message| match message {
                ToRouter::Tracked(Key::Script(name), level) => (name, level == Level::Good),
                other => panic!("{other:?}"),
            });
            news.collect()
        };
        assert_eq!(told(&mut watcher, text), [("a".to_owned(), false)]);
        for script in &mut watcher.scripts {
            assert_eq!(script.ended(None), Some(Level::Good));
        }
        let both = [("a".to_owned(), true), ("b".to_owned(), true)];
        assert_eq!(told(&mut watcher, text), both);
        // a reload is no reason to take a role away
        let changed = text.replace("60", "61");
        let third = changed
            .replace("script b", "script c")
            .replace("_fail\n", "_fail\n rise 3\n");
        assert_eq!(told(&mut watcher, &changed), both);
        assert_eq!(told(&mut watcher, &third), both[..1]);
    }

    #[test]
    fn a_check_that_was_due_before_the_helper_came_is_run_when_it_comes() {
        let text = "vrrp_script chk {\n script \"/bin/check\"\n interval 60\n}\n";
        let (post, own) = mailbox().expect("a queue");
        let (to_router, _router) = mailbox().expect("a queue");
        let mut watcher = watcher(own, to_router);
        watcher.configure(read(text));
        watcher.tick();
        assert_eq!(watcher.scripts[0].running, None, "nobody runs it");
        let (line, _helper) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
        post.send(ToWatch::Helper(line.into()));
        watcher.read();
        watcher.tick();
        assert!(watcher.scripts[0].running.is_some());
    }
}
