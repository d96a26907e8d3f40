//! The status as Prometheus metrics and as one page for people.

use crate::WITNESS_SILENT_MS;
use serde_json::Value;
use std::fmt::Write;

/// Prometheus text of a status.
pub fn prometheus(status: &str) -> String {
    let Ok(status) = serde_json::from_str::<Value>(status) else {
        return String::new();
    };
    let mut out = service::series(&status);
    instances(
        &mut out,
        &status,
        "evenkeel_vip_state",
        "1 for the state the instance is in.",
        |i, name, out| {
            for state in ["INIT", "BACKUP", "MASTER", "FAULT", "STOP"] {
                let is = u8::from(i["state"] == state);
                let _ = writeln!(
                    out,
                    "evenkeel_vip_state{{vrrp_instance=\"{name}\",state=\"{state}\"}} {is}"
                );
            }
        },
    );
    for (metric, field, help) in [
        ("evenkeel_vip_priority", "priority", "Effective priority."),
        (
            "evenkeel_vip_holds_addresses",
            "holds_addresses",
            "1 while the addresses are on the interface.",
        ),
        (
            "evenkeel_vip_split_brain",
            "split_brain",
            "1 while evidence of a split brain is fresh.",
        ),
        (
            "evenkeel_vip_maintenance",
            "maintenance",
            "1 in maintenance.",
        ),
    ] {
        instances(&mut out, &status, metric, help, |i, name, out| {
            let value = match &i[field] {
                Value::Bool(b) => u64::from(*b),
                other => other.as_u64().unwrap_or(0),
            };
            let _ = writeln!(out, "{metric}{{vrrp_instance=\"{name}\"}} {value}");
        });
    }
    counters(&mut out, &status);
    gauge(
        &mut out,
        "evenkeel_vip_peer_alive",
        "1 while the pair channel hears the peer.",
    );
    for peer in status["pair"]["peers"].as_array().into_iter().flatten() {
        let address = escape(peer["address"].as_str().unwrap_or(""));
        let alive = u8::from(peer["alive"] == true);
        let _ = writeln!(out, "evenkeel_vip_peer_alive{{peer=\"{address}\"}} {alive}");
    }
    gauge(
        &mut out,
        "evenkeel_vip_witness_alive",
        "1 while this witness brings heartbeats of the peer.",
    );
    for witness in status["pair"]["witnesses"].as_array().into_iter().flatten() {
        let address = escape(witness["address"].as_str().unwrap_or(""));
        let silent = witness["silent_ms"].as_u64();
        let alive = u8::from(silent.is_some_and(|ms| ms < WITNESS_SILENT_MS));
        let _ = writeln!(
            out,
            "evenkeel_vip_witness_alive{{witness=\"{address}\"}} {alive}"
        );
    }
    clients(&mut out, &status["pair"]["clients"]);
    out
}

/// Who is connected, as the hosts tell each other.
fn clients(out: &mut String, clients: &Value) {
    for (metric, field, help) in [
        (
            "evenkeel_vip_clients_told",
            "told",
            "Clients of this host's addresses that its peers know.",
        ),
        (
            "evenkeel_vip_clients_known",
            "known",
            "Clients of the peers that this host knows.",
        ),
    ] {
        gauge(out, metric, help);
        let _ = writeln!(out, "{metric} {}", clients[field].as_u64().unwrap_or(0));
    }
    let metric = "evenkeel_vip_clients_asked_total";
    let help = "Clients that were asked after a take-over whether they are still connected.";
    let asked = clients["asked_total"].as_u64().unwrap_or(0);
    let _ = writeln!(
        out,
        "# HELP {metric} {help}\n# TYPE {metric} counter\n{metric} {asked}"
    );
}

