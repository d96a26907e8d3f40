//! One check under way: its socket, what is still to be sent, its deadline.

use super::dialogue::{Dialogue, Event, Finding, Step};
use crate::core::health::CheckStatus;
use crate::core::proxy_protocol::{self, Extras};
use conf::lb::model::{CheckConnect, SendProxy};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Most that is read from a server in one go.
const READ_SIZE: usize = 16 * 1024;

/// Reads of one event before others get their turn.
const READ_ROUNDS: usize = 4;

/// Where a check connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// TCP.
    Inet(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
    /// A socket of the abstract name space.
    Abstract(String),
}

/// What all connections of one check share.
#[derive(Clone, Debug)]
pub struct Route {
    /// The server's address, or that of the check.
    pub target: Target,
    /// Local address to connect from.
    pub source: Option<IpAddr>,
    /// PROXY header in front of everything.
    pub send_proxy: Option<SendProxy>,
    /// Bound of connecting.
    pub connect_timeout: Duration,
    /// Bound of everything after the connection is there, counted from then;
    /// what is left of `connect_timeout` when absent.
    pub answer_timeout: Option<Duration>,
}

/// One check under way.
pub struct Attempt {
    dialogue: Dialogue,
    route: Route,
    socket: Option<Socket>,
    registered: bool,
    connected: bool,
    outgoing: Vec<u8>,
    /// What the dialogue asked to send is not all on its way yet.
    sending: bool,
    started: Instant,
    deadline: Instant,
}

/// Whether a check goes on.
pub enum Outcome {
    /// It waits for its socket or its deadline.
    Waits,
    /// It is over.
    Over(Finding),
}

impl Attempt {
    /// Starts a check: opens its first connection.
    pub fn start(
        mut dialogue: Dialogue,
        route: Route,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> (Attempt, Outcome) {
        let connect = dialogue.first_connect();
        let deadline = now + route.connect_timeout;
        let mut attempt = Attempt {
            dialogue,
            route,
            socket: None,
            registered: false,
            connected: false,
            outgoing: Vec::new(),
            sending: false,
            started: now,
            deadline,
        };
        let outcome = attempt.connect(&connect, registry, token, now);
        (attempt, outcome)
    }

    /// When it has failed by taking too long.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// When it began.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// The finding when [`Attempt::deadline`] has passed.
    pub fn timed_out(&self) -> Finding {
        match self.connected {
            true => self.dialogue.timed_out(),
            false => Finding::new(CheckStatus::L4Timeout, 0, self.dialogue.position()),
        }
    }

    fn connect(
        &mut self,
        connect: &CheckConnect,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Outcome {
        self.close();
        self.connected = false;
        self.deadline = now + self.route.connect_timeout;
        let (target, socket) = match self.open(connect) {
            Ok(opened) => opened,
            Err(error) => return Outcome::Over(self.socket_failed(&error)),
        };
        match socket.connect(&target) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            // a unix socket with a full backlog: as good as refused
            Err(error) => return Outcome::Over(self.socket_failed(&error)),
        }
        let here = socket.peer_addr().is_ok();
        self.socket = Some(socket);
        self.registered = false;
        if here {
            return self.established(connect, registry, token, now);
        }
        self.wait(registry, token)
    }

    fn open(&self, connect: &CheckConnect) -> io::Result<(SockAddr, Socket)> {
        let address = match &self.route.target {
            Target::Inet(address) => {
                let mut address = *address;
                if let Some(port) = connect.port {
                    address.set_port(port);
                }
                if let Some(conf::lb::model::Host::Ip(ip)) = &connect.addr {
                    address.set_ip(*ip);
                }
                SockAddr::from(address)
            }
            Target::Unix(path) => SockAddr::unix(path)?,
            Target::Abstract(name) => SockAddr::unix(crate::sys::abstract_path(name))?,
        };
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = Socket::new(Domain::from(i32::from(address.family())), kind, None)?;
        if matches!(self.route.target, Target::Inet(_)) {
            if !connect.linger && !self.dialogue.closes_properly() {
                socket.set_linger(Some(Duration::ZERO))?;
            }
            if matches!(self.dialogue, Dialogue::Connect) {
                // the handshake's last segment waits, and the reset comes
                // instead: the server never gets to see a connection
                socket.set_tcp_quickack(false)?;
            }
            if let Some(source) = self.route.source {
                socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
            }
        }
        Ok((address, socket))
    }

    fn wait(&mut self, registry: &Registry, token: Token) -> Outcome {
        let Some(socket) = &self.socket else {
            return Outcome::Waits;
        };
        if !self.registered {
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) =
                registry.register(&mut SourceFd(&socket.as_raw_fd()), token, interest)
            {
                return Outcome::Over(self.socket_failed(&error));
            }
            self.registered = true;
        }
        Outcome::Waits
    }

