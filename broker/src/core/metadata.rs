//! Everything that outlives a connection and is not a message: vhosts, users, policies, exchanges, queues, bindings.
//!
//! Changes are [`Command`]s applied to a state machine: idempotent upserts and deletions, so that a replayed log gives
//! the same state. The checks that may refuse a change come before, where the request is understood; applying a
//! command that has become meaningless does nothing.

use super::access::{Access, Password, Permission, TopicPermission, User};
use super::journal::QueueKey;
use super::limits::{Limits, UserLimits, VhostLimits};
use super::vhost::{Binding, Destination, ExchangeSpec, QueueId, QueueSpec, Vhost, VhostSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// One change of the metadata, in plain data: what a log keeps and a peer reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    PutVhost(VhostSpec),
    DeleteVhost {
        name: String,
    },
    DeclareExchange {
        vhost: String,
        exchange: ExchangeSpec,
    },
    DeleteExchange {
        vhost: String,
        name: String,
    },
    DeclareQueue {
        vhost: String,
        queue: QueueSpec,
    },
    DeleteQueue {
        vhost: String,
        name: String,
    },
    Bind {
        vhost: String,
        binding: Binding,
    },
    Unbind {
        vhost: String,
        binding: Binding,
    },
    /// The password as an export shows it: hash and algorithm.
    PutUser {
        name: String,
        password_hash: String,
        hashing_algorithm: String,
        tags: Vec<String>,
    },
    DeleteUser {
        name: String,
    },
    SetUserLimits {
        user: String,
        limits: Map<String, Value>,
    },
    SetPermission {
        user: String,
        vhost: String,
        configure: String,
        write: String,
        read: String,
    },
    ClearPermission {
        user: String,
        vhost: String,
    },
    SetTopicPermission {
        user: String,
        vhost: String,
        exchange: String,
        write: String,
        read: String,
    },
    /// Without an exchange: all topic permissions of the user in the vhost.
    ClearTopicPermission {
        user: String,
        vhost: String,
        exchange: Option<String>,
    },
    SetPolicy {
        vhost: String,
        policy: PolicySpec,
    },
    ClearPolicy {
        vhost: String,
        name: String,
    },
    SetOperatorPolicy {
        vhost: String,
        policy: PolicySpec,
    },
    ClearOperatorPolicy {
        vhost: String,
        name: String,
    },
    SetVhostLimits {
        vhost: String,
        limits: Map<String, Value>,
    },
    SetParameter {
        vhost: String,
        component: String,
        name: String,
        value: Value,
    },
    ClearParameter {
        vhost: String,
        component: String,
        name: String,
    },
    SetGlobalParameter {
        name: String,
        value: Value,
    },
    ClearGlobalParameter {
        name: String,
    },
}

/// A policy as written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicySpec {
    pub name: String,
    pub pattern: String,
    pub apply_to: String,
    pub definition: Map<String, Value>,
    pub priority: i64,
}

/// The metadata's state.
#[derive(Debug, Default)]
pub struct Metadata {
    /// Rises with every change that may alter where a message goes or who may send it.
    pub version: u64,
    pub vhosts: BTreeMap<String, Vhost>,
    pub access: Access,
    /// Runtime parameters by (vhost, component, name).
    pub parameters: BTreeMap<(String, String, String), Value>,
    pub global_parameters: BTreeMap<String, Value>,
    next_key: u64,
    /// Places in the engine's queue table: how many there are, and which are free again.
    places: u32,
    free_places: Vec<u32>,
}

impl Metadata {
    pub fn vhost(&self, name: &str) -> Option<&Vhost> {
        self.vhosts.get(name)
    }

    /// A key that no queue has had.
    pub fn new_key(&mut self) -> QueueKey {
        self.next_key += 1;
        QueueKey(self.next_key)
    }

    /// Makes sure that keys up to this one are not given out again.
    pub fn skip_keys(&mut self, last: QueueKey) {
        self.next_key = self.next_key.max(last.0);
    }

    /// Whether the change must survive a restart: all but what concerns transient or exclusive objects.
    pub fn is_kept(&self, command: &Command) -> bool {
        match command {
            Command::DeclareExchange { exchange, .. } => exchange.durable,
            Command::DeleteExchange { vhost, name } => self.exchange_is_kept(vhost, name),
            Command::DeclareQueue { queue, .. } => queue.is_kept(),
            Command::DeleteQueue { vhost, name } => self.queue_is_kept(vhost, name),
            Command::Bind { vhost, binding } | Command::Unbind { vhost, binding } => {
                self.exchange_is_kept(vhost, &binding.source)
                    && match &binding.destination {
                        Destination::Queue(name) => self.queue_is_kept(vhost, name),
                        Destination::Exchange(name) => self.exchange_is_kept(vhost, name),
                    }
            }
            _ => true,
        }
    }

    fn queue_is_kept(&self, vhost: &str, name: &str) -> bool {
        self.vhost(vhost)
            .and_then(|vhost| vhost.queues.get(name))
            .is_some_and(|queue| queue.spec.is_kept())
    }

    fn exchange_is_kept(&self, vhost: &str, name: &str) -> bool {
        self.vhost(vhost)
            .and_then(|vhost| vhost.exchanges.get(name))
            .is_some_and(|exchange| exchange.spec.durable)
    }

