//! What the management interface shows, as plain data gathered on the core
//! thread and formatted elsewhere.

use super::numbers::ChannelNumbers;
use crate::core::connection::Encryption;
use crate::core::field::FieldTable;
use crate::core::letters::Deaths;
use crate::core::policy::Effective;
use std::sync::Arc;

/// Counters that rates are made of, of a queue, a channel or the whole node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that came in.
    pub publish: u64,
    /// Confirms sent.
    pub confirm: u64,
    /// Messages returned as unroutable.
    pub return_unroutable: u64,
    /// Messages dropped as unroutable.
    pub drop_unroutable: u64,
    /// Deliveries to be acknowledged.
    pub deliver: u64,
    /// Deliveries without acknowledgement.
    pub deliver_no_ack: u64,
    /// Messages fetched to be acknowledged.
    pub get: u64,
    /// Messages fetched without acknowledgement.
    pub get_no_ack: u64,
    /// Fetches from an empty queue.
    pub get_empty: u64,
    /// Acknowledgements.
    pub ack: u64,
    /// Deliveries of messages that were out before.
    pub redeliver: u64,
    /// Messages read from the disk.
    pub disk_reads: u64,
    /// Messages written to the disk.
    pub disk_writes: u64,
}

impl Counters {
    /// Names and values in the order of the API.
    pub fn named(&self) -> [(&'static str, u64); 14] {
        [
            ("ack", self.ack),
            ("confirm", self.confirm),
            ("deliver", self.deliver),
            ("deliver_get", self.deliver_get()),
            ("deliver_no_ack", self.deliver_no_ack),
            ("disk_reads", self.disk_reads),
            ("disk_writes", self.disk_writes),
            ("drop_unroutable", self.drop_unroutable),
            ("get", self.get),
            ("get_empty", self.get_empty),
            ("get_no_ack", self.get_no_ack),
            ("publish", self.publish),
            ("redeliver", self.redeliver),
            ("return_unroutable", self.return_unroutable),
        ]
    }

    /// All that left a queue.
    pub fn deliver_get(&self) -> u64 {
        self.deliver + self.deliver_no_ack + self.get + self.get_no_ack
    }
}

/// Traffic between two things, of which the list that shows it knows the one.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Which one it is, for its rates.
    pub pair: Pair,
    /// The other one.
    pub with: With,
    /// What happened so far.
    pub counters: Counters,
}

/// The two ends of some traffic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Pair {
    /// A channel (its connection's number and its own) and an exchange.
    Publishing(u64, u16, std::sync::Arc<str>),
    /// An exchange, by virtual host and name, and a queue.
    Routing(std::sync::Arc<str>, std::sync::Arc<str>, u64),
    /// A channel and a queue.
    Taking(u64, u16, u64),
}

/// What the traffic of a list goes to or comes from.
#[derive(Clone, Debug)]
pub enum With {
    /// A channel: name, number, its connection's name and number, client, user.
    Channel(ChannelName),
    /// An exchange by name, of the same virtual host.
    Exchange(String),
    /// A queue by name, of the same virtual host.
    Queue(String),
}

/// How a channel is named in the lists of others.
#[derive(Clone, Debug)]
pub struct ChannelName {
    /// Its connection's number.
    pub connection_id: u64,
    /// Its connection's name.
    pub connection: String,
    /// Its number.
    pub number: u16,
    /// The client's address and port.
    pub peer: (String, u16),
    /// The user.
    pub user: String,
}

impl ChannelName {
    /// `10.0.0.1:4000 -> 10.0.0.2:5672 (1)`.
    pub fn text(&self) -> String {
        format!("{} ({})", self.connection, self.number)
    }
}

/// One queue.
#[derive(Clone, Debug)]
pub struct QueueView {
    /// Its virtual host.
    pub vhost: String,
    /// Its name.
    pub name: String,
    /// Survives a restart.
    pub durable: bool,
    /// Goes with its last consumer.
    pub auto_delete: bool,
    /// The connection that alone may use it, by name.
    pub owner: Option<String>,
    /// Belongs to one connection alone.
    pub exclusive: bool,
    /// As declared.
    pub arguments: FieldTable,
    /// A quorum queue.
    pub quorum: bool,
    /// What policies give it.
    pub policy: Effective,
    /// Consumers.
    pub consumers: usize,
    /// The tag of the consumer that has it for itself.
    pub exclusive_consumer: Option<String>,
    /// The tag of the single active consumer.
    pub single_active: Option<String>,
    /// Messages ready.
    pub ready: u64,
    /// Messages out.
    pub unacked: u64,
    /// Bodies' bytes ready.
    pub ready_bytes: u64,
    /// Bodies' bytes out.
    pub unacked_bytes: u64,
    /// Messages that are on disk.
    pub persistent: u64,
    /// Messages whose bodies are in memory.
    pub in_memory: u64,
    /// Bodies' bytes in memory.
    pub in_memory_bytes: u64,
    /// Messages ready by priority, the lowest first; one number where there are no priorities.
    pub by_priority: Vec<usize>,
    /// When it was used last apart from messages, in milliseconds since 1970.
    pub used_ms: u64,
    /// The timestamp property of the message at the head.
    pub head_timestamp: Option<u64>,
    /// The part of time in which consumers could take at once what came.
    pub capacity: f64,
    /// What happened so far.
    pub counters: Counters,
}

