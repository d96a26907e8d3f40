//! Connections, channels and consumers.

use crate::management::caller::Caller;
use crate::management::engine;
use crate::management::flows::{self, Flows};
use crate::management::listing::{list, one, pages};
use crate::management::render::{self, Scene};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Method, Request};
use crate::management::sampler::Sampler;
use crate::management::state::Management;
use crate::management::view::{ChannelView, ConnectionView};
use serde_json::Value;

/// What clients are told when an administrator closes their connection.
pub const CLOSED: &str = "Closed via management plugin";

/// Answers what begins with `connections`, `channels` and `consumers`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["connections"], _) => {
            let items = connections(m, caller, None).await?;
            Ok(pages(request, items))
        }
        (["connections", "username", user], Method::Get) => {
            let views = seen(m, caller).await?;
            let theirs: Vec<_> = views.into_iter().filter(|c| c.user == *user).collect();
            Ok(pages(request, rendered(m, &theirs)))
        }
        (["connections", "username", user], _) => {
            let user = (*user).to_owned();
            close(m, caller, request, move |c| c.user == user).await?;
            Ok(Reply::no_content())
        }
        (["connections", name], Method::Get) => {
            let views = seen(m, caller).await?;
            let found: Vec<_> = views.into_iter().filter(|c| c.name == *name).collect();
            let value = rendered(m, &found).pop().ok_or_else(Reply::not_found)?;
            Ok(one(request, value))
        }
        (["connections", name], _) => {
            let name = (*name).to_owned();
            match close(m, caller, request, move |c| c.name == name).await? {
                0 => Err(Reply::not_found()),
                _ => Ok(Reply::no_content()),
            }
        }
        (["connections", name, _], _) => {
            let mut views = channels_seen(m, caller).await?;
            views.retain(|(_, c)| c.connection == *name);
            Ok(list(request, channels_rendered(m, &views)))
        }
        (["channels"], _) => Ok(pages(request, channels(m, caller, None).await?)),
        (["channels", name], _) => channel(m, caller, request, name).await,
        (["consumers", only @ ..], _) => {
            if let Some(vhost) = only.first() {
                super::vhosts_must_exist(m, vhost).await?;
                caller.must_see(vhost)?;
            }
            let (sees, only) = (caller.clone(), only.first().map(|v| (*v).to_owned()));
            let views = m
                .with(move |core| {
                    engine::consumers(core, &|c| {
                        sees.sees(&c.vhost) && only.as_deref().is_none_or(|v| v == c.vhost)
                    })
                })
                .await?;
            let sampler = m.sampler();
            let scene = scene(m, &sampler);
            let items = views.iter().map(|c| render::consumer(scene, c)).collect();
            Ok(list(request, items))
        }
        _ => Err(Reply::not_found()),
    }
}

/// One channel, with its consumers.
async fn channel(m: &Management, caller: &Caller, request: &Request, name: &str) -> Answer {
    let mut views = channels_seen(m, caller).await?;
    views.retain(|(_, c)| c.name == *name);
    let mut value = channels_rendered(m, &views)
        .pop()
        .ok_or_else(Reply::not_found)?;
    let Some((serial, view)) = views.pop() else {
        return Err(Reply::not_found());
    };
    let (wanted, number) = (name.to_owned(), view.number);
    let (consumers, (publishes, deliveries)) = m
        .with(move |core| {
            let consumers = engine::consumers(core, &|c| c.channel.text() == wanted);
            (consumers, Flows::of(core).of_channel(serial, number))
        })
        .await?;
    let sampler = m.sampler();
    let scene = scene(m, &sampler);
    value["consumer_details"] = consumers
        .iter()
        .map(|c| render::consumer(scene, c))
        .collect();
    value["publishes"] = flows::rendered(scene, &view.vhost, &publishes);
    value["deliveries"] = flows::rendered(scene, &view.vhost, &deliveries);
    Ok(one(request, value))
}

fn scene<'a>(m: &'a Management, sampler: &'a Sampler) -> Scene<'a> {
    Scene {
        node: &m.facts.name,
        sampler,
        plain: false,
        range: None,
        creation: m.facts.started_ms / 1000,
    }
}

/// Those without the right to see everything see their own.
async fn seen(m: &Management, caller: &Caller) -> Result<Vec<ConnectionView>, Reply> {
    let mut views = m.with(|core| engine::connections(core)).await?;
    if !caller.is_monitor() {
        views.retain(|c| c.user == caller.name);
    }
    Ok(views)
}

async fn channels_seen(m: &Management, caller: &Caller) -> Result<Vec<(u64, ChannelView)>, Reply> {
    let mut views = m.with(|core| engine::channels(core)).await?;
    if !caller.is_monitor() {
        views.retain(|(_, c)| c.user == caller.name);
    }
    Ok(views)
}

fn rendered(m: &Management, views: &[ConnectionView]) -> Vec<Value> {
    let sampler = m.sampler();
    let scene = scene(m, &sampler);
    let value = |view| Value::Object(render::connection(scene, view));
    views.iter().map(value).collect()
}

fn channels_rendered(m: &Management, views: &[(u64, ChannelView)]) -> Vec<Value> {
    let sampler = m.sampler();
    let scene = scene(m, &sampler);
    let value = |(id, view): &(u64, ChannelView)| Value::Object(render::channel(scene, *id, view));
    views.iter().map(value).collect()
}

/// Connections, of one virtual host or all.
pub async fn connections(
    m: &Management,
    caller: &Caller,
    vhost: Option<&str>,
) -> Result<Vec<Value>, Reply> {
    let mut views = seen(m, caller).await?;
    views.retain(|c| vhost.is_none_or(|only| only == c.vhost));
    Ok(rendered(m, &views))
}

/// Channels, of one virtual host or all.
pub async fn channels(
    m: &Management,
    caller: &Caller,
    vhost: Option<&str>,
) -> Result<Vec<Value>, Reply> {
    let mut views = channels_seen(m, caller).await?;
    views.retain(|(_, c)| vhost.is_none_or(|only| only == c.vhost));
    Ok(channels_rendered(m, &views))
}

async fn close(
    m: &Management,
    caller: &Caller,
    request: &Request,
    which: impl Fn(&ConnectionView) -> bool + Send + 'static,
) -> Result<usize, Reply> {
    let caller = caller.clone();
    let reason = request.reason.clone();
    m.with(move |core| {
        let reason = reason.as_deref().unwrap_or(CLOSED);
        engine::close_connections(core, reason, &|c| {
            (caller.is_administrator() || c.user == caller.name) && which(c)
        })
    })
    .await
}
