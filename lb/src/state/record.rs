//! What a session leaves behind: everything that its log line may say.

use super::{ConnectionError, Proxy, Server};
use crate::core::expr::Sample;
use crate::core::queue::Priority;
use crate::tcp_info::TcpInfo;
use conf::lb::model::{LogLevel, RuleLine, TcpFigure};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::SystemTime;

/// Who ended a session: the first letter of the termination state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cause {
    /// `-`: nobody before its end.
    #[default]
    Normal,
    /// `C`: the client aborted.
    Client,
    /// `S`: the server aborted or refused.
    Server,
    /// `P`: a rule or limit here refused.
    Proxy,
    /// `L`: answered here.
    Local,
    /// `R`: a resource of this machine ran out.
    Resource,
    /// `I`: a fault of this program.
    Internal,
    /// `D`: the server went down and its sessions were ended.
    Down,
    /// `U`: a server came back and sessions of backup servers were ended.
    Up,
    /// `K`: an operator ended it.
    Killed,
    /// `B`: moved away to even servers out (`rebalance`).
    Rebalanced,
    /// `G`: moved away because its server is emptied (`drain-sessions`).
    Drained,
    /// `c`: the client was silent for too long.
    ClientTimeout,
    /// `s`: the server was silent for too long.
    ServerTimeout,
}

/// What a session was doing when it ended: the second letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// `-`: it was over.
    #[default]
    Done,
    /// `R`: waiting for a request.
    Request,
    /// `Q`: waiting in a queue.
    Queue,
    /// `C`: connecting.
    Connect,
    /// `H`: waiting for the answer's headers.
    Headers,
    /// `D`: passing data.
    Data,
    /// `L`: passing the last data to the client.
    Last,
    /// `T`: held in a tarpit.
    Tarpit,
}

impl Phase {
    /// Both sides were connected.
    pub fn has_data(self) -> bool {
        matches!(self, Phase::Data | Phase::Last | Phase::Done)
    }
}

/// Termination state: the two letters of a TCP log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// First letter.
    pub cause: Cause,
    /// Second letter.
    pub phase: Phase,
}

impl End {
    /// The two letters.
    pub fn letters(self) -> [char; 2] {
        let first = match self.cause {
            Cause::Normal => '-',
            Cause::Client => 'C',
            Cause::Server => 'S',
            Cause::Proxy => 'P',
            Cause::Local => 'L',
            Cause::Resource => 'R',
            Cause::Internal => 'I',
            Cause::Down => 'D',
            Cause::Up => 'U',
            Cause::Killed => 'K',
            Cause::Rebalanced => 'B',
            Cause::Drained => 'G',
            Cause::ClientTimeout => 'c',
            Cause::ServerTimeout => 's',
        };
        let second = match self.phase {
            Phase::Done => '-',
            Phase::Request => 'R',
            Phase::Queue => 'Q',
            Phase::Connect => 'C',
            Phase::Headers => 'H',
            Phase::Data => 'D',
            Phase::Last => 'L',
            Phase::Tarpit => 'T',
        };
        [first, second]
    }
}

impl End {
    /// Who ended the session, and in which phase, in words.
    pub fn words(self) -> String {
        let who = match self.cause {
            Cause::Normal => return "normal end".to_owned(),
            Cause::Client => "the client aborted",
            Cause::Server => "the server aborted or refused",
            Cause::Proxy => "a rule or limit refused",
            Cause::Local => "answered by the balancer",
            Cause::Resource => "the machine ran out of a resource",
            Cause::Internal => "a fault of the balancer",
            Cause::Down => "the server went down",
            Cause::Up => "a server that is no backup came back",
            Cause::Killed => "an operator ended it",
            Cause::Rebalanced => "moved away to even servers out",
            Cause::Drained => "moved away because its server is emptied",
            Cause::ClientTimeout => "the client was silent too long",
            Cause::ServerTimeout => "the server was silent too long",
        };
        let phase = match self.phase {
            Phase::Done => return who.to_owned(),
            Phase::Request => "waiting for the request",
            Phase::Queue => "in the queue",
            Phase::Connect => "connecting to the server",
            Phase::Headers => "waiting for the answer",
            Phase::Data => "passing data",
            Phase::Last => "passing the last data to the client",
            Phase::Tarpit => "held in a tarpit",
        };
        format!("{who} while {phase}")
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.letters();
        write!(f, "{first}{second}")
    }
}

/// One end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Peer {
    /// Not known or not connected.
    #[default]
    None,
    /// A TCP address.
    Inet(SocketAddr),
    /// A unix socket (with the listener's number, as HAProxy prints it).
    Unix(u32),
}

impl Peer {
    /// The address, if it is one of IP.
    pub fn ip(&self) -> Option<IpAddr> {
        self.inet().map(|a| a.ip().to_canonical())
    }

    /// The port, if there is one.
    pub fn port(&self) -> Option<u16> {
        self.inet().map(|a| a.port())
    }

    /// Address and port, if it is one of IP.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Peer::Inet(address) => Some(*address),
            Peer::None | Peer::Unix(_) => None,
        }
    }
}

/// Durations of a session's phases in milliseconds; `None`: not reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    /// `%Th`: PROXY header and other handshakes.
    pub handshake_ms: u32,
    /// `%Tw`: in queues.
    pub queue_ms: Option<u32>,
    /// `%Tc`: connecting, waits between tries included.
    pub connect_ms: Option<u32>,
    /// `%Tt`: from accept to the end.
    pub total_ms: u32,
}

