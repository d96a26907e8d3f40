//! Users, permissions, limits of users, and who asks.

use super::refused;
use crate::admin;
use crate::core::access::Password;
use crate::core::definitions::{parse_tags, permission_value, topic_value, user_value};
use crate::core::limits::{Limits, UserLimits};
use crate::management::caller::Caller;
use crate::management::listing::{list, one};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Fields, Method, Request};
use crate::management::state::Management;
use serde_json::{Map, Value, json};

type Key3 = (String, String, String);

/// Answers what begins with `users`, `permissions`, `topic-permissions`,
/// `user-limits`, `whoami`, `auth` and `login`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["whoami"], _) => Ok(one(request, whoami(caller))),
        (["auth"], _) => Ok(Reply::ok(json!({
            "enable_uaa": false,
            "oauth_enabled": false,
            "uaa_client_id": "",
            "uaa_location": "",
        }))),
        (["login"], _) => Ok(Reply::ok(json!({"login": caller.name}))),
        _ => {
            caller.must_be_administrator()?;
            administer(m, request, path).await
        }
    }
}

fn whoami(caller: &Caller) -> Value {
    json!({"name": caller.name, "tags": caller.tags})
}

async fn administer(m: &Management, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["auth", "attempts", node, ..], _) if *node != m.facts.name => Err(Reply::not_found()),
        (["auth", "attempts", _], Method::Get) => attempts(m).await,
        // by source nothing is counted, as there without `track_auth_attempt_source`
        (["auth", "attempts", _, _], Method::Get) => Ok(Reply::ok(json!([]))),
        (["auth", "attempts", ..], _) => {
            m.reset_logins();
            m.with(|core| core.statistics.logins = (0, 0)).await?;
            Ok(Reply::no_content())
        }
        (["auth", "hash_password", password], _) => {
            let salt = random::<4>()?;
            let hash = Password::hash_salted(password.as_bytes(), salt);
            Ok(Reply::ok(json!({"ok": hash.export_hash()})))
        }
        (["users"], _) => Ok(list(request, users(m, |_| true).await?)),
        (["users", "without-permissions"], _) => {
            let with = m
                .with(|core| {
                    let keys = core.metadata.access.permissions.keys();
                    keys.map(|(_, user)| user.clone()).collect::<Vec<_>>()
                })
                .await?;
            let items = users(m, move |name| !with.iter().any(|u| u == name)).await?;
            Ok(list(request, items))
        }
        (["users", "bulk-delete"], _) => bulk_delete(m, request).await,
        (["users", name], Method::Get) => {
            let name = (*name).to_owned();
            let found = users(m, move |n| n == name).await?;
            let user = found.into_iter().next().ok_or_else(Reply::not_found)?;
            Ok(one(request, user))
        }
        (["users", name], Method::Delete) => {
            let name = (*name).to_owned();
            let gone = m.with(move |core| admin::delete_user(core, name)).await?;
            gone.map_err(|_| Reply::not_found())?;
            Ok(Reply::no_content())
        }
        (["users", name], _) => put_user(m, name, request).await,
        (["users", name, kind], _) => {
            let name = (*name).to_owned();
            must_exist(m, &name).await?;
            let items = match *kind {
                "permissions" => permissions(m, move |(_, user)| *user == name).await?,
                _ => topic_permissions(m, move |(_, user, _)| *user == name).await?,
            };
            Ok(list(request, items))
        }
        (["user-limits", ..], _) => limits(m, request, path).await,
        _ => rules(m, request, path).await,
    }
}

async fn must_exist(m: &Management, name: &str) -> Result<(), Reply> {
    let name = name.to_owned();
    let there = m
        .with(move |core| core.metadata.access.users.contains_key(&name))
        .await?;
    there.then_some(()).ok_or_else(Reply::not_found)
}

async fn attempts(m: &Management) -> Answer {
    let amqp = m.with(|core| core.statistics.logins).await?;
    let of = |protocol: &str, (good, bad): (u64, u64)| {
        json!({
            "protocol": protocol,
            "auth_attempts": good + bad,
            "auth_attempts_failed": bad,
            "auth_attempts_succeeded": good,
        })
    };
    let all = [of("http", m.login_counts()), of("amqp091", amqp)];
    Ok(Reply::ok(json!(all)))
}

/// Bytes from the system's random source.
pub fn random<const N: usize>() -> Result<[u8; N], Reply> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(Reply::unavailable)?;
    Ok(bytes)
}

