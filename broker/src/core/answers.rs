//! Answers to declarations wait until what they say is on the disk, so that `kill -9` or a power loss cannot take back
//! what a client was told.
//!
//! Only what survives a restart is waited for, and only by its own channel: the channel's next frame waits for the
//! answer, and with it what its connection sent behind that. Deliveries, confirms and other connections go on.

use super::connection::At;
use super::frame;
use super::journal::Position;
use super::method::Method;
use super::{Core, Effect};

/// An answer that the journal must first come up to.
#[derive(Debug)]
pub(super) struct Owed {
    at: At,
    after: Position,
    frames: Vec<u8>,
    count: u64,
}

impl Owed {
    fn add(&mut self, method: &Method<'_>) {
        frame::write(&mut self.frames, frame::METHOD, self.at.channel, |out| {
            method.encode(out)
        });
        self.count += 1;
    }
}

impl Core {
    /// A request begins: what is answered from here on rests on nothing yet.
    pub fn begin_request(&mut self) {
        self.rests_on = Position::default();
    }

    /// How far the journal must have come before the request's answer is true for good; `None` when it has.
    pub fn answer_waits_for(&self) -> Option<Position> {
        (self.rests_on > self.journal.durable()).then_some(self.rests_on)
    }

    /// The request found what it wants done already, by a change that may not be on the disk yet; `kept`: it will be.
    pub(super) fn rest_on_changes(&mut self, kept: bool) {
        if kept {
            self.rests_on = self.changed;
        }
    }

    /// Answers a declaration, once what it declares is on the disk.
    pub(super) fn answer_when_kept(&mut self, at: At, nowait: bool, method: &Method<'_>) {
        if nowait {
            return;
        }
        let Some(after) = self.answer_waits_for() else {
            return self.reply(at, method);
        };
        let connection = &mut self.connections[at.connection as usize];
        let Some(channel) = connection.channel_mut(at.channel) else {
            return;
        };
        channel.owed = true;
        connection.owed += 1;
        let mut owed = Owed {
            at,
            after,
            frames: Vec::new(),
            count: 0,
        };
        owed.add(method);
        self.owed.push_back(owed);
    }

    /// Sends a method behind the answer that its channel is owed, or at once when it is owed none.
    pub(super) fn reply_in_order(&mut self, at: At, method: &Method<'_>) {
        let channel = self.connections[at.connection as usize].channel(at.channel);
        if channel.is_some_and(|channel| channel.owed)
            && let Some(owed) = self.owed.iter_mut().find(|owed| owed.at == at)
        {
            return owed.add(method);
        }
        self.reply(at, method);
    }

    /// Whether a frame for this channel must wait for an answer; then its connection does.
    #[inline]
    pub(super) fn must_wait_for_answer(&mut self, index: u32, channel: u16) -> bool {
        let connection = &mut self.connections[index as usize];
        if connection.owed == 0 {
            return false;
        }
        let waits = connection
            .channel(channel)
            .is_some_and(|channel| channel.owed);
        connection.awaiting = waits;
        waits
    }

    /// Sends the answers that are due.
    pub(super) fn send_owed(&mut self) {
        if self.owed.is_empty() {
            return;
        }
        let durable = self.journal.durable();
        let is_due = |owed: &Owed| owed.after <= durable;
        while self.owed.front().is_some_and(is_due)
            && let Some(owed) = self.owed.pop_front()
        {
            let Owed {
                at, frames, count, ..
            } = owed;
            let connection = &mut self.connections[at.connection as usize];
            connection.output.buffer().extend_from_slice(&frames);
            connection.counters.sent_frames += count;
            self.settle_owed(at);
            self.touch(at.connection);
        }
    }

    /// The channel ends without its answer.
    pub(super) fn forget_owed(&mut self, at: At) {
        self.owed.retain(|owed| owed.at != at);
        self.settle_owed(at);
    }

    /// The channel is owed nothing any more.
    fn settle_owed(&mut self, at: At) {
        let connection = &mut self.connections[at.connection as usize];
        connection.owed -= 1;
        if let Some(channel) = connection.channel_mut(at.channel) {
            channel.owed = false;
        }
        if std::mem::take(&mut connection.awaiting) {
            self.effects.push(Effect::Resume {
                connection: at.connection,
            });
        }
    }
}
