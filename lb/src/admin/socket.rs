//! The CLI's sockets: bound before the process gives up its rights, served by the control thread.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use conf::lb::model::{
    AdminLevel, BindAddress, Host, SeverityOutput, StatsSocket, StatsSockets, UnixAccess,
};
use tokio::sync::Semaphore;

use super::command::Session;
use super::{Control, address, connection};
use crate::listener::Inherited;
use crate::state::Peer;
use crate::unix_file;

/// Where the socket is that exists even when the configuration names none.
pub const RUN_DIR: &str = "/run/evenkeel";
/// Time-out of a connection unless `stats timeout` says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Connections at once unless `stats maxconn` says otherwise.
const MAXCONN: u32 = 10;

/// A bound socket of the CLI.
pub struct Socket {
    listener: Listener,
    address: String,
    level: AdminLevel,
    severity: SeverityOutput,
    /// `expose-fd listeners`
    exposes: bool,
    /// The configuration names it.
    configured: bool,
}

impl Socket {
    /// Takes its file away.
    fn remove(&self) {
        if let Some(path) = self.address.strip_prefix("unix@") {
            // somebody else may have been faster
            let _ = std::fs::remove_file(path);
        }
    }
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Listener {
    fn try_clone(&self) -> io::Result<Listener> {
        Ok(match self {
            Listener::Unix(listener) => Listener::Unix(listener.try_clone()?),
            Listener::Tcp(listener) => Listener::Tcp(listener.try_clone()?),
        })
    }
}

/// A socket that could not be bound.
#[derive(Debug)]
pub struct SocketError {
    /// The address as written.
    pub address: String,
    pub error: io::Error,
}

impl std::fmt::Display for SocketError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "stats socket [{}]: {}", self.address, self.error)
    }
}

impl std::error::Error for SocketError {}

/// The default socket's path for a process.
pub fn default_path(run_dir: &Path, pid: u32) -> PathBuf {
    run_dir.join(format!("lb-{pid}.sock"))
}

/// Binds what the configuration names; ports come from a predecessor where it has them.
pub fn bind(sockets: &StatsSockets, inherited: &mut Inherited) -> Result<Vec<Socket>, SocketError> {
    let inherited = Mutex::new(inherited);
    let known = |address: &str| {
        let port = address.split_once('@')?.1.parse().ok()?;
        let mut inherited = inherited.lock().unwrap_or_else(|e| e.into_inner());
        inherited.take_port(port).map(Listener::Tcp)
    };
    let mut bound = Vec::new();
    for socket in &sockets.sockets {
        bound.extend(bind_one(socket, &known)?);
    }
    Ok(bound)
}

/// Binds the socket that exists in any case: mode 0600, level admin. Removes what dead processes
/// left in the directory.
pub fn bind_default(run_dir: &Path, pid: u32) -> Result<Socket, SocketError> {
    let path = default_path(run_dir, pid);
    let failed = |error| SocketError {
        address: format!("unix@{}", path.display()),
        error,
    };
    std::fs::create_dir_all(run_dir).map_err(failed)?;
    remove_dead(run_dir);
    let access = UnixAccess {
        mode: Some(0o600),
        ..UnixAccess::default()
    };
    let listener = bind_unix(&path, &access).map_err(failed)?;
    Ok(Socket {
        listener: Listener::Unix(listener),
        address: format!("unix@{}", path.display()),
        level: AdminLevel::Admin,
        severity: SeverityOutput::None,
        exposes: true,
        configured: false,
    })
}

/// Sockets in the directory that somebody listens on.
pub fn alive(run_dir: &Path) -> Vec<PathBuf> {
    let (mut alive, _) = sort_out(run_dir);
    alive.sort();
    alive
}

fn remove_dead(run_dir: &Path) {
    for path in sort_out(run_dir).1 {
        // another process may have removed it first
        let _ = std::fs::remove_file(path);
    }
}

fn sort_out(run_dir: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(run_dir) else {
        return (Vec::new(), Vec::new());
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("lb-") && name.ends_with(".sock"))
        })
        .partition(|path| std::os::unix::net::UnixStream::connect(path).is_ok())
}

