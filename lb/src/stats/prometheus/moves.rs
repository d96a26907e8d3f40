//! Series that HAProxy does not have: sessions that are moved between servers.

use super::{head, label, series::Shape};
use crate::rebalance::{ServerView, View};
use std::fmt::Write as _;

const STATES: [&str; 5] = ["off", "idle", "settling", "waiting", "moving"];

/// The series of the backends that ask for it; empty where none does.
pub(super) fn series(views: &[View], backends: bool, servers: bool) -> String {
    let mut out = String::new();
    if backends && !views.is_empty() {
        let name = "evenkeel_backend_rebalance_state";
        let doc = "what rebalancing does, 1 for the present state";
        head(&mut out, name, doc, Shape::States);
        for view in views {
            let proxy = label(&view.backend);
            for state in STATES {
                let is = u8::from(view.state == state);
                let _ = writeln!(out, "{name}{{proxy=\"{proxy}\",state=\"{state}\"}} {is}");
            }
        }
    }
    if servers && !views.is_empty() {
        type Value = fn(&ServerView) -> u64;
        let all: [(&str, &str, Shape, Value); 3] = [
            (
                "leaving",
                "sessions that were told to leave",
                Shape::Gauge,
                |s| s.leaving.into(),
            ),
            (
                "rebalanced_total",
                "sessions ended to even servers out",
                Shape::Counter,
                |s| s.rebalanced,
            ),
            (
                "drained_total",
                "sessions ended to empty the server",
                Shape::Counter,
                |s| s.drained,
            ),
        ];
        for (name, doc, shape, value) in all {
            let name = format!("evenkeel_server_sessions_{name}");
            head(&mut out, &name, doc, shape);
            for view in views {
                for server in &view.servers {
                    let (proxy, of) = (label(&view.backend), label(&server.name));
                    let value = value(server);
                    let _ = writeln!(out, "{name}{{proxy=\"{proxy}\",server=\"{of}\"}} {value}");
                }
            }
        }
    }
    out
}