fn gauge(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn instances(
    out: &mut String,
    status: &Value,
    metric: &str,
    help: &str,
    line: impl Fn(&Value, &str, &mut String),
) {
    gauge(out, metric, help);
    for i in status["instances"].as_array().into_iter().flatten() {
        let name = escape(i["name"].as_str().unwrap_or(""));
        line(i, &name, out);
    }
}

fn counters(out: &mut String, status: &Value) {
    for (field, help) in [
        ("adverts_sent", "Adverts sent."),
        ("adverts_received", "Adverts that passed all checks."),
        ("priority_zero_sent", "Adverts with priority 0 sent."),
        ("priority_zero_received", "Adverts with priority 0 heard."),
        ("announcements", "Gratuitous ARP and unsolicited NA sent."),
        ("became_master", "Times that the master role began."),
        (
            "split_brain_evidence",
            "Times that another active router was noticed.",
        ),
        ("system_call_errors", "Failed system calls."),
        (
            "late",
            "Times that the daemon came so late with an advert or a takeover that others may have noticed.",
        ),
    ] {
        let metric = format!("evenkeel_vip_{field}_total");
        let _ = writeln!(out, "# HELP {metric} {help}\n# TYPE {metric} counter");
        for i in status["instances"].as_array().into_iter().flatten() {
            let name = escape(i["name"].as_str().unwrap_or(""));
            let value = i["counters"][field].as_u64().unwrap_or(0);
            let _ = writeln!(out, "{metric}{{vrrp_instance=\"{name}\"}} {value}");
        }
    }
    let metric = "evenkeel_vip_refused_total";
    let _ = writeln!(
        out,
        "# HELP {metric} Packets dropped, by reason.\n# TYPE {metric} counter"
    );
    for i in status["instances"].as_array().into_iter().flatten() {
        let name = escape(i["name"].as_str().unwrap_or(""));
        for (reason, count) in i["counters"]["refused"].as_object().into_iter().flatten() {
            let _ = writeln!(
                out,
                "{metric}{{vrrp_instance=\"{name}\",reason=\"{reason}\"}} {count}"
            );
        }
    }
    let unknown = status["unknown_vrid_packets"].as_u64().unwrap_or(0);
    let _ = writeln!(
        out,
        "{metric}{{vrrp_instance=\"\",reason=\"unknown_vrid\"}} {unknown}"
    );
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

/// One page for people; it asks for itself again every two seconds.
pub fn html(status: &str) -> String {
    let status: Value = serde_json::from_str(status).unwrap_or_default();
    let mut rows = String::new();
    for i in status["instances"].as_array().into_iter().flatten() {
        let text = |v: &Value| html_escape(v.as_str().unwrap_or(""));
        let list = |v: &Value, between: &str| {
            let items = v.as_array().into_iter().flatten();
            let items: Vec<String> = items
                .map(|x| html_escape(x.as_str().unwrap_or("")))
                .collect();
            items.join(between)
        };
        let state = text(&i["state"]);
        let _ = write!(
            rows,
            "<tr><th scope=row>{}</th><td class=\"{state}\">{state}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            text(&i["name"]),
            i["priority"],
            text(&i["interface"]),
            list(&i["addresses"], "<br>"),
            list(&i["why"], "<br>"),
        );
    }
    let mut changes = String::new();
    for i in status["instances"].as_array().into_iter().flatten() {
        for t in i["transitions"]
            .as_array()
            .into_iter()
            .flatten()
            .rev()
            .take(8)
        {
            let text = |v: &Value| html_escape(v.as_str().unwrap_or(""));
            let _ = write!(
                changes,
                "<tr><td>{}</td><td>{}</td><td>{} → {}</td><td>{}</td></tr>",
                text(&t["at"]),
                text(&i["name"]),
                text(&t["from"]),
                text(&t["to"]),
                text(&t["reason"]),
            );
        }
    }
    let mut peers = String::new();
    for p in status["pair"]["peers"].as_array().into_iter().flatten() {
        let alive = if p["alive"] == true {
            "alive"
        } else {
            "silent"
        };
        let address = html_escape(p["address"].as_str().unwrap_or(""));
        let _ = write!(peers, "<li>{address}: {alive}</li>");
    }
    let split = if status["split_brain"] == true {
        "<p class=FAULT role=alert>Split brain: another host is active too.</p>"
    } else {
        ""
    };
    let at = html_escape(status["at"].as_str().unwrap_or(""));
    PAGE.replace("{rows}", &rows)
        .replace("{changes}", &changes)
        .replace("{peers}", &peers)
        .replace("{split}", split)
        .replace("{at}", &at)
}

const PAGE: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="2"><title>Evenkeel: virtual addresses</title>
<style>
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin-bottom:2rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .7rem;border-bottom:1px solid #8884}
.MASTER{color:#0a7d32;font-weight:600}.BACKUP{color:#1a6fb5}.FAULT{color:#c62828;font-weight:600}
</style></head><body><h1>Virtual addresses</h1>{split}
<table><thead><tr><th>Instance<th>State<th>Priority<th>Interface<th>Addresses<th>Why</tr></thead><tbody>{rows}</tbody></table>
<h2>Pair channel</h2><ul>{peers}</ul>
<h2>Changes of role</h2><table><tbody>{changes}</tbody></table>
<p>{at}; also as <a href="/status">JSON</a> and <a href="/metrics">metrics</a></p></body></html>
"#;

fn html_escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = r#"{"uptime_ms": 1500, "split_brain": true, "unknown_vrid_packets": 2,
        "instances": [{"name": "VI<1>", "state": "MASTER", "priority": 110, "holds_addresses": true,
            "split_brain": false, "maintenance": false, "interface": "eth0", "addresses": ["10.77.0.50"],
            "counters": {"adverts_sent": 7, "late": 2, "refused": {"checksum": 3}}, "transitions": [], "why": ["a & b"]}],
        "pair": {"peers": [{"address": "10.77.0.12", "alive": true}], "clients": {"told": 12, "known": 0, "asked_total": 3}, "witnesses": [
            {"address": "10.77.0.21", "silent_ms": 900}, {"address": "10.77.0.22", "silent_ms": null}]}}"#;

    #[test]
    fn metrics_name_state_counters_and_refusals() {
        let text = prometheus(STATUS);
        for line in [
            "evenkeel_vip_state{vrrp_instance=\"VI<1>\",state=\"MASTER\"} 1",
            "evenkeel_vip_adverts_sent_total{vrrp_instance=\"VI<1>\"} 7",
            "evenkeel_vip_late_total{vrrp_instance=\"VI<1>\"} 2",
            "evenkeel_vip_refused_total{vrrp_instance=\"VI<1>\",reason=\"checksum\"} 3",
            "evenkeel_vip_peer_alive{peer=\"10.77.0.12\"} 1",
            "evenkeel_vip_witness_alive{witness=\"10.77.0.21\"} 1",
            "evenkeel_vip_witness_alive{witness=\"10.77.0.22\"} 0",
            "evenkeel_vip_clients_told 12",
            "evenkeel_vip_clients_known 0",
            "evenkeel_vip_clients_asked_total 3",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_page_escapes_what_it_shows() {
        let page = html(STATUS);
        assert!(page.contains("VI&lt;1&gt;") && page.contains("a &amp; b"));
        assert!(page.contains("Split brain"));
    }
}