    fn established(
        &mut self,
        connect: &CheckConnect,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Outcome {
        self.connected = true;
        if let Some(timeout) = self.route.answer_timeout {
            self.deadline = now + timeout;
        }
        if let Some(header) = self.proxy_header(connect) {
            self.outgoing = header;
        }
        let step = self.dialogue.step(Event::Connected);
        self.perform(step, registry, token, now)
    }

    fn proxy_header(&self, connect: &CheckConnect) -> Option<Vec<u8>> {
        let settings = match (&self.route.send_proxy, connect.send_proxy) {
            (Some(settings), _) => *settings,
            (None, true) => SendProxy::default(),
            (None, false) => return None,
        };
        let socket = self.socket.as_ref()?;
        let local = socket.local_addr().ok()?.as_socket();
        let remote = socket.peer_addr().ok()?.as_socket();
        if settings.v2 {
            // RabbitMQ 3.10 does not survive LOCAL
            let amqp = matches!(self.dialogue, Dialogue::Amqp(_));
            let addresses = local.zip(remote).filter(|_| amqp);
            return Some(proxy_protocol::v2(addresses, Extras::default()));
        }
        Some(
            match (local, remote) {
                (Some(local), Some(remote)) => {
                    let family = if local.is_ipv4() { "TCP4" } else { "TCP6" };
                    let (lip, rip) = (local.ip(), remote.ip());
                    format!(
                        "PROXY {family} {lip} {rip} {} {}\r\n",
                        local.port(),
                        remote.port()
                    )
                }
                _ => "PROXY UNKNOWN\r\n".to_owned(),
            }
            .into_bytes(),
        )
    }

    /// Does what the dialogue asks for until it has to wait.
    fn perform(
        &mut self,
        mut step: Step,
        registry: &Registry,
        token: Token,
        now: Instant,
    ) -> Outcome {
        loop {
            step = match step {
                Step::Connect(connect) => return self.connect(&connect, registry, token, now),
                Step::Send(bytes) => {
                    self.outgoing.extend_from_slice(&bytes);
                    self.sending = true;
                    match self.flush() {
                        Ok(true) => {
                            self.sending = false;
                            self.dialogue.step(Event::Sent)
                        }
                        Ok(false) => return self.wait(registry, token),
                        Err(error) => return Outcome::Over(self.socket_failed(&error)),
                    }
                }
                Step::Receive => match self.flush().and_then(|_| self.receive()) {
                    Ok(Some(step)) => step,
                    Ok(None) => return self.wait(registry, token),
                    Err(error) => return Outcome::Over(self.socket_failed(&error)),
                },
                Step::Done(finding) => {
                    // a header or goodbye that does not fit into the socket is not worth waiting for
                    let _ = self.flush();
                    return Outcome::Over(finding);
                }
            };
        }
    }

    /// The socket is ready for something.
    pub fn ready(&mut self, registry: &Registry, token: Token, now: Instant) -> Outcome {
        if !self.connected {
            let Some(socket) = &self.socket else {
                return Outcome::Waits;
            };
            match socket.take_error() {
                Ok(None) if socket.peer_addr().is_ok() => {
                    return self.established(&CheckConnect::default(), registry, token, now);
                }
                Ok(None) => return Outcome::Waits,
                // refused while connecting is another error: it was connected for a moment
                Ok(Some(error)) if error.kind() == ErrorKind::ConnectionReset => {
                    // those that tell steps say that the step of the connection failed
                    self.connected = self.dialogue.position().is_empty();
                    return match self.dialogue {
                        Dialogue::Connect => Outcome::Over(Finding::bare(CheckStatus::L4Ok)),
                        _ => Outcome::Over(self.socket_failed(&error)),
                    };
                }
                Ok(Some(error)) | Err(error) => return Outcome::Over(self.socket_failed(&error)),
            }
        }
        let step = match self.flush() {
            Ok(true) if self.sending => {
                self.sending = false;
                self.dialogue.step(Event::Sent)
            }
            Ok(true) => Step::Receive,
            Ok(false) => return Outcome::Waits,
            Err(error) => return Outcome::Over(self.socket_failed(&error)),
        };
        self.perform(step, registry, token, now)
    }

    fn flush(&mut self) -> io::Result<bool> {
        while !self.outgoing.is_empty() {
            let Some(socket) = &mut self.socket else {
                return Ok(true);
            };
            match socket.write(&self.outgoing) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Gives the dialogue what has come; nothing when nothing has.
    fn receive(&mut self) -> io::Result<Option<Step>> {
        let mut buffer = [0; READ_SIZE];
        for _ in 0..READ_ROUNDS {
            let Some(socket) = &mut self.socket else {
                return Ok(None);
            };
            let (bytes, closed) = match socket.read(&mut buffer) {
                Ok(0) => (&[][..], true),
                Ok(count) => (&buffer[..count], false),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // what came before the reset is judged as all there is
                Err(_) if self.dialogue.has_input() => (&[][..], true),
                Err(error) => return Err(error),
            };
            let step = self.dialogue.step(Event::Received(bytes, closed));
            if step != Step::Receive {
                return Ok(Some(step));
            }
            if closed {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(None)
    }

    fn socket_failed(&self, error: &io::Error) -> Finding {
        let local = matches!(
            error.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS | libc::EADDRNOTAVAIL)
        );
        let status = match self.connected || local {
            true => CheckStatus::SocketError,
            false => CheckStatus::L4Connection,
        };
        let text = format!("{}{}", reason(error), self.dialogue.position());
        Finding::new(status, 0, text)
    }

    fn close(&mut self) {
        self.socket = None;
        self.registered = false;
        self.outgoing.clear();
        self.sending = false;
    }
}

/// The system's words without Rust's number behind them.
fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