/// Sockets of one line; `known` gives listeners that are open already.
fn bind_one(
    conf: &StatsSocket,
    known: &dyn Fn(&str) -> Option<Listener>,
) -> Result<Vec<Socket>, SocketError> {
    let bind = &conf.bind;
    let address = address::bind(&bind.address);
    let open = |address: String, fresh: &dyn Fn() -> io::Result<Listener>| {
        let listener = known(&address).map_or_else(fresh, Ok);
        match listener {
            Ok(listener) => Ok(Socket {
                listener,
                address,
                level: conf.level,
                severity: bind.severity_output,
                exposes: conf.expose_fd_listeners,
                configured: true,
            }),
            Err(error) => Err(SocketError { address, error }),
        }
    };
    let one = |fresh: &dyn Fn() -> io::Result<Listener>| {
        open(address.clone(), fresh).map(|socket| vec![socket])
    };
    match &bind.address {
        BindAddress::Unix(path) => one(&|| bind_unix(path, &bind.unix).map(Listener::Unix)),
        BindAddress::Abstract(name) => one(&|| {
            use std::os::linux::net::SocketAddrExt as _;
            let name = crate::sys::abstract_name(name);
            let name = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            UnixListener::bind_addr(&name).map(Listener::Unix)
        }),
        BindAddress::Tcp {
            host: Host::Ip(ip),
            first,
            last,
        } => (*first..=*last)
            .map(|port| {
                let family = if ip.is_ipv4() { "ipv4" } else { "ipv6" };
                open(format!("{family}@{}", SocketAddr::new(*ip, port)), &|| {
                    shared_port((*ip, port).into()).map(Listener::Tcp)
                })
            })
            .collect(),
        BindAddress::Tcp {
            host: Host::Name(name, _),
            ..
        } => one(&|| {
            let text = format!("the name {name} was not resolved");
            Err(io::Error::other(text))
        }),
        BindAddress::Fd(number) => one(&|| inherited(*number)),
    }
}

/// A socket that shares its port with the same of a process that this one takes over from, which
/// lets go of it when it stops.
pub fn shared_port(address: std::net::SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Socket, Type};
    let kind = Type::STREAM.nonblocking().cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    Ok(socket.into())
}

/// A socket that listens already and was inherited under this number.
fn inherited(number: i32) -> io::Result<Listener> {
    let socket = socket2::Socket::from(crate::sys::adopt(number)?);
    if socket.local_addr()?.is_unix() {
        Ok(Listener::Unix(std::os::fd::OwnedFd::from(socket).into()))
    } else {
        Ok(Listener::Tcp(socket.into()))
    }
}

fn bind_unix(path: &Path, access: &UnixAccess) -> io::Result<UnixListener> {
    unix_file::in_place(path, access, |at| UnixListener::bind(at))
}

/// The CLI's sockets while they are served; a reload may change them.
pub struct Served {
    handle: tokio::runtime::Handle,
    control: Arc<Control>,
    open: Mutex<Vec<Open>>,
}

struct Open {
    socket: Socket,
    task: tokio::task::AbortHandle,
}

/// Serves the sockets for as long as the process lives, and takes a sample every second. What the
/// commands need of others has been set before.
///
/// # Errors
/// A socket cannot be served.
pub fn serve(served: &Served, sockets: Vec<Socket>, settings: &StatsSockets) -> io::Result<()> {
    served.open_all(sockets, settings)?;
    crate::console::seal();
    let control = served.control.clone();
    served.handle.spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            control.samples.take(&control);
            control
                .history
                .take(&control.runtime, std::time::Instant::now());
        }
    });
    Ok(())
}

impl Served {
    /// Sockets that are not open yet.
    pub fn new(handle: &tokio::runtime::Handle, control: &Arc<Control>) -> Served {
        Served {
            handle: handle.clone(),
            control: control.clone(),
            open: Mutex::default(),
        }
    }

    /// Sockets for new settings: those that are open already, and fresh ones.
    /// Nothing changes before [`Served::follow`].
    ///
    /// # Errors
    /// A new address cannot be bound.
    pub fn prepare(&self, settings: &StatsSockets) -> Result<Vec<Socket>, SocketError> {
        let open = self.open();
        let known = |address: &str| {
            let same = open.iter().find(|o| o.socket.address == address)?;
            same.socket.listener.try_clone().ok()
        };
        let mut bound = Vec::new();
        for socket in &settings.sockets {
            match bind_one(socket, &known) {
                Ok(sockets) => bound.extend(sockets),
                Err(error) => {
                    drop(open);
                    self.forget(bound);
                    return Err(error);
                }
            }
        }
        Ok(bound)
    }

