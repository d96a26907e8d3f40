//! Queues: listed, declared, deleted, purged, read, moved.

use super::{bindings, refusal};
use crate::core::access::Right;
use crate::core::browse::{Browse, Leave, Moving};
use crate::core::definitions::json::from_json;
use crate::core::{Core, DeleteIf, QueueDeclaration};
use crate::management::caller::Caller;
use crate::management::engine::{self, Fetched};
use crate::management::flows::{self, Flows};
use crate::management::history;
use crate::management::listing::{self, one, pages};
use crate::management::render::{self, Scene};
use crate::management::reply::{Answer, Reply};
use crate::management::request::{Fields, Method, Request};
use crate::management::sampler::{Range, add_samples};
use crate::management::state::Management;
use crate::management::view::{ConsumerView, Flow, QueueView};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Messages fetched or moved by one request at most.
const FETCH_MAX: u64 = 10_000;

/// Answers what begins with `queues`.
pub async fn answer(m: &Management, caller: &Caller, request: &Request, path: &[&str]) -> Answer {
    match (path, request.method) {
        (["queues"] | ["queues", "detailed"], _) => all(m, caller, request, None).await,
        (["queues", vhost], _) => {
            super::vhosts_must_exist(m, vhost).await?;
            caller.must_see(vhost)?;
            all(m, caller, request, Some(vhost)).await
        }
        (["queues", "quorum", rest @ ..], _) => quorum(m, caller, rest).await,
        (["queues", vhost, name, rest @ ..], _) => {
            caller.must_see(vhost)?;
            let at = Place {
                vhost: (*vhost).to_owned(),
                name: (*name).to_owned(),
            };
            object(m, caller, request, at, rest).await
        }
        _ => Err(Reply::not_found()),
    }
}

/// A queue by its virtual host and name.
#[derive(Clone)]
struct Place {
    vhost: String,
    name: String,
}

async fn object(
    m: &Management,
    caller: &Caller,
    request: &Request,
    at: Place,
    rest: &[&str],
) -> Answer {
    match (rest, request.method) {
        ([], Method::Get) => get(m, request, &at).await,
        ([], Method::Put) => declare(m, caller, request, at).await,
        ([], _) => delete(m, caller, request, at).await,
        (["bindings"], _) => bindings::of_queue(m, request, &at.vhost, &at.name).await,
        (["contents"], _) => purge(m, caller, at).await,
        (["get"], _) => fetch(m, caller, request, at).await,
        (["move"], _) => move_messages(m, caller, request, at).await,
        (["actions"], _) => action(m, request, at).await,
        _ => Err(Reply::not_found()),
    }
}

async fn all(m: &Management, caller: &Caller, request: &Request, vhost: Option<&str>) -> Answer {
    let (caller, vhost) = (caller.clone(), vhost.map(str::to_owned));
    let views = m
        .with(move |core| {
            engine::queues(core, &|v: &str| {
                caller.sees(v) && vhost.as_deref().is_none_or(|only| only == v)
            })
        })
        .await?;
    let plain = request.is_set("disable_stats");
    let totals = request.is_set("enable_queue_totals");
    let sampler = m.sampler();
    let scene = Scene {
        node: &m.facts.name,
        sampler: &sampler,
        plain,
        range: None,
        creation: m.facts.started_ms / 1000,
    };
    let rows = views.iter().map(|(id, queue)| Row {
        scene,
        id: *id,
        queue,
        totals,
    });
    Ok(pages(request, rows.collect()))
}

/// A queue that may come to be listed: thousands are sorted for a page of a hundred.
struct Row<'a> {
    scene: Scene<'a>,
    id: u64,
    queue: &'a QueueView,
    totals: bool,
}

impl Row<'_> {
    fn item(&self) -> Value {
        let q = self.queue;
        let mut map = render::queue(self.scene, self.id, q);
        if self.scene.plain && self.totals {
            map.insert("messages".into(), (q.ready + q.unacked).into());
            map.insert("messages_ready".into(), q.ready.into());
            map.insert("messages_unacknowledged".into(), q.unacked.into());
        }
        Value::Object(map)
    }
}

