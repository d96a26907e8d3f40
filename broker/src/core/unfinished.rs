//! What a client has begun and not finished, publishes under way and open transactions: how much of it one connection
//! may make the node hold.
//!
//! RabbitMQ has no bound of its own here and relies on the memory alarm. The alarm works here, too; but a client whose
//! transaction has set it could not send the `tx.commit` that would end it, so there is a bound before that.

use super::Core;
use super::connection::{At, Connection};
use super::refusal::Refusal;

/// A connection's unfinished publishes together are at most so many times the largest message.
const CONTENTS: u64 = 4;

impl Core {
    /// Whether a connection's open transactions can take `more` bytes: at most as many as the largest message has, and
    /// one message always.
    pub(super) fn may_hold_back(&self, at: At, more: u64) -> Result<(), Refusal> {
        let bytes = self.sum(at, |connection| {
            let channels = connection.channels();
            channels
                .map(|(_, channel)| channel.transaction_bytes())
                .sum()
        });
        let most = self.settings.max_message_size;
        if bytes == 0 || bytes + more <= most {
            return Ok(());
        }
        let text = format!("open transactions of a connection may hold {most} bytes at most");
        Err(Refusal::precondition(text))
    }

    /// The same for `more` bytes of a publish under way.
    pub(super) fn may_gather(&self, at: At, more: u64) -> Result<(), Refusal> {
        let bytes = self.sum(at, |connection| {
            let channels = connection.channels();
            channels.map(|(_, channel)| channel.content_bytes()).sum()
        });
        let most = self.settings.max_message_size.saturating_mul(CONTENTS);
        if bytes.saturating_add(more) <= most {
            return Ok(());
        }
        let text = format!("publishes under way of a connection may hold {most} bytes at most");
        Err(Refusal::precondition(text))
    }

    fn sum(&self, at: At, of: impl Fn(&Connection) -> u64) -> u64 {
        self.connections.get(at.connection as usize).map_or(0, of)
    }
}
