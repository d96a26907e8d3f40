//! A virtual host: its exchanges, queues and bindings as metadata, and routing over them.

use super::exchange::{Exchange, Target};
use super::field::{FieldTable, FieldValue};
use super::journal::QueueKey;
use super::limits::VhostLimits;
use super::metadata::PolicySpec;
use super::policy::{self, Effective, Kind as PolicyKind, Policies, Policy};
use foldhash::HashMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// A live queue's place in the engine's table; the generation tells a later queue at the same place apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId {
    pub index: u32,
    pub generation: u32,
}

/// The queues that a message goes to.
pub type Routes = SmallVec<[QueueId; 4]>;

/// A virtual host as it was declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct VhostSpec {
    pub name: String,
    pub description: String,
    pub tags: Vec<String>,
    pub default_queue_type: Option<String>,
    pub tracing: bool,
}

/// An exchange as it was declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExchangeSpec {
    pub name: String,
    pub kind: String,
    pub durable: bool,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: FieldTable,
}

/// A queue as it was declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QueueSpec {
    pub name: String,
    pub durable: bool,
    pub auto_delete: bool,
    /// The connection that alone may use the queue, by its number on this node; such a queue ends with it.
    pub owner: Option<u64>,
    pub arguments: FieldTable,
    pub key: QueueKey,
}

impl QueueSpec {
    pub fn is_quorum(&self) -> bool {
        self.arguments
            .get("x-queue-type")
            .and_then(FieldValue::as_str)
            == Some("quorum")
    }

    /// Whether the definition survives a restart.
    pub fn is_kept(&self) -> bool {
        self.durable && self.owner.is_none()
    }
}

/// A queue's metadata; its messages and consumers are in the engine's table at `id`.
#[derive(Debug)]
pub struct QueueRecord {
    pub spec: QueueSpec,
    pub id: QueueId,
    pub policy: Effective,
}

/// Where a binding leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Destination {
    Queue(String),
    Exchange(String),
}

impl Destination {
    pub fn name(&self) -> &str {
        match self {
            Destination::Queue(name) | Destination::Exchange(name) => name,
        }
    }
}

/// A binding as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    pub source: String,
    pub destination: Destination,
    pub routing_key: String,
    pub arguments: FieldTable,
}

/// What tells the bindings of one destination apart: source, routing key, arguments' bytes.
type BindingKey = (String, String, Vec<u8>);

impl Binding {
    fn key(&self) -> BindingKey {
        (
            self.source.clone(),
            self.routing_key.clone(),
            self.arguments.to_bytes(),
        )
    }
}

/// What routing looks at besides the key: the headers, decoded only when an exchange asks for them.
pub struct Envelope<'a> {
    pub key: &'a [u8],
    pub headers: &'a dyn Fn() -> FieldTable,
}

/// A virtual host: what is declared in it, and how its messages find their queues.
#[derive(Debug)]
pub struct Vhost {
    pub spec: VhostSpec,
    pub exchanges: HashMap<Arc<str>, Exchange>,
    pub queues: HashMap<Arc<str>, QueueRecord>,
    pub policies: Policies,
    pub operator_policies: Policies,
    pub limits: VhostLimits,
    bindings: BTreeMap<Destination, BTreeMap<BindingKey, Binding>>,
}

/// The exchanges that every vhost has: name and kind.
pub const PREDECLARED: [(&str, &str); 7] = [
    ("", "direct"),
    ("amq.direct", "direct"),
    ("amq.fanout", "fanout"),
    ("amq.headers", "headers"),
    ("amq.match", "headers"),
    ("amq.rabbitmq.trace", "topic"),
    ("amq.topic", "topic"),
];

