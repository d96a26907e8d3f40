//! What an administrator does to a node: checked, then applied as commands.
//! The HTTP API and the command line share these; each puts an [`AdminError`]
//! into its own words.
//!
//! All run on the core thread and are short. Hashing a password is not: it is
//! done before, elsewhere.

use crate::core::Core;
use crate::core::access::{Password, Permission, TopicPermission};
use crate::core::definitions::{self, ImportError};
use crate::core::limits::{Limits, UserLimits, VhostLimits};
use crate::core::metadata::{Command, PolicySpec};
use crate::core::vhost::{QueueSpec, VhostSpec};
use serde_json::{Map, Value};

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminError {
    /// There is no user of this name.
    NoSuchUser(String),
    /// There is one already.
    UserExists(String),
    /// There is no virtual host of this name.
    NoSuchVhost(String),
    /// Neither policy nor parameter nor limit of that name.
    NoSuchParameter,
    /// A rule is broken; the whole text.
    Invalid(String),
    /// A pattern does not compile: the pattern, the reason, the place.
    BadPattern(String, String, usize),
    /// A definitions document is refused.
    Import(ImportError),
}

impl std::fmt::Display for AdminError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdminError::NoSuchUser(name) => write!(f, "User \"{name}\" does not exist"),
            AdminError::UserExists(name) => write!(f, "User \"{name}\" already exists"),
            AdminError::NoSuchVhost(name) => write!(f, "Virtual host {name} does not exist"),
            AdminError::NoSuchParameter => f.write_str("Parameter does not exist"),
            AdminError::Invalid(text) => f.write_str(text),
            AdminError::BadPattern(text, reason, at) => {
                write!(f, "Invalid regular expression \"{text}\": {reason} at {at}")
            }
            AdminError::Import(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AdminError {}

impl From<ImportError> for AdminError {
    fn from(error: ImportError) -> AdminError {
        match error {
            ImportError::Invalid(text) => AdminError::Invalid(text),
            other => AdminError::Import(other),
        }
    }
}

type Done<T = ()> = Result<T, AdminError>;

fn validation(text: impl std::fmt::Display) -> AdminError {
    AdminError::Invalid(format!("Validation failed\n\n{text}\n"))
}

fn user_of<'c>(core: &'c Core, name: &str) -> Done<&'c crate::core::access::User> {
    let missing = || AdminError::NoSuchUser(name.to_owned());
    core.metadata.access.users.get(name).ok_or_else(missing)
}

fn check_vhost(core: &Core, name: &str) -> Done {
    match core.metadata.vhost(name) {
        Some(_) => Ok(()),
        None => Err(AdminError::NoSuchVhost(name.to_owned())),
    }
}

/// Creates or changes a user; says whether it is new.
pub fn put_user(core: &mut Core, name: String, password: Password, tags: Vec<String>) -> bool {
    let is_new = !core.metadata.access.users.contains_key(&name);
    core.execute(Command::PutUser {
        name,
        password_hash: password.export_hash(),
        hashing_algorithm: password.export_algorithm().to_owned(),
        tags,
    });
    is_new
}

/// Creates a user that must be new.
pub fn add_user(core: &mut Core, name: String, password: Password) -> Done {
    if core.metadata.access.users.contains_key(&name) {
        return Err(AdminError::UserExists(name));
    }
    put_user(core, name, password, Vec::new());
    Ok(())
}

/// Gives a user another password (or none).
pub fn set_password(core: &mut Core, name: String, password: Password) -> Done {
    let tags = user_of(core, &name)?.tags.clone();
    put_user(core, name, password, tags);
    Ok(())
}

/// Gives a user other tags.
pub fn set_tags(core: &mut Core, name: String, tags: Vec<String>) -> Done {
    let password = user_of(core, &name)?.password.clone();
    put_user(core, name, password, tags);
    Ok(())
}

/// Removes a user with all permissions.
pub fn delete_user(core: &mut Core, name: String) -> Done {
    user_of(core, &name)?;
    core.execute(Command::DeleteUser { name });
    Ok(())
}

/// Sets a permission; says whether it is new.
pub fn set_permission(
    core: &mut Core,
    user: String,
    vhost: String,
    rules: [String; 3],
) -> Done<bool> {
    check_vhost(core, &vhost)?;
    user_of(core, &user)?;
    let [configure, write, read] = rules;
    Permission::new(&configure, &write, &read)
        .map_err(|e| AdminError::BadPattern(e.text, e.error.reason, e.error.position))?;
    let is_new = core.metadata.access.permission(&user, &vhost).is_none();
    core.execute(Command::SetPermission {
        user,
        vhost,
        configure,
        write,
        read,
    });
    Ok(is_new)
}

