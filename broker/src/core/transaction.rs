//! `tx`: publishes and settlements held back until `tx.commit` and journalled as one unit.

use super::Core;
use super::channel::{Mode, Pending, Settlement, Transaction};
use super::connection::At;
use super::journal::Position;
use super::method::Method;
use super::refusal::Refusal;

impl Core {
    pub(super) fn on_transaction(&mut self, at: At, method: &Method<'_>) -> Result<(), Refusal> {
        let Some(channel) = self.connections[at.connection as usize].channel_mut(at.channel) else {
            return Ok(());
        };
        match (method, &mut channel.mode) {
            (Method::TxSelect, Mode::Confirm(_)) => {
                return Err(Refusal::precondition(
                    "cannot switch from confirm to tx mode",
                ));
            }
            (Method::TxSelect, mode) => {
                if matches!(mode, Mode::Plain) {
                    *mode = Mode::Transaction(Box::default());
                }
                self.reply(at, &Method::TxSelectOk);
            }
            (Method::TxCommit, Mode::Transaction(transaction)) => {
                let committing = std::mem::take(&mut transaction.committing);
                let held = std::mem::take(&mut **transaction);
                transaction.committing = committing;
                return self.commit(at, held);
            }
            (Method::TxRollback, Mode::Transaction(transaction)) => {
                let committing = std::mem::take(&mut transaction.committing);
                **transaction = Transaction {
                    committing,
                    ..Transaction::default()
                };
                channel.unacked.redeem();
                self.reply(at, &Method::TxRollbackOk);
            }
            (_, Mode::Plain | Mode::Confirm(_)) => {
                return Err(Refusal::precondition("channel is not transactional"));
            }
            (_, Mode::Transaction(_)) => {}
        }
        Ok(())
    }

    /// A publish in a transaction.
    pub(super) fn hold_back(&mut self, at: At, pending: Pending) -> Result<(), Refusal> {
        let bytes = pending.footprint();
        self.may_hold_back(at, bytes)?;
        if let Some(transaction) = self.open_transaction(at) {
            transaction.publishes.push(pending);
            transaction.bytes += bytes;
        }
        Ok(())
    }

    /// A settlement in a transaction.
    pub(super) fn hold_back_settlement(
        &mut self,
        at: At,
        settlement: Settlement,
    ) -> Result<(), Refusal> {
        let bytes = size_of::<Settlement>() as u64;
        self.may_hold_back(at, bytes)?;
        if let Some(transaction) = self.open_transaction(at) {
            transaction.settlements.push(settlement);
            transaction.bytes += bytes;
        }
        Ok(())
    }

    fn open_transaction(&mut self, at: At) -> Option<&mut Transaction> {
        let connection = self.connections.get_mut(at.connection as usize)?;
        match &mut connection.channel_mut(at.channel)?.mode {
            Mode::Transaction(transaction) => Some(transaction),
            Mode::Plain | Mode::Confirm(_) => None,
        }
    }

    /// Does everything at once; `tx.commit-ok` follows when the journal has it on disk.
    fn commit(&mut self, at: At, held: Transaction) -> Result<(), Refusal> {
        self.journal.begin_unit();
        let mut refused = false;
        for mut pending in held.publishes {
            pending.routes.retain(|id| self.queue(*id).is_some());
            if pending.routes.is_empty() {
                self.pass_on(
                    at,
                    pending.message,
                    &pending.routes,
                    None,
                    pending.mandatory,
                );
            } else {
                let published = self.enqueue(pending.message, &pending.routes, pending.ttl_ms);
                refused |= published.refused;
            }
        }
        let mut outcome = Ok(());
        for settlement in held.settlements {
            outcome = outcome.and(self.settle(at, settlement));
        }
        let position = self.journal.end_unit();
        outcome?;
        if refused {
            return Err(Refusal::precondition("partial tx completion"));
        }
        let connection = &mut self.connections[at.connection as usize];
        connection.journaled = connection.journaled.max(position);
        let Some(channel) = connection.channel_mut(at.channel) else {
            return Ok(());
        };
        if let Mode::Transaction(transaction) = &mut channel.mode
            && (position > Position::default() || !transaction.committing.is_empty())
        {
            // with nothing to wait for itself it waits for the one before
            let before = transaction.committing.back().copied();
            let position = before.map_or(position, |before| before.max(position));
            transaction.committing.push_back(position);
            if !channel.confirming {
                channel.confirming = true;
                self.confirming.push(at);
            }
            return Ok(());
        }
        self.reply(at, &Method::TxCommitOk);
        Ok(())
    }
}