impl Vhost {
    pub fn new(spec: VhostSpec) -> Vhost {
        let mut vhost = Vhost {
            spec,
            exchanges: HashMap::default(),
            queues: HashMap::default(),
            policies: Policies::new(),
            operator_policies: Policies::new(),
            limits: VhostLimits::default(),
            bindings: BTreeMap::new(),
        };
        for (name, kind) in PREDECLARED {
            vhost.declare_exchange(ExchangeSpec {
                name: name.to_owned(),
                kind: kind.to_owned(),
                durable: true,
                auto_delete: false,
                internal: name == "amq.rabbitmq.trace",
                arguments: FieldTable::new(),
            });
        }
        vhost
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The exchange of that name, with the name as it is shared.
    pub(super) fn exchange_with_name(&mut self, name: &[u8]) -> Option<(Arc<str>, &mut Exchange)> {
        let name = std::str::from_utf8(name).ok()?;
        let shared = self.exchanges.get_key_value(name)?.0.clone();
        Some((shared, self.exchanges.get_mut(name)?))
    }

    pub(super) fn declare_exchange(&mut self, spec: ExchangeSpec) {
        if !self.exchanges.contains_key(spec.name.as_str()) {
            let name: Arc<str> = spec.name.as_str().into();
            self.exchanges.insert(name.clone(), Exchange::new(spec));
            self.renew_exchange_policy(&name);
        }
    }

    /// Removes an exchange with the bindings from and to it.
    pub(super) fn delete_exchange(&mut self, name: &str) {
        if self.exchanges.remove(name).is_none() {
            return;
        }
        self.unbind_destination(&Destination::Exchange(name.to_owned()));
        self.bindings.retain(|_, of_destination| {
            of_destination.retain(|_, binding| binding.source != name);
            !of_destination.is_empty()
        });
    }

    pub(super) fn declare_queue(&mut self, spec: QueueSpec, id: QueueId) {
        let kind = if spec.is_quorum() {
            PolicyKind::QuorumQueue
        } else {
            PolicyKind::ClassicQueue
        };
        let policy = policy::effective(&self.policies, &self.operator_policies, kind, &spec.name);
        self.queues
            .insert(spec.name.as_str().into(), QueueRecord { spec, id, policy });
    }

    /// Removes a queue with its bindings; answers its place.
    pub(super) fn delete_queue(&mut self, name: &str) -> Option<QueueId> {
        let id = self.queues.get(name)?.id;
        self.unbind_destination(&Destination::Queue(name.to_owned()));
        self.queues.remove(name);
        Some(id)
    }

    pub(super) fn bind(&mut self, binding: Binding) {
        let Some(target) = self.target(&binding.destination) else {
            return;
        };
        let Some(exchange) = self.exchanges.get_mut(binding.source.as_str()) else {
            return;
        };
        let of_destination = self
            .bindings
            .entry(binding.destination.clone())
            .or_default();
        if let Entry::Vacant(entry) = of_destination.entry(binding.key()) {
            exchange.bind(&binding, target);
            entry.insert(binding);
        }
    }

    pub(super) fn unbind(&mut self, binding: &Binding) {
        let Some(of_destination) = self.bindings.get_mut(&binding.destination) else {
            return;
        };
        if of_destination.remove(&binding.key()).is_none() {
            return;
        }
        if of_destination.is_empty() {
            self.bindings.remove(&binding.destination);
        }
        self.unindex(binding);
    }

    fn unbind_destination(&mut self, destination: &Destination) {
        for binding in self
            .bindings
            .remove(destination)
            .unwrap_or_default()
            .into_values()
        {
            self.unindex(&binding);
        }
    }

    fn unindex(&mut self, binding: &Binding) {
        let Some(target) = self.target(&binding.destination) else {
            return;
        };
        if let Some(exchange) = self.exchanges.get_mut(binding.source.as_str()) {
            exchange.unbind(binding, &target);
        }
    }

    fn target(&self, destination: &Destination) -> Option<Target> {
        match destination {
            Destination::Queue(name) => Some(Target::Queue(self.queues.get(name.as_str())?.id)),
            Destination::Exchange(name) => Some(Target::Exchange(name.as_str().into())),
        }
    }

    pub fn has_binding(&self, binding: &Binding) -> bool {
        self.bindings
            .get(&binding.destination)
            .is_some_and(|of| of.contains_key(&binding.key()))
    }

    /// All bindings that were made; the default exchange's are implied by the queues.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.values().flat_map(BTreeMap::values)
    }

