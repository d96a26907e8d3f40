//! What an operator may set about the engine, as plain values.

use std::time::Duration;

/// The engine's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// This node's name, `rabbit@host`.
    pub node: String,
    pub cluster_name: String,
    /// What clients are told in the server properties; some decide by it what they use.
    pub product: String,
    pub version: String,
    /// Behave as 4.x does where versions differ; 3.10 otherwise.
    pub compat_4: bool,
    /// Heartbeat that the server suggests, in seconds; 0 = none.
    pub heartbeat_s: u16,
    /// Largest frame, in bytes.
    pub frame_max: u32,
    /// Channels per connection at most; 0 = no limit.
    pub channel_max: u16,
    /// Open connections of the node at most; none = until files run out.
    pub connection_max: Option<u64>,
    /// Prefetch of a channel that sets none; 0 = no limit.
    pub default_prefetch: u16,
    /// Time from accept to `connection.open`.
    pub handshake_timeout: Duration,
    /// How long a delivery may stay unacknowledged; none = for ever.
    pub consumer_timeout: Option<Duration>,
    /// Largest message body, in bytes.
    pub max_message_size: u64,
    /// Bytes of waiting messages kept in memory; more are only on disk.
    pub message_memory: u64,
    pub default_vhost: String,
    pub default_user: String,
    pub default_pass: String,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            node: "rabbit@localhost".to_owned(),
            cluster_name: "rabbit@localhost".to_owned(),
            product: "RabbitMQ".to_owned(),
            version: "3.10.8".to_owned(),
            compat_4: false,
            heartbeat_s: 60,
            frame_max: 131_072,
            channel_max: 2047,
            connection_max: None,
            default_prefetch: 0,
            handshake_timeout: Duration::from_secs(10),
            consumer_timeout: Some(Duration::from_secs(30 * 60)),
            max_message_size: 134_217_728,
            message_memory: 48 << 20,
            default_vhost: "/".to_owned(),
            default_user: "guest".to_owned(),
            default_pass: "guest".to_owned(),
        }
    }
}
