//! From a complete publish to its queues: checks, routing, and what the publisher is owed.

use super::access::Right;
use super::channel::{Mode, Pending};
use super::connection::At;
use super::exchange::Kind;
use super::field::{self, FieldTable, FieldValue};
use super::journal::{Position, Reference, Stored};
use super::letters::Reason;
use super::message::Message;
use super::properties::{self, Glance, Properties, flag};
use super::queue::{Durability, Entry, LONGEST_MS, Overflow};
use super::refusal::{Code, Refusal};
use super::vhost::{Envelope, QueueId, Routes};
use super::wire::{Reader, WireError};
use super::{Core, frame, wire};

/// The properties that need no further look than [`properties::glance`].
const GLANCED: u16 = flag::DELIVERY_MODE | flag::PRIORITY;

/// What became of a message that was given to its queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The journal must have come up to here before the message is safe.
    pub position: Position,
    /// Written is enough; otherwise it must be durable.
    pub written: bool,
    /// Whether any queue refused it.
    pub refused: bool,
    /// Whether any queue has more than the memory holds, so that it makes messages go to the journal.
    pub pages: bool,
}

/// What the checks of a publish found out.
struct Checked {
    ttl_ms: Option<u64>,
    /// More routing keys, from the CC and BCC headers.
    copies: Vec<Vec<u8>>,
    /// The header rewritten, where it must be.
    header: Option<Vec<u8>>,
}

/// Takes `basic.publish` apart: exchange and key as they stand, and whether it is mandatory.
#[inline]
pub(super) fn arguments(payload: &[u8]) -> Result<(&[u8], bool), Refusal> {
    let short = |_| super::dispatch::malformed(WireError::Short);
    let body = payload.get(6..).unwrap_or_default();
    let mut input = Reader::new(body);
    input.short_bytes().map_err(short)?;
    input.short_bytes().map_err(short)?;
    let route = &body[..body.len() - input.rest().len()];
    let bits = input.octet().map_err(short)?;
    if !input.rest().is_empty() {
        return Err(super::dispatch::malformed(WireError::Long));
    }
    if bits & 2 != 0 {
        return Err(Refusal::new(Code::NotImplemented, "immediate=true"));
    }
    Ok((route, bits & 1 != 0))
}

/// Exchange and routing key out of two short strings.
#[inline]
fn split(route: &[u8]) -> (&[u8], &[u8]) {
    let length = route[0] as usize;
    (&route[1..1 + length], &route[2 + length..])
}

/// A queue may hold this much more in memory than it is counted with.
const UNCOUNTED: u64 = 8 << 10;

