//! What the command line can have done at the node.

use super::wire::{Fault, FaultKind, Said, What};
use crate::admin::{self, AdminError};
use crate::core::DeleteIf;
use crate::core::access::Password;
use crate::core::definitions::{export, parse_tags, policy_spec};
use crate::core::limits::Limits;
use crate::core::vhost::VhostSpec;
use crate::management::api::users::hash;
use crate::management::{Caller, Management, Reply, engine, now_ms, system};
use serde_json::{Map, Value, json};

type Done = Result<Value, Fault>;
type With = Map<String, Value>;

/// Does it and says what came of it.
pub async fn answer(m: &Management, what: What) -> Said {
    let done = match what {
        What::Api { method, path, body } => ask_api(m, &method, &path, &body).await,
        What::Do { name, with } => perform(m, &name, &with).await,
    };
    match done {
        Ok(value) => Said::Ok(value),
        Err(fault) => Said::Fault(fault),
    }
}

async fn ask_api(m: &Management, method: &str, path: &str, body: &Value) -> Done {
    let caller = Caller {
        name: "rmq-cli".to_owned(),
        tags: vec!["administrator".to_owned()],
        ..Caller::default()
    };
    let reply = crate::management::ask(m, &caller, method, path, body).await;
    let value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    match reply.status {
        200..=299 => Ok(value),
        404 => Err(Fault::failed("not_found")),
        _ => Err(Fault::failed(reason(&value))),
    }
}