/// How many connections there were at one moment, the session's own included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// `%ac`: of the process.
    pub process: u32,
    /// `%fc`: of the frontend.
    pub frontend: u32,
    /// `%bc`: of the backend.
    pub backend: u32,
    /// `%sc`: of the server.
    pub server: u32,
}

impl Connections {
    /// In the order of a line: `%ac/%fc/%bc/%sc`.
    pub fn in_order(self) -> [u32; 4] {
        [self.process, self.frontend, self.backend, self.server]
    }
}

/// Everything that a session's log line may say.
#[derive(Clone)]
pub struct SessionRecord {
    /// Unique in the process.
    pub id: u64,
    /// The line is for the session's start (`logasap`, or without a log format:
    /// `Connect from`); another may follow at its end.
    pub at_start: bool,
    /// Where it came in.
    pub frontend: Arc<Proxy>,
    /// Index of the bind line's address in the frontend.
    pub listener: u16,
    /// Where it was routed; the frontend itself when it was not.
    pub backend: Arc<Proxy>,
    /// The server that was chosen last.
    pub server: Option<Arc<Server>>,
    /// The client.
    pub client: Peer,
    /// What the client connected to.
    pub local: Peer,
    /// The connection's own two addresses, where those above are from a PROXY header or a rule.
    pub socket: (Option<Peer>, Option<Peer>),
    /// Our address towards the server.
    pub outgoing: Peer,
    /// The server's address.
    pub remote: Peer,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// How long its phases took.
    pub timers: Timers,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
    /// It ended before it was a session, for this reason: the line says only that.
    pub failure: Option<ConnectionError>,
    /// The rule that ended the last list of rules.
    pub last_rule: Option<RuleLine>,
    /// Termination state.
    pub end: End,
    /// Who else was there at this moment.
    pub connections: Connections,
    /// Tries after the first.
    pub retries: u32,
    /// The last try was at another server.
    pub redispatched: bool,
    /// Sessions served before this one in the server's queue.
    pub server_queue: u32,
    /// Sessions served before this one in the backend's queue.
    pub backend_queue: u32,
    /// `set-log-level`.
    pub level: Option<LogLevel>,
    /// `tcp-request content capture`, by slot.
    pub captures: Vec<Option<Vec<u8>>>,
    /// Variables of the session, by full name (`txn.x`).
    pub variables: Vec<(String, Sample)>,
    /// What `unique-id-format` gave, if somebody was told already.
    pub unique_id: Option<String>,
    /// Where it waits in queues.
    pub priority: Priority,
    /// A PROXY header came, with these words.
    pub proxied: Option<Proxied>,
    /// What only HTTP has.
    pub http: Option<Box<HttpRecord>>,
    /// What the kernel knows of the client's and the server's connection at
    /// the end, where the line shows it.
    pub tcp_info: Option<Box<[Option<TcpInfo>; 2]>>,
}

impl SessionRecord {
    /// A figure of one of its connections.
    pub fn tcp_figure(&self, server: bool, figure: TcpFigure, micros: bool) -> Option<u32> {
        let info = self.tcp_info.as_ref()?[usize::from(server)]?;
        Some(info.figure(figure, micros))
    }
}

/// What a PROXY header said besides addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxied {
    /// Host name.
    pub authority: Option<Vec<u8>>,
    /// Unique id.
    pub unique_id: Option<Vec<u8>>,
}

/// What the line of an HTTP request says besides a session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRecord {
    /// Request line as received, without the line's end; empty: not parsable.
    pub request_line: Vec<u8>,
    /// Status of the answer; nothing when there was none.
    pub status: Option<u16>,
    /// When the request's first byte came.
    pub requested: SystemTime,
    /// `%Ti`: idle before the request.
    pub idle_ms: u32,
    /// `%TR`: receiving the request.
    pub request_ms: Option<u32>,
    /// `%Tr`: from the connection to the answer's head.
    pub response_ms: Option<u32>,
    /// `%Ta`: from the request's first byte to the answer's last.
    pub active_ms: u32,
    /// Third and fourth letter of `%tsc`: cookies.
    pub cookie_letters: [char; 2],
    /// `%CC`: captured request cookie.
    pub request_cookie: Option<Vec<u8>>,
    /// `%CS`: captured response cookie.
    pub response_cookie: Option<Vec<u8>>,
    /// `%hr`: captured request headers by slot.
    pub request_headers: Vec<Option<Vec<u8>>>,
    /// `%hs`: captured response headers by slot.
    pub response_headers: Vec<Option<Vec<u8>>>,
}

impl HttpRecord {
    /// Method, URI and version of the request line.
    pub fn request_words(&self) -> impl Iterator<Item = &[u8]> {
        let words = self.request_line.split(|b| *b == b' ');
        words.filter(|word| !word.is_empty())
    }
}

/// A connection accepted on a frontend that speaks HTTP; its counters of
/// connections go down again when this is dropped.
pub struct HandedOver {
    /// The connected socket, not blocking.
    pub socket: OwnedFd,
    /// The frontend.
    pub frontend: Arc<Proxy>,
    /// Index of the bind line's address in the frontend.
    pub listener: u16,
    /// The client (from a PROXY header if there was one).
    pub client: Peer,
    /// What the client connected to.
    pub local: Peer,
    /// When it was accepted.
    pub accepted: SystemTime,
    /// Process clock of that.
    pub accepted_ms: u64,
    /// Keeps it counted.
    pub admission: super::Admission,
}
