//! Fewer metadata commands with the same outcome: what is deleted and what is said twice goes.

use crate::core::metadata::Command;
use crate::core::vhost::Destination;
use std::collections::HashMap;

/// What a command is about, in words: its kind, then names from the outermost in.
type Subject = Vec<String>;

fn subject(kind: &str, names: &[&str]) -> Subject {
    std::iter::once(kind)
        .chain(names.iter().copied())
        .map(str::to_owned)
        .collect()
}

/// What a command makes or replaces; `None` for those that delete.
fn made(command: &Command) -> Option<Subject> {
    Some(match command {
        Command::PutVhost(spec) => subject("vhost", &[&spec.name]),
        Command::DeclareExchange { vhost, exchange } => {
            subject("exchange", &[vhost, &exchange.name])
        }
        Command::DeclareQueue { vhost, queue } => subject("queue", &[vhost, &queue.name]),
        Command::Bind { vhost, binding } => binding_subject(vhost, binding),
        Command::PutUser { name, .. } => subject("user", &[name]),
        Command::SetUserLimits { user, .. } => subject("user limits", &[user]),
        Command::SetPermission { user, vhost, .. } => subject("permission", &[vhost, user]),
        Command::SetTopicPermission {
            user,
            vhost,
            exchange,
            ..
        } => subject("topic permission", &[vhost, user, exchange]),
        Command::SetPolicy { vhost, policy } => subject("policy", &[vhost, &policy.name]),
        Command::SetOperatorPolicy { vhost, policy } => {
            subject("operator policy", &[vhost, &policy.name])
        }
        Command::SetVhostLimits { vhost, .. } => subject("vhost limits", &[vhost]),
        Command::SetParameter {
            vhost,
            component,
            name,
            ..
        } => subject("parameter", &[vhost, component, name]),
        Command::SetGlobalParameter { name, .. } => subject("global parameter", &[name]),
        Command::DeleteVhost { .. }
        | Command::DeleteExchange { .. }
        | Command::DeleteQueue { .. }
        | Command::Unbind { .. }
        | Command::DeleteUser { .. }
        | Command::ClearPermission { .. }
        | Command::ClearTopicPermission { .. }
        | Command::ClearPolicy { .. }
        | Command::ClearOperatorPolicy { .. }
        | Command::ClearParameter { .. }
        | Command::ClearGlobalParameter { .. } => return None,
    })
}

fn binding_subject(vhost: &str, binding: &crate::core::vhost::Binding) -> Subject {
    let (kind, destination) = match &binding.destination {
        Destination::Queue(name) => ("queue", name),
        Destination::Exchange(name) => ("exchange", name),
    };
    let arguments = format!("{:?}", binding.arguments.to_bytes());
    subject(
        "binding",
        &[
            vhost,
            &binding.source,
            kind,
            destination,
            &binding.routing_key,
            &arguments,
        ],
    )
}

/// Whether `deletion` takes with it what `subject` names.
fn deletes(deletion: &Command, subject: &Subject) -> bool {
    let kind = subject[0].as_str();
    let is = |wanted: &str, names: &[&str]| {
        kind == wanted
            && subject[1..]
                .iter()
                .map(String::as_str)
                .eq(names.iter().copied())
    };
    let binds = |vhost: &str, of: &str, name: &str| {
        kind == "binding"
            && subject[1] == vhost
            && ((subject[3] == of && subject[4] == name)
                || (of == "exchange" && subject[2] == name))
    };
    match deletion {
        Command::DeleteVhost { name } => {
            let in_vhost = !matches!(kind, "user" | "user limits" | "global parameter");
            in_vhost && subject[1] == *name
        }
        Command::DeleteExchange { vhost, name } => {
            is("exchange", &[vhost, name]) || binds(vhost, "exchange", name)
        }
        Command::DeleteQueue { vhost, name } => {
            is("queue", &[vhost, name]) || binds(vhost, "queue", name)
        }
        Command::Unbind { vhost, binding } => *subject == binding_subject(vhost, binding),
        Command::DeleteUser { name } => {
            is("user", &[name])
                || is("user limits", &[name])
                || (matches!(kind, "permission" | "topic permission") && subject[2] == *name)
        }
        Command::ClearPermission { user, vhost } => is("permission", &[vhost, user]),
        Command::ClearTopicPermission {
            user,
            vhost,
            exchange,
        } => match exchange {
            Some(exchange) => is("topic permission", &[vhost, user, exchange]),
            None => kind == "topic permission" && subject[1] == *vhost && subject[2] == *user,
        },
        Command::ClearPolicy { vhost, name } => is("policy", &[vhost, name]),
        Command::ClearOperatorPolicy { vhost, name } => is("operator policy", &[vhost, name]),
        Command::ClearParameter {
            vhost,
            component,
            name,
        } => is("parameter", &[vhost, component, name]),
        Command::ClearGlobalParameter { name } => is("global parameter", &[name]),
        _ => false,
    }
}