    /// Applies one change. What follows from it for live queues and connections is `Core::execute`'s part.
    pub fn apply(&mut self, command: &Command) {
        self.version += 1;
        match command {
            Command::PutVhost(spec) => match self.vhosts.get_mut(&spec.name) {
                Some(vhost) => vhost.spec = spec.clone(),
                None => drop(
                    self.vhosts
                        .insert(spec.name.clone(), Vhost::new(spec.clone())),
                ),
            },
            Command::DeleteVhost { name } => {
                if let Some(vhost) = self.vhosts.remove(name) {
                    self.free_places
                        .extend(vhost.queues.values().map(|queue| queue.id.index));
                }
                self.access.remove_vhost(name);
                self.parameters.retain(|(vhost, _, _), _| vhost != name);
            }
            Command::DeclareQueue { vhost, queue } => {
                self.skip_keys(queue.key);
                if self
                    .vhosts
                    .get(vhost)
                    .is_some_and(|vhost| !vhost.queues.contains_key(queue.name.as_str()))
                {
                    let id = self.new_id(queue.key);
                    self.in_vhost(vhost, |vhost| vhost.declare_queue(queue.clone(), id));
                }
            }
            Command::DeclareExchange { vhost, exchange } => {
                self.in_vhost(vhost, |vhost| vhost.declare_exchange(exchange.clone()));
            }
            Command::DeleteExchange { vhost, name } => {
                self.in_vhost(vhost, |vhost| vhost.delete_exchange(name))
            }
            Command::DeleteQueue { vhost, name } => {
                if let Some(id) = self
                    .vhosts
                    .get_mut(vhost)
                    .and_then(|vhost| vhost.delete_queue(name))
                {
                    self.free_places.push(id.index);
                }
            }
            Command::Bind { vhost, binding } => {
                self.in_vhost(vhost, |vhost| vhost.bind(binding.clone()))
            }
            Command::Unbind { vhost, binding } => {
                self.in_vhost(vhost, |vhost| vhost.unbind(binding))
            }
            Command::SetPolicy { vhost, policy } => self.in_vhost(vhost, |vhost| {
                vhost.set_policy(policy);
                vhost.renew_policies();
            }),
            Command::ClearPolicy { vhost, name } => {
                self.in_vhost(vhost, |vhost| {
                    vhost.policies.remove(name);
                    vhost.renew_policies();
                });
            }
            Command::SetOperatorPolicy { vhost, policy } => {
                self.in_vhost(vhost, |vhost| {
                    vhost.set_operator_policy(policy);
                    vhost.renew_policies();
                });
            }
            Command::ClearOperatorPolicy { vhost, name } => {
                self.in_vhost(vhost, |vhost| {
                    vhost.operator_policies.remove(name);
                    vhost.renew_policies();
                });
            }
            Command::SetVhostLimits { vhost, limits } => self.in_vhost(vhost, |vhost| {
                if let Ok(limits) = VhostLimits::from_json(limits) {
                    vhost.limits = limits;
                }
            }),
            _ => self.apply_access(command),
        }
    }

    fn new_id(&mut self, key: QueueKey) -> QueueId {
        let index = self.free_places.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places - 1
        });
        QueueId {
            index,
            generation: key.0 as u32,
        }
    }

    fn in_vhost(&mut self, name: &str, change: impl FnOnce(&mut Vhost)) {
        if let Some(vhost) = self.vhosts.get_mut(name) {
            change(vhost);
        }
    }

    /// The commands about users, permissions and parameters.
    fn apply_access(&mut self, command: &Command) {
        let access = &mut self.access;
        match command {
            Command::PutUser {
                name,
                password_hash,
                hashing_algorithm,
                tags,
            } => {
                if let Ok(password) = Password::import(password_hash, Some(hashing_algorithm)) {
                    let limits = access
                        .users
                        .get(name)
                        .map(|user| user.limits)
                        .unwrap_or_default();
                    access.users.insert(
                        name.clone(),
                        User {
                            password,
                            tags: tags.clone(),
                            limits,
                        },
                    );
                }
            }
            Command::DeleteUser { name } => drop(access.remove_user(name)),
            Command::SetUserLimits { user, limits } => {
                if let (Some(user), Ok(limits)) =
                    (access.users.get_mut(user), UserLimits::from_json(limits))
                {
                    user.limits = limits;
                }
            }
            Command::SetPermission {
                user,
                vhost,
                configure,
                write,
                read,
            } => {
                if let Ok(permission) = Permission::new(configure, write, read) {
                    access
                        .permissions
                        .insert((vhost.clone(), user.clone()), permission);
                }
            }
            Command::ClearPermission { user, vhost } => {
                access.permissions.remove(&(vhost.clone(), user.clone()));
            }
            Command::SetTopicPermission {
                user,
                vhost,
                exchange,
                write,
                read,
            } => {
                if let Ok(permission) = TopicPermission::new(write, read) {
                    let key = (vhost.clone(), user.clone(), exchange.clone());
                    access.topic_permissions.insert(key, permission);
                }
            }
            Command::ClearTopicPermission {
                user,
                vhost,
                exchange,
            } => {
                access.topic_permissions.retain(|(v, u, e), _| {
                    v != vhost
                        || u != user
                        || exchange.as_ref().is_some_and(|exchange| exchange != e)
                });
            }
            Command::SetParameter {
                vhost,
                component,
                name,
                value,
            } => {
                let key = (vhost.clone(), component.clone(), name.clone());
                self.parameters.insert(key, value.clone());
            }
            Command::ClearParameter {
                vhost,
                component,
                name,
            } => {
                self.parameters
                    .remove(&(vhost.clone(), component.clone(), name.clone()));
            }
            Command::SetGlobalParameter { name, value } => {
                self.global_parameters.insert(name.clone(), value.clone());
            }
            Command::ClearGlobalParameter { name } => drop(self.global_parameters.remove(name)),
            _ => unreachable!("apply() handles the commands about vhosts and what is in them"),
        }
    }
}