impl listing::Item for Row<'_> {
    fn name(&self) -> &str {
        &self.queue.name
    }

    fn key(&self, path: &[&str]) -> Value {
        let q = self.queue;
        match path {
            ["name"] => q.name.as_str().into(),
            ["vhost"] => q.vhost.as_str().into(),
            ["durable"] => q.durable.into(),
            ["consumers"] if !self.scene.plain => q.consumers.into(),
            ["messages"] if !self.scene.plain => (q.ready + q.unacked).into(),
            ["messages_ready"] if !self.scene.plain => q.ready.into(),
            ["messages_unacknowledged"] if !self.scene.plain => q.unacked.into(),
            // seldom asked for: the whole item has it
            path => listing::at(&self.item(), path).clone(),
        }
    }

    fn render(self) -> Value {
        self.item()
    }
}

async fn find(m: &Management, at: &Place) -> Result<(u64, QueueView), Reply> {
    let at = at.clone();
    let found = m
        .with(move |core| engine::queue(core, &at.vhost, &at.name))
        .await?;
    found.ok_or_else(Reply::not_found)
}

async fn get(m: &Management, request: &Request, at: &Place) -> Answer {
    let (id, view) = find(m, at).await?;
    let wanted = at.clone();
    let (consumers, (incoming, deliveries)) = m
        .with(move |core| {
            let here = |c: &ConsumerView| c.vhost == wanted.vhost && c.queue == wanted.name;
            let consumers = engine::consumers(core, &here);
            (
                consumers,
                Flows::of(core).of_queue(&wanted.vhost, &wanted.name),
            )
        })
        .await?;
    let range = history::range(request);
    let mut sampler = m.sampler();
    if range.is_some() {
        sampler.watch(id);
    }
    let scene = Scene {
        node: &m.facts.name,
        sampler: &sampler,
        plain: false,
        range,
        creation: m.facts.started_ms / 1000,
    };
    let mut map = render::queue(scene, id, &view);
    if let Some(range) = range {
        add_depths(&mut map, range, &sampler.queue_looks(id));
    }
    let details = consumers.iter().map(|c| render::consumer(scene, c));
    map.insert("consumer_details".into(), details.collect());
    let mut shown = |key: &str, list: &[Flow]| {
        map.insert(key.to_owned(), flows::rendered(scene, &at.vhost, list));
    };
    shown("deliveries", &deliveries);
    shown("incoming", &incoming);
    Ok(one(request, Value::Object(map)))
}

fn add_depths(
    map: &mut Map<String, Value>,
    range: Range,
    looks: &[crate::management::sampler::Look],
) {
    type Of = fn(&crate::management::sampler::Look) -> u64;
    let of: [(&str, Of); 3] = [
        ("messages_details", |l| l.ready + l.unacked),
        ("messages_ready_details", |l| l.ready),
        ("messages_unacknowledged_details", |l| l.unacked),
    ];
    for (key, of) in of {
        let points: Vec<_> = looks.iter().map(|l| (l.at_ms, of(l))).collect();
        if let Some(details) = map.get_mut(key) {
            add_samples(details, range, &points);
        }
    }
}

/// Refuses a user who lacks the right.
pub fn check(
    core: &Core,
    caller: &Caller,
    vhost: &str,
    right: Right,
    name: &str,
) -> Result<(), Reply> {
    match core
        .metadata
        .access
        .allows(&caller.name, vhost, right, name)
    {
        true => Ok(()),
        false => Err(Reply::not_authorised("Access refused.")),
    }
}

async fn declare(m: &Management, caller: &Caller, request: &Request, at: Place) -> Answer {
    super::name_must_fit("queue", &at.name)?;
    super::must_find_vhost(m, &at.vhost).await?;
    let body = request.object()?;
    // the first complaint is the one that there comes first
    let auto_delete = body.flag("auto_delete", false)?;
    let wanted = QueueDeclaration {
        name: at.name.clone(),
        durable: body.flag("durable", false)?,
        auto_delete,
        owner: None,
        arguments: from_json(&body.table("arguments")?),
    };
    let node = body.text_or("node", &m.facts.name)?;
    if node != m.facts.name {
        let reason = format!("Node {node} could not be contacted");
        return Err(Reply::bad_request(reason));
    }
    let caller = caller.clone();
    let created = m
        .with(move |core| {
            if core.metadata.vhost(&at.vhost).is_none() {
                return Err(Reply::missing("vhost_not_found"));
            }
            check(core, &caller, &at.vhost, Right::Configure, &at.name)?;
            let is_there = core.find_queue(&at.vhost, &at.name).is_some();
            if at.name.starts_with("amq.") && !is_there {
                return Err(Reply::not_authorised("Access refused."));
            }
            core.not_exclusive(&at.vhost, &at.name).map_err(refusal)?;
            let declared = core.declare_queue(&at.vhost, wanted).map_err(refusal)?;
            Ok(declared.created)
        })
        .await??;
    Ok(Reply::put(created))
}