/// Whether at most one subject is deleted, which can be found without looking at all.
fn deleted_alone(deletion: &Command) -> Option<Subject> {
    Some(match deletion {
        Command::Unbind { vhost, binding } => binding_subject(vhost, binding),
        Command::ClearPermission { user, vhost } => subject("permission", &[vhost, user]),
        Command::ClearPolicy { vhost, name } => subject("policy", &[vhost, name]),
        Command::ClearOperatorPolicy { vhost, name } => subject("operator policy", &[vhost, name]),
        Command::ClearParameter {
            vhost,
            component,
            name,
        } => subject("parameter", &[vhost, component, name]),
        Command::ClearGlobalParameter { name } => subject("global parameter", &[name]),
        _ => return None,
    })
}

/// What is left, each at the place of the first command about it, so that what it needs comes before it.
#[derive(Default)]
struct Left {
    commands: Vec<Option<(Subject, Command)>>,
    places: HashMap<Subject, usize>,
    /// Places of bindings by what they hang on: vhost, kind, name.
    bindings: HashMap<(String, &'static str, String), Vec<usize>>,
}

impl Left {
    fn make(&mut self, subject: Subject, command: Command) {
        if let Some(&place) = self.places.get(&subject) {
            // An exchange or queue that is there already stays as it is.
            if !matches!(
                command,
                Command::DeclareExchange { .. }
                    | Command::DeclareQueue { .. }
                    | Command::Bind { .. }
            ) {
                self.commands[place] = Some((subject, command));
            }
            return;
        }
        let place = self.commands.len();
        if let Command::Bind { vhost, binding } = &command {
            let kind = if subject[3] == "queue" {
                "queue"
            } else {
                "exchange"
            };
            let ends = [
                (kind, binding.destination.name()),
                ("exchange", binding.source.as_str()),
            ];
            for (kind, name) in ends {
                self.bindings
                    .entry((vhost.clone(), kind, name.to_owned()))
                    .or_default()
                    .push(place);
            }
        }
        self.places.insert(subject.clone(), place);
        self.commands.push(Some((subject, command)));
    }

    fn remove(&mut self, place: usize) {
        if let Some((subject, _)) = self.commands[place].take() {
            self.places.remove(&subject);
        }
    }

