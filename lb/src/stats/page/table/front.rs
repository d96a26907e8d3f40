//! The cells of frontends and listeners.

use super::http_lines;
use crate::stats::page::markup::{Cells, Tip, escaped, figure};
use crate::stats::row::{Front, Kind, Row};

pub(super) fn front_cells(row: &Row, front: &Front, cells: &mut Cells<'_>) {
    cells.gap(3);
    let is_listener = row.kind == Kind::Listener;
    if is_listener {
        cells.gap(3);
    } else {
        rate_cells(row, front, cells);
    }
    let sessions = row.traffic.sessions;
    cells
        .number(u64::from(sessions.cur))
        .number(u64::from(sessions.max))
        .number(u64::from(sessions.limit.unwrap_or(0)));
    if is_listener {
        cells.number(row.traffic.sessions_total);
    } else {
        cells.tip(
            &figure(row.traffic.sessions_total),
            &front_total_tip(row, front),
        );
    }
    cells.gap(1).gap(1);
    cells
        .number(row.traffic.bytes_in)
        .number(row.traffic.bytes_out);
    cells.tip_or_number(
        row.traffic.denied_requests,
        front.denied_connections + front.denied_sessions,
        || {
            Tip::new()
                .line("Denied connections:", &figure(front.denied_connections))
                .line("Denied sessions:", &figure(front.denied_sessions))
                .html()
        },
    );
    cells
        .number(row.traffic.denied_responses)
        .number(front.request_errors)
        .gap(1)
        .gap(1)
        .gap(1)
        .gap(1)
        .centre(&escaped(&row.status))
        .wide(8, "");
}

impl Cells<'_> {
    /// A figure, with a tooltip only where there is something to tell.
    fn tip_or_number(&mut self, number: u64, tells: u64, tip: impl FnOnce() -> String) {
        if tells == 0 {
            self.number(number);
        } else {
            self.tip(&figure(number), &tip());
        }
    }
}

fn rate_cells(row: &Row, front: &Front, cells: &mut Cells<'_>) {
    let tip = |word: &str, connections: u32, sessions: u32, requests: Option<u32>| {
        let mut tip = Tip::new()
            .line(
                &format!("{word} connection rate:"),
                &format!("{connections}/s"),
            )
            .line(&format!("{word} session rate:"), &format!("{sessions}/s"));
        if let Some(requests) = requests {
            tip = tip.line(&format!("{word} request rate:"), &format!("{requests}/s"));
        }
        tip.html()
    };
    let requests = row.http.as_ref().map(|http| http.request_rate);
    let rate = front.session_rate;
    cells
        .tip(
            &figure(u64::from(rate.cur)),
            &tip(
                "Current",
                front.connection_rate.cur,
                rate.cur,
                requests.map(|rate| rate.cur),
            ),
        )
        .tip(
            &figure(u64::from(rate.max)),
            &tip(
                "Max",
                front.connection_rate.max,
                rate.max,
                requests.map(|rate| rate.max),
            ),
        )
        .limit(Some(rate.limit).filter(|limit| *limit > 0));
}

fn front_total_tip(row: &Row, front: &Front) -> String {
    let mut tip = Tip::new()
        .line("Cum. connections:", &figure(front.connections_total))
        .line("Cum. sessions:", &figure(row.traffic.sessions_total));
    if let Some(http) = &row.http {
        tip = http_lines(tip, http, false)
            .line("Intercepted requests:", &figure(http.intercepted))
            .line("Failed hdr rewrites:", &figure(row.traffic.failed_rewrites))
            .line("Internal errors:", &figure(row.traffic.internal_errors));
    }
    tip.html()
}