async fn delete(m: &Management, caller: &Caller, request: &Request, at: Place) -> Answer {
    let only_if = DeleteIf {
        unused: request.is_set("if-unused"),
        empty: request.is_set("if-empty"),
    };
    let caller = caller.clone();
    m.with(move |core| {
        if core.find_queue(&at.vhost, &at.name).is_none() {
            return Err(Reply::not_found());
        }
        check(core, &caller, &at.vhost, Right::Configure, &at.name)?;
        core.not_exclusive(&at.vhost, &at.name).map_err(refusal)?;
        core.delete_queue(&at.vhost, &at.name, only_if)
            .map_err(refusal)
    })
    .await??;
    Ok(Reply::no_content())
}

async fn purge(m: &Management, caller: &Caller, at: Place) -> Answer {
    let caller = caller.clone();
    m.with(move |core| {
        if core.find_queue(&at.vhost, &at.name).is_none() {
            return Err(Reply::not_found());
        }
        check(core, &caller, &at.vhost, Right::Read, &at.name)?;
        core.not_exclusive(&at.vhost, &at.name).map_err(refusal)?;
        core.purge_queue(&at.vhost, &at.name).map_err(refusal)
    })
    .await??;
    Ok(Reply::no_content())
}

async fn action(m: &Management, request: &Request, at: Place) -> Answer {
    let body = request.object_with(&["action"])?;
    find(m, &at).await?;
    match body.text("action")?.as_str() {
        // one node has no mirrors to bring up to date
        "sync" | "cancel_sync" => Ok(Reply::no_content()),
        other => Err(Reply::bad_request(json!(["unknown", other]))),
    }
}

async fn fetch(m: &Management, caller: &Caller, request: &Request, at: Place) -> Answer {
    let body = request.object_with(&["ackmode", "count", "encoding"])?;
    super::must_enter(m, caller, &at.vhost).await?;
    let count = number(&body, "count")?.min(FETCH_MAX);
    let base64 = match body.text("encoding")?.as_str() {
        "auto" => false,
        "base64" => true,
        _ => {
            let reason = "Unsupported encoding. Please use auto or base64.";
            return Err(Reply::bad_request(reason));
        }
    };
    let truncate = match body.contains_key("truncate") {
        true => Some(number(&body, "truncate")? as usize),
        false => None,
    };
    let leave = match body.text("ackmode")?.as_str() {
        "ack_requeue_true" | "reject_requeue_true" => Leave::Back,
        "ack_requeue_false" => Leave::Gone,
        "reject_requeue_false" => Leave::Rejected,
        other => return Err(Reply::bad_request(json!(["unknown_ackmode", other]))),
    };
    let caller = caller.clone();
    let browse = Browse::new(&at.vhost, &at.name, count as usize, leave);
    m.with(move |core| {
        check(core, &caller, &at.vhost, Right::Read, &at.name)?;
        core.not_exclusive(&at.vhost, &at.name).map_err(|r| {
            let reason = format!("{} {} - {}", r.code.number(), r.code.name(), r.text);
            Reply::bad_request(reason)
        })
    })
    .await??;
    let browse = m
        .steps(browse, Core::browse)
        .await?
        .map_err(|r| Reply::missing(format!("{} - {}", r.code.name(), r.text)))?;
    let items: Vec<_> = browse
        .read
        .iter()
        .map(|browsed| message(&browsed.into(), base64, truncate))
        .collect();
    Ok(Reply::ok(items))
}

fn number(body: &Map<String, Value>, key: &str) -> Result<u64, Reply> {
    let value = &body[key];
    let text = value.as_str().and_then(|t| t.parse().ok());
    value
        .as_u64()
        .or(text)
        .ok_or_else(|| Reply::bad_request(json!(["not_integer", value])))
}