    fn delete(&mut self, deletion: &Command) {
        if let Some(subject) = deleted_alone(deletion) {
            if let Some(&place) = self.places.get(&subject) {
                self.remove(place);
            }
            return;
        }
        let hanging = match deletion {
            Command::DeleteQueue { vhost, name } => Some((vhost, "queue", name)),
            Command::DeleteExchange { vhost, name } => Some((vhost, "exchange", name)),
            _ => None,
        };
        let places: Vec<usize> = match hanging {
            Some((vhost, kind, name)) => {
                let bound = self
                    .bindings
                    .remove(&(vhost.clone(), kind, name.clone()))
                    .unwrap_or_default();
                bound
                    .into_iter()
                    .chain(self.places.get(&subject(kind, &[vhost, name])).copied())
                    .collect()
            }
            None => (0..self.commands.len()).collect(),
        };
        for place in places {
            if self.commands[place]
                .as_ref()
                .is_some_and(|(subject, _)| deletes(deletion, subject))
            {
                self.remove(place);
            }
        }
    }
}

fn squash_commands(commands: Vec<Command>) -> Vec<Command> {
    let mut left = Left::default();
    for command in commands {
        match made(&command) {
            Some(subject) => left.make(subject, command),
            None => left.delete(&command),
        }
    }
    left.commands
        .into_iter()
        .flatten()
        .map(|(_, command)| command)
        .collect()
}

/// The same for commands as the log has them. When one is not understood all stay.
pub(super) fn squash(commands: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let parsed: Result<Vec<Command>, _> = commands
        .iter()
        .map(|bytes| serde_json::from_slice(bytes))
        .collect();
    let Ok(parsed) = parsed else {
        return commands;
    };
    let squashed: Result<Vec<Vec<u8>>, _> = squash_commands(parsed)
        .iter()
        .map(serde_json::to_vec)
        .collect();
    squashed.unwrap_or(commands)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::field::FieldTable;
    use crate::core::journal::QueueKey;
    use crate::core::metadata::Metadata;
    use crate::core::vhost::{Binding, ExchangeSpec, QueueSpec, VhostSpec};
    use proptest::prelude::*;

    fn command(kind: u8, a: u8, b: u8) -> Command {
        let (vhost, name) = (format!("v{}", a % 2), format!("n{}", b % 3));
        let other = format!("n{}", (a / 2) % 3);
        let destination = match b & 4 {
            0 => Destination::Queue(other.clone()),
            _ => Destination::Exchange(other.clone()),
        };
        let binding = Binding {
            source: name.clone(),
            destination,
            routing_key: "k".to_owned(),
            arguments: FieldTable::default(),
        };
        match kind % 14 {
            0 => Command::PutVhost(VhostSpec {
                name: vhost,
                description: format!("{b}"),
                ..VhostSpec::default()
            }),
            1 if b.is_multiple_of(8) => Command::DeleteVhost { name: vhost },
            1 | 2 => Command::DeclareExchange {
                vhost,
                exchange: ExchangeSpec {
                    name,
                    kind: "direct".to_owned(),
                    durable: true,
                    auto_delete: false,
                    internal: false,
                    arguments: FieldTable::default(),
                },
            },
            3 => Command::DeleteExchange { vhost, name },
            4 | 5 => Command::DeclareQueue {
                vhost,
                queue: QueueSpec {
                    name,
                    durable: true,
                    auto_delete: false,
                    owner: None,
                    arguments: FieldTable::default(),
                    key: QueueKey(u64::from(a)),
                },
            },
            6 => Command::DeleteQueue { vhost, name },
            7 | 8 => Command::Bind { vhost, binding },
            9 => Command::Unbind { vhost, binding },
            10 => Command::PutUser {
                name,
                password_hash: "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR".to_owned(),
                hashing_algorithm: "rabbit_password_hashing_sha256".to_owned(),
                tags: vec![other],
            },
            11 => Command::DeleteUser { name },
            12 => Command::SetPermission {
                user: name,
                vhost,
                configure: other,
                write: ".*".to_owned(),
                read: ".*".to_owned(),
            },
            _ => Command::ClearPermission { user: name, vhost },
        }
    }

    /// Everything that commands made, in a form to compare.
    fn outcome(commands: &[Command]) -> Vec<String> {
        let mut metadata = Metadata::default();
        commands.iter().for_each(|command| metadata.apply(command));
        let mut lines = Vec::new();
        for (name, vhost) in &metadata.vhosts {
            lines.push(format!("{name} {:?}", vhost.spec));
            lines.extend(
                vhost
                    .exchanges
                    .values()
                    .map(|exchange| format!("{name} {:?}", exchange.spec)),
            );
            lines.extend(
                vhost
                    .queues
                    .values()
                    .map(|queue| format!("{name} {:?}", queue.spec)),
            );
            lines.extend(
                vhost
                    .bindings()
                    .map(|binding| format!("{name} {binding:?}")),
            );
        }
        let access = &metadata.access;
        lines.extend(
            access
                .users
                .iter()
                .map(|(name, user)| format!("{name} {:?}", user.tags)),
        );
        lines.extend(
            access
                .permissions
                .iter()
                .map(|(key, permission)| format!("{key:?} {permission:?}")),
        );
        lines.sort();
        lines
    }

    proptest! {
        #[test]
        fn fewer_commands_make_the_same(seeds in proptest::collection::vec(any::<(u8, u8, u8)>(), 0..80)) {
            let commands: Vec<Command> = seeds.into_iter().map(|(kind, a, b)| command(kind, a, b)).collect();
            // As the engine logs them: nothing about what is not there.
            let mut metadata = Metadata::default();
            let mut logged = Vec::new();
            for command in commands {
                if is_meaningful(&metadata, &command) {
                    metadata.apply(&command);
                    logged.push(command);
                }
            }
            let squashed = squash_commands(logged.clone());
            prop_assert!(squashed.len() <= logged.len());
            prop_assert_eq!(outcome(&squashed), outcome(&logged));
        }
    }

    fn is_meaningful(metadata: &Metadata, command: &Command) -> bool {
        let vhost = |name: &str| metadata.vhost(name);
        match command {
            Command::DeclareExchange { vhost: v, .. } | Command::DeclareQueue { vhost: v, .. } => {
                vhost(v).is_some()
            }
            Command::Bind { vhost: v, binding } => vhost(v).is_some_and(|vhost| {
                let there = match &binding.destination {
                    Destination::Queue(name) => vhost.queues.contains_key(name.as_str()),
                    Destination::Exchange(name) => vhost.exchanges.contains_key(name.as_str()),
                };
                there && vhost.exchanges.contains_key(binding.source.as_str())
            }),
            Command::SetPermission { user, vhost: v, .. } => {
                vhost(v).is_some() && metadata.access.users.contains_key(user)
            }
            _ => true,
        }
    }

    #[test]
    fn commands_that_are_not_understood_stay() {
        let commands = vec![
            b"{\"FromTheFuture\":1}".to_vec(),
            b"{\"DeleteVhost\":{\"name\":\"x\"}}".to_vec(),
        ];
        assert_eq!(squash(commands.clone()), commands);
    }
}
