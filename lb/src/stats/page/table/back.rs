//! The cells of servers and backends.

use std::fmt::Write as _;

use super::{TableOptions, http_lines};
use crate::stats::page::markup::{Cells, Tip, duration, escaped, figure, percent, share};
use crate::stats::row::{Back, Check, Colour, Kind, Row, Server, Timing};

pub(super) fn back_cells(row: &Row, back: &Back, options: &TableOptions, cells: &mut Cells<'_>) {
    cells
        .number(u64::from(back.queue.cur))
        .number(u64::from(back.queue.max));
    match &row.server {
        Some(server) => cells.limit(server.queue_limit),
        None => cells.gap(1),
    };
    cells
        .number(u64::from(back.session_rate.cur))
        .number(u64::from(back.session_rate.max))
        .gap(1);
    back_sessions(row, back, cells);
    cells
        .number(row.traffic.bytes_in)
        .number(row.traffic.bytes_out);
    match row.kind {
        Kind::Backend => cells.number(row.traffic.denied_requests),
        _ => cells.gap(1),
    };
    cells
        .number(row.traffic.denied_responses)
        .gap(1)
        .number(back.connect_errors)
        .tip(
            &figure(back.response_errors),
            &format!(
                "Connection resets during transfers: {} client, {} server",
                back.client_aborts, back.server_aborts
            ),
        )
        .number(back.retries)
        .number(back.redispatches);
    match &row.server {
        Some(server) => server_cells(row, back, server, cells),
        None => backend_cells(row, back, options, cells),
    }
}

fn back_sessions(row: &Row, back: &Back, cells: &mut Cells<'_>) {
    let sessions = row.traffic.sessions;
    let current = figure(u64::from(sessions.cur));
    match &row.server {
        Some(server) => {
            cells.tip(&current, &connections_tip(row, server));
        }
        None => {
            cells.cell(&current);
        }
    }
    cells
        .number(u64::from(sessions.max))
        .limit(sessions.limit)
        .tip(
            &figure(row.traffic.sessions_total),
            &back_total_tip(row, back),
        )
        .number(back.chosen_total)
        .cell(&duration(i64::from(back.last_session_s)));
}

fn connections_tip(row: &Row, server: &Server) -> String {
    let limit = |limit: Option<u32>| limit.map_or("-".to_owned(), |n| figure(u64::from(n)));
    Tip::new()
        .line(
            "Current active connections:",
            &figure(u64::from(row.traffic.sessions.cur)),
        )
        .line(
            "Current used connections:",
            &figure(u64::from(server.used_connections)),
        )
        .line(
            "Current idle connections:",
            &figure(u64::from(server.idle_connections)),
        )
        .line(
            "Estimated need of connections:",
            &figure(u64::from(server.needed_connections)),
        )
        .line(
            "Active connections limit:",
            &limit(row.traffic.sessions.limit),
        )
        .line("Idle connections limit:", &limit(server.idle_limit))
        .html()
}

fn back_total_tip(row: &Row, back: &Back) -> String {
    let mut tip = Tip::new().line("Cum. sessions:", &figure(row.traffic.sessions_total));
    if let Some(http) = &row.http {
        let reused = share(
            back.connections_reused,
            back.connections_opened + back.connections_reused,
        );
        tip = tip
            .line("New connections:", &figure(back.connections_opened))
            .line3(
                "Reused connections:",
                &figure(back.connections_reused),
                &format!("({reused}%)"),
            );
        tip = http_lines(tip, http, row.kind == Kind::Server)
            .line("Failed hdr rewrites:", &figure(row.traffic.failed_rewrites))
            .line("Internal errors:", &figure(row.traffic.internal_errors));
    }
    let time = |timing: Timing| format!("{} / {}", timing.max_ms, timing.average_ms);
    tip = tip
        .title("Max / Avg over last 1024 success. conn.")
        .line3("- Queue time:", &time(back.queue_time), "ms")
        .line3("- Connect time:", &time(back.connect_time), "ms");
    if row.http.is_some() {
        tip = tip.line3("- Responses time:", &time(back.response_time), "ms");
    }
    tip.line3("- Total time:", &time(back.total_time), "ms")
        .html()
}

