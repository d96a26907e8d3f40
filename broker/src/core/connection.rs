//! One client's connection: its state, its channels, what it was told and what waits to be written.

use super::access::Right;
use super::channel::Channel;
use super::field::{FieldTable, FieldValue};
use super::frame;
use super::journal::Position;
use super::output::Output;
use super::vhost::QueueId;
use std::net::SocketAddr;
use std::sync::Arc;

/// A channel of a connection: the connection's place in the engine's table and the channel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    pub connection: u32,
    pub channel: u16,
}

/// Where a connection stands between accept and close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waiting for the protocol header.
    Header,
    /// `connection.start` sent.
    Starting,
    /// A password is being checked elsewhere; input waits.
    Verifying,
    /// Refused without a word; the socket closes after a moment.
    Refused,
    /// `connection.tune` sent.
    Tuning,
    /// Waiting for `connection.open`.
    Opening,
    Running,
    /// `connection.close` sent.
    Closing,
    /// Nothing more is read; the socket closes when all is written.
    Closed,
}

/// What is shown of an encrypted connection, in the words of RabbitMQ's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encryption {
    /// `tlsv1.3`.
    pub protocol: String,
    /// `ecdhe_rsa`; `any` where the protocol leaves it open.
    pub key_exchange: String,
    /// `aes_256_gcm`.
    pub cipher: String,
    /// `aead`.
    pub hash: &'static str,
    /// Of the certificate that the client showed.
    pub certificate: Option<CertificateFacts>,
}

/// What is shown of a client's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// `CN=app,O=Shop`.
    pub subject: String,
    pub issuer: String,
    /// `2026-11-29T13:47:16Z - 2026-12-29T13:47:16Z`.
    pub validity: String,
}

/// How the client reached us.
#[derive(Debug, Clone)]
pub struct Peer {
    pub address: SocketAddr,
    pub local: SocketAddr,
    /// When encrypted.
    pub tls: Option<Arc<Encryption>>,
    /// The name in the client's certificate, when it showed one that is trusted.
    pub certificate: Option<String>,
}

impl Peer {
    pub fn is_loopback(&self) -> bool {
        self.address.ip().to_canonical().is_loopback()
    }

    /// `client:port -> server:port`: the connection's name.
    pub fn name(&self) -> String {
        let canonical = |a: &SocketAddr| SocketAddr::new(a.ip().to_canonical(), a.port());
        format!("{} -> {}", canonical(&self.address), canonical(&self.local))
    }
}

/// What the client said it can take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities {
    pub authentication_failure_close: bool,
    pub consumer_cancel_notify: bool,
    pub connection_blocked: bool,
}

impl Capabilities {
    /// Reads `capabilities` of the client properties; what is not said is not there.
    pub fn of(client_properties: &FieldTable) -> Capabilities {
        let Some(FieldValue::Table(table)) = client_properties.get("capabilities") else {
            return Capabilities::default();
        };
        let has = |name: &str| table.get(name) == Some(&FieldValue::Bool(true));
        Capabilities {
            authentication_failure_close: has("authentication_failure_close"),
            consumer_cancel_notify: has("consumer_cancel_notify"),
            connection_blocked: has("connection.blocked"),
        }
    }
}

/// What went over a connection since it began.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConnectionCounters {
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub received_frames: u64,
    pub sent_frames: u64,
}

/// A client's connection: what was negotiated, its channels, and what is to be written to it.
#[derive(Debug)]
pub struct Connection {
    /// Unique on this node for ever.
    pub serial: u64,
    pub state: State,
    pub peer: Peer,
    pub user: Arc<str>,
    pub vhost: Arc<str>,
    /// `PLAIN`, `AMQPLAIN` or `EXTERNAL`.
    pub mechanism: &'static str,
    pub client_properties: Option<Box<FieldTable>>,
    pub capabilities: Capabilities,
    pub channel_max: u16,
    pub frame_max: u32,
    pub heartbeat_s: u16,
    pub output: Output,
    pub connected_wall_ms: u64,
    pub counters: ConnectionCounters,
    /// Whether it has published: such connections are held back under an alarm.
    pub publishes: bool,
    /// Behind its last message in the journal, and behind others that had to go there because of it.
    pub journaled: Position,
    /// Whether `connection.blocked` was sent.
    pub told_blocked: bool,
    /// Since when nothing was received or sent, on the engine's clock.
    pub received_ms: u64,
    pub sent_ms: u64,
    /// Looks in a row, one each half of the heartbeat interval, that found it silent.
    pub missed: u8,
    /// Whether it stands in the engine's list of connections with something to write.
    pub dirty: bool,
    /// Whether a consumer was passed over because the output was full.
    pub starved: bool,
    /// Its `basic.get` waits for the disk.
    pub getting: bool,
    /// Answers that it is owed, see `answers`.
    pub owed: u16,
    /// Its next frame waits for one of them.
    pub awaiting: bool,
    /// The queues that end with it.
    pub exclusive_queues: Vec<QueueId>,
    channels: Vec<(u16, Box<Channel>)>,
}