fn reason(value: &Value) -> String {
    match &value["reason"] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl From<Reply> for Fault {
    fn from(reply: Reply) -> Fault {
        let value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Fault::failed(reason(&value))
    }
}

impl From<AdminError> for Fault {
    fn from(error: AdminError) -> Fault {
        let kind = match &error {
            AdminError::NoSuchUser(_) => FaultKind::NoUser,
            AdminError::UserExists(_) => FaultKind::Exists,
            _ => FaultKind::Failed,
        };
        let text = match &error {
            AdminError::BadPattern(pattern, reason, at) => {
                format!("{{:invalid_regexp, '{pattern}', {{'{reason}', {at}}}}}")
            }
            other => other.to_string(),
        };
        Fault::new(kind, text)
    }
}

fn text(with: &With, key: &str) -> String {
    with.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn json_text(with: &With, key: &str) -> Result<Value, Fault> {
    serde_json::from_str(&text(with, key))
        .map_err(|_| Fault::failed("JSON decoding error. Reason: badarg"))
}

/// A definition that must be an object.
fn object(with: &With, key: &str) -> Result<With, Fault> {
    match json_text(with, key)? {
        Value::Object(map) => Ok(map),
        other => Err(Fault::failed(format!("{{:badmap, {other}}}"))),
    }
}

async fn perform(m: &Management, name: &str, with: &With) -> Done {
    if let Some(done) = on_the_node(m, name, with).await {
        return done;
    }
    match name {
        "add_user" | "change_password" | "authenticate_user" => passwords(m, name, with).await,
        "export" => {
            let (product, version) = (m.facts.product.clone(), m.facts.version.clone());
            Ok(
                m.with(move |core| export(&core.metadata, &product, &version))
                    .await?,
            )
        }
        "import" => {
            let document = object(with, "definitions")?;
            m.with(move |core| admin::import(core, &document, None))
                .await??;
            Ok(Value::Null)
        }
        "close_connections" => close(m, with).await,
        "purge_queue" | "delete_queue" | "sync_queue" => queue(m, name, with).await,
        _ => {
            let (name, with) = (name.to_owned(), with.clone());
            m.with(move |core| change(core, &name, &with)).await?
        }
    }
}

/// What concerns the node as a process.
async fn on_the_node(m: &Management, name: &str, with: &With) -> Option<Done> {
    Some(match name {
        "stop" => Ok(Value::Null),
        "set_log_level" => crate::log::set_level(&text(with, "level"))
            .map(|()| Value::Null)
            .map_err(Fault::failed),
        "reset_logins" => {
            m.reset_logins();
            Ok(Value::Null)
        }
        "running" => Ok(json!({"running": !m.is_stopped()})),
        "stop_app" => suspend(m, true).await,
        "start_app" => suspend(m, false).await,
        "reset" => reset(m).await,
        "status" => status(m).await,
        "cluster" => cluster(m).await,
        "set_memory" => {
            let total = system::memory_total();
            let setting = text(with, "setting");
            let bytes = match setting.parse::<f64>() {
                Ok(ratio) if ratio <= 1.0 => (total as f64 * ratio) as u64,
                _ => with.get("bytes").and_then(Value::as_u64).unwrap_or(0),
            };
            m.set_limits(|limits| {
                limits.memory = bytes;
                limits.memory_setting = setting;
            });
            Ok(Value::Null)
        }
        "set_disk" => {
            let ratio = with.get("ratio").and_then(Value::as_f64);
            let bytes = with.get("bytes").and_then(Value::as_u64);
            let total = system::memory_total() as f64;
            let bytes = bytes.unwrap_or_else(|| (ratio.unwrap_or(0.0) * total) as u64);
            m.set_limits(|limits| limits.disk = bytes);
            Ok(Value::Null)
        }
        _ => return None,
    })
}

/// Stops or starts the broker inside of the process: clients are told 320 and
/// new ones are not served.
async fn suspend(m: &Management, stop: bool) -> Done {
    m.with(move |core| core.suspend(stop)).await?;
    m.set_stopped(stop);
    Ok(Value::Null)
}

/// Back to the state of a new node.
async fn reset(m: &Management) -> Done {
    m.with(|core| {
        let vhosts: Vec<_> = core.metadata.vhosts.keys().cloned().collect();
        for name in vhosts {
            admin::delete_vhost(core, name)?;
        }
        let users: Vec<_> = core.metadata.access.users.keys().cloned().collect();
        for name in users {
            admin::delete_user(core, name)?;
        }
        let globals: Vec<_> = core.metadata.global_parameters.keys().cloned().collect();
        for name in globals.into_iter().filter(|n| n != "internal_cluster_id") {
            admin::clear_global_parameter(core, name)?;
        }
        Ok::<_, AdminError>(())
    })
    .await??;
    let (vhost, user, password) = m
        .with(|core| {
            let s = &core.settings;
            (
                s.default_vhost.clone(),
                s.default_user.clone(),
                s.default_pass.clone(),
            )
        })
        .await?;
    let password = hash(password).await?;
    m.with(move |core| {
        let spec = VhostSpec {
            name: vhost.clone(),
            description: "Default virtual host".to_owned(),
            ..VhostSpec::default()
        };
        admin::put_vhost(core, spec);
        admin::put_user(
            core,
            user.clone(),
            password,
            vec!["administrator".to_owned()],
        );
        let all = || ".*".to_owned();
        admin::set_permission(core, user, vhost, [all(), all(), all()])
    })
    .await??;
    Ok(Value::Null)
}

async fn status(m: &Management) -> Done {
    let view = m
        .with(|core| (engine::node(core), core.metadata.vhosts.len()))
        .await?;
    let (view, vhosts) = view;
    let process = system::process();
    let limits = m.limits();
    let listeners = listeners(m);
    let mut alarms = Vec::new();
    if view.alarms.0 {
        alarms.push(json!({"resource": "memory", "node": m.facts.name}));
    }
    if view.alarms.1 {
        alarms.push(json!({"resource": "disk", "node": m.facts.name}));
    }
    Ok(json!({
        "node": m.facts.name,
        "pid": std::process::id(),
        "uptime": now_ms().saturating_sub(m.facts.started_ms) / 1000,
        "version": m.facts.version,
        "our_version": m.facts.our_version,
        "data_dir": m.facts.data_dir,
        "run_dir": m.facts.run_dir,
        "config_files": m.facts.config_files,
        "log_file": m.facts.log_file,
        "alarms": alarms,
        "memory": process.memory,
        "message_memory": view.message_bytes.0 + view.message_bytes.1,
        "memory_limit": limits.memory,
        "memory_setting": limits.memory_setting,
        "files": process.files,
        "files_max": process.files_max,
        "threads": process.threads,
        "disk_limit": limits.disk,
        "disk_free": system::disk_free(&m.facts.data_dir),
        "connections": view.open.connections,
        "queues": view.open.queues,
        "vhosts": vhosts,
        "listeners": listeners,
        "certificates": m.facts.certificates,
        "processors": system::processors(),
    }))
}

fn listeners(m: &Management) -> Vec<Value> {
    let mut listeners = m.listeners();
    listeners.sort_by_key(|l| std::cmp::Reverse(l.protocol));
    let of = |l: &crate::management::Listener| {
        json!({
            "node": m.facts.name,
            "interface": match l.address {
                std::net::SocketAddr::V4(at) => at.ip().to_string(),
                std::net::SocketAddr::V6(at) => format!("[{}]", at.ip()),
            },
            "port": l.address.port(),
            "protocol": l.protocol,
            "purpose": l.purpose,
        })
    };
    listeners.iter().map(of).collect()
}

async fn cluster(m: &Management) -> Done {
    let name = m.with(|core| core.settings.cluster_name.clone()).await?;
    let status = status(m).await?;
    Ok(json!({
        "cluster_name": name,
        "node": m.facts.name,
        "version": m.facts.version,
        "our_version": m.facts.our_version,
        "alarms": status["alarms"],
        "listeners": status["listeners"],
    }))
}

async fn passwords(m: &Management, op: &str, with: &With) -> Done {
    let (name, password) = (text(with, "user"), text(with, "password"));
    if op == "authenticate_user" {
        let verdict = m.check_password(&name, password.into_bytes(), true).await?;
        return match verdict {
            Ok(()) => Ok(Value::Null),
            Err(_) => Err(Fault::new(
                FaultKind::Data,
                format!(
                    "Error: failed to authenticate user \"{name}\"\nuser '{name}' - invalid credentials"
                ),
            )),
        };
    }
    let password = match with.get("hashed") {
        Some(Value::Bool(true)) => Password::import(&password, None).map_err(|_| {
            let text = "Error: the password hash is not four bytes of salt and a SHA-256 digest, in base64";
            Fault::new(FaultKind::Data, text)
        })?,
        _ => hash(password).await?,
    };
    let adds = op == "add_user";
    m.with(move |core| match adds {
        true => admin::add_user(core, name, password),
        false => admin::set_password(core, name, password),
    })
    .await??;
    Ok(Value::Null)
}

async fn close(m: &Management, with: &With) -> Done {
    let reason = text(with, "reason");
    let with = with.clone();
    let closed = m
        .with(move |core| {
            let is = |key: &str, value: &str| with.get(key).is_none_or(|wanted| wanted == value);
            engine::close_connections(core, &reason, &|c| {
                is("vhost", &c.vhost)
                    && is("user", &c.user)
                    && (is("name", &c.name) || is("name", &c.id.to_string()))
            })
        })
        .await?;
    Ok(json!({"closed": closed}))
}

/// A queue that is in use or not empty is the command's own matter.
fn not_deleted(refusal: crate::core::refusal::Refusal) -> Fault {
    match refusal.text {
        text if text.ends_with(" in use") => Fault::new(FaultKind::Absent, "Queue is in use"),
        text if text.ends_with(" not empty") => Fault::new(FaultKind::Absent, "Queue is not empty"),
        text => Fault::failed(text),
    }
}

async fn queue(m: &Management, op: &str, with: &With) -> Done {
    let (op, vhost, name) = (op.to_owned(), text(with, "vhost"), text(with, "queue"));
    let flag = |key: &str| with.get(key).and_then(Value::as_bool).unwrap_or(false);
    let only_if = DeleteIf {
        unused: flag("if_unused"),
        empty: flag("if_empty"),
    };
    let done = m
        .with(move |core| {
            if core.metadata.vhost(&vhost).is_none() {
                return Err(Fault::failed(format!(
                    "Virtual host '{vhost}' does not exist"
                )));
            }
            if core.find_queue(&vhost, &name).is_none() {
                return Err(Fault::failed("not_found"));
            }
            let refused = |r: crate::core::refusal::Refusal| Fault::failed(r.text);
            match op.as_str() {
                "purge_queue" => core.purge_queue(&vhost, &name).map_err(refused),
                "delete_queue" => core
                    .delete_queue(&vhost, &name, only_if)
                    .map_err(not_deleted),
                _ => Err(Fault::failed("not_mirrored")),
            }
        })
        .await??;
    Ok(json!({"messages": done}))
}

/// Changes of the metadata, on the core thread.
fn change(core: &mut crate::core::Core, op: &str, with: &With) -> Done {
    let [user, vhost, name] = [text(with, "user"), text(with, "vhost"), text(with, "name")];
    let value = |key: &str| with.get(key).cloned().unwrap_or(Value::Null);
    match op {
        "delete_user" => admin::delete_user(core, user)?,
        "clear_password" => admin::set_password(core, user, Password::None)?,
        "set_user_tags" => {
            let tags = parse_tags(with.get("tags")).unwrap_or_default();
            admin::set_tags(core, user, tags)?;
        }
        "set_permissions" => {
            let rules = [
                text(with, "configure"),
                text(with, "write"),
                text(with, "read"),
            ];
            admin::set_permission(core, user, vhost, rules)?;
        }
        "clear_permissions" => admin::clear_permission(core, user, vhost)?,
        "set_topic_permissions" => {
            let rules = [text(with, "write"), text(with, "read")];
            admin::set_topic_permission(core, user, vhost, text(with, "exchange"), rules)?;
        }
        "clear_topic_permissions" => {
            let exchange = with
                .get("exchange")
                .and_then(Value::as_str)
                .map(str::to_owned);
            admin::clear_topic_permission(core, user, vhost, exchange)?;
        }
        "user_exists" => {
            if !core.metadata.access.users.contains_key(&user) {
                return Err(AdminError::NoSuchUser(user).into());
            }
        }
        "add_vhost" => {
            let known = core.metadata.vhost(&vhost).is_some();
            let spec = VhostSpec {
                name: vhost,
                description: text(with, "description"),
                tags: parse_tags(with.get("tags")).unwrap_or_default(),
                default_queue_type: with
                    .get("default_queue_type")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
                tracing: false,
            };
            // adding one that is there changes nothing and is no error
            if !known {
                admin::put_vhost(core, spec);
            }
        }
        "set_vhost_tags" => {
            let spec = core.metadata.vhost(&vhost).map(|v| v.spec.clone());
            let spec = spec.ok_or(AdminError::NoSuchVhost(vhost))?;
            let tags = parse_tags(with.get("tags")).unwrap_or_default();
            admin::put_vhost(core, VhostSpec { tags, ..spec });
        }
        "delete_vhost" => {
            let missing = format!("Virtual host '{vhost}' does not exist");
            admin::delete_vhost(core, vhost).map_err(|_| Fault::new(FaultKind::Data, missing))?;
        }
        "trace" => admin::set_tracing(core, &vhost, value("on") == Value::Bool(true))?,
        "set_policy" | "set_operator_policy" => {
            let mut entry = Map::new();
            entry.insert("pattern".into(), text(with, "pattern").into());
            entry.insert(
                "definition".into(),
                Value::Object(object(with, "definition")?),
            );
            entry.insert("priority".into(), value("priority"));
            entry.insert("apply-to".into(), value("apply_to"));
            let operator = op == "set_operator_policy";
            let policy = policy_spec(name, &entry, operator).map_err(AdminError::from)?;
            admin::set_policy(core, vhost, policy, operator)?;
        }
        "clear_policy" => admin::clear_policy(core, vhost, name, false)?,
        "clear_operator_policy" => admin::clear_policy(core, vhost, name, true)?,
        "set_vhost_limits" => admin::set_vhost_limits(core, vhost, &object(with, "definition")?)?,
        "clear_vhost_limits" => admin::set_vhost_limits(core, vhost, &Map::new())?,
        "set_user_limits" => {
            let limits = object(with, "definition")?;
            admin::set_user_limits(core, user, &limits).map_err(|error| match error {
                AdminError::NoSuchUser(name) => {
                    Fault::failed(format!("{{:no_such_user, \"{name}\"}}"))
                }
                AdminError::Invalid(text) => {
                    Fault::failed(text.trim_start_matches("Validation failed").trim())
                }
                other => other.into(),
            })?
        }
        "suspend_listeners" => core.close_to_new(true),
        "resume_listeners" => core.close_to_new(false),
        "clear_user_limits" => admin::clear_user_limits(core, user, &name)?,
        "user_limits" => {
            let missing = || AdminError::NoSuchUser(user.clone());
            let found = core.metadata.access.users.get(&user).ok_or_else(missing)?;
            return Ok(Value::Object(found.limits.to_json()));
        }
        "set_parameter" => {
            let value = json_text(with, "value")?;
            admin::set_parameter(core, &text(with, "component"), vhost, name, &value)?;
        }
        "clear_parameter" => admin::clear_parameter(core, &text(with, "component"), vhost, name)?,
        "set_global_parameter" => {
            admin::set_global_parameter(core, name, json_text(with, "value")?);
        }
        "clear_global_parameter" => admin::clear_global_parameter(core, name)?,
        "set_cluster_name" => {
            admin::set_global_parameter(core, "cluster_name".into(), name.into());
        }
        _ => {
            return Err(Fault::new(
                FaultKind::Usage,
                format!("the node does not know `{op}`"),
            ));
        }
    }
    Ok(Value::Null)
}