    /// The bindings that lead there.
    pub fn bindings_to<'a>(
        &'a self,
        destination: &Destination,
    ) -> impl Iterator<Item = &'a Binding> + use<'a> {
        self.bindings
            .get(destination)
            .into_iter()
            .flat_map(BTreeMap::values)
    }

    pub(super) fn set_policy(&mut self, spec: &PolicySpec) {
        if let Ok(policy) = Policy::new(
            &spec.pattern,
            &spec.apply_to,
            spec.definition.clone(),
            spec.priority,
        ) {
            self.policies.insert(spec.name.clone(), policy);
        }
    }

    pub(super) fn set_operator_policy(&mut self, spec: &PolicySpec) {
        if let Ok(policy) = Policy::operator(
            &spec.pattern,
            &spec.apply_to,
            spec.definition.clone(),
            spec.priority,
        ) {
            self.operator_policies.insert(spec.name.clone(), policy);
        }
    }

    /// Works the policies out again for every queue and exchange.
    pub(super) fn renew_policies(&mut self) {
        for (name, record) in &mut self.queues {
            let kind = if record.spec.is_quorum() {
                PolicyKind::QuorumQueue
            } else {
                PolicyKind::ClassicQueue
            };
            record.policy = policy::effective(&self.policies, &self.operator_policies, kind, name);
        }
        let names: Vec<Arc<str>> = self.exchanges.keys().cloned().collect();
        for name in names {
            self.renew_exchange_policy(&name);
        }
    }

    fn renew_exchange_policy(&mut self, name: &str) {
        let Some(exchange) = self.exchanges.get_mut(name) else {
            return;
        };
        exchange.policy = policy::effective(
            &self.policies,
            &self.operator_policies,
            PolicyKind::Exchange,
            name,
        );
        let argument = exchange
            .spec
            .arguments
            .get("alternate-exchange")
            .and_then(FieldValue::as_str);
        let by_policy = exchange
            .policy
            .definition
            .get("alternate-exchange")
            .and_then(|v| v.as_str());
        exchange.alternate = argument.or(by_policy).map(Arc::from);
    }

    /// The queues that a message published to `exchange` goes to, each once; nothing when the exchange is missing.
    pub fn route(&self, exchange: &str, envelope: &Envelope<'_>) -> Routes {
        let mut routes = Routes::new();
        self.route_from(exchange, envelope, &mut routes);
        if routes.len() > 1 {
            routes.sort_unstable();
            routes.dedup();
        }
        routes
    }

    fn route_from(&self, exchange: &str, envelope: &Envelope<'_>, routes: &mut Routes) {
        if exchange.is_empty() {
            routes.extend(self.queue_by_bytes(envelope.key));
            return;
        }
        let mut visited: SmallVec<[Arc<str>; 4]> = SmallVec::new();
        let mut pending: SmallVec<[Arc<str>; 4]> = SmallVec::new();
        pending.push(exchange.into());
        while let Some(name) = pending.pop() {
            if visited.contains(&name) {
                continue;
            }
            visited.push(name.clone());
            // the default exchange as an alternate has no bindings that could be followed
            let Some(exchange) = self.exchanges.get(&name) else {
                continue;
            };
            let mut any = false;
            exchange.matches(envelope.key, envelope.headers, &mut |target| {
                any = true;
                match target {
                    Target::Queue(id) => routes.push(*id),
                    Target::Exchange(next) => pending.push(next.clone()),
                }
            });
            if let (false, Some(alternate)) = (any, &exchange.alternate) {
                pending.push(alternate.clone());
            }
        }
    }

    /// Whether a headers exchange can be reached from this one, over bindings or as an alternate.
    pub(super) fn has_headers_behind(&self, exchange: &str) -> bool {
        let has_any = |e: &Exchange| e.kind == super::exchange::Kind::Headers && e.bindings() > 0;
        let reaches_on = self
            .exchanges
            .get(exchange)
            .is_some_and(|e| e.alternate.is_some())
            || self
                .bindings
                .keys()
                .any(|destination| matches!(destination, Destination::Exchange(_)));
        reaches_on && self.exchanges.values().any(has_any)
    }

    /// The queue of that name, for the default exchange.
    pub fn queue_by_bytes(&self, name: &[u8]) -> Option<QueueId> {
        Some(self.queues.get(std::str::from_utf8(name).ok()?)?.id)
    }
}