fn message(fetched: &Fetched, base64: bool, truncate: Option<usize>) -> Value {
    let length = truncate.unwrap_or(usize::MAX).min(fetched.body.len());
    let part = &fetched.body[..length];
    let (payload, encoding) = match std::str::from_utf8(part) {
        Ok(text) if !base64 => (text.to_owned(), "string"),
        _ => (STANDARD.encode(part), "base64"),
    };
    json!({
        "payload_bytes": fetched.body.len(),
        "redelivered": fetched.redelivered,
        "exchange": fetched.exchange,
        "routing_key": fetched.routing_key,
        "message_count": fetched.left,
        "properties": fetched.properties,
        "payload": payload,
        "payload_encoding": encoding,
    })
}

/// Moves ready messages to an exchange (`{"destination_exchange", "routing_key"}`)
/// or a queue (`{"destination"}`); each leaves only when the other has it.
async fn move_messages(m: &Management, caller: &Caller, request: &Request, at: Place) -> Answer {
    let body = request.object()?;
    let (exchange, key) = match body.contains_key("destination") {
        true => (String::new(), body.text("destination")?),
        false => (
            body.text_or("destination_exchange", "")?,
            body.text("routing_key")?,
        ),
    };
    let count = match body.contains_key("count") {
        true => number(&body, "count")?,
        false => u64::MAX,
    };
    let caller = caller.clone();
    let moving = Moving {
        vhost: at.vhost.clone(),
        name: at.name.clone(),
        exchange: exchange.clone(),
        key,
        wanted: count.min(FETCH_MAX) as usize,
        moved: 0,
    };
    m.with(move |core| {
        check(core, &caller, &at.vhost, Right::Read, &at.name)?;
        check(core, &caller, &at.vhost, Right::Write, &exchange)?;
        core.not_exclusive(&at.vhost, &at.name).map_err(refusal)
    })
    .await??;
    let moving = m.steps(moving, Core::move_ready).await?.map_err(refusal)?;
    Ok(Reply::ok(json!({"moved": moving.moved})))
}

/// Quorum queues have one member on one node.
async fn quorum(m: &Management, caller: &Caller, rest: &[&str]) -> Answer {
    caller.must_be_administrator()?;
    match rest {
        [vhost, name, "status"] => {
            let place = Place {
                vhost: (*vhost).to_owned(),
                name: (*name).to_owned(),
            };
            find(m, &place).await?;
            Ok(Reply::ok(json!([{
                "Node Name": m.facts.name,
                "Raft State": "leader",
                "Log Index": 0,
                "Commit Index": 0,
                "Snapshot Index": 0,
                "Term": 1,
            }])))
        }
        _ => Err(Reply::bad_request(
            "this is one node: a quorum queue has one member, which stays",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::listing::Item;
    use super::*;
    use crate::core::journal::Volatile;
    use crate::core::metadata::Command;
    use crate::core::settings::Settings;
    use crate::core::vhost::VhostSpec;
    use crate::management::sampler::Sampler;

    #[test]
    fn a_queue_is_sorted_by_what_is_shown_of_it() {
        let mut core = Core::new(Settings::default(), Box::new(Volatile), [0; 32]);
        core.execute(Command::PutVhost(VhostSpec {
            name: "v".to_owned(),
            ..VhostSpec::default()
        }));
        let queue = QueueDeclaration {
            name: "q".to_owned(),
            durable: true,
            auto_delete: false,
            owner: None,
            arguments: Default::default(),
        };
        core.declare_queue("v", queue).expect("is sound");
        let sampler = Sampler::default();
        let mut views = engine::queues(&core, &|_: &str| true);
        (views[0].1.ready, views[0].1.unacked) = (5, 3);
        for (plain, totals) in [(false, false), (true, false), (true, true)] {
            let row = Row {
                scene: Scene {
                    node: "rabbit@test",
                    sampler: &sampler,
                    plain,
                    range: None,
                    creation: 0,
                },
                id: views[0].0,
                queue: &views[0].1,
                totals,
            };
            let shown = row.item();
            for path in [
                "name",
                "vhost",
                "durable",
                "consumers",
                "messages",
                "messages_ready",
                "messages_unacknowledged",
                "state",
                "nothing",
            ] {
                let expected = shown.get(path).unwrap_or(&Value::Null);
                assert_eq!(row.key(&[path]), *expected, "{path}, plain: {plain}");
            }
        }
    }
}
