//! Sockets bound to one address.

use super::inherited::Inherited;
use crate::state::Peer;
use crate::{sys, unix_file};
use conf::lb::model::{Bind, BindAddress, Host, UnixAccess};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// What identifies a listening socket over a reload.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    Inet(SocketAddr),
    Unix(PathBuf),
    Abstract(String),
    Fd(i32),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Inet(address) => write!(f, "{address}"),
            Key::Unix(path) => write!(f, "unix@{}", path.display()),
            Key::Abstract(name) => write!(f, "abns@{name}"),
            Key::Fd(number) => write!(f, "fd@{number}"),
        }
    }
}

/// A socket could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The frontend.
    pub frontend: String,
    /// The address.
    pub address: String,
    /// What was tried.
    pub attempt: &'static str,
    /// Why it failed.
    pub error: io::Error,
}

impl BindError {
    pub(super) fn of(mut self, frontend: &str) -> BindError {
        frontend.clone_into(&mut self.frontend);
        self
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindError {
            frontend,
            address,
            attempt,
            error,
        } = self;
        write!(
            f,
            "frontend `{frontend}`: cannot {attempt} {address}: {error}"
        )
    }
}

impl std::error::Error for BindError {}

/// The sockets of one address: one for each data thread, or one for all, or
/// as many as another process had for its threads.
pub struct Bound {
    key: Key,
    options: Bind,
    /// Open as long as they stand here or a data thread watches them; a
    /// session that came in through one does not keep it open.
    sockets: Mutex<Vec<Arc<Socket>>>,
    local: Peer,
    path: Option<PathBuf>,
    /// How many may wait.
    backlog: i32,
    /// Another process has them, too: the path is not ours alone.
    handed_out: AtomicBool,
    /// And of several only the first.
    handed_out_one: AtomicBool,
    /// They came from another process, and it is not sure yet that we start.
    borrowed: AtomicBool,
}

/// New connections go to the first of several sockets as long as this lives, which must be
/// until the others have closed: a connection that reached one of them in between would be
/// reset.
pub struct Steered {
    first: Arc<Socket>,
    others: Vec<Weak<Socket>>,
}

impl Steered {
    /// Nobody has one of the others open any more.
    pub fn is_done(&self) -> bool {
        self.others.iter().all(|other| other.strong_count() == 0)
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        // whoever has the socket now may add others beside it
        let _ = sys::steer_no_more(&*self.first);
    }
}

