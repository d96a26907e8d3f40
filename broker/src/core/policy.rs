//! Policies: which settings a queue or exchange gets from an administrator.
//!
//! Exactly one policy applies to an object, the one of highest priority whose
//! pattern is found in its name; exactly one operator policy beside it, whose
//! limits win where they are lower. All here are functions of their arguments.

mod entry;
mod validate;

pub use entry::Entry;
pub use validate::{erlang_term, validate, validate_operator};

use super::access::{Pattern, PatternError};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyTo {
    /// Queues and exchanges.
    All,
    /// Queues of any type.
    Queues,
    /// Classic queues only (a word of RabbitMQ 3.12).
    ClassicQueues,
    /// Quorum queues only (a word of RabbitMQ 3.12).
    QuorumQueues,
    /// Streams only (a word of RabbitMQ 3.12); stored, matches nothing here.
    Streams,
    /// Exchanges.
    Exchanges,
}

impl ApplyTo {
    const WORDS: [(&'static str, ApplyTo); 6] = [
        ("all", ApplyTo::All),
        ("queues", ApplyTo::Queues),
        ("classic_queues", ApplyTo::ClassicQueues),
        ("quorum_queues", ApplyTo::QuorumQueues),
        ("streams", ApplyTo::Streams),
        ("exchanges", ApplyTo::Exchanges),
    ];

    /// Reads the word.
    pub fn parse(word: &str) -> Option<ApplyTo> {
        let of = |(name, kind): &(&str, ApplyTo)| (*name == word).then_some(*kind);
        ApplyTo::WORDS.iter().find_map(of)
    }

    /// The word.
    pub fn word(self) -> &'static str {
        let of = |(_, kind): &&(&str, ApplyTo)| *kind == self;
        ApplyTo::WORDS.iter().find(of).map_or("all", |(w, _)| w)
    }

    fn covers(self, kind: Kind) -> bool {
        match self {
            ApplyTo::All => true,
            ApplyTo::Queues => matches!(kind, Kind::ClassicQueue | Kind::QuorumQueue),
            ApplyTo::ClassicQueues => kind == Kind::ClassicQueue,
            ApplyTo::QuorumQueues => kind == Kind::QuorumQueue,
            ApplyTo::Streams => false,
            ApplyTo::Exchanges => kind == Kind::Exchange,
        }
    }
}

/// The kind of object that a policy may apply to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A classic queue.
    ClassicQueue,
    /// A quorum queue.
    QuorumQueue,
    /// An exchange.
    Exchange,
}

/// A policy or an operator policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Names that it applies to.
    pub pattern: Pattern,
    /// Objects that it applies to.
    pub apply_to: ApplyTo,
    /// The settings.
    pub definition: Map<String, Value>,
    /// The highest applies.
    pub priority: i64,
}

/// Why a policy is refused; `Display` is the text that operators know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// The pattern does not compile.
    Pattern(PatternError),
    /// `apply-to` is none of the words.
    ApplyTo(String),
    /// The definition.
    Definition(String),
}

impl std::fmt::Display for PolicyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PolicyError::Pattern(e) => {
                write!(
                    f,
                    "pattern should be regular expression but is invalid: {e}"
                )
            }
            PolicyError::ApplyTo(word) => write!(
                f,
                "apply-to '{word}' unrecognised; should be 'queues', 'exchanges' or 'all'"
            ),
            PolicyError::Definition(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for PolicyError {}

impl Policy {
    /// Checks and builds a user's policy.
    pub fn new(
        pattern: &str,
        apply_to: &str,
        definition: Map<String, Value>,
        priority: i64,
    ) -> Result<Policy, PolicyError> {
        let policy = Policy::checked(pattern, apply_to, definition, priority)?;
        validate(&policy.definition).map_err(PolicyError::Definition)?;
        Ok(policy)
    }

    /// Checks and builds an operator policy, which may set limits only.
    pub fn operator(
        pattern: &str,
        apply_to: &str,
        definition: Map<String, Value>,
        priority: i64,
    ) -> Result<Policy, PolicyError> {
        let policy = Policy::checked(pattern, apply_to, definition, priority)?;
        validate_operator(&policy.definition).map_err(PolicyError::Definition)?;
        Ok(policy)
    }

    fn checked(
        pattern: &str,
        apply_to: &str,
        definition: Map<String, Value>,
        priority: i64,
    ) -> Result<Policy, PolicyError> {
        Ok(Policy {
            pattern: Pattern::policy(pattern).map_err(PolicyError::Pattern)?,
            apply_to: ApplyTo::parse(apply_to)
                .ok_or_else(|| PolicyError::ApplyTo(apply_to.to_owned()))?,
            definition,
            priority,
        })
    }

    /// Whether it applies to an object.
    pub fn covers(&self, kind: Kind, name: &str) -> bool {
        self.apply_to.covers(kind) && self.pattern.matches(name)
    }
}

/// Policies of one virtual host by name.
pub type Policies = BTreeMap<String, Policy>;

/// The one policy that applies: highest priority, then first by name.
pub fn matching<'a>(
    policies: &'a Policies,
    kind: Kind,
    name: &str,
) -> Option<(&'a str, &'a Policy)> {
    policies
        .iter()
        .filter(|(_, policy)| policy.covers(kind, name))
        .min_by_key(|(_, policy)| std::cmp::Reverse(policy.priority))
        .map(|(id, policy)| (id.as_str(), policy))
}

