//! Publisher confirms: numbers, what waits for the journal, and as few `basic.ack` as will do.

use super::Core;
use super::channel::{Awaited, Confirms, Mode, Reached};
use super::connection::At;
use super::method::Method;
use super::publish::Published;
use super::refusal::Refusal;

impl Core {
    pub(super) fn on_confirm_select(&mut self, at: At, nowait: bool) -> Result<(), Refusal> {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return Ok(());
        };
        match channel.mode {
            Mode::Transaction(_) => {
                return Err(Refusal::precondition(
                    "cannot switch from tx to confirm mode",
                ));
            }
            Mode::Confirm(_) => {}
            Mode::Plain => channel.mode = Mode::Confirm(Box::default()),
        }
        self.answer(at, nowait, &Method::ConfirmSelectOk);
        Ok(())
    }

    /// Notes what a channel in confirm mode is owed for a publish.
    #[inline]
    pub(super) fn owe(&mut self, at: At, published: Published) {
        let reached = self.reached();
        let caused = match published.pages {
            true => self.journal.appended(),
            false => published.position,
        };
        let connection = &mut self.connections[at.connection as usize];
        connection.journaled = connection.journaled.max(caused);
        let Some(channel) = connection.channel_mut(at.channel) else {
            return;
        };
        let Mode::Confirm(confirms) = &mut channel.mode else {
            return;
        };
        confirms.note(published, reached);
        self.statistics.publish_confirm += 1;
        if !channel.confirming {
            channel.confirming = true;
            self.confirming.push(at);
        }
    }

    /// Sends the confirms that are due, and the answers to commits.
    pub(super) fn send_confirms(&mut self) {
        if self.confirming.is_empty() {
            return;
        }
        let reached = self.reached();
        let mut list = std::mem::take(&mut self.confirming);
        list.retain(|at| self.settle_confirms(*at, reached));
        list.append(&mut self.confirming);
        self.confirming = list;
    }

    #[inline]
    fn reached(&self) -> Reached {
        Reached {
            durable: self.journal.durable(),
            written: self.journal.written(),
        }
    }

    /// Answers whether the channel still waits for the journal.
    fn settle_confirms(&mut self, at: At, reached: Reached) -> bool {
        let Some(connection) = self.connections.get_mut(at.connection as usize) else {
            return false;
        };
        let Some((channel, output)) = connection.channel_and_output(at.channel) else {
            return false;
        };
        let waits = match &mut channel.mode {
            Mode::Plain => false,
            Mode::Confirm(confirms) => {
                let count = confirms.write(reached, |method| output.method(at.channel, &method));
                channel.counters.confirm += count;
                self.statistics.confirm += count;
                !confirms.pending.is_empty()
            }
            Mode::Transaction(transaction) => {
                let committing = &mut transaction.committing;
                while committing.front().is_some_and(|at| *at <= reached.durable) {
                    committing.pop_front();
                    output.method(at.channel, &Method::TxCommitOk);
                }
                !committing.is_empty()
            }
        };
        channel.confirming = waits;
        if !connection.output.is_empty() {
            self.touch(at.connection);
        }
        waits
    }
}

impl Confirms {
    fn note(&mut self, published: Published, reached: Reached) {
        self.last += 1;
        let awaited = match published.written {
            true => Awaited::Written(published.position),
            false => Awaited::Durable(published.position),
        };
        if published.refused {
            self.nacks.push(self.last);
        } else if !awaited.is_met(reached) {
            self.pending.push_back((self.last, awaited));
            return;
        } else if !self.pending.is_empty() {
            self.ahead.push(self.last);
            return;
        }
        if self.pending.is_empty() {
            self.ready = self.last;
        }
    }