impl Core {
    /// A complete publish on a channel.
    pub(super) fn publish(
        &mut self,
        at: At,
        route: &[u8],
        mandatory: bool,
        header: &[u8],
        body: &[u8],
    ) -> Result<(), Refusal> {
        let glance = properties::glance(header).map_err(super::dispatch::malformed)?;
        let routes = self.resolve(at, route, header)?;
        let checked = if glance.flags & !GLANCED != 0 {
            Some(self.check(at, header, glance)?)
        } else {
            None
        };
        if let Some(mode) = glance.strange_mode {
            return Err(Refusal::precondition(format!(
                "invalid message: {{delivery_mode_unknown,{mode}}}"
            )));
        }
        self.note_publisher(at);
        let mut scratch = std::mem::take(&mut self.scratch);
        let rewritten = checked
            .as_ref()
            .and_then(|checked| checked.header.as_deref());
        let header = rewritten.unwrap_or(header);
        let message = Message::new(
            route,
            header,
            body,
            glance.persistent,
            glance.priority,
            &mut scratch,
        );
        if scratch.capacity() > 1 << 20 {
            scratch = Vec::new();
        }
        self.scratch = scratch;
        let mut ttl_ms = None;
        let mut routes = routes;
        if let Some(checked) = checked {
            ttl_ms = checked.ttl_ms;
            if !checked.copies.is_empty() {
                routes = self.with_copies(at, &message, routes, &checked.copies);
            }
        }
        self.statistics.publish += 1;
        if self.traced {
            let (_, vhost) = self.user_and_vhost(at);
            if self.is_traced(&vhost, &message) {
                self.tap_publish(&vhost, Some(at), &message, &routes);
            }
        }
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return Ok(());
        };
        channel.counters.publish += 1;
        if let Mode::Transaction(_) = &channel.mode {
            let pending = Pending {
                message,
                routes,
                ttl_ms,
                mandatory,
            };
            return self.hold_back(at, pending);
        }
        self.pass_on(at, message, &routes, ttl_ms, mandatory);
        Ok(())
    }

    /// Gives a message to its queues, returns it if there are none, and notes what the publisher is owed.
    pub(super) fn pass_on(
        &mut self,
        at: At,
        message: Message,
        routes: &Routes,
        ttl_ms: Option<u64>,
        mandatory: bool,
    ) {
        if routes.is_empty() {
            let is_reply = self.is_reply(&message);
            if is_reply {
                self.deliver_reply(&message);
            }
            // the address of a direct reply is no queue: such a message has no route
            if mandatory {
                self.return_message(at, &message);
            } else if !is_reply {
                self.note_dropped(at);
            }
            self.owe(
                at,
                Published {
                    position: Position::default(),
                    written: false,
                    refused: false,
                    pages: false,
                },
            );
            return;
        }
        let published = self.enqueue(message, routes, ttl_ms);
        self.owe(at, published);
    }

    fn note_dropped(&mut self, at: At) {
        self.statistics.drop_unroutable += 1;
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.counters.drop_unroutable += 1;
        }
    }

    /// The queues that exchange and key lead to, from the channel's cache where it can be.
    #[inline]
    fn resolve(&mut self, at: At, route: &[u8], header: &[u8]) -> Result<Routes, Refusal> {
        let version = self.metadata.version;
        let connection = &mut self.connections[at.connection as usize];
        if let Some(channel) = connection.channel_mut(at.channel)
            && let Some(routes) = channel.routes.publish(route, version)
        {
            return Ok(routes.clone());
        }
        self.resolve_anew(at, route, header)
    }

    fn resolve_anew(&mut self, at: At, route: &[u8], header: &[u8]) -> Result<Routes, Refusal> {
        let (exchange, key) = split(route);
        let exchange = std::str::from_utf8(exchange)
            .map_err(|_| Refusal::new(Code::SyntaxError, "an exchange's name is not UTF-8"))?;
        self.permit(at, Right::Write, "exchange", exchange)?;
        let (_, vhost) = self.user_and_vhost(at);
        let found = self.metadata.vhost(&vhost);
        let missing = || Refusal::no_exchange(&vhost, exchange);
        let entry = found
            .and_then(|v| v.exchanges.get(exchange))
            .ok_or_else(missing)?;
        if entry.spec.internal {
            return Err(Refusal::internal_exchange(&vhost, exchange));
        }
        self.permit_topic(at, Right::Write, exchange, &String::from_utf8_lossy(key))?;
        let by_key = found.is_some_and(|v| v.routes_by_key_only(exchange));
        let headers = || {
            Properties::decode(header)
                .map(|p| p.header_table())
                .unwrap_or_default()
        };
        let routes = found
            .map(|v| {
                v.route(
                    exchange,
                    &Envelope {
                        key,
                        headers: &headers,
                    },
                )
            })
            .unwrap_or_default();
        if !by_key {
            self.note_publish(Some(at), &vhost, exchange, &routes);
            return Ok(routes);
        }
        // what takes another's place in the cache is counted before
        self.note_publishes(at);
        let version = self.metadata.version;
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.routes.put(route, version, routes.clone());
        }
        Ok(routes)
    }

    /// Looks at the properties that mean something to the broker.
    fn check(&mut self, at: At, header: &[u8], glance: Glance) -> Result<Checked, Refusal> {
        let decoded = Properties::decode(header).map_err(super::dispatch::malformed)?;
        if let Some(headers) = decoded.headers {
            field::check(headers).map_err(|error| super::dispatch::malformed(error.into()))?;
        }
        let mut checked = Checked {
            ttl_ms: None,
            copies: Vec::new(),
            header: None,
        };
        if let Some(user) = decoded.user_id {
            self.check_user(at, user)?;
        }
        if let Some(expiration) = decoded.expiration {
            checked.ttl_ms = Some(parse_expiration(expiration)?);
        }
        let reply_to = match decoded.reply_to {
            Some(name) if super::reply::is_queue(name) => Some(self.reply_address(at)?),
            _ => None,
        };
        let mut headers = None;
        if decoded.headers.is_some_and(has_copies) {
            let mut table = decoded.header_table();
            checked.copies = copies(&table)?;
            if table.remove("BCC").is_some() {
                headers = Some(table.to_bytes());
            }
        }
        if reply_to.is_some() || headers.is_some() {
            let mut changed = decoded.clone();
            if let Some(address) = &reply_to {
                changed.reply_to = Some(address.as_bytes());
            }
            if let Some(table) = &headers {
                changed.headers = Some(&table[4..]);
            }
            checked.header = Some(changed.encode(glance.body_size));
        }
        Ok(checked)
    }

    fn check_user(&self, at: At, claimed: &[u8]) -> Result<(), Refusal> {
        self.check_claim(&self.connections[at.connection as usize].user, claimed)
    }

    /// Whether a user may name this one as who publishes.
    pub(super) fn check_claim(&self, user: &str, claimed: &[u8]) -> Result<(), Refusal> {
        let users = &self.metadata.access.users;
        let may_claim = users.get(user).is_some_and(|user| user.is("impersonator"));
        if claimed == user.as_bytes() || may_claim {
            return Ok(());
        }
        Err(Refusal::precondition(format!(
            "user_id property set to '{}' but authenticated user was '{user}'",
            String::from_utf8_lossy(claimed)
        )))
    }

    fn with_copies(&self, at: At, message: &Message, routes: Routes, copies: &[Vec<u8>]) -> Routes {
        let (_, vhost) = self.user_and_vhost(at);
        let Some(found) = self.metadata.vhost(&vhost) else {
            return routes;
        };
        let exchange = String::from_utf8_lossy(message.exchange());
        let headers = || {
            Properties::decode(message.header())
                .map(|p| p.header_table())
                .unwrap_or_default()
        };
        let mut routes = routes;
        for key in copies {
            routes.extend(found.route(
                &exchange,
                &Envelope {
                    key,
                    headers: &headers,
                },
            ));
        }
        routes.sort_unstable();
        routes.dedup();
        routes
    }

    fn return_message(&mut self, at: At, message: &Message) {
        self.statistics.return_unroutable += 1;
        let connection = &mut self.connections[at.connection as usize];
        let frame_max = connection.frame_max;
        let Some((channel, output)) = connection.channel_and_output(at.channel) else {
            return;
        };
        channel.counters.return_unroutable += 1;
        frame::write(output.buffer(), frame::METHOD, at.channel, |out| {
            out.extend_from_slice(&wire::begin::BASIC_RETURN);
            wire::short(out, Code::NoRoute.number());
            wire::shortstr(out, Code::NoRoute.name());
            out.extend_from_slice(message.route());
        });
        output.content(at.channel, message, frame_max);
        self.touch(at.connection);
    }

    /// Puts a message into queues: one record in the journal for all the durable ones.
    pub(super) fn enqueue(
        &mut self,
        message: Message,
        routes: &Routes,
        ttl_ms: Option<u64>,
    ) -> Published {
        let mut published = Published {
            position: Position::default(),
            written: false,
            refused: false,
            pages: false,
        };
        let mut stored: Option<Stored> = None;
        let mut seqs: smallvec::SmallVec<[(QueueId, u64); 4]> = smallvec::SmallVec::new();
        for id in routes {
            if !self.has_room(*id, &message) {
                published.refused = true;
                continue;
            }
            if let Some(queue) = self.queue_mut(*id) {
                published.pages |= queue.paged;
                seqs.push((*id, queue.take_seq()));
            }
        }
        if message.is_persistent() {
            let references = self.references(&seqs, ttl_ms);
            if !references.is_empty() {
                let (position, place) = self.journal.publish(&message, &references);
                published.position = position;
                published.written = self.settle_for_written(&seqs);
                if published.written {
                    self.journal.await_written(position);
                }
                stored = Some(place);
            }
        }
        for (id, seq) in seqs {
            self.push(id, seq, &message, ttl_ms, stored);
        }
        published
    }

    /// Whether no queue among them asks for more than that the journal has written.
    fn settle_for_written(&self, seqs: &[(QueueId, u64)]) -> bool {
        let kept = seqs
            .iter()
            .filter_map(|(id, _)| self.queue(*id))
            .filter(|queue| queue.keeps());
        kept.map(|queue| queue.settings.durability).max() == Some(Durability::Replicated)
    }

    fn references(
        &self,
        seqs: &[(QueueId, u64)],
        ttl_ms: Option<u64>,
    ) -> smallvec::SmallVec<[Reference; 4]> {
        let clock = self.clock;
        let durable = seqs.iter().filter_map(|(id, seq)| {
            let queue = self.queue(*id).filter(|queue| queue.keeps())?;
            let expires = queue.expiry(ttl_ms, clock.now_ms);
            let expires_ms = if expires == 0 {
                0
            } else {
                expires - clock.now_ms + clock.wall_ms
            };
            Some(Reference {
                queue: queue.key,
                seq: *seq,
                expires_ms,
            })
        });
        durable.collect()
    }

    #[inline]
    fn push(
        &mut self,
        id: QueueId,
        seq: u64,
        message: &Message,
        ttl_ms: Option<u64>,
        stored: Option<Stored>,
    ) {
        let now_ms = self.clock.now_ms;
        let Some(queue) = self.queue_mut(id) else {
            return;
        };
        let stored = stored.filter(|_| queue.keeps());
        queue.persistent += usize::from(stored.is_some());
        queue.counters.disk_writes += u64::from(stored.is_some());
        queue.counters.publish += 1;
        let expires_ms = queue.expiry(ttl_ms, now_ms);
        queue.ready.push(Entry {
            seq,
            message: Some(message.clone()),
            stored,
            spilled: false,
            expires_ms,
            returns: 0,
            size: message.size() as u32,
            priority: message.priority().min(queue.settings.max_priority),
            redelivered: false,
        });
        let bounded =
            queue.settings.max_length.is_some() || queue.settings.max_length_bytes.is_some();
        let grown = queue.ready.resident() > queue.counted + UNCOUNTED;
        let due = !queue.consumers.is_empty() || expires_ms != 0 || bounded || grown;
        if !queue.scheduled && due {
            queue.scheduled = true;
            self.scheduled.push(id);
        }
    }

    /// Whether a queue that rejects what it cannot hold can take one more.
    fn has_room(&mut self, id: QueueId, message: &Message) -> bool {
        let Some(queue) = self.queue(id) else {
            return false;
        };
        let overflow = queue.settings.overflow;
        if overflow == Overflow::DropHead || !queue.is_full_for(message.size()) {
            return true;
        }
        // consumers that wait may make room
        self.run_queue(id);
        let Some(queue) = self.queue(id) else {
            return false;
        };
        if !queue.is_full_for(message.size()) {
            return true;
        }
        if overflow == Overflow::RejectPublishDlx {
            self.letter(id, message.clone(), Reason::MaxLength, None);
        }
        false
    }
}