/// Takes a permission away.
pub fn clear_permission(core: &mut Core, user: String, vhost: String) -> Done {
    check_vhost(core, &vhost)?;
    user_of(core, &user)?;
    core.execute(Command::ClearPermission { user, vhost });
    Ok(())
}

/// Sets a topic permission; says whether it is new.
pub fn set_topic_permission(
    core: &mut Core,
    user: String,
    vhost: String,
    exchange: String,
    rules: [String; 2],
) -> Done<bool> {
    check_vhost(core, &vhost)?;
    user_of(core, &user)?;
    let [write, read] = rules;
    TopicPermission::new(&write, &read)
        .map_err(|e| AdminError::BadPattern(e.text, e.error.reason, e.error.position))?;
    let is_new = !core
        .metadata
        .access
        .has_topic_rule(&user, &vhost, &exchange);
    core.execute(Command::SetTopicPermission {
        user,
        vhost,
        exchange,
        write,
        read,
    });
    Ok(is_new)
}

/// Takes topic permissions away: one exchange's, or all.
pub fn clear_topic_permission(
    core: &mut Core,
    user: String,
    vhost: String,
    exchange: Option<String>,
) -> Done {
    check_vhost(core, &vhost)?;
    user_of(core, &user)?;
    core.execute(Command::ClearTopicPermission {
        user,
        vhost,
        exchange,
    });
    Ok(())
}

/// Creates or changes a virtual host; says whether it is new.
pub fn put_vhost(core: &mut Core, spec: VhostSpec) -> bool {
    let is_new = core.metadata.vhost(&spec.name).is_none();
    core.execute(Command::PutVhost(spec));
    is_new
}

/// Removes a virtual host with all that is in it.
pub fn delete_vhost(core: &mut Core, name: String) -> Done {
    check_vhost(core, &name)?;
    core.execute(Command::DeleteVhost { name });
    Ok(())
}

/// Turns tracing on or off.
pub fn set_tracing(core: &mut Core, name: &str, tracing: bool) -> Done {
    check_vhost(core, name)?;
    if let Some(vhost) = core.metadata.vhost(name) {
        let spec = vhost.spec.clone();
        core.execute(Command::PutVhost(VhostSpec { tracing, ..spec }));
    }
    Ok(())
}

/// Sets a policy or operator policy; says whether it is new.
pub fn set_policy(
    core: &mut Core,
    vhost: String,
    policy: PolicySpec,
    operator: bool,
) -> Done<bool> {
    check_vhost(core, &vhost)?;
    let is_new = core.metadata.vhost(&vhost).is_some_and(|v| match operator {
        true => !v.operator_policies.contains_key(&policy.name),
        false => !v.policies.contains_key(&policy.name),
    });
    core.execute(match operator {
        true => Command::SetOperatorPolicy { vhost, policy },
        false => Command::SetPolicy { vhost, policy },
    });
    Ok(is_new)
}

/// Removes a policy or operator policy.
pub fn clear_policy(core: &mut Core, vhost: String, name: String, operator: bool) -> Done {
    check_vhost(core, &vhost)?;
    let is_there = core.metadata.vhost(&vhost).is_some_and(|v| match operator {
        true => v.operator_policies.contains_key(&name),
        false => v.policies.contains_key(&name),
    });
    if !is_there {
        return Err(AdminError::NoSuchParameter);
    }
    core.execute(match operator {
        true => Command::ClearOperatorPolicy { vhost, name },
        false => Command::ClearPolicy { vhost, name },
    });
    Ok(())
}

/// Replaces the limits of a virtual host.
pub fn set_vhost_limits(core: &mut Core, vhost: String, limits: &Map<String, Value>) -> Done {
    check_vhost(core, &vhost)?;
    let limits = VhostLimits::from_json(limits)
        .map_err(validation)?
        .to_json();
    core.execute(Command::SetVhostLimits { vhost, limits });
    Ok(())
}

/// Sets or lifts one limit of a virtual host.
pub fn set_vhost_limit(core: &mut Core, vhost: String, name: &str, value: Option<&Value>) -> Done {
    check_vhost(core, &vhost)?;
    let mut limits = core
        .metadata
        .vhost(&vhost)
        .map(|v| v.limits)
        .unwrap_or_default();
    match value {
        Some(value) => limits.set(name, value).map_err(validation)?,
        None => limits.lift(name),
    }
    let limits = limits.to_json();
    core.execute(Command::SetVhostLimits { vhost, limits });
    Ok(())
}