async fn users(
    m: &Management,
    keep: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Vec<Value>, Reply> {
    m.with(move |core| {
        let users = core.metadata.access.users.iter();
        users
            .filter(|(name, _)| keep(name))
            .map(|(name, user)| user_value(name, user))
            .collect()
    })
    .await
}

async fn put_user(m: &Management, name: &str, request: &Request) -> Answer {
    let body = request.object()?;
    if !body.contains_key("tags") {
        return Err(Reply::bad_request("tags_not_present"));
    }
    if body.contains_key("password") && body.contains_key("password_hash") {
        let reason = "both_password_and_password_hash_are_provided";
        return Err(Reply::bad_request(reason));
    }
    let tags = parse_tags(body.get("tags")).ok_or_else(|| Reply::bad_request("tags_not_a_list"))?;
    let password = new_password(&body).await?;
    let name = name.to_owned();
    let is_new = m
        .with(move |core| admin::put_user(core, name, password, tags))
        .await?;
    Ok(Reply::put(is_new))
}

/// The password of a body: plain, as a hash, or none.
async fn new_password(body: &Map<String, Value>) -> Result<Password, Reply> {
    if let Some(hash) = body.get("password_hash") {
        let algorithm = body.get("hashing_algorithm").and_then(Value::as_str);
        let not_base64 = || Reply::bad_request(json!(["not_base64", hash]));
        let text = hash.as_str().ok_or_else(not_base64)?;
        return Password::import(text, algorithm).map_err(|error| match error {
            crate::core::access::PasswordError::Malformed => not_base64(),
            other => Reply::bad_request(other.to_string()),
        });
    }
    match body.text_or("password", "")? {
        password if password.is_empty() => Ok(Password::None),
        password => hash(password).await,
    }
}

/// Hashes a new password where blocking is allowed.
pub async fn hash(password: String) -> Result<Password, Reply> {
    let salt = random::<16>()?;
    tokio::task::spawn_blocking(move || Password::hash(password.as_bytes(), salt))
        .await
        .map_err(Reply::unavailable)
}

async fn bulk_delete(m: &Management, request: &Request) -> Answer {
    let body = request.object_with(&["users"])?;
    let names =
        parse_tags(body.get("users")).ok_or_else(|| Reply::bad_request("users_not_a_list"))?;
    m.with(move |core| {
        let mut names = names.into_iter();
        names.try_for_each(|name| {
            let gone = admin::delete_user(core, name.clone());
            gone.map_err(|_| Reply::bad_request(json!(["no_such_user", name])))
        })
    })
    .await??;
    Ok(Reply::no_content())
}

/// Permissions whose key is kept.
pub async fn permissions(
    m: &Management,
    keep: impl Fn(&(String, String)) -> bool + Send + 'static,
) -> Result<Vec<Value>, Reply> {
    m.with(move |core| {
        let all = core.metadata.access.permissions.iter();
        all.filter(|(key, _)| keep(key))
            .map(|(key, p)| permission_value(key, p))
            .collect()
    })
    .await
}

/// Topic permissions whose key is kept.
pub async fn topic_permissions(
    m: &Management,
    keep: impl Fn(&Key3) -> bool + Send + 'static,
) -> Result<Vec<Value>, Reply> {
    m.with(move |core| {
        let all = core.metadata.access.topic_permissions.iter();
        all.filter(|(key, _)| keep(key))
            .map(|(key, p)| topic_value(key, p))
            .collect()
    })
    .await
}

async fn rules(m: &Management, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["permissions"], _) => Ok(list(request, permissions(m, |_| true).await?)),
        (["topic-permissions"], _) => Ok(list(request, topic_permissions(m, |_| true).await?)),
        (["permissions", vhost, user], method) => permission(m, request, method, vhost, user).await,
        (["topic-permissions", vhost, user, rest @ ..], method) => {
            let exchange = rest.first().map(|e| (*e).to_owned());
            topic_permission(m, request, method, vhost, user, exchange).await
        }
        _ => Err(Reply::not_found()),
    }
}

