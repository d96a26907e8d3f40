//! The pages behind the page: one server, live sessions, and what happened.

use std::fmt::Write as _;

use super::chart;
use super::markup::{duration, escaped, figure, percent};
use super::table;
use crate::admin::events::Event;
use crate::admin::history::Point;
use crate::admin::{address, show_sess, time};
use crate::state::SessionView;
use crate::stats::column::COLUMNS;
use crate::stats::difference::Difference;
use crate::stats::row::Row;
use crate::stats::value::Value;

/// Most sessions shown at once.
pub const SESSIONS_MAX: usize = 5000;
/// Most events shown at once.
pub const EVENTS_MAX: usize = 500;

/// One server: history, what differs from the file, events, every figure.
pub fn server(
    row: &Row,
    points: &[Point],
    differences: &[Difference],
    admin: bool,
    events: &[Event],
    out: &mut String,
) {
    let checked = row
        .server
        .as_ref()
        .is_some_and(|server| server.check.is_some());
    let class = table::server_class(row).unwrap_or("");
    let name = format!("{}/{}", row.proxy, row.name);
    let since = row.back.as_ref().map_or(0, |back| back.last_change_s);
    let _ = write!(
        out,
        "<h3>&gt; Server {}</h3><p data-swap=state><span class=\"{class} badge\">{} for {}</span></p>",
        escaped(&name),
        escaped(&row.status),
        duration(i64::from(since))
    );
    chart::charts("charts", points, checked, out);
    if !differences.is_empty() {
        out.push_str("<h3>&gt; Set at run time</h3>");
        changes(differences, admin, out);
    }
    out.push_str("<h3>&gt; Events</h3>");
    timeline(events, out);
    out.push_str("<h3>&gt; All figures</h3><div class=scroll data-swap=figures><table class=\"tbl figures\">");
    for column in COLUMNS {
        let value = column.value(row);
        if value != Value::None {
            let _ = write!(
                out,
                "<tr><th title=\"{}\">{}</th><td>{}</td><td class=doc>{0}</td></tr>",
                escaped(column.doc),
                column.name,
                escaped(&value.to_string())
            );
        }
    }
    out.push_str("</table></div>\n");
}

/// What was set at run time: how to keep it and, for those who may act, how to take it back.
pub fn changes(found: &[Difference], admin: bool, out: &mut String) {
    out.push_str("<div data-swap=differences>");
    if found.is_empty() {
        out.push_str("<p>Everything runs as the file says.</p>");
    } else {
        out.push_str(
            "<div class=scroll><table class=\"tbl figures changes\"><thead><tr class=titre><th>What</th>\
             <th>Runs with</th><th>The file says</th><th>To keep it, write</th>",
        );
        out.push_str(if admin { "<th>To go back</th>" } else { "" });
        out.push_str("</tr></thead><tbody>");
    }
    for one in found {
        let _ = write!(
            out,
            "<tr><th>{}</th><td>{}</td><td>{}</td><td><code>{}</code><br><small>in {}</small></td>",
            escaped(&one.subject),
            escaped(&one.runs),
            escaped(&one.file),
            escaped(&one.line),
            escaped(&one.place),
        );
        if admin {
            // a shell must not take several commands apart
            let quote = if one.back.contains(';') { "'" } else { "" };
            let back = escaped(&one.back);
            let _ = write!(
                out,
                "<td><code>evenkeel lb ctl {quote}{back}{quote}</code></td>"
            );
        }
        out.push_str("</tr>");
    }
    if !found.is_empty() {
        out.push_str("</tbody></table></div>");
    }
    out.push_str("</div>\n");
}

/// Events, newest first.
pub fn timeline(events: &[Event], out: &mut String) {
    out.push_str("<ol class=timeline data-swap=events>");
    if events.is_empty() {
        out.push_str("<li>nothing yet</li>");
    }
    for event in events {
        let class = if event.text.contains(" DOWN") || event.text.contains("no server available") {
            "bad"
        } else if event.text.contains(" UP") {
            "good"
        } else {
            ""
        };
        let _ = write!(
            out,
            "<li class=\"{class}\"><time>{}</time> {}</li>",
            time::stamp_ms(event.at),
            escaped(&event.text)
        );
    }
    out.push_str("</ol>\n");
}

const SESSION_HEADINGS: [&str; 10] = [
    "Client",
    "Frontend",
    "Backend",
    "Server",
    "State",
    "Age",
    "Idle",
    "Expires",
    "Bytes in",
    "Bytes out",
];

/// The start of the table of sessions.
pub fn sessions_open(shown: usize, total: usize, admin: bool, out: &mut String) {
    let _ = write!(out, "<h3>&gt; Live sessions: {total}");
    if shown < total {
        let _ = write!(out, ", the oldest {shown} are shown");
    }
    out.push_str("</h3><section class=proxy data-proxy=sessions>");
    if admin {
        out.push_str("<form method=post>");
    }
    out.push_str("<div class=scroll><table class=\"tbl rows\"><thead><tr class=titre>");
    if admin {
        out.push_str(
            "<th class=pick><input type=checkbox class=all title=\"all sessions\" hidden></th>",
        );
    }
    for heading in SESSION_HEADINGS {
        let _ = write!(out, "<th>{heading}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>");
}

/// One session.
pub fn session(view: &SessionView, uri: &str, admin: bool, out: &mut String) {
    let id = view.id.number();
    let _ = write!(out, "<tr class=frontend data-k=\"T{id}\">");
    if admin {
        let _ = write!(
            out,
            "<td class=pick><input type=checkbox name=s value=\"{id:#x}\"></td>"
        );
    }
    let backend = view.backend.as_ref().map_or("-", |proxy| proxy.name());
    let server = view.server.as_ref().map_or("-", |server| server.name());
    let server_link = match &view.server {
        Some(_) => format!(
            "<a href=\"{};server={}\">{}</a>",
            escaped(uri),
            percent(&format!("{backend}/{server}")),
            escaped(server)
        ),
        None => "-".to_owned(),
    };
    let _ = writeln!(
        out,
        "<td class=al>{}</td><td class=ac>{}</td><td class=ac>{}</td><td class=ac>{server_link}</td>\
         <td class=ac>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(&address::peer(&view.client)),
        escaped(view.frontend.name()),
        escaped(backend),
        format_args!(
            "{}{}",
            show_sess::phase(view.phase),
            if view.outdated { ", old rules" } else { "" }
        ),
        duration((view.age_ms / 1000) as i64),
        duration((view.idle_ms / 1000) as i64),
        view.expires_ms
            .map_or_else(|| "-".to_owned(), |ms| duration((ms / 1000) as i64)),
        figure(view.bytes_in),
        figure(view.bytes_out),
    );
}

/// The end of the table of sessions.
pub fn sessions_close(admin: bool, out: &mut String) {
    out.push_str("</tbody></table></div>");
    if admin {
        out.push_str(
            "<p class=actions><input type=hidden name=action value=kill>\
             <input type=submit value=\"Kill the checked sessions\"></p></form>",
        );
    }
    out.push_str("</section>\n");
}