fn server_cells(row: &Row, back: &Back, server: &Server, cells: &mut Cells<'_>) {
    let arrow = match server.colour {
        Colour::GoingDown => " &darr;",
        Colour::GoingUp => " &uarr;",
        _ => "",
    };
    let since = duration(i64::from(back.last_change_s));
    cells.centre(&format!("{since} {}{arrow}", escaped(&row.status)));
    let maintenance = server.colour == Colour::Maintenance;
    last_check_cell(server, maintenance, cells);
    cells.centre(&format!("{}/{}", back.weight, back.user_weight));
    let mark = |set: bool| if set { "Y" } else { "-" };
    cells
        .centre(mark(!server.is_backup))
        .centre(mark(server.is_backup));
    match (&server.tracked, server.failed_checks) {
        (Some(tracked), _) => {
            cells.wide(
                3,
                &format!(
                    "<a class=lfsb href=\"#{}\">via {}</a>",
                    percent(tracked),
                    escaped(tracked)
                ),
            );
        }
        (None, Some(failed)) if !maintenance => {
            let observed = server
                .observed_failures
                .map_or_else(String::new, |observed| {
                    format!("/{observed} (checks / seen in traffic)")
                });
            cells
                .tip(&figure(failed), &format!("Failed Health Checks{observed}"))
                .number(back.times_down.unwrap_or(0))
                .cell(&duration(i64::from(back.downtime_s.unwrap_or(0))));
        }
        (None, _) => {
            cells.gap(3);
        }
    }
    match server.throttle_percent {
        Some(percent) => cells.centre(&format!("{percent} %")),
        None => cells.centre("-"),
    };
}

fn last_check_cell(server: &Server, maintenance: bool, cells: &mut Cells<'_>) {
    let checks: Vec<(&'static str, &Check)> = [("", &server.check), ("agent ", &server.agent)]
        .into_iter()
        .filter_map(|(word, check)| check.as_ref().map(|check| (word, check)))
        .collect();
    if maintenance || checks.is_empty() {
        cells.gap(1);
        return;
    }
    let shown: Vec<String> = checks
        .iter()
        .map(|(word, check)| format!("{word}{}", result(check)))
        .collect();
    let told: Vec<String> = checks
        .iter()
        .map(|(word, check)| format!("{word}{}", explanation(check)))
        .collect();
    cells.centre_tip(&shown.join("<br>"), &told.join("<br>"));
}

/// `L7OK/200 in 3ms`
fn result(check: &Check) -> String {
    let mut out = escaped(&check.status);
    if let Some(code) = check.code {
        let _ = write!(out, "/{code}");
    }
    if let Some(duration) = check.duration_ms {
        let _ = write!(out, " in {duration}ms");
    }
    out
}

/// The result in words, and what the check saw.
fn explanation(check: &Check) -> String {
    let mut out = escaped(&check.description);
    if !check.output.is_empty() {
        let _ = write!(out, ": {}", escaped(&check.output));
    }
    let _ = write!(
        out,
        " (health {}, rise {}, fall {})",
        check.health, check.rise, check.fall
    );
    out
}

fn backend_cells(row: &Row, back: &Back, options: &TableOptions, cells: &mut Cells<'_>) {
    let since = duration(i64::from(back.last_change_s));
    let mut status = escaped(&row.status);
    if let Some(backend) = row.backend.as_ref().filter(|_| options.count_servers) {
        let _ = write!(
            status,
            " ({}/{})",
            back.active + back.backup,
            backend.servers_total
        );
    }
    cells
        .centre(&format!("{since} {status}"))
        .centre("")
        .centre(&format!("{}/{}", back.weight, back.user_weight))
        .centre(&back.active.to_string())
        .centre(&back.backup.to_string())
        .centre("")
        .number(back.times_down.unwrap_or(0))
        .cell(
            &back
                .downtime_s
                .map_or_else(String::new, |downtime| duration(i64::from(downtime))),
        )
        .gap(1);
}
