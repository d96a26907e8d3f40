//! Reading, moving and publishing for somebody who has no connection: the
//! management interface.

use super::Core;
use super::letters::Reason;
use super::message::Message;
use super::properties::{Properties, glance};
use super::refusal::{Code, Refusal};
use super::vhost::{Envelope, QueueId};

/// What becomes of messages that were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// They go back to their places, to be flagged when they go out again.
    Back,
    /// They are gone.
    Gone,
    /// They are rejected: to the dead-letter exchange, where there is one.
    Rejected,
}

/// A message that was read.
#[derive(Debug, Clone)]
pub struct Browsed {
    /// The message.
    pub message: Message,
    /// Whether it had been out before.
    pub redelivered: bool,
    /// Messages ready behind it.
    pub left: usize,
}

impl Core {
    fn browsed_queue(&self, vhost: &str, name: &str) -> Result<QueueId, Refusal> {
        let found = self
            .metadata
            .vhost(vhost)
            .ok_or_else(|| Refusal::new(Code::NotAllowed, format!("vhost {vhost} not found")))?;
        let record = found.queues.get(name);
        record
            .map(|record| record.id)
            .ok_or_else(|| Refusal::no_queue(vhost, name))
    }

    /// Reads up to `count` ready messages in their order.
    pub fn browse(
        &mut self,
        vhost: &str,
        name: &str,
        count: usize,
        leave: Leave,
    ) -> Result<Vec<Browsed>, Refusal> {
        let id = self.browsed_queue(vhost, name)?;
        self.run_queue(id);
        let mut read = Vec::new();
        let mut entries = Vec::new();
        while read.len() < count {
            let Some((mut entry, message)) = self.take_ready(id) else {
                break;
            };
            let Some(queue) = self.queue_mut(id) else {
                break;
            };
            queue.counters.get += 1;
            queue.counters.redeliver += u64::from(entry.redelivered);
            let left = queue.ready.len();
            self.statistics.get += 1;
            self.statistics.redeliver += u64::from(entry.redelivered);
            let redelivered = entry.redelivered;
            entry.message = Some(message.clone());
            read.push(Browsed {
                message,
                redelivered,
                left,
            });
            entries.push(entry);
        }
        if read.is_empty() {
            self.statistics.get_empty += 1;
            if let Some(queue) = self.queue_mut(id) {
                queue.counters.get_empty += 1;
            }
        }
        for entry in entries {
            let Some(queue) = self.queue_mut(id) else {
                break;
            };
            match leave {
                Leave::Back => queue.put_back(entry),
                Leave::Rejected => {
                    queue.counters.rejected += 1;
                    self.bury(id, entry, Reason::Rejected);
                }
                Leave::Gone => {
                    queue.counters.ack += 1;
                    self.statistics.ack += 1;
                    self.forget_entry(id, entry.seq, entry.stored);
                }
            }
        }
        self.schedule(id);
        Ok(read)
    }

    fn forget_entry(&mut self, id: QueueId, seq: u64, stored: Option<super::journal::Stored>) {
        let (Some(stored), Some(queue)) = (stored, self.queue_mut(id)) else {
            return;
        };
        queue.persistent = queue.persistent.saturating_sub(1);
        let key = queue.key;
        self.journal.settle(key, seq, stored);
    }

    /// Publishes a message; says whether it went to any queue.
    pub fn inject(
        &mut self,
        vhost: &str,
        exchange: &str,
        key: &str,
        header: &[u8],
        body: &[u8],
    ) -> Result<bool, Refusal> {
        let too_long =
            |name: &str| Refusal::precondition(format!("{name} is longer than 255 bytes"));
        if exchange.len() > 255 {
            return Err(too_long("the exchange's name"));
        }
        if key.len() > 255 {
            return Err(too_long("the routing key"));
        }
        let malformed = |_| Refusal::precondition("the properties cannot be read");
        let seen = glance(header).map_err(malformed)?;
        let decoded = Properties::decode(header).map_err(malformed)?;
        let ttl_ms = decoded.expiration.map(expiration).transpose()?;
        let mut route = Vec::with_capacity(exchange.len() + key.len() + 2);
        for part in [exchange, key] {
            route.push(part.len() as u8);
            route.extend_from_slice(part.as_bytes());
        }
        let scratch = &mut Vec::new();
        let message = Message::new(
            &route,
            header,
            body,
            seen.persistent,
            seen.priority,
            scratch,
        );
        self.statistics.publish += 1;
        self.inject_message(vhost, exchange, key.as_bytes(), message, ttl_ms)
    }

    fn inject_message(
        &mut self,
        vhost: &str,
        exchange: &str,
        key: &[u8],
        message: Message,
        ttl_ms: Option<u64>,
    ) -> Result<bool, Refusal> {
        let found = self.metadata.vhost(vhost);
        let known = found.filter(|v| v.exchanges.contains_key(exchange));
        let known = known.ok_or_else(|| Refusal::no_exchange(vhost, exchange))?;
        let headers = || {
            Properties::decode(message.header())
                .map(|p| p.header_table())
                .unwrap_or_default()
        };
        let envelope = Envelope {
            key,
            headers: &headers,
        };
        let routes = known.route(exchange, &envelope);
        if self.is_traced(vhost, &message) {
            self.tap_publish(vhost, None, &message, &routes);
        }
        if routes.is_empty() {
            self.statistics.drop_unroutable += 1;
            return Ok(false);
        }
        let published = self.enqueue(message, &routes, ttl_ms);
        Ok(!published.refused)
    }

    /// Moves up to `count` ready messages to an exchange. Each leaves its queue
    /// only after another has it; the first that finds none ends the moving.
    pub fn move_ready(
        &mut self,
        vhost: &str,
        name: &str,
        exchange: &str,
        key: &str,
        count: usize,
    ) -> Result<usize, Refusal> {
        let id = self.browsed_queue(vhost, name)?;
        self.run_queue(id);
        let ready = self.queue(id).map_or(0, |queue| queue.ready.len());
        let mut moved = 0;
        while moved < count.min(ready) {
            let Some((mut entry, message)) = self.take_ready(id) else {
                break;
            };
            let left_ms = match entry.expires_ms {
                0 => None,
                at => Some(at.saturating_sub(self.clock.now_ms)),
            };
            let taken =
                self.inject_message(vhost, exchange, key.as_bytes(), message.clone(), left_ms);
            if !matches!(taken, Ok(true)) {
                entry.message = Some(message);
                if let Some(queue) = self.queue_mut(id) {
                    queue.ready.put_back(entry);
                }
                taken?;
                break;
            }
            self.forget_entry(id, entry.seq, entry.stored);
            moved += 1;
        }
        self.schedule(id);
        Ok(moved)
    }
}

fn expiration(text: &[u8]) -> Result<u64, Refusal> {
    let shown = String::from_utf8_lossy(text);
    shown
        .parse()
        .map_err(|_| Refusal::precondition(format!("invalid expiration '{shown}': no_integer")))
}
