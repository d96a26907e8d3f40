//! Exchanges: which queues and further exchanges a routing key and headers lead to.
//!
//! One file per kind of index. An exchange knows its bindings only as an index for routing; the list of bindings that
//! listings show belongs to the vhost.

mod headers;
mod topic;

use super::field::FieldTable;
use super::traffic::Passed;
use super::vhost::{Binding, ExchangeSpec, QueueId};
use foldhash::HashMap;
use headers::HeadersIndex;
use std::sync::Arc;
use topic::TopicIndex;

/// What a binding leads to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Queue(QueueId),
    Exchange(Arc<str>),
}

/// The kinds of exchange, by their word in `exchange.declare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Direct,
    Fanout,
    Topic,
    Headers,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Direct, Kind::Fanout, Kind::Headers, Kind::Topic];

    /// The type of this word; none for words of plugins.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The word for it in declarations.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Direct => "direct",
            Kind::Fanout => "fanout",
            Kind::Topic => "topic",
            Kind::Headers => "headers",
        }
    }
}

/// An exchange with its routing index.
#[derive(Debug)]
pub struct Exchange {
    pub spec: ExchangeSpec,
    pub kind: Kind,
    /// Where messages go that no binding takes: from the argument, else from a policy.
    pub alternate: Option<Arc<str>>,
    /// The policies that apply, for listings.
    pub policy: super::policy::Effective,
    /// Messages that went through.
    pub passed: Passed,
    index: Index,
    bindings: usize,
}

#[derive(Debug)]
enum Index {
    Direct(HashMap<Box<[u8]>, Vec<Target>>),
    Fanout(Vec<Target>),
    Topic(TopicIndex),
    Headers(HeadersIndex),
}

impl Exchange {
    pub fn new(spec: ExchangeSpec) -> Exchange {
        let kind = Kind::parse(&spec.kind).unwrap_or(Kind::Direct);
        let index = match kind {
            Kind::Direct => Index::Direct(HashMap::default()),
            Kind::Fanout => Index::Fanout(Vec::new()),
            Kind::Topic => Index::Topic(TopicIndex::default()),
            Kind::Headers => Index::Headers(HeadersIndex::default()),
        };
        Exchange {
            spec,
            kind,
            index,
            alternate: None,
            policy: super::policy::Effective::default(),
            passed: Passed::default(),
            bindings: 0,
        }
    }

    /// Bindings that have this exchange as their source.
    pub fn bindings(&self) -> usize {
        self.bindings
    }

    /// Adds a binding whose source it is.
    pub fn bind(&mut self, binding: &Binding, target: Target) {
        self.bindings += 1;
        let key = binding.routing_key.as_bytes();
        match &mut self.index {
            Index::Direct(map) => map.entry(key.into()).or_default().push(target),
            Index::Fanout(targets) => targets.push(target),
            Index::Topic(index) => index.insert(key, target),
            Index::Headers(index) => index.insert(&binding.arguments, target),
        }
    }

    /// Removes one; what is not there stays away.
    pub fn unbind(&mut self, binding: &Binding, target: &Target) {
        self.bindings = self.bindings.saturating_sub(1);
        let key = binding.routing_key.as_bytes();
        match &mut self.index {
            Index::Direct(map) => {
                if let Some(targets) = map.get_mut(key) {
                    remove_one(targets, target);
                    if targets.is_empty() {
                        map.remove(key);
                    }
                }
            }
            Index::Fanout(targets) => remove_one(targets, target),
            Index::Topic(index) => index.remove(key, target),
            Index::Headers(index) => index.remove(&binding.arguments, target),
        }
    }

    /// Calls `found` with each target; the same target may come more than once.
    pub fn matches(
        &self,
        key: &[u8],
        headers: &dyn Fn() -> FieldTable,
        found: &mut dyn FnMut(&Target),
    ) {
        match &self.index {
            Index::Direct(map) => map.get(key).into_iter().flatten().for_each(found),
            Index::Fanout(targets) => targets.iter().for_each(found),
            Index::Topic(index) => index.matches(key, found),
            Index::Headers(index) => index.matches(&headers(), found),
        }
    }
}

/// Removes one occurrence.
fn remove_one(targets: &mut Vec<Target>, target: &Target) {
    if let Some(index) = targets.iter().position(|t| t == target) {
        targets.swap_remove(index);
    }
}
