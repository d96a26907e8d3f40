//! What operators ask the running daemon, and the answers: JSON that the
//! command line, the page and the metrics are made of.

use crate::core::Time;
use crate::core::router::{Event, Phase};
use crate::core::track::Level;
use crate::daemon::Daemon;
use crate::instance::Instance;
use crate::options::Options;
use crate::pair::Pair;
use crate::tickle::Tickle;
use serde_json::{Value, json};
use std::time::Duration;
use tracing::{info, warn};

/// A question or an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Everything.
    Status,
    /// Let the other host take over.
    Demote(Option<String>),
    /// Take part normally again.
    Resume(Option<String>),
    /// Leave the election until resumed.
    Maintenance(Option<String>),
    /// Read the file again.
    Reload,
}

impl Ask {
    /// From a line: a word, or JSON `{"command": WORD, "instance": NAME}`.
    pub fn parse(line: &str) -> Option<Ask> {
        let line = line.trim();
        let (word, instance) = if line.starts_with('{') {
            let value: Value = serde_json::from_str(line).ok()?;
            let instance = value
                .get("instance")
                .and_then(Value::as_str)
                .map(str::to_owned);
            (value.get("command")?.as_str()?.to_owned(), instance)
        } else {
            let mut words = line.split_whitespace();
            let word = words.next()?.to_owned();
            (word, words.next().map(str::to_owned))
        };
        match word.as_str() {
            "status" => Some(Ask::Status),
            "demote" => Some(Ask::Demote(instance)),
            "resume" => Some(Ask::Resume(instance)),
            "maintenance" => Some(Ask::Maintenance(instance)),
            "reload" => Some(Ask::Reload),
            _ => None,
        }
    }
}

/// Does what is asked; gives one line of JSON.
pub fn answer(daemon: &mut Daemon, ask: &Ask) -> String {
    match ask {
        Ask::Status => status(daemon).to_string(),
        Ask::Demote(name) => order(daemon, name.as_deref(), &Event::Demote, "demote"),
        Ask::Resume(name) => order(daemon, name.as_deref(), &Event::Resume, "resume"),
        Ask::Maintenance(name) => {
            order(daemon, name.as_deref(), &Event::Maintenance, "maintenance")
        }
        Ask::Reload => json!({"ok": false, "error": "reload is done by the loop"}).to_string(),
    }
}

fn order(daemon: &mut Daemon, name: Option<&str>, event: &Event, word: &str) -> String {
    let chosen = daemon.select(name);
    if chosen.is_empty() {
        let known: Vec<&str> = daemon
            .instances
            .iter()
            .map(|i| i.conf.name.as_str())
            .collect();
        let error = format!("there is no such instance; there are: {}", known.join(", "));
        return json!({"ok": false, "error": error}).to_string();
    }
    info!(
        vrrp_instance = name.unwrap_or("all"),
        "the operator says {word}"
    );
    for i in &chosen {
        daemon.dispatch(*i, event.clone());
    }
    // the next worker goes on with it
    daemon.tell_guardian();
    let told = |i: usize| {
        let instance = &daemon.instances[i];
        json!({
            "name": instance.conf.name,
            "state": instance.router.phase().word(),
            "leaving": instance.router.is_leaving(),
            "within_ms": ms(instance.router.succession()),
        })
    };
    let told: Vec<Value> = chosen.into_iter().map(told).collect();
    json!({"ok": true, "instances": told}).to_string()
}

/// The pair's witnesses, and since when each has brought nothing.
fn witnesses(pair: &Pair, now: Time) -> Vec<Value> {
    let one = |(address, heard): (std::net::IpAddr, Option<Time>)| {
        json!({
            "address": address.to_string(),
            "silent_ms": heard.map(|at| ms(now - at)),
        })
    };
    pair.witnesses().map(one).collect()
}

/// Clients of this host's addresses that peers were told of, those of the peers that this host
/// knows, and those that it has asked after a take-over.
fn clients(tickle: &Tickle) -> Value {
    let [told, known, asked] = tickle.counts();
    json!({ "told": told, "known": known, "asked_total": asked })
}