impl Connection {
    pub fn new(serial: u64, peer: Peer, now_ms: u64, wall_ms: u64) -> Connection {
        Connection {
            serial,
            state: State::Header,
            peer,
            user: Arc::from(""),
            vhost: Arc::from(""),
            mechanism: "",
            client_properties: None,
            capabilities: Capabilities::default(),
            channel_max: 0,
            frame_max: frame::MIN_FRAME_MAX,
            heartbeat_s: 0,
            output: Output::default(),
            connected_wall_ms: wall_ms,
            counters: ConnectionCounters::default(),
            publishes: false,
            journaled: Position::default(),
            told_blocked: false,
            received_ms: now_ms,
            sent_ms: now_ms,
            missed: 0,
            dirty: false,
            starved: false,
            getting: false,
            owed: 0,
            awaiting: false,
            exclusive_queues: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Whether its frames wait for the disk.
    #[inline]
    pub fn is_held(&self) -> bool {
        self.getting || self.awaiting
    }

    pub fn channel(&self, number: u16) -> Option<&Channel> {
        let index = self
            .channels
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        Some(&self.channels[index].1)
    }

    #[inline]
    pub fn channel_mut(&mut self, number: u16) -> Option<&mut Channel> {
        self.channel_and_output(number).map(|(channel, _)| channel)
    }

    /// The channel together with the output that it writes to.
    #[inline]
    pub fn channel_and_output(&mut self, number: u16) -> Option<(&mut Channel, &mut Output)> {
        let index = match &self.channels[..] {
            [(only, _)] if *only == number => 0,
            channels => channels.binary_search_by_key(&number, |(n, _)| *n).ok()?,
        };
        Some((&mut self.channels[index].1, &mut self.output))
    }

    pub fn add_channel(&mut self, number: u16, channel: Channel) {
        if let Err(index) = self.channels.binary_search_by_key(&number, |(n, _)| *n) {
            self.channels.insert(index, (number, Box::new(channel)));
        }
    }

    pub fn remove_channel(&mut self, number: u16) -> Option<Channel> {
        let index = self
            .channels
            .binary_search_by_key(&number, |(n, _)| *n)
            .ok()?;
        Some(*self.channels.remove(index).1)
    }

    pub fn channels(&self) -> impl ExactSizeIterator<Item = (u16, &Channel)> {
        self.channels
            .iter()
            .map(|(number, channel)| (*number, &**channel))
    }

    pub fn channels_mut(&mut self) -> impl ExactSizeIterator<Item = (u16, &mut Channel)> {
        self.channels
            .iter_mut()
            .map(|(number, channel)| (*number, &mut **channel))
    }

    /// The word that listings show.
    pub fn state_word(&self) -> &'static str {
        match self.state {
            State::Header | State::Starting | State::Verifying | State::Refused => "starting",
            State::Tuning => "tuning",
            State::Opening => "opening",
            State::Running => "running",
            State::Closing => "closing",
            State::Closed => "closed",
        }
    }

    /// The name that the client gave itself.
    pub fn client_name(&self) -> Option<&str> {
        self.client_properties
            .as_ref()?
            .get("connection_name")?
            .as_str()
    }
}

/// The word of a right's refusal, shared by everything that checks one.
pub fn refusal_text(kind: &str, name: &str, vhost: &str, user: &str, _right: Right) -> String {
    let name = if kind == "exchange" && name.is_empty() {
        "amq.default"
    } else {
        name
    };
    format!("access to {kind} '{name}' in vhost '{vhost}' refused for user '{user}'")
}
