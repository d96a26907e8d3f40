//! How connections, channels and queues come to an end, and what follows for those who used them.

use super::channel::Mode;
use super::connection::{At, State};
use super::metadata::Command;
use super::method::Method;
use super::queue::{ConsumerKey, Queue, QueueSettings};
use super::refusal::{Code, Refusal};
use super::returning::Returning;
use super::timers::Timer;
use super::vhost::QueueId;
use super::{Core, Effect};
use std::sync::Arc;

/// How long a client may take to answer `connection.close`.
const CLOSE_WITHIN_MS: u64 = 10_000;

impl Core {
    /// Appends a method to a connection's output.
    pub(super) fn send(&mut self, index: u32, channel: u16, method: &Method<'_>) {
        let connection = &mut self.connections[index as usize];
        connection.output.method(channel, method);
        connection.counters.sent_frames += 1;
        self.touch(index);
    }

    pub(super) fn reply(&mut self, at: At, method: &Method<'_>) {
        self.send(at.connection, at.channel, method);
    }

    /// Closes the channel or the connection, as the refusal's code demands. `method` is what was refused.
    pub(super) fn fail(&mut self, at: At, refusal: &Refusal, method: (u16, u16)) {
        if refusal.fatal || at.channel == 0 {
            self.fail_connection(at.connection, refusal, method);
            return;
        }
        tracing::warn!(channel = at.channel, %refusal, "channel error");
        self.release_channel(at);
        if let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) {
            channel.closing = true;
        }
        let close = Method::ChannelClose {
            reply_code: refusal.code.number(),
            reply_text: &refusal.reply_text(),
            class_id: method.0,
            method_id: method.1,
        };
        self.reply(at, &close);
    }

    /// Sends `connection.close` and waits for the answer.
    pub(super) fn fail_connection(&mut self, index: u32, refusal: &Refusal, method: (u16, u16)) {
        let state = self.connections[index as usize].state;
        if matches!(state, State::Closing | State::Closed) {
            return;
        }
        tracing::warn!(name = self.connections[index as usize].peer.name(), %refusal, "connection error");
        self.release_channels(index);
        let close = Method::ConnectionClose {
            reply_code: refusal.code.number(),
            reply_text: &refusal.reply_text(),
            class_id: method.0,
            method_id: method.1,
        };
        self.send(index, 0, &close);
        let connection = &mut self.connections[index as usize];
        connection.state = State::Closing;
        let timer = Timer::Handshake {
            connection: index,
            serial: connection.serial,
        };
        self.timers.set(self.clock.now_ms + CLOSE_WITHIN_MS, timer);
    }

    /// Closes a connection on an operator's word.
    pub fn close_connection(&mut self, index: u32, reason: &str) {
        if self.connections.contains(index as usize) {
            self.fail_connection(index, &Refusal::new(Code::ConnectionForced, reason), (0, 0));
        }
    }

    /// Begins an orderly stop: every client is told 320.
    pub fn stop(&mut self) {
        self.stopping = true;
        for index in self.connection_indexes() {
            if self.connections[index as usize].state == State::Running {
                self.close_connection(
                    index,
                    "broker forced connection closure with reason 'shutdown'",
                );
            } else {
                self.hang_up(index);
            }
        }
    }

    /// Whether an orderly stop has begun.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Nothing more is read; what waits is written, then the socket closes.
    pub(super) fn hang_up(&mut self, index: u32) {
        let connection = &mut self.connections[index as usize];
        if connection.state != State::Closed {
            connection.state = State::Closed;
            let serial = connection.serial;
            self.effects.push(Effect::Close {
                connection: index,
                serial,
            });
        }
    }

    /// The socket is gone: everything that the connection had is given back.
    pub fn disconnected(&mut self, index: u32) {
        if !self.connections.contains(index as usize) {
            return;
        }
        self.release_channels(index);
        self.statistics.connections_closed += 1;
        self.connections.remove(index as usize);
    }

    /// Closes a connection without a word, for what came before its first frame.
    pub fn abandon(&mut self, index: u32) {
        if self.connections.contains(index as usize) {
            self.hang_up(index);
        }
    }

    /// Gives back everything that a connection has: channels and exclusive queues.
    pub(super) fn release_channels(&mut self, index: u32) {
        let numbers: Vec<u16> = self.connections[index as usize]
            .channels()
            .map(|(number, _)| number)
            .collect();
        for channel in numbers {
            let at = At {
                connection: index,
                channel,
            };
            self.release_channel(at);
            self.forget_channel(at);
        }
        for id in std::mem::take(&mut self.connections[index as usize].exclusive_queues) {
            self.delete_by_id(id);
        }
    }

    /// Removes a channel that has been released.
    pub(super) fn forget_channel(&mut self, at: At) {
        if self.connections[at.connection as usize]
            .remove_channel(at.channel)
            .is_some()
        {
            self.statistics.channels_closed += 1;
        }
    }

    /// Gives back what a channel holds: consumers, deliveries, the transaction.
    pub(super) fn release_channel(&mut self, at: At) {
        self.note_publishes(at);
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return;
        };
        let consumers = std::mem::take(&mut channel.consumers);
        let unacked = std::mem::take(&mut channel.unacked);
        channel.mode = Mode::Plain;
        channel.content = None;
        channel.reply = None;
        let owed = std::mem::take(&mut channel.owed);
        if owed {
            self.forget_owed(at);
        }
        self.give_back(at, unacked);
        self.forget_returning(at);
        for consumer in consumers {
            self.remove_consumer(
                consumer.queue,
                ConsumerKey {
                    at,
                    number: consumer.number,
                },
            );
        }
    }

    /// Takes a consumer off its queue; an auto-delete queue ends with its last one.
    pub(super) fn remove_consumer(&mut self, id: QueueId, key: ConsumerKey) {
        let now_ms = self.clock.now_ms;
        let Some(queue) = self.queue_mut(id) else {
            return;
        };
        if !queue.consumers.remove(key) {
            return;
        }
        queue.used_ms = now_ms;
        if queue.auto_delete && queue.consumers.is_empty() {
            self.delete_by_id(id);
        } else {
            self.arm_unused(id);
            self.schedule(id);
        }
    }

    fn delete_by_id(&mut self, id: QueueId) {
        if let Some(queue) = self.queue(id) {
            let (vhost, name) = (queue.vhost.to_string(), queue.name.to_string());
            self.execute(Command::DeleteQueue { vhost, name });
        }
    }

    /// The queues and exchanges that a command is about to end, looked up before it is applied.
    pub(super) fn ends_with(&self, command: &Command) -> Ending {
        match command {
            Command::DeleteQueue { vhost, name } => {
                let record = self
                    .metadata
                    .vhost(vhost)
                    .and_then(|v| v.queues.get(name.as_str()));
                let sources =
                    self.sources_of(vhost, &super::vhost::Destination::Queue(name.clone()));
                Ending {
                    queues: record.map(|r| r.id).into_iter().collect(),
                    sources,
                }
            }
            Command::DeleteExchange { vhost, name } => {
                let destination = super::vhost::Destination::Exchange(name.clone());
                Ending {
                    queues: Vec::new(),
                    sources: self.sources_of(vhost, &destination),
                }
            }
            Command::Unbind { binding, .. } => Ending {
                queues: Vec::new(),
                sources: vec![binding.source.clone()],
            },
            Command::DeleteVhost { name } => {
                let queues = self
                    .metadata
                    .vhost(name)
                    .map(|v| v.queues.values().map(|r| r.id).collect());
                Ending {
                    queues: queues.unwrap_or_default(),
                    sources: Vec::new(),
                }
            }
            _ => Ending::default(),
        }
    }

    fn sources_of(&self, vhost: &str, destination: &super::vhost::Destination) -> Vec<String> {
        let Some(vhost) = self.metadata.vhost(vhost) else {
            return Vec::new();
        };
        let mut sources: Vec<String> = vhost
            .bindings_to(destination)
            .map(|b| b.source.clone())
            .collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// What a change of the metadata means for live queues and connections.
    pub(super) fn follow(&mut self, command: &Command, ending: Ending) {
        match command {
            Command::DeclareQueue { vhost, queue } => self.queue_declared(vhost, &queue.name),
            Command::DeleteQueue { vhost, .. }
            | Command::DeleteExchange { vhost, .. }
            | Command::Unbind { vhost, .. } => {
                ending.queues.iter().for_each(|id| self.queue_deleted(*id));
                self.delete_unused_exchanges(vhost, &ending.sources);
            }
            Command::DeleteVhost { name } => {
                ending.queues.iter().for_each(|id| self.queue_deleted(*id));
                self.close_where(&format!("vhost '{name}' is deleted"), |c| {
                    *c.vhost == **name
                });
            }
            Command::DeleteUser { name } => {
                self.close_where(&format!("user '{name}' is deleted"), |c| *c.user == **name);
            }
            Command::SetPolicy { vhost, .. }
            | Command::ClearPolicy { vhost, .. }
            | Command::SetOperatorPolicy { vhost, .. }
            | Command::ClearOperatorPolicy { vhost, .. } => self.renew_settings(vhost),
            _ => {}
        }
    }

    /// The connections that there are now; some may go while they are visited.
    pub(super) fn connection_indexes(&self) -> Vec<u32> {
        let all = self.connections.iter();
        all.map(|(index, _)| index as u32).collect()
    }

    fn close_where(
        &mut self,
        reason: &str,
        which: impl Fn(&super::connection::Connection) -> bool,
    ) {
        let of = self
            .connections
            .iter()
            .filter(|(_, c)| c.state == State::Running && which(c));
        let indexes: Vec<u32> = of.map(|(index, _)| index as u32).collect();
        for index in indexes {
            self.close_connection(index, reason);
        }
    }

    fn queue_declared(&mut self, vhost: &str, name: &str) {
        let now_ms = self.clock.now_ms;
        let Some(record) = self.metadata.vhost(vhost).and_then(|v| v.queues.get(name)) else {
            return;
        };
        let id = record.id;
        if self.queue(id).is_some() {
            return;
        }
        let place = id.index as usize;
        if self.queues.len() <= place {
            self.queues.resize_with(place + 1, || None);
        }
        self.queues[place] = Some(Box::new(Queue::new(Arc::from(vhost), record, now_ms)));
        self.statistics.queues_created += 1;
        self.arm_unused(id);
    }

    /// Ends a live queue: its consumers are told, its messages go.
    fn queue_deleted(&mut self, id: QueueId) {
        let Some(place) = self.queues.get_mut(id.index as usize) else {
            return;
        };
        let Some(mut queue) = place.take_if(|queue| queue.id == id) else {
            return;
        };
        self.statistics.queues_deleted += 1;
        let gone = match queue.quorum {
            true => &mut self.statistics.gone_quorum,
            false => &mut self.statistics.gone_classic,
        };
        gone.add(&queue.counters);
        if queue.expiry_timer_ms != 0 {
            self.timers.clear(queue.expiry_timer_ms, Timer::Message(id));
        }
        if queue.unused_timer_ms != 0 {
            self.timers.clear(queue.unused_timer_ms, Timer::Unused(id));
        }
        self.settle_all(&mut queue);
        if let Some(owner) = queue.owner {
            let connection = self.connections.iter_mut().find(|(_, c)| c.serial == owner);
            if let Some((_, connection)) = connection {
                connection.exclusive_queues.retain(|other| *other != id);
            }
        }
        for key in queue.consumers.keys() {
            self.cancel_by_server(key);
        }
    }

    /// A deleted queue's messages are settled, those that are out too.
    fn settle_all(&mut self, queue: &mut Queue) {
        self.uncount(queue.counted);
        let mut stored = Vec::new();
        let condemned = std::mem::take(&mut queue.condemned);
        stored.extend(
            condemned
                .into_iter()
                .filter_map(|(entry, _)| entry.stored.map(|stored| (entry.seq, stored))),
        );
        if queue.unacked > 0 {
            let channels = self
                .connections
                .iter_mut()
                .flat_map(|(_, c)| c.channels_mut());
            let out = channels.flat_map(|(_, channel)| channel.unacked.iter_mut());
            let returning = self.returning.iter_mut().flat_map(Returning::iter_mut);
            for held in out.chain(returning) {
                if held.queue == queue.id {
                    stored.extend(
                        held.entry
                            .stored
                            .take()
                            .map(|stored| (held.entry.seq, stored)),
                    );
                }
            }
        }
        if !stored.is_empty() {
            self.journal.purge(queue.key, &stored);
        }
        self.let_go(queue.key, queue.ready.take());
        self.journal.forget(queue.key);
    }

    /// Takes a consumer off its channel and tells the client, if it asked to be told.
    fn cancel_by_server(&mut self, key: ConsumerKey) {
        let Some(connection) = self.connections.get_mut(key.at.connection as usize) else {
            return;
        };
        let notify = connection.capabilities.consumer_cancel_notify;
        let Some(channel) = connection.channel_mut(key.at.channel) else {
            return;
        };
        let Some(index) = channel
            .consumers
            .iter()
            .position(|c| c.number == key.number)
        else {
            return;
        };
        let consumer = channel.consumers.remove(index);
        if notify {
            self.reply_in_order(
                key.at,
                &Method::BasicCancel {
                    consumer_tag: &consumer.tag,
                    nowait: true,
                },
            );
        }
    }

    /// Auto-delete exchanges end with their last binding.
    fn delete_unused_exchanges(&mut self, vhost: &str, sources: &[String]) {
        for source in sources {
            let exchange = self
                .metadata
                .vhost(vhost)
                .and_then(|v| v.exchanges.get(source.as_str()));
            if exchange.is_some_and(|e| e.spec.auto_delete && e.bindings() == 0) {
                self.execute(Command::DeleteExchange {
                    vhost: vhost.to_owned(),
                    name: source.clone(),
                });
            }
        }
    }

    /// Policies have changed: every queue of the vhost works out its settings again.
    fn renew_settings(&mut self, vhost: &str) {
        let Some(found) = self.metadata.vhost(vhost) else {
            return;
        };
        let renewed: Vec<(QueueId, QueueSettings)> = found
            .queues
            .values()
            .map(|record| {
                let spec = &record.spec;
                (
                    record.id,
                    QueueSettings::new(
                        &spec.arguments,
                        &record.policy.definition,
                        spec.is_quorum(),
                    ),
                )
            })
            .collect();
        for (id, settings) in renewed {
            if let Some(queue) = self.queue_mut(id) {
                queue.change_settings(settings);
                self.arm_unused(id);
                self.schedule(id);
            }
        }
    }
}

/// What a command ends besides itself.
#[derive(Debug, Default)]
pub(super) struct Ending {
    queues: Vec<QueueId>,
    sources: Vec<String>,
}
