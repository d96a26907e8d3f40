//! The firehose: copies of what is published and delivered in a virtual host that is traced.
//!
//! They go to `amq.rabbitmq.trace` with the keys `publish.EXCHANGE` and `deliver.QUEUE`, at the turn's end. Messages
//! that came through that exchange are not copied again.

use super::Core;
use super::connection::At;
use super::field::{FieldTable, FieldValue};
use super::message::Message;
use super::properties::Properties;
use super::vhost::{Envelope, Routes};
use std::sync::Arc;

const EXCHANGE: &str = "amq.rabbitmq.trace";

/// A copy on its way.
#[derive(Debug)]
pub(super) struct Tap {
    vhost: Arc<str>,
    key: String,
    headers: FieldTable,
    body: Message,
}

impl Core {
    /// Looks again whether any virtual host is traced.
    pub(super) fn note_tracing(&mut self) {
        self.traced = self.metadata.vhosts.values().any(|v| v.spec.tracing);
    }

    #[inline]
    pub(super) fn is_traced(&self, vhost: &str, message: &Message) -> bool {
        self.traced && self.taps(vhost, message)
    }

    #[cold]
    fn taps(&self, vhost: &str, message: &Message) -> bool {
        message.exchange() != EXCHANGE.as_bytes()
            && self.metadata.vhost(vhost).is_some_and(|v| v.spec.tracing)
    }

    /// Copies a message that came in; `at` is nothing for the management interface.
    #[cold]
    pub(super) fn tap_publish(
        &mut self,
        vhost: &str,
        at: Option<At>,
        message: &Message,
        routes: &Routes,
    ) {
        let queues = routes.iter().filter_map(|id| self.queue(*id));
        let queues = queues
            .map(|queue| FieldValue::string(&*queue.name))
            .collect();
        let mut headers = self.tap_headers(vhost, at, message);
        headers.set("routed_queues", FieldValue::Array(queues));
        let key = format!("publish.{}", String::from_utf8_lossy(message.exchange()));
        self.tap(vhost, key, headers, message);
    }

    /// Copies a message that went out.
    #[cold]
    pub(super) fn tap_deliver(
        &mut self,
        vhost: &str,
        at: At,
        queue: &str,
        message: &Message,
        redelivered: bool,
    ) {
        let mut headers = self.tap_headers(vhost, Some(at), message);
        headers.set("redelivered", FieldValue::I32(redelivered.into()));
        self.tap(vhost, format!("deliver.{queue}"), headers, message);
    }

    fn tap(&mut self, vhost: &str, key: String, headers: FieldTable, message: &Message) {
        self.taps.push(Tap {
            vhost: vhost.into(),
            key,
            headers,
            body: message.clone(),
        });
    }

    fn tap_headers(&self, vhost: &str, at: Option<At>, message: &Message) -> FieldTable {
        let text = |bytes: &[u8]| FieldValue::LongString(bytes.to_vec());
        let properties = Properties::decode(message.header()).unwrap_or_default();
        let copies = super::publish::copies(&properties.header_table()).unwrap_or_default();
        let keys = std::iter::once(text(message.routing_key()))
            .chain(copies.into_iter().map(FieldValue::LongString));
        let mut headers = FieldTable::from([
            ("exchange_name", text(message.exchange())),
            ("routing_keys", FieldValue::Array(keys.collect())),
            ("properties", FieldValue::Table(table(&properties))),
            ("node", FieldValue::string(self.settings.node.as_str())),
            ("vhost", FieldValue::string(vhost)),
        ]);
        let connection = at.and_then(|at| self.connections.get(at.connection as usize));
        let (name, user) = match connection {
            Some(connection) => (connection.peer.name(), &*connection.user),
            None => ("<rabbit>".to_owned(), "none"),
        };
        headers.set("connection", FieldValue::string(name));
        let channel = at.map_or(0, |at| at.channel);
        headers.set("channel", FieldValue::I32(channel.into()));
        headers.set("user", FieldValue::string(user));
        headers
    }

    /// Publishes the copies gathered so far. Copies are not copied: this ends.
    pub(super) fn post_taps(&mut self) {
        for tap in std::mem::take(&mut self.taps) {
            let Some(vhost) = self.metadata.vhost(&tap.vhost) else {
                continue;
            };
            let envelope = Envelope {
                key: &tap.key.as_bytes()[..tap.key.len().min(255)],
                headers: &|| tap.headers.clone(),
            };
            let routes = vhost.route(EXCHANGE, &envelope);
            if routes.is_empty() {
                continue;
            }
            let mut route = Vec::with_capacity(EXCHANGE.len() + envelope.key.len() + 2);
            for part in [EXCHANGE.as_bytes(), envelope.key] {
                route.push(part.len() as u8);
                route.extend_from_slice(part);
            }
            let headers = tap.headers.to_bytes();
            let properties = Properties {
                headers: Some(&headers[4..]),
                ..Properties::default()
            };
            let body = tap.body.body();
            let header = properties.encode(body.len() as u64);
            let message = Message::new(&route, &header, body, false, 0, &mut Vec::new());
            self.enqueue(message, &routes, None);
        }
    }
}

/// The properties that are set, by their names.
fn table(properties: &Properties<'_>) -> FieldTable {
    let mut table = FieldTable::new();
    let texts = [
        ("content_type", properties.content_type),
        ("content_encoding", properties.content_encoding),
        ("correlation_id", properties.correlation_id),
        ("reply_to", properties.reply_to),
        ("expiration", properties.expiration),
        ("message_id", properties.message_id),
        ("type", properties.kind),
        ("user_id", properties.user_id),
        ("app_id", properties.app_id),
        ("cluster_id", properties.cluster_id),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            table.set(name, FieldValue::LongString(text.to_vec()));
        }
    }
    if properties.headers.is_some() {
        table.set("headers", FieldValue::Table(properties.header_table()));
    }
    let numbers = [
        ("delivery_mode", properties.delivery_mode),
        ("priority", properties.priority),
    ];
    for (name, number) in numbers {
        if let Some(number) = number {
            table.set(name, FieldValue::I32(number.into()));
        }
    }
    if let Some(at) = properties.timestamp {
        table.set("timestamp", FieldValue::Timestamp(at));
    }
    table
}