/// Sets limits of a user; those not named stay.
pub fn set_user_limits(core: &mut Core, user: String, changes: &Map<String, Value>) -> Done {
    for (name, value) in changes {
        let checked = UserLimits::default().set(name, value);
        checked.map_err(AdminError::Invalid)?;
    }
    let mut limits = user_of(core, &user)?.limits;
    for (name, value) in changes {
        limits.set(name, value).map_err(AdminError::Invalid)?;
    }
    let limits = limits.to_json();
    core.execute(Command::SetUserLimits { user, limits });
    Ok(())
}

/// Lifts one limit of a user, or all.
pub fn clear_user_limits(core: &mut Core, user: String, name: &str) -> Done {
    let mut limits = user_of(core, &user)?.limits;
    match name {
        "all" => limits = UserLimits::default(),
        _ => limits.lift(name),
    }
    let limits = limits.to_json();
    core.execute(Command::SetUserLimits { user, limits });
    Ok(())
}

/// Sets a global parameter; says whether it is new.
pub fn set_global_parameter(core: &mut Core, name: String, value: Value) -> bool {
    if let ("cluster_name", Some(text)) = (name.as_str(), value.as_str()) {
        core.settings.cluster_name = text.to_owned();
    }
    let is_new = !core.metadata.global_parameters.contains_key(&name);
    core.execute(Command::SetGlobalParameter { name, value });
    is_new
}

/// Removes a global parameter.
pub fn clear_global_parameter(core: &mut Core, name: String) -> Done {
    if !core.metadata.global_parameters.contains_key(&name) {
        return Err(AdminError::NoSuchParameter);
    }
    core.execute(Command::ClearGlobalParameter { name });
    Ok(())
}

/// Runtime parameters belong to plug-ins of RabbitMQ, none of which is here;
/// limits and operator policies go by this way too.
pub fn set_parameter(
    core: &mut Core,
    component: &str,
    vhost: String,
    name: String,
    value: &Value,
) -> Done<bool> {
    check_vhost(core, &vhost)?;
    let empty = Map::new();
    let map = value.as_object().unwrap_or(&empty);
    match component {
        "vhost-limits" => set_vhost_limits(core, vhost, map).map(|()| false),
        "operator_policy" => {
            let policy = definitions::policy_spec(name, map, true)?;
            set_policy(core, vhost, policy, true)
        }
        "policy" => {
            let policy = definitions::policy_spec(name, map, false)?;
            set_policy(core, vhost, policy, false)
        }
        _ => Err(validation(format!("component {component} not found"))),
    }
}

fn is_unset(core: &Core, vhost: &str) -> bool {
    let found = core.metadata.vhost(vhost);
    found.is_none_or(|vhost| vhost.limits.is_unset())
}

/// Removes a runtime parameter.
pub fn clear_parameter(core: &mut Core, component: &str, vhost: String, name: String) -> Done {
    check_vhost(core, &vhost)?;
    match component {
        "vhost-limits" if name != "limits" || is_unset(core, &vhost) => {
            Err(AdminError::NoSuchParameter)
        }
        "vhost-limits" => set_vhost_limits(core, vhost, &Map::new()),
        "operator_policy" => clear_policy(core, vhost, name, true),
        "policy" => clear_policy(core, vhost, name, false),
        _ => Err(AdminError::NoSuchParameter),
    }
}

/// Imports a definitions document: all of it, or nothing when it has a fault.
pub fn import(core: &mut Core, document: &Map<String, Value>, vhost: Option<&str>) -> Done {
    if let Some(vhost) = vhost {
        check_vhost(core, vhost)?;
    }
    let known = |name: &str| core.metadata.vhost(name).is_some();
    let commands = definitions::import(document, vhost, &known)?;
    for command in commands {
        apply_import(core, command);
    }
    Ok(())
}