    /// Writes what is due; answers how many publishes were answered.
    fn write(&mut self, reached: Reached, mut send: impl FnMut(Method<'_>)) -> u64 {
        let mut count = self.nacks.len() as u64;
        while self
            .pending
            .front()
            .is_some_and(|(_, awaited)| awaited.is_met(reached))
        {
            self.pending.pop_front();
            self.ready = self
                .pending
                .front()
                .map_or(self.last, |(number, _)| number - 1);
        }
        let ahead = std::mem::take(&mut self.ahead);
        for number in std::mem::take(&mut self.nacks) {
            if number <= self.ready {
                count += self.ack_upto(number - 1, &mut send);
                self.answered = number;
            }
            send(Method::BasicNack {
                delivery_tag: number,
                multiple: false,
                requeue: true,
            });
            if number > self.ready {
                self.early.insert(number);
            }
        }
        count += self.ack_upto(self.ready, &mut send);
        for number in ahead.into_iter().filter(|number| *number > self.ready) {
            count += 1;
            send(Method::BasicAck {
                delivery_tag: number,
                multiple: false,
            });
            self.early.insert(number);
        }
        count
    }

    /// One acknowledgement for everything up to `number` that has not been answered.
    fn ack_upto(&mut self, number: u64, send: &mut impl FnMut(Method<'_>)) -> u64 {
        let mut count = number.saturating_sub(self.answered);
        if count == 0 {
            return 0;
        }
        // clients refuse an answer to what has been answered: the number sent is of one that was not
        let mut last = number;
        if !self.early.is_empty() {
            let later = self.early.split_off(&(number + 1));
            let early = std::mem::replace(&mut self.early, later);
            count -= early.len() as u64;
            while early.contains(&last) {
                last -= 1;
            }
        }
        self.answered = number;
        if count > 0 {
            send(Method::BasicAck {
                delivery_tag: last,
                multiple: count > 1,
            });
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::journal::Position;

    fn reached(position: u64) -> Reached {
        Reached {
            durable: Position(position),
            written: Position(position),
        }
    }
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_publish_is_answered_rightly_and_none_before_it_is_durable(
            steps in proptest::collection::vec((0u8..4, 1u64..4), 1..60),
        ) {
            let mut confirms = Confirms::default();
            let mut durable = 0;
            let mut position = 0;
            let mut wanted: Vec<(Option<u64>, bool)> = Vec::new();
            let mut answers: Vec<Option<bool>> = Vec::new();
            let counted = std::cell::Cell::new(0);
            let mut flush = |confirms: &mut Confirms, durable: u64, wanted: &[(Option<u64>, bool)]| {
                answers.resize(wanted.len(), None);
                let count = confirms.write(reached(durable), |method| match method {
                    Method::BasicAck { delivery_tag, multiple } => {
                        assert_eq!(answers[delivery_tag as usize - 1], None, "answered twice");
                        let first = if multiple { 0 } else { delivery_tag as usize - 1 };
                        for n in first..delivery_tag as usize {
                            answers[n].get_or_insert(true);
                            assert!(wanted[n].0.is_none_or(|position| position <= durable));
                        }
                    }
                    Method::BasicNack { delivery_tag, .. } => {
                        assert_eq!(answers[delivery_tag as usize - 1], None, "answered twice");
                        answers[delivery_tag as usize - 1].get_or_insert(false);
                    }
                    other => panic!("{other:?}"),
                });
                counted.set(counted.get() + count);
                answers.clone()
            };
            for (kind, by) in steps {
                match kind {
                    0 | 1 => {
                        position += kind as u64;
                        let at = (kind == 1).then_some(position);
                        wanted.push((at, true));
                        let published = Published { position: Position(at.unwrap_or(0)), written: false, refused: false, pages: false };
                        confirms.note(published, reached(durable));
                    }
                    2 => {
                        wanted.push((None, false));
                        confirms.note(Published { position: Position(0), written: false, refused: true, pages: false }, reached(durable));
                    }
                    _ => {
                        durable = (durable + by).min(position);
                        flush(&mut confirms, durable, &wanted);
                    }
                }
            }
            let answers = flush(&mut confirms, position, &wanted);
            prop_assert_eq!(counted.get(), wanted.len() as u64, "each is counted once");
            prop_assert_eq!(answers, wanted.iter().map(|(_, good)| Some(*good)).collect::<Vec<_>>());
        }
    }
}