/// Everything that there is to know.
pub fn status(daemon: &Daemon) -> Value {
    let now = daemon.clock.now();
    let instances: Vec<Value> = daemon
        .instances
        .iter()
        .map(|i| instance(daemon, i))
        .collect();
    let peers = daemon
        .pair
        .as_ref()
        .map(|p| p.status(now))
        .unwrap_or_default();
    let peers: Vec<Value> = peers
        .iter()
        .map(|p| {
            json!({
                "address": p.address.to_string(),
                "alive": p.alive,
                "witnessed": p.witnessed,
                "other_key": p.other_key,
                "silent_ms": p.silent.map(ms),
                "same_configuration": p.same_configuration,
                "routers": p.routers.iter().map(|r| json!({
                    "vrid": r.vrid,
                    "family": if r.v6 { "ipv6" } else { "ipv4" },
                    "role": format!("{:?}", r.role).to_lowercase(),
                    "priority": r.priority,
                })).collect::<Vec<_>>(),
            })
        })
        .collect();
    let own = json!({
        "router_id": daemon.config.global.router_id,
        "split_brain": daemon.instances.iter().any(|i| i.journal.split_brain(now)),
        "unknown_vrid_packets": daemon.unknown_vrid,
        "instances": instances,
        "groups": daemon.config.groups.iter().map(|g| json!({
            "name": g.name, "members": g.members,
        })).collect::<Vec<_>>(),
        "pair": { "enabled": daemon.pair.is_some(), "peers": peers,
            "witnesses": daemon.pair.as_ref().map(|p| witnesses(p, now)).unwrap_or_default(),
            "clients": daemon.tickle.as_ref().map(clients),
            "refused": daemon.pair.as_ref().map_or(0, |p| p.refused) },
    });
    let mut status = daemon.identity.head();
    if let Value::Object(own) = own {
        status.extend(own);
    }
    status.into()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn instance(daemon: &Daemon, i: &Instance) -> Value {
    let now = daemon.clock.now();
    let journal = &i.journal;
    let refused: serde_json::Map<String, Value> = journal
        .refused
        .iter()
        .map(|(reason, count)| (reason.name().to_owned(), json!(count)))
        .collect();
    json!({
        "name": i.conf.name,
        "state": i.router.phase().word(),
        "leaving": i.router.is_leaving(),
        "demoted": i.router.is_demoted(),
        "maintenance": i.router.in_maintenance(),
        "fault": i.router.fault(),
        "since_ms": journal.since.map(|s| ms(s.elapsed())),
        "interface": i.conf.interface,
        "source": i.source.map(|s| s.to_string()),
        "vrid": i.conf.vrid.0,
        "version": match i.conf.version { conf::vip::model::Version::V2 => 2, conf::vip::model::Version::V3 => 3 },
        "priority": i.router.priority(),
        "base_priority": i.conf.priority.0,
        "advert_interval_ms": ms(i.conf.advert_int),
        "master_down_ms": ms(i.router.master_down_interval()),
        "master": i.router.master().map(|m| m.to_string()),
        "last_advert": journal.last_heard.map(|(heard, at)| json!({
            "from": heard.sender.to_string(), "priority": heard.priority, "ago_ms": ms(at.elapsed()),
        })),
        "addresses": i.virtuals().iter().map(ToString::to_string).collect::<Vec<_>>(),
        "holds_addresses": i.router.holds_addresses(),
        "split_brain": journal.split_brain(now),
        "tracked": i.tracked.iter().map(|(key, t)| json!({
            "name": key.to_string(),
            "weight": t.weight.value,
            "reverse": t.weight.reverse,
            "state": match &t.level {
                Level::Unknown => "unknown".to_owned(),
                Level::Good => "good".to_owned(),
                Level::Bad(why) => format!("bad: {why}"),
                Level::Value(v) => v.to_string(),
            },
        })).collect::<Vec<_>>(),
        "counters": {
            "adverts_sent": journal.adverts_sent,
            "adverts_received": journal.adverts_accepted,
            "priority_zero_sent": journal.resigned,
            "priority_zero_received": journal.resignations_heard,
            "pseudo_header_checksums": journal.pseudo_checksums,
            "announcements": journal.announcements,
            "became_master": journal.became_master,
            "split_brain_evidence": journal.split_evidence,
            "system_call_errors": journal.troubles,
            "late": journal.late,
            "refused": refused,
        },
        "transitions": journal.transitions.iter().map(|t| json!({
            "at": t.at, "from": t.from.word(), "to": t.to.word(), "reason": t.cause,
        })).collect::<Vec<_>>(),
        "late": journal.latenesses.iter().map(|l| json!({
            "at": l.at, "by_ms": ms(l.by), "reason": l.because,
        })).collect::<Vec<_>>(),
        "reports": journal.reports.iter().map(|r| json!({
            "at": r.at, "text": r.text, "count": r.count,
        })).collect::<Vec<_>>(),
        "why": why(daemon, i),
    })
}

/// Why this router is in the state it is in, in sentences.
fn why(daemon: &Daemon, i: &Instance) -> Vec<String> {
    let router = &i.router;
    let mut lines = Vec::new();
    if let Some(last) = i.journal.transitions.back() {
        lines.push(format!(
            "{} since {}: {}",
            last.to.word(),
            last.at,
            last.cause
        ));
    }
    if router.priority() != i.conf.priority.0 {
        let configured = i.conf.priority.0;
        lines.push(format!(
            "priority {} instead of the configured {configured}",
            router.priority()
        ));
    }
    for (key, item) in &i.tracked {
        if let Level::Bad(why) = &item.level {
            let effect = match item.weight.value {
                0 => "a fault".to_owned(),
                w => format!("weight {w}"),
            };
            lines.push(format!("{key} {why} ({effect})"));
        }
    }
    if router.in_maintenance() {
        lines.push("maintenance: it does not take part until `resume`".to_owned());
    } else if router.is_demoted() {
        lines.push("demoted: it does not preempt until `resume`".to_owned());
    }
    match router.phase() {
        Phase::Backup => {
            let mine = router.priority();
            match i.journal.last_heard {
                Some((heard, _)) if heard.priority == 0 => {
                    lines.push(format!("no master is heard: {} resigned", heard.sender));
                }
                Some((heard, at)) if at.elapsed() < router.master_down_interval() * 2 => {
                    let relation = if heard.priority >= mine {
                        "not below"
                    } else {
                        "below"
                    };
                    lines.push(format!(
                        "the master {} has priority {}, {relation} the own {mine}",
                        heard.sender, heard.priority
                    ));
                    if heard.priority < mine && !i.conf.preempt {
                        lines.push("nopreempt: a worse master is left alone".to_owned());
                    }
                }
                Some(_) | None => lines.push("no master is heard".to_owned()),
            }
        }
        Phase::Master if router.is_leaving() => {
            lines.push("it has offered the role and serves until a successor is heard".to_owned());
        }
        Phase::Fault => {
            let fault = router.fault().unwrap_or("unknown");
            lines.push(format!("out of the election: {fault}"));
        }
        Phase::Master | Phase::Init | Phase::Stop => {}
    }
    if i.journal.split_brain(daemon.clock.now())
        && let Some(report) = i.journal.reports.iter().rfind(|r| r.of_split)
    {
        lines.push(format!("split brain: {}", report.text));
    }
    lines
}

/// SIGUSR1: everything into a file.
pub fn dump(daemon: &mut Daemon, options: &Options) {
    let path = options.run_dir.join("vip-state.json");
    let text = serde_json::to_string_pretty(&status(daemon)).unwrap_or_default();
    match std::fs::write(&path, text) {
        Ok(()) => info!(path = %path.display(), "state written"),
        Err(error) => warn!(path = %path.display(), %error, "cannot write the state"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_word_or_json() {
        assert_eq!(Ask::parse("status\n"), Some(Ask::Status));
        let demote = Some(Ask::Demote(Some("VI_1".to_owned())));
        assert_eq!(Ask::parse("demote VI_1"), demote);
        let line = r#"{"command": "demote", "instance": "VI_1"}"#;
        assert_eq!(Ask::parse(line), demote);
        assert_eq!(Ask::parse("{\"command\": 7}"), None);
        assert_eq!(Ask::parse(""), None);
    }
}