/// Whether CC or BCC may stand in an undecoded table.
fn has_copies(table: &[u8]) -> bool {
    memchr::memmem::find(table, b"CC").is_some()
}

/// The routing keys in the CC and BCC headers.
pub(super) fn copies(headers: &FieldTable) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut keys = Vec::new();
    for name in ["CC", "BCC"] {
        match headers.get(name) {
            None => {}
            Some(FieldValue::Array(items)) => {
                keys.extend(items.iter().filter_map(|item| match item {
                    FieldValue::LongString(key) => Some(key.clone()),
                    _ => None,
                }))
            }
            Some(other) => {
                let text = format!(
                    "invalid message: {{unacceptable_type_in_header,\"{name}\",{}}}",
                    other.type_name()
                );
                return Err(Refusal::precondition(text));
            }
        }
    }
    Ok(keys)
}

/// Reads the expiration property: a decimal number of milliseconds.
pub(super) fn parse_expiration(text: &[u8]) -> Result<u64, Refusal> {
    let shown = String::from_utf8_lossy(text);
    let refuse = |reason: String| {
        Err(Refusal::precondition(format!(
            "invalid expiration '{shown}': {reason}"
        )))
    };
    let sign = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = text[sign..]
        .iter()
        .take_while(|b| b.is_ascii_digit())
        .count();
    if digits == 0 {
        return refuse("no_integer".to_owned());
    }
    if sign + digits < text.len() {
        return refuse(format!(
            "{{leftover_string,\"{}\"}}",
            &shown[sign + digits..]
        ));
    }
    match shown.parse::<i64>() {
        Ok(n) if n < 0 => refuse(format!("{{value_negative,{n}}}")),
        Ok(n) if n > LONGEST_MS => refuse(format!("{{value_too_large,{n}}}")),
        Ok(n) => Ok(n as u64),
        Err(_) => refuse(format!("{{value_too_large,{shown}}}")),
    }
}

impl super::vhost::Vhost {
    /// Whether the queues depend on exchange and key alone, not on a message's headers.
    pub(super) fn routes_by_key_only(&self, exchange: &str) -> bool {
        if exchange.is_empty() {
            return true;
        }
        let plain = self
            .exchanges
            .get(exchange)
            .is_some_and(|exchange| exchange.kind != Kind::Headers);
        // a headers exchange may stand behind any exchange that is bound on or has an alternate
        plain && !self.has_headers_behind(exchange)
    }
}