/// What an object gets from policies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effective {
    /// Name of the policy that applies.
    pub policy: Option<String>,
    /// Name of the operator policy that applies.
    pub operator_policy: Option<String>,
    /// The settings of both together.
    pub definition: Map<String, Value>,
}

/// The settings that apply to an object, as a function of its kind and name.
pub fn effective(user: &Policies, operator: &Policies, kind: Kind, name: &str) -> Effective {
    let user = matching(user, kind, name);
    let operator = matching(operator, kind, name);
    let mut definition = user.map(|(_, p)| p.definition.clone()).unwrap_or_default();
    for (key, limit) in operator.into_iter().flat_map(|(_, p)| &p.definition) {
        let merged = match definition.get(key) {
            Some(given) => merge(key, given, limit),
            None => limit.clone(),
        };
        definition.insert(key.clone(), merged);
    }
    Effective {
        policy: user.map(|(id, _)| id.to_owned()),
        operator_policy: operator.map(|(id, _)| id.to_owned()),
        definition,
    }
}

/// One setting from both: the lower number; for `overflow` the operator's.
fn merge(key: &str, given: &Value, limit: &Value) -> Value {
    match (key, given.as_i64(), limit.as_i64()) {
        ("overflow", _, _) => limit.clone(),
        (_, Some(given), Some(limit)) => given.min(limit).into(),
        _ => limit.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn policy(pattern: &str, apply_to: &str, definition: Value, priority: i64) -> Policy {
        let definition = definition.as_object().expect("object").clone();
        Policy::new(pattern, apply_to, definition, priority).expect("valid policy")
    }

    #[test]
    fn the_highest_priority_applies_alone() {
        let mut user = Policies::new();
        user.insert(
            "low".into(),
            policy("^q", "all", json!({"max-length": 1}), 1),
        );
        user.insert(
            "high".into(),
            policy("q$", "queues", json!({"expires": 9}), 5),
        );
        let got = effective(&user, &Policies::new(), Kind::ClassicQueue, "q");
        assert_eq!(got.policy.as_deref(), Some("high"));
        assert_eq!(Value::from(got.definition), json!({"expires": 9}));
        let got = effective(&user, &Policies::new(), Kind::Exchange, "q");
        assert_eq!(got.policy.as_deref(), Some("low"));
    }

    #[test]
    fn an_operator_policy_lowers_limits_and_never_raises_them() {
        let mut user = Policies::new();
        let definition = json!({"max-length": 10, "message-ttl": 5, "overflow": "drop-head"});
        user.insert("u".into(), policy("", "queues", definition, 0));
        let limits = json!({"max-length": 3, "message-ttl": 50, "expires": 7});
        let limits = limits.as_object().expect("object").clone();
        let mut operator = Policies::new();
        let built = Policy::operator("", "queues", limits, 0).expect("valid policy");
        operator.insert("o".into(), built);
        let got = effective(&user, &operator, Kind::ClassicQueue, "q");
        let want =
            json!({"max-length": 3, "message-ttl": 5, "overflow": "drop-head", "expires": 7});
        assert_eq!(Value::from(got.definition), want);
        assert_eq!(got.operator_policy.as_deref(), Some("o"));
    }

    #[test]
    fn refusals_carry_the_known_texts() {
        let none = Map::new;
        let error = Policy::new("^(q", "all", none(), 0).expect_err("must fail");
        assert_eq!(
            error.to_string(),
            "pattern should be regular expression but is invalid: {\"missing )\",3}"
        );
        let error = Policy::new("", "foo", none(), 0).expect_err("must fail");
        assert_eq!(
            error.to_string(),
            "apply-to 'foo' unrecognised; should be 'queues', 'exchanges' or 'all'"
        );
    }

    proptest! {
        #[test]
        fn a_merged_limit_is_never_above_either(a in 0i64..1000, b in 0i64..1000) {
            let merged = merge("max-length", &a.into(), &b.into()).as_i64();
            prop_assert_eq!(merged, Some(a.min(b)));
        }

        #[test]
        fn the_applying_policy_covers_and_no_other_has_more_priority(
            priorities in prop::collection::vec(-5i64..5, 1..8),
            name in "[a-c]{0,3}",
        ) {
            let mut user = Policies::new();
            for (i, priority) in priorities.iter().enumerate() {
                let pattern = ["^a", "b", "c$", ""][i % 4];
                let built = policy(pattern, "all", json!({"expires": 1}), *priority);
                user.insert(format!("p{i}"), built);
            }
            let got = matching(&user, Kind::Exchange, &name);
            let best = user.values().filter(|p| p.covers(Kind::Exchange, &name));
            prop_assert_eq!(got.map(|(_, p)| p.priority), best.map(|p| p.priority).max());
        }
    }
}
