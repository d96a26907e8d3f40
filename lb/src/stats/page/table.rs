//! The table of one proxy: its name tab, headings and rows.

mod back;
mod front;

use std::fmt::Write as _;
use std::sync::Arc;

use super::markup::{Cells, Tip, escaped, figure, percent, share};
use crate::stats::row::{Colour, Http, Kind, Row};
use back::back_cells;
use front::front_cells;

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
        let moved = server.rebalanced + server.drained;
        if !server.draining && server.leaving == 0 && moved == 0 {
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
        let _ = write!(out, " {} moved</span> ", figure(moved));
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

/// What a tooltip tells of requests and of responses by class, with `shares` in percent, too.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::row::{Back, Server};

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
