//! TCP rules: the first that ends the list decides, the others have effects.

use super::expr::{Truth, World, holds};
use conf::lb::model::{Acl, TcpAction, TcpRule};

/// What a list of rules decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Go on.
    Accept,
    /// End the session.
    Reject,
    /// End it without telling the client.
    Drop,
    /// End the server's side (responses).
    Close,
    /// More bytes are needed to know.
    Wait,
}

/// Where rules have effects.
pub trait Target: World {
    /// Performs an action that does not end the list.
    fn perform(&mut self, action: &TcpAction);
    /// This rule ends the list.
    fn ended_by(&mut self, rule: &TcpRule);
    /// The same as a [`World`].
    fn world(&mut self) -> &mut dyn World;
}

/// Walks through the rules. `complete`: nothing more is waited for, so that
/// open conditions count as not holding.
pub fn judge(rules: &[TcpRule], acls: &[Acl], complete: bool, target: &mut dyn Target) -> Verdict {
    for rule in rules {
        let truth = holds(rule.condition.as_ref(), acls, target.world());
        match truth {
            Truth::Open if !complete => return Verdict::Wait,
            Truth::Open | Truth::No => continue,
            Truth::Yes => {}
        }
        let verdict = match &rule.action {
            TcpAction::Accept => Verdict::Accept,
            TcpAction::Reject => Verdict::Reject,
            TcpAction::SilentDrop => Verdict::Drop,
            TcpAction::Close => Verdict::Close,
            action => {
                target.perform(action);
                continue;
            }
        };
        target.ended_by(rule);
        return verdict;
    }
    Verdict::Accept
}