fn apply_import(core: &mut Core, command: Command) {
    match command {
        Command::DeclareQueue { vhost, queue } => {
            let there = core.metadata.vhost(&vhost);
            if there.is_some_and(|v| !v.queues.contains_key(queue.name.as_str())) {
                let key = core.metadata.new_key();
                let queue = QueueSpec { key, ..queue };
                core.execute(Command::DeclareQueue { vhost, queue });
            }
        }
        Command::PutVhost(spec) => {
            // an export of 3.10 may leave description and tags out
            let bare = spec.description.is_empty() && spec.tags.is_empty();
            if !bare || core.metadata.vhost(&spec.name).is_none() {
                core.execute(Command::PutVhost(spec));
            }
        }
        Command::SetGlobalParameter { name, value } => {
            set_global_parameter(core, name, value);
        }
        other => core.execute(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::journal::Volatile;
    use crate::core::settings::Settings;
    use serde_json::json;

    fn core() -> Core {
        let mut core = Core::new(Settings::default(), Box::new(Volatile), [0; 32]);
        let spec = VhostSpec {
            name: "/".into(),
            ..VhostSpec::default()
        };
        put_vhost(&mut core, spec);
        core
    }

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_user_is_added_once_and_can_be_changed() {
        let mut core = core();
        add_user(&mut core, "u".into(), Password::None).expect("is new");
        let again = add_user(&mut core, "u".into(), Password::None);
        assert_eq!(again, Err(AdminError::UserExists("u".into())));
        set_tags(&mut core, "u".into(), vec!["management".into()]).expect("exists");
        let other = Password::hash_salted(b"x", [1; 4]);
        set_password(&mut core, "u".into(), other).expect("exists");
        assert!(core.metadata.access.users["u"].is("management"));
        delete_user(&mut core, "u".into()).expect("exists");
        assert!(delete_user(&mut core, "u".into()).is_err());
    }

    #[test]
    fn permissions_need_user_and_virtual_host() {
        let mut core = core();
        let rules = || [".*".to_owned(), ".*".to_owned(), ".*".to_owned()];
        let no_user = set_permission(&mut core, "u".into(), "/".into(), rules());
        assert_eq!(no_user, Err(AdminError::NoSuchUser("u".into())));
        add_user(&mut core, "u".into(), Password::None).expect("is new");
        let no_vhost = set_permission(&mut core, "u".into(), "x".into(), rules());
        assert_eq!(no_vhost, Err(AdminError::NoSuchVhost("x".into())));
        assert_eq!(
            set_permission(&mut core, "u".into(), "/".into(), rules()),
            Ok(true)
        );
        assert_eq!(
            set_permission(&mut core, "u".into(), "/".into(), rules()),
            Ok(false)
        );
        let bad = ["(".to_owned(), String::new(), String::new()];
        let bad = set_permission(&mut core, "u".into(), "/".into(), bad);
        assert_eq!(
            bad,
            Err(AdminError::BadPattern("(".into(), "missing )".into(), 1))
        );
    }

    #[test]
    fn an_import_is_all_or_nothing() {
        let mut core = core();
        let document = json!({
            "vhosts": [{"name": "new"}],
            "queues": [{"name": "q", "vhost": "gone"}],
        });
        assert!(import(&mut core, &object(document), None).is_err());
        assert!(core.metadata.vhost("new").is_none());
        let document = json!({
            "vhosts": [{"name": "new"}],
            "queues": [{"name": "q", "vhost": "new", "durable": true, "arguments": {}}],
        });
        import(&mut core, &object(document.clone()), None).expect("is sound");
        import(&mut core, &object(document), None).expect("a second time changes nothing");
        let vhost = core.metadata.vhost("new").expect("was imported");
        assert!(vhost.queues.contains_key("q"));
    }

    #[test]
    fn limits_are_set_one_by_one_and_lifted() {
        let mut core = core();
        let five = json!(5);
        set_vhost_limit(&mut core, "/".into(), "max-queues", Some(&five)).expect("valid");
        let vhost = core.metadata.vhost("/").expect("exists");
        assert_eq!(vhost.limits.max_queues, Some(5));
        set_vhost_limit(&mut core, "/".into(), "max-queues", None).expect("valid");
        let vhost = core.metadata.vhost("/").expect("exists");
        assert_eq!(vhost.limits.max_queues, None);
        let wrong = set_vhost_limit(&mut core, "/".into(), "foo", Some(&five));
        let text = "Validation failed\n\nUnrecognised terms [{<<\"foo\">>,5}] in limits\n";
        assert_eq!(wrong, Err(AdminError::Invalid(text.into())));
    }

    #[test]
    fn clearing_what_is_not_there_says_so() {
        let mut core = core();
        let gone = clear_policy(&mut core, "/".into(), "p".into(), false);
        assert_eq!(gone, Err(AdminError::NoSuchParameter));
        let gone = clear_global_parameter(&mut core, "g".into());
        assert_eq!(gone, Err(AdminError::NoSuchParameter));
    }
}
