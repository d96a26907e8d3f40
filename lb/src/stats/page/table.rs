//! The table of one proxy: its name tab, headings and rows.

use std::fmt::Write as _;
use std::sync::Arc;

use super::markup::{Cells, Tip, duration, escaped, figure, percent, share};
use crate::stats::row::{Back, Check, Colour, Front, Http, Kind, Row, Server, Timing};

/// How the tables are shown.
#[derive(Clone, Debug, Default)]
pub struct TableOptions {
    /// Where the page is, for links to pages of servers.
    pub uri: Option<Arc<str>>,
    /// Each server has a checkbox and the table a list of actions.
    pub admin: bool,
    /// Names explain themselves: address, id, cookie.
    pub legends: bool,
    /// Backends show how many of their servers are up beside the state.
    pub count_servers: bool,
}

/// What the table's head says about its proxy.
pub struct ProxyHead<'a> {
    pub name: &'a str,
    pub id: u32,
    pub mode: &'a str,
    /// `proxy`, `frontend` or `backend`.
    pub capability: &'static str,
    pub description: Option<&'a str>,
    pub has_servers: bool,
    /// Charts of its history, already drawn.
    pub charts: String,
    /// What is said about sessions that are moved.
    pub moves: String,
}

const GROUPS: &str = "<th colspan=3>Queue</th><th colspan=3>Session rate</th>\
    <th colspan=6>Sessions</th><th colspan=2>Bytes</th><th colspan=2>Denied</th>\
    <th colspan=3>Errors</th><th colspan=2>Warnings</th><th colspan=9>Server</th>";

const HEADINGS: [&str; 30] = [
    "Cur", "Max", "Limit", "Cur", "Max", "Limit", "Cur", "Max", "Limit", "Total", "LbTot", "Last",
    "In", "Out", "Req", "Resp", "Req", "Conn", "Resp", "Retr", "Redis", "Status", "LastChk",
    "Wght", "Act", "Bck", "Chk", "Dwn", "Dwntme", "Thrtle",
];

/// The actions of the admin form: value posted, text shown.
pub const ACTIONS: [(&str, &str); 13] = [
    ("ready", "Set state to READY"),
    ("drain", "Set state to DRAIN"),
    ("maint", "Set state to MAINT"),
    ("dhlth", "Health: disable checks"),
    ("ehlth", "Health: enable checks"),
    ("hrunn", "Health: force UP"),
    ("hnolb", "Health: force NOLB"),
    ("hdown", "Health: force DOWN"),
    ("dagent", "Agent: disable checks"),
    ("eagent", "Agent: enable checks"),
    ("arunn", "Agent: force UP"),
    ("adown", "Agent: force DOWN"),
    ("shutdown", "Kill Sessions"),
];