/// One consumer.
#[derive(Clone, Debug)]
pub struct ConsumerView {
    /// The queue's virtual host.
    pub vhost: String,
    /// The queue.
    pub queue: String,
    /// The consumer's tag.
    pub tag: String,
    /// Deliveries must be acknowledged.
    pub ack_required: bool,
    /// Has the queue for itself.
    pub exclusive: bool,
    /// Gets messages (with single active consumer only one does).
    pub active: bool,
    /// Unacknowledged messages at most; 0 = no limit.
    pub prefetch: u16,
    /// As given.
    pub arguments: FieldTable,
    /// The channel.
    pub channel: ChannelName,
}

/// One channel.
#[derive(Clone, Debug)]
pub struct ChannelView {
    /// `10.0.0.1:4000 -> 10.0.0.2:5672 (1)`.
    pub name: String,
    /// Its number.
    pub number: u16,
    /// The connection's name.
    pub connection: String,
    /// The client's address and port.
    pub peer: (String, u16),
    /// The user.
    pub user: String,
    /// The virtual host.
    pub vhost: String,
    /// Confirms are on.
    pub confirm: bool,
    /// Transactions are on.
    pub transactional: bool,
    /// Consumers, messages out, limits.
    pub numbers: ChannelNumbers,
    /// What happened so far.
    pub counters: Counters,
}

/// One connection.
#[derive(Clone, Debug)]
pub struct ConnectionView {
    /// `10.0.0.1:4000 -> 10.0.0.2:5672`.
    pub name: String,
    /// The number by which it is closed.
    pub id: u64,
    /// The name that the client gave it.
    pub user_provided_name: Option<String>,
    /// The client's address and port.
    pub peer: (String, u16),
    /// Our address and port.
    pub host: (String, u16),
    /// The user.
    pub user: String,
    /// The virtual host.
    pub vhost: String,
    /// `PLAIN`.
    pub mechanism: String,
    /// With TLS.
    pub tls: Option<Arc<Encryption>>,
    /// `running`, `blocked`, `blocking`, `flow`, ...
    pub state: &'static str,
    /// Open channels.
    pub channels: u64,
    /// Channels at most.
    pub channel_max: u16,
    /// Bytes of a frame at most.
    pub frame_max: u32,
    /// Heartbeat in seconds.
    pub heartbeat_s: u16,
    /// What the client said about itself.
    pub client_properties: FieldTable,
    /// Since, in milliseconds since 1970.
    pub connected_at_ms: u64,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Frames received.
    pub received_frames: u64,
    /// Frames sent.
    pub sent_frames: u64,
    /// Bytes that wait to be sent.
    pub pending: u64,
}

/// What came and went since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Churn {
    /// Connections opened.
    pub connections_created: u64,
    /// Connections closed.
    pub connections_closed: u64,
    /// Channels opened.
    pub channels_created: u64,
    /// Channels closed.
    pub channels_closed: u64,
    /// Queues asked for, whether they were there or not.
    pub queues_declared: u64,
    /// Queues that were not there before.
    pub queues_created: u64,
    /// Queues deleted.
    pub queues_deleted: u64,
}

impl Churn {
    /// Names and values in the order of the API.
    pub fn named(&self) -> [(&'static str, u64); 7] {
        [
            ("connection_created", self.connections_created),
            ("connection_closed", self.connections_closed),
            ("channel_created", self.channels_created),
            ("channel_closed", self.channels_closed),
            ("queue_declared", self.queues_declared),
            ("queue_created", self.queues_created),
            ("queue_deleted", self.queues_deleted),
        ]
    }
}

/// How many there are now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Connections of clients.
    pub connections: u64,
    /// Their channels.
    pub channels: u64,
    /// Consumers.
    pub consumers: u64,
    /// Exchanges.
    pub exchanges: u64,
    /// Queues.
    pub queues: u64,
}

/// The node's numbers.
#[derive(Clone, Debug, Default)]
pub struct NodeView {
    /// Counters of all channels together, ended ones included.
    pub counters: Counters,
    /// What came and went since the node started.
    pub churn: Churn,
    /// What is there now.
    pub open: Open,
    /// Messages ready, out.
    pub messages: (u64, u64),
    /// Bodies' bytes ready, out.
    pub message_bytes: (u64, u64),
    /// Memory alarm, disk alarm.
    pub alarms: (bool, bool),
    /// Channels that have published.
    pub publishers: u64,
    /// Publishes that were to be confirmed.
    pub publish_confirm: u64,
    /// What happened in quorum queues, deleted ones too.
    pub quorum: Counters,
    /// AMQP logins granted, refused.
    pub logins: (u64, u64),
    /// Messages that left queues undelivered.
    pub deaths: Deaths,
    /// Stored messages that could not be read back, and were passed over.
    pub unreadable: u64,
}

/// The store's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreView {
    /// Bytes that the process wrote to disks.
    pub written: u64,
    /// Bytes that the process read from disks.
    pub read: u64,
    /// Write calls of the process, to sockets, too.
    pub write_calls: u64,
    /// Read calls of the process, from sockets, too.
    pub read_calls: u64,
    /// Files of the message log.
    pub files: u64,
    /// Bytes of the message log on disk.
    pub disk_bytes: u64,
}