/// The addresses of a bind: one for each port of a range.
pub(super) fn keys(bind: &Bind) -> Vec<Key> {
    match &bind.address {
        BindAddress::Tcp { host, first, last } => {
            let ip = match host {
                Host::Ip(ip) => *ip,
                // Names are resolved before anything is bound; this one has no address.
                Host::Name(..) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            (*first..=*last)
                .map(|port| Key::Inet(SocketAddr::new(ip, port)))
                .collect()
        }
        BindAddress::Unix(path) => vec![Key::Unix(path.clone())],
        BindAddress::Abstract(name) => vec![Key::Abstract(name.clone())],
        BindAddress::Fd(number) => vec![Key::Fd(*number)],
    }
}

impl Bound {
    /// Binds and listens; sockets of another process that listen there
    /// already come first, whatever waits in their queues.
    pub(super) fn open(
        key: Key,
        bind: &Bind,
        section_backlog: Option<u32>,
        threads: usize,
        inherited: &mut Inherited,
    ) -> Result<Bound, BindError> {
        let backlog = bind.backlog.or(section_backlog);
        let backlog = backlog.map_or(4096, |b| b.min(i32::MAX as u32) as i32);
        let fail = |attempt, error| BindError {
            frontend: String::new(),
            address: key.to_string(),
            attempt,
            error,
        };
        let taken = inherited.take(&key, bind);
        if !taken.is_empty() {
            let sockets = taken_over(taken, &key, bind, threads, backlog)
                .map_err(|e| fail("take over", e))?;
            let bound = Bound::of(key, bind, backlog, sockets);
            bound.borrowed.store(true, Relaxed);
            return Ok(bound);
        }
        let mut sockets = Vec::new();
        match &key {
            Key::Inet(address) => {
                let mut address = *address;
                for _ in 0..threads {
                    let socket = inet(address, bind, threads > 1, backlog)
                        .map_err(|e| fail("listen on", e))?;
                    if let Some(real) = socket.local_addr().ok().and_then(|a| a.as_socket()) {
                        // Port 0: the other threads must join the port that was given.
                        address.set_port(real.port());
                    }
                    sockets.push(socket);
                }
            }
            Key::Unix(at) => {
                sockets.push(unix(at, &bind.unix, backlog).map_err(|e| fail("listen on", e))?);
            }
            Key::Abstract(name) => {
                sockets.push(abstract_name(name, backlog).map_err(|e| fail("listen on", e))?);
            }
            Key::Fd(number) => {
                sockets.push(inherited_fd(*number).map_err(|e| fail("adopt", e))?);
            }
        }
        Ok(Bound::of(key, bind, backlog, sockets))
    }

    fn of(key: Key, bind: &Bind, backlog: i32, sockets: Vec<Socket>) -> Bound {
        let local = sockets.first().and_then(|s| s.local_addr().ok());
        let path = match &key {
            Key::Unix(path) => Some(path.clone()),
            Key::Inet(_) | Key::Abstract(_) | Key::Fd(_) => None,
        };
        Bound {
            key,
            options: bind.clone(),
            sockets: Mutex::new(sockets.into_iter().map(Arc::new).collect()),
            local: local.map_or(Peer::None, |a| peer(&a)),
            path,
            backlog,
            handed_out: AtomicBool::new(false),
            handed_out_one: AtomicBool::new(false),
            borrowed: AtomicBool::new(false),
        }
    }

    /// These sockets are what `bind` at `key` asks for.
    pub(super) fn serves(&self, key: &Key, bind: &Bind) -> bool {
        let socket_options = |b: &Bind| {
            (
                b.interface.clone(),
                b.transparent,
                b.v6only,
                b.mss,
                b.namespace.clone(),
            )
        };
        self.key == *key && socket_options(&self.options) == socket_options(bind)
    }

    /// The sockets that data thread `thread` of `threads` watches: its own, or
    /// one that it shares. Together the threads watch all of them.
    pub fn share(&self, thread: usize, threads: usize) -> Vec<Arc<Socket>> {
        let sockets = self.lock();
        if sockets.len() < threads {
            let shared = sockets.get(thread % sockets.len().max(1));
            return shared.cloned().into_iter().collect();
        }
        let own = sockets.iter().enumerate();
        own.filter(|(index, _)| index % threads.max(1) == thread)
            .map(|(_, socket)| socket.clone())
            .collect()
    }

    /// The sockets for another process that takes over: all, or the first for
    /// one that wants a single socket for an address.
    pub fn hand_out(&self, all: bool) -> Vec<Arc<Socket>> {
        self.handed_out.store(true, Relaxed);
        self.handed_out_one.store(!all, Relaxed);
        let sockets = self.lock();
        sockets
            .iter()
            .take(if all { usize::MAX } else { 1 })
            .cloned()
            .collect()
    }

    /// `interface` and `namespace` of the bind line.
    pub fn scope(&self) -> (Option<&str>, Option<&str>) {
        (
            self.options.interface.as_deref(),
            self.options.namespace.as_deref(),
        )
    }

    /// Another process has the first of several sockets: lets new connections
    /// go there, so that the queues of the others run dry. None: no need.
    pub fn steer(&self) -> Option<Steered> {
        let sockets = self.lock();
        let (first, others) = sockets.split_first()?;
        if others.is_empty() || !self.handed_out_one.load(Relaxed) {
            return None;
        }
        sys::steer_to_first(&**first).ok()?;
        Some(Steered {
            first: first.clone(),
            others: others.iter().map(Arc::downgrade).collect(),
        })
    }

    /// It is part of a generation now.
    pub(super) fn settle(&self) {
        self.borrowed.store(false, Relaxed);
    }

    /// TCP clients are refused until [`Bound::resume`]; the address stays ours. Not where
    /// another process has the socket, too: it would lose it.
    pub fn pause(&self) {
        if self.pauses() {
            for socket in self.lock().iter() {
                // not listening any more is what was asked for
                let _ = socket.shutdown(Shutdown::Read);
            }
        }
    }

    /// Listens again.
    ///
    /// # Errors
    /// Another program has taken the address meanwhile.
    pub fn resume(&self) -> io::Result<()> {
        match self.pauses() {
            true => self.lock().iter().try_for_each(|s| s.listen(self.backlog)),
            false => Ok(()),
        }
    }

    fn pauses(&self) -> bool {
        let shared = self.handed_out.load(Relaxed) || self.borrowed.load(Relaxed);
        matches!(self.key, Key::Inet(_)) && !shared
    }

    /// Listens no more: each socket closes once its last thread let it go.
    pub fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Socket>>> {
        self.sockets.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The address that it listens on.
    pub fn local(&self) -> &Peer {
        &self.local
    }

    /// The address as written in messages.
    pub fn name(&self) -> String {
        match (&self.key, self.local.inet()) {
            (Key::Inet(_), Some(address)) => address.to_string(),
            (key, _) => key.to_string(),
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let shared = self.handed_out.load(Relaxed) || self.borrowed.load(Relaxed);
        if let Some(path) = self.path.as_ref().filter(|_| !shared) {
            // Gone already, or unreachable after chroot: nothing to do.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn inet(address: SocketAddr, bind: &Bind, share_port: bool, backlog: i32) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if share_port {
        socket.set_reuse_port(true)?;
    }
    if let Some(only) = bind.v6only.filter(|_| address.is_ipv6()) {
        socket.set_only_v6(only)?;
    }
    if let Some(interface) = &bind.interface {
        socket.bind_device(Some(interface.as_bytes()))?;
    }
    if bind.transparent {
        match address {
            SocketAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
            SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
        }
    }
    set_inet_options(&socket, bind, backlog)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

/// What may also be set on a socket that listens already.
fn set_inet_options(socket: &Socket, bind: &Bind, backlog: i32) -> io::Result<()> {
    if let Some(mss) = bind.mss.filter(|m| *m > 0) {
        socket.set_tcp_mss(mss as u32)?;
    }
    if let Some(timeout) = bind.tcp_user_timeout {
        socket.set_tcp_user_timeout(Some(timeout))?;
    }
    if bind.defer_accept {
        sys::set_defer_accept(socket, 60)?;
    }
    if bind.fast_open {
        sys::set_fast_open(socket, backlog)?;
    }
    // Inherited by accepted sockets.
    socket.set_tcp_nodelay(true)
}

fn unix(path: &Path, access: &UnixAccess, backlog: i32) -> io::Result<Socket> {
    unix_file::in_place(path, access, |at| {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
        socket.bind(&SockAddr::unix(at)?)?;
        socket.listen(backlog)?;
        Ok(socket)
    })
}

fn abstract_name(name: &str, backlog: i32) -> io::Result<Socket> {
    use std::os::linux::net::SocketAddrExt;
    let name = sys::abstract_name(name);
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    let listener = std::os::unix::net::UnixListener::bind_addr(&address)?;
    listener.set_nonblocking(true)?;
    let socket = Socket::from(std::os::fd::OwnedFd::from(listener));
    socket.listen(backlog)?;
    Ok(socket)
}

/// Makes sockets of another process ours: with our options, and with more of
/// them beside when our threads are more than theirs.
fn taken_over(
    mut sockets: Vec<Socket>,
    key: &Key,
    bind: &Bind,
    threads: usize,
    backlog: i32,
) -> io::Result<Vec<Socket>> {
    for socket in &sockets {
        socket.set_nonblocking(true)?;
        if matches!(key, Key::Inet(_)) {
            set_inet_options(socket, bind, backlog)?;
        }
        socket.listen(backlog)?;
    }
    if let Key::Inet(address) = key
        && sockets[0].reuse_port().unwrap_or(false)
    {
        // left by a process that ended while it steered; mostly nothing is there to be taken back
        let _ = sys::steer_no_more(&sockets[0]);
        while sockets.len() < threads {
            match inet(*address, bind, true, backlog) {
                Ok(more) => sockets.push(more),
                // another user's group: the threads share what there is
                Err(_) => break,
            }
        }
    }
    Ok(sockets)
}

fn inherited_fd(number: i32) -> io::Result<Socket> {
    let socket = Socket::from(sys::adopt(number)?);
    if !socket.is_listener()? {
        return Err(io::Error::other("it is not a listening socket"));
    }
    socket.set_nonblocking(true)?;
    if socket.local_addr()?.as_socket().is_some() {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

/// A socket address as a [`Peer`].
pub fn peer(address: &SockAddr) -> Peer {
    match address.as_socket() {
        Some(address) => Peer::Inet(address),
        None if address.is_unix() => Peer::Unix(0),
        None => Peer::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::lb::model::Place;
    use std::net::TcpStream;

    /// How many connections wait at a socket.
    fn waiting(socket: &Socket) -> usize {
        std::iter::from_fn(|| socket.accept().ok()).count()
    }

    #[test]
    fn connections_are_steered_until_the_last_thread_has_closed_its_socket() {
        let bind = Bind::new(BindAddress::Fd(0), Place::default());
        let key = Key::Inet("127.0.0.1:0".parse().unwrap());
        let bound = Bound::open(key, &bind, None, 2, &mut Inherited::default()).unwrap();
        let address = bound.local().inet().unwrap();
        let connect = |times: usize| -> Vec<TcpStream> {
            let connect = |_| TcpStream::connect(address).unwrap();
            (0..times).map(connect).collect()
        };
        let kept = bound.hand_out(false).remove(0);
        let of_a_thread = bound.share(1, 2).remove(0);
        let steered = bound.steer().expect("there are two sockets");
        bound.close();
        assert!(!steered.is_done(), "a thread still has its socket");
        let clients = connect(60);
        assert_eq!(
            (waiting(&kept), waiting(&of_a_thread)),
            (clients.len(), 0),
            "nobody is left behind at the socket that closes"
        );
        drop(of_a_thread);
        assert!(steered.is_done());
        drop(steered);
        let beside = inet(address, &bind, true, 4096).unwrap();
        let clients = connect(60);
        let (first, second) = (waiting(&kept), waiting(&beside));
        assert_eq!(first + second, clients.len());
        assert!(second > 0, "the port is shared again");
    }
}