/// Opens a proxy's table.
pub fn open(head: &ProxyHead<'_>, options: &TableOptions, out: &mut String) {
    let name = escaped(head.name);
    let anchor = percent(head.name);
    let form = options.admin && head.has_servers;
    let _ = write!(out, "<section class=proxy data-proxy=\"{name}\">");
    if form {
        out.push_str("<form method=\"post\">");
    }
    let _ = write!(
        out,
        "<table class=\"tbl tab\"><tr class=\"titre\"><th class=\"pxname\"><a id=\"{name}\"></a>"
    );
    let link = format!("<a class=px href=\"#{anchor}\">{name}</a>");
    if options.legends {
        let _ = write!(
            out,
            "<u>{link}<div class=tips>cap: {}, mode: {}, id: {}</div></u>",
            head.capability, head.mode, head.id
        );
    } else {
        out.push_str(&link);
    }
    out.push_str("</th>");
    match head.description {
        Some(text) => {
            let _ = write!(out, "<th class=\"desc\">{}</th>", escaped(text));
        }
        None => out.push_str("<th class=\"empty\"></th>"),
    }
    out.push_str(
        "</tr></table>\n<div class=scroll><table class=\"tbl rows\"><thead>\n<tr class=\"titre\">",
    );
    if form {
        out.push_str("<th rowspan=2 class=pick><input type=\"checkbox\" class=all title=\"all servers\" hidden></th>");
    }
    let _ = write!(
        out,
        "<th rowspan=2 class=name></th>{GROUPS}</tr>\n<tr class=\"titre\">"
    );
    for heading in HEADINGS {
        let _ = write!(out, "<th>{heading}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>");
}

/// Closes a proxy's table, with the list of actions where it has one.
pub fn close(head: &ProxyHead<'_>, options: &TableOptions, out: &mut String) {
    out.push_str("</tbody></table></div>");
    if options.admin && head.has_servers {
        out.push_str(
            "<p class=actions><label>Action for the checked servers: \
             <select name=action><option value=\"\"></option>",
        );
        for (value, text) in ACTIONS {
            let _ = write!(out, "<option value=\"{value}\">{text}</option>");
        }
        let _ = write!(
            out,
            "</select></label><input type=\"hidden\" name=\"b\" value=\"#{}\"> \
             <input type=\"submit\" value=\"Apply\"></p></form>",
            head.id
        );
    }
    out.push_str(&head.moves);
    if !head.charts.is_empty() {
        let _ = write!(
            out,
            "<details class=history><summary>History</summary>{}</details>",
            head.charts
        );
    }
    out.push_str("</section>\n");
}

/// How sessions are moved between a backend's servers.
pub fn moves(view: &crate::rebalance::View, out: &mut String) {
    let name = escaped(&view.backend);
    let _ = write!(out, "<p class=moves data-swap=\"m-{name}\">");
    if let Some((percent, bound)) = view.bound {
        let cause = match view.cause.as_str() {
            "" => String::new(),
            cause => format!(" ({})", escaped(cause)),
        };
        let _ = write!(
            out,
            "<b>Rebalancing:</b> {}{cause}; {} of at most {} sessions ({percent}%) ended in the last minute. ",
            view.state,
            figure(u64::from(view.last_minute)),
            figure(u64::from(bound)),
        );
    }
    for server in &view.servers {
        let [evened, drained] = server.ended;
        if !server.draining && server.leaving == 0 && evened + drained == 0 {
            continue;
        }
        let _ = write!(out, "<span><b>{}</b>:", escaped(&server.name));
        if server.draining {
            let _ = write!(out, " draining, {} left", server.sessions);
            if let Some(other) = &server.waits_for {
                let _ = write!(out, ", waits because {} is not usable", escaped(other));
            }
            out.push(';');
        }
        if server.leaving > 0 {
            let _ = write!(out, " {} leaving;", server.leaving);
        }
        let _ = write!(out, " {} moved</span> ", figure(evened + drained));
    }
    out.push_str("</p>");
}

/// One row.
pub fn row(row: &Row, options: &TableOptions, form: bool, out: &mut String) {
    let class = match row.kind {
        Kind::Frontend => "frontend",
        Kind::Backend => "backend",
        Kind::Listener => "socket",
        Kind::Server => server_class(row).unwrap_or("active_no_check"),
    };
    let _ = write!(
        out,
        "<tr class=\"{class}\" data-k=\"{}{}.{}\">",
        row.kind.letter(),
        row.proxy_id,
        row.id
    );
    if form {
        match row.kind {
            Kind::Server => {
                let _ = write!(
                    out,
                    "<td class=pick><input type=\"checkbox\" name=\"s\" value=\"{}\" aria-label=\"{0}\"></td>",
                    escaped(&row.name)
                );
            }
            _ => out.push_str("<td></td>"),
        }
    }
    name_cell(row, options, out);
    let mut cells = Cells::new(out);
    match (&row.front, &row.back) {
        (Some(front), _) => front_cells(row, front, &mut cells),
        (None, Some(back)) => back_cells(row, back, options, &mut cells),
        (None, None) => {}
    }
    out.push_str("</tr>\n");
}

/// The class that colours a server's row. One that is up without weight gets no new sessions,
/// whatever its state is called.
pub fn server_class(row: &Row) -> Option<&'static str> {
    let server = row.server.as_ref()?;
    let weightless = row.back.as_ref().is_some_and(|back| back.weight == 0);
    let colour = match server.colour {
        Colour::Up if weightless => Colour::Draining,
        colour => colour,
    };
    Some(match (server.is_backup, colour) {
        (_, Colour::Maintenance) => "maintain",
        (false, Colour::NoCheck) => "active_no_check",
        (false, Colour::Up) => "active_up",
        (false, Colour::GoingDown) => "active_going_down",
        (false, Colour::Down) => "active_down",
        (false, Colour::GoingUp) => "active_going_up",
        (false, Colour::Nolb) => "active_nolb",
        (false, Colour::Draining) => "active_draining",
        (true, Colour::NoCheck) => "backup_no_check",
        (true, Colour::Up) => "backup_up",
        (true, Colour::GoingDown) => "backup_going_down",
        (true, Colour::Down) => "backup_down",
        (true, Colour::GoingUp) => "backup_going_up",
        (true, Colour::Nolb) => "backup_nolb",
        (true, Colour::Draining) => "backup_draining",
    })
}