async fn permission(
    m: &Management,
    request: &Request,
    method: Method,
    vhost: &str,
    user: &str,
) -> Answer {
    let key = (vhost.to_owned(), user.to_owned());
    match method {
        Method::Put => {
            both_must_exist(m, vhost, user).await?;
            let body = request.object_with(&["configure", "write", "read"])?;
            let rules = [
                body.text("configure")?,
                body.text("write")?,
                body.text("read")?,
            ];
            let (vhost, user) = key;
            let done = m
                .with(move |core| admin::set_permission(core, user, vhost, rules))
                .await?;
            Ok(Reply::put(done.map_err(refused)?))
        }
        _ => {
            let wanted = key.clone();
            let found = permissions(m, move |k| *k == wanted).await?;
            let value = found.into_iter().next().ok_or_else(Reply::not_found)?;
            if method == Method::Get {
                return Ok(one(request, value));
            }
            let (vhost, user) = key;
            m.with(move |core| admin::clear_permission(core, user, vhost))
                .await?
                .map_err(refused)?;
            Ok(Reply::no_content())
        }
    }
}

/// Refuses what names a virtual host or a user that is not there.
async fn both_must_exist(m: &Management, vhost: &str, user: &str) -> Result<(), Reply> {
    let missing = |_| Reply::bad_request("vhost_or_user_not_found");
    super::vhosts_must_exist(m, vhost).await.map_err(missing)?;
    must_exist(m, user).await.map_err(missing)
}

/// As `refused`, but a pattern is shown as a text here.
fn topic_refused(error: admin::AdminError) -> Reply {
    match error {
        admin::AdminError::BadPattern(pattern, reason, at) => {
            let codes: Vec<_> = reason.chars().map(u32::from).collect();
            Reply::bad_request(json!(["invalid_regexp", pattern, [codes, at]]))
        }
        other => refused(other),
    }
}

async fn topic_permission(
    m: &Management,
    request: &Request,
    method: Method,
    vhost: &str,
    user: &str,
    exchange: Option<String>,
) -> Answer {
    let (vhost, user) = (vhost.to_owned(), user.to_owned());
    match method {
        Method::Put => {
            both_must_exist(m, &vhost, &user).await?;
            let body = request.object_with(&["exchange", "write", "read"])?;
            let exchange = body.text("exchange")?;
            let rules = [body.text("write")?, body.text("read")?];
            let done = m
                .with(move |core| admin::set_topic_permission(core, user, vhost, exchange, rules))
                .await?;
            Ok(Reply::put(done.map_err(topic_refused)?))
        }
        Method::Delete => {
            m.with(move |core| {
                let meant = |(v, u, x): &(String, String, String)| {
                    *v == vhost && *u == user && exchange.as_ref().is_none_or(|only| only == x)
                };
                let mut known = core.metadata.access.topic_permissions.keys();
                if !known.any(meant) {
                    return Err(Reply::not_found());
                }
                let done = admin::clear_topic_permission(core, user, vhost, exchange);
                done.map_err(|_| Reply::not_found())
            })
            .await??;
            Ok(Reply::no_content())
        }
        _ => {
            let items = topic_permissions(m, move |k| k.0 == vhost && k.1 == user).await?;
            if items.is_empty() {
                return Err(Reply::not_found());
            }
            Ok(list(request, items))
        }
    }
}

async fn limits(m: &Management, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["user-limits", user, name], method) => {
            let body = request.object()?;
            let (user, name) = ((*user).to_owned(), (*name).to_owned());
            let value = match method {
                Method::Put => Some(
                    body.get("value")
                        .cloned()
                        .ok_or_else(|| Reply::bad_request("[{key_missing,value}]"))?,
                ),
                // one that does not exist is lifted already
                _ if !UserLimits::NAMES.contains(&name.as_str()) => {
                    return Ok(Reply::no_content());
                }
                _ => None,
            };
            m.with(move |core| match value {
                Some(value) => admin::set_user_limits(core, user, &Map::from_iter([(name, value)])),
                None => admin::clear_user_limits(core, user, &name),
            })
            .await?
            .map_err(|error| match error {
                admin::AdminError::NoSuchUser(name) => {
                    Reply::bad_request(json!(["no_such_user", name]))
                }
                other => refused(other),
            })?;
            Ok(Reply::no_content())
        }
        _ => {
            let only = path.get(1).map(|user| (*user).to_owned());
            if let Some(user) = &only {
                must_exist(m, user).await?;
            }
            let items = m
                .with(move |core| {
                    let users = core.metadata.access.users.iter();
                    users
                        .filter(|(name, _)| only.as_ref().is_none_or(|only| only == *name))
                        .filter(|(_, user)| !user.limits.is_unset())
                        .map(|(name, user)| json!({"user": name, "value": user.limits.to_json()}))
                        .collect()
                })
                .await?;
            Ok(list(request, items))
        }
    }
}