    /// Gives prepared sockets up: the reload came to nothing.
    pub fn forget(&self, prepared: Vec<Socket>) {
        let open = self.open();
        for socket in prepared {
            if !open.iter().any(|o| o.socket.address == socket.address) {
                socket.remove();
            }
        }
    }

    /// Serves these sockets, and no longer those that are not among them;
    /// connections that are open stay.
    ///
    /// # Errors
    /// A socket cannot be served.
    pub fn follow(&self, mut sockets: Vec<Socket>, settings: &StatsSockets) -> io::Result<()> {
        for old in std::mem::take(&mut *self.open()) {
            old.task.abort();
            if !old.socket.configured {
                sockets.push(old.socket);
            } else if !sockets.iter().any(|s| s.address == old.socket.address) {
                old.socket.remove();
            }
        }
        self.control.no_cli_sockets();
        for socket in settings.sockets.iter().map(|s| &s.bind) {
            if let BindAddress::Unix(path) = &socket.address {
                // In a chroot the path is another one: it keeps the access that it has.
                let _ = unix_file::grant(path, &socket.unix);
            }
        }
        self.open_all(sockets, settings)
    }

    /// Closes the sockets with a port: a successor has the same, and is asked there from now on.
    pub fn let_ports_go(&self) {
        self.control.ports.forget();
        self.open().retain(|open| match open.socket.listener {
            Listener::Unix(_) => true,
            Listener::Tcp(_) => {
                open.task.abort();
                false
            }
        });
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn open_all(&self, sockets: Vec<Socket>, settings: &StatsSockets) -> io::Result<()> {
        let slots = settings.maxconn.unwrap_or(MAXCONN).max(1) as usize;
        let slots = Arc::new(Semaphore::new(slots));
        let patience = settings.timeout.unwrap_or(TIMEOUT);
        for socket in sockets {
            self.control
                .add_cli_socket(socket.address.clone(), socket.level);
            let session = Session {
                level: socket.level,
                prompt: false,
                timeout: patience,
                severity: socket.severity,
                peer: Peer::None,
                stream: None,
                expert: false,
                experimental: false,
            };
            if let Listener::Tcp(listener) = &socket.listener {
                self.control.ports.add_cli(listener)?;
            }
            let task = self.accept_on(&socket, session, slots.clone())?;
            self.open().push(Open { socket, task });
        }
        Ok(())
    }

    fn accept_on(
        &self,
        socket: &Socket,
        session: Session,
        slots: Arc<Semaphore>,
    ) -> io::Result<tokio::task::AbortHandle> {
        let _inside = self.handle.enter();
        let control = self.control.clone();
        let task = match socket.listener.try_clone()? {
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                let exposes = socket.exposes;
                self.handle
                    .spawn(accept(control, session, slots, async move || {
                        let (stream, _) = listener.accept().await?;
                        // a copy of the descriptor, for descriptors can go only through that
                        let copy = match exposes {
                            true => Some(stream.as_fd().try_clone_to_owned()?),
                            false => None,
                        };
                        Ok((stream, copy, Peer::Unix(0)))
                    }))
            }
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                self.handle
                    .spawn(accept(control, session, slots, async move || {
                        let (stream, from) = listener.accept().await?;
                        Ok((stream, None, Peer::Inet(from)))
                    }))
            }
        };
        Ok(task.abort_handle())
    }
}

async fn accept<S, A>(control: Arc<Control>, session: Session, slots: Arc<Semaphore>, next: A)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    A: AsyncFn() -> io::Result<(S, Option<OwnedFd>, Peer)>,
{
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        match next().await {
            Ok((stream, copy, peer)) => {
                let control = control.clone();
                let session = Session {
                    peer,
                    stream: copy.map(Arc::new),
                    ..session.clone()
                };
                tokio::spawn(async move {
                    connection::serve(control, session, stream).await;
                    drop(slot);
                });
            }
            // out of descriptors or memory: a moment later there may be some
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