fn name_cell(row: &Row, options: &TableOptions, out: &mut String) {
    let (shown, anchor) = match row.kind {
        Kind::Frontend => ("Frontend".to_owned(), "Frontend".to_owned()),
        Kind::Backend => ("Backend".to_owned(), "Backend".to_owned()),
        Kind::Server => (escaped(&row.name), row.name.clone()),
        Kind::Listener => (escaped(&row.name), format!("+{}", row.name)),
    };
    let id = format!("{}/{anchor}", row.proxy);
    let link = format!("<a class=lfsb href=\"#{}\">{shown}</a>", percent(&id));
    let _ = write!(out, "<td class=\"ac name\"><a id=\"{}\"></a>", escaped(&id));
    match legend(row).filter(|_| options.legends) {
        Some(tip) => {
            let _ = write!(out, "<u>{link}<div class=tips>{tip}</div></u>");
        }
        None => out.push_str(&link),
    }
    if let (Kind::Server, Some(uri)) = (row.kind, &options.uri) {
        let _ = write!(
            out,
            "<a class=more href=\"{};server={}\" title=\"history, events and all figures\">&hellip;</a>",
            escaped(uri),
            percent(&id)
        );
    }
    let differs = row.server.as_ref().map_or(&[][..], |s| &s.differs);
    if !differs.is_empty() {
        let _ = write!(
            out,
            " <u class=differs>*<div class=tips>set at run time; the file says: {}</div></u>",
            escaped(&differs.join(", "))
        );
    }
    out.push_str("</td>");
}

fn legend(row: &Row) -> Option<String> {
    let cookie = row
        .back
        .as_ref()
        .and_then(|back| back.cookie.as_deref())
        .map_or_else(String::new, |cookie| {
            format!(", cookie: &#39;{}&#39;", escaped(cookie))
        });
    if let Some(backend) = &row.backend {
        return Some(format!(
            "balancing: {}{cookie}",
            escaped(&backend.algorithm)
        ));
    }
    let address = match (&row.server, &row.listen_address) {
        (Some(server), _) => &server.address,
        (None, Some(address)) => address,
        (None, None) => return None,
    };
    let family = if address.starts_with('[') {
        "IPv6"
    } else if address.starts_with(|c: char| c.is_ascii_digit()) {
        "IPv4"
    } else {
        "address"
    };
    Some(format!(
        "{family}: {}, id: {}{cookie}",
        escaped(address),
        row.id
    ))
}

fn front_cells(row: &Row, front: &Front, cells: &mut Cells<'_>) {
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

fn http_lines(mut tip: Tip, http: &Http, shares: bool) -> Tip {
    const CLASSES: [&str; 6] = [
        "- HTTP 1xx responses:",
        "- HTTP 2xx responses:",
        "- HTTP 3xx responses:",
        "- HTTP 4xx responses:",
        "- HTTP 5xx responses:",
        "- other responses:",
    ];
    tip = tip.line("Cum. HTTP requests:", &figure(http.requests_total));
    for (class, count) in CLASSES.into_iter().zip(http.responses) {
        tip = if shares {
            let part = share(count, http.requests_total);
            tip.line3(class, &figure(count), &format!("({part}%)"))
        } else {
            tip.line(class, &figure(count))
        };
    }
    tip
}

fn back_cells(row: &Row, back: &Back, options: &TableOptions, cells: &mut Cells<'_>) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_up_without_weight_has_the_colour_of_one_that_drains() {
        let mut row = Row::new(Kind::Server, "amqp", "n1");
        row.server = Some(Server {
            colour: Colour::Up,
            ..Server::default()
        });
        for (weight, class) in [(0, "active_draining"), (1, "active_up")] {
            row.back = Some(Back {
                weight,
                ..Back::default()
            });
            assert_eq!(server_class(&row), Some(class));
        }
    }
}
