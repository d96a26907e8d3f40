//! The statistics page: HAProxy's layout, columns and colours, generated from the same rows as
//! the machine-readable forms. It is complete without scripts; a small one swaps changed cells in
//! place, sorts and searches.
//!
//! The page is made piece by piece (head, rows of each proxy, foot), so that a reader who takes
//! it slowly holds one piece in memory, not the page.

pub mod chart;
pub mod markup;
pub mod options;
pub mod table;
pub mod views;

use std::fmt::Write as _;

use super::info::{Info, PRODUCT, RELEASE_DATE, VERSION, uptime};
use markup::{escaped, figure, percent};
pub use options::{Outcome, PageOptions, View};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// What the configuration says about the page.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `stats uri`
    pub uri: String,
    /// Seconds between refreshes; 0 without.
    pub refresh_s: u64,
    pub hide_version: bool,
    pub show_legends: bool,
    /// Name shown in the title, `stats show-node`.
    pub node: Option<String>,
    /// Text shown in the title, `stats show-desc`.
    pub description: Option<String>,
    /// The request may post actions.
    pub admin: bool,
    /// Settings that differ from the file.
    pub changes: usize,
}

/// The page up to the first table.
pub fn head(info: &Info, settings: &Settings, options: &PageOptions) -> String {
    let mut out = String::with_capacity(24 * 1024);
    let node = settings
        .node
        .as_deref()
        .map_or_else(String::new, |node| format!(" on {}", escaped(node)));
    let description = settings
        .description
        .as_deref()
        .map_or_else(String::new, |text| format!(": {}", escaped(text)));
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\
         <title>Statistics Report for {PRODUCT}{node}</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <meta name=color-scheme content=\"light dark\">\
         <link rel=icon href=\"data:,\">\n<style>\n{STYLE}</style></head>\n\
         <body data-refresh=\"{}\">\n<h1>{}</h1>\n\
         <h2>Statistics Report for pid {}{node}{description}</h2>\n<hr class=hr>\n",
        if options.no_refresh {
            0
        } else {
            settings.refresh_s
        },
        product(settings.hide_version),
        info.pid
    );
    outcome(settings, options, &mut out);
    changes(settings, options, &mut out);
    out.push_str("<h3>&gt; General process information</h3>\n<div class=head>\n");
    process(info, &mut out);
    old_processes(info, &mut out);
    if options.view == View::Page {
        legend(&mut out);
    }
    links(settings, options, &mut out);
    out.push_str("</div>\n");
    out
}

/// The end of the page.
pub fn foot() -> String {
    format!("<script>\n{SCRIPT}</script>\n</body></html>\n")
}

fn product(hide_version: bool) -> String {
    if hide_version {
        PRODUCT.to_owned()
    } else {
        format!("{PRODUCT} version {VERSION}, released {RELEASE_DATE}")
    }
}

/// The result of an admin action, where one was just posted.
fn outcome(settings: &Settings, options: &PageOptions, out: &mut String) {
    let Some(outcome) = options.outcome else {
        return;
    };
    let back = options.link(&settings.uri, |options| options.outcome = None);
    let _ = writeln!(
        out,
        "<p class=\"outcome {}\" role=status>{} <a href=\"{back}\" title=\"remove this message\">[X]</a></p>",
        if outcome.is_good() { "good" } else { "bad" },
        outcome.text()
    );
}

/// Processes before this one, as long as they have sessions.
fn old_processes(info: &Info, out: &mut String) {
    if info.old.is_empty() {
        return;
    }
    out.push_str("<p class=process id=old>");
    for old in &info.old {
        let ends = match old.ends_within_s {
            Some(left) => format!(", ended in {} at the latest", uptime(left as u32)),
            None => String::new(),
        };
        let _ = write!(
            out,
            "<b>old process {}</b> (version {}{}): {} sessions{ends}<br>",
            old.pid,
            markup::escaped(&old.version),
            if old.stopping { ", stopping" } else { "" },
            old.connections,
        );
    }
    out.push_str("</p>\n");
}

/// A word about what was set at run time, where anything was.
fn changes(settings: &Settings, options: &PageOptions, out: &mut String) {
    out.push_str("<div data-swap=changes>");
    if settings.changes > 0 && options.view != View::Changes {
        let link = options.link(&settings.uri, |options| options.view = View::Changes);
        let (count, s) = (
            settings.changes,
            if settings.changes == 1 { "" } else { "s" },
        );
        let _ = write!(
            out,
            "<p class=\"outcome note\"><a href=\"{link}\">{count} setting{s} made at run time</a> \
             would be lost at a restart.</p>"
        );
    }
    out.push_str("</div>\n");
}

fn process(info: &Info, out: &mut String) {
    let unlimited = |limit: u32, unit: &str| match limit {
        0 => "unlimited".to_owned(),
        limit => format!("{limit}{unit}"),
    };
    let _ = writeln!(
        out,
        "<p class=process id=process><b>pid = </b>{} (process #1, nbproc = 1, nbthread = {})<br>\
         <b>uptime = </b>{}<br>\
         <b>system limits:</b> memmax = {}; ulimit-n = {}<br>\
         <b>maxsock = </b>{}; <b>maxconn = </b>{}; <b>maxpipes = </b>{}<br>\
         current conns = {}; current pipes = {}/{}; conn rate = {}/sec; bit rate = {}<br>\
         Running tasks: {}/{}; idle = {} %</p>",
        info.pid,
        info.threads,
        uptime(crate::stats::info::seconds(info.uptime_us)),
        unlimited(info.memory_limit_mb, " MB"),
        info.file_limit,
        info.max_sockets,
        info.max_connections,
        info.max_pipes,
        info.connections,
        info.pipes_used,
        info.pipes_used + info.pipes_free,
        info.connection_rate.cur,
        bit_rate(info.bytes_out_rate.saturating_mul(8)),
        info.run_queue,
        info.tasks,
        info.idle_percent
    );
}

/// `2.043 Mbps`
fn bit_rate(bits: u64) -> String {
    let scaled = |unit: u64| (bits / unit, bits % unit / (unit / 1000));
    match bits {
        0..1000 => format!("{bits}.000 bps"),
        1000..1_000_000 => {
            let (whole, part) = scaled(1000);
            format!("{whole}.{part:03} kbps")
        }
        1_000_000..1_000_000_000 => {
            let (whole, part) = scaled(1_000_000);
            format!("{whole}.{part:03} Mbps")
        }
        _ => {
            let (whole, part) = scaled(1_000_000_000);
            format!("{whole}.{part:03} Gbps")
        }
    }
}

fn legend(out: &mut String) {
    const PAIRS: [(&str, &str, &str, &str); 4] = [
        ("active_up", "active UP", "backup_up", "backup UP"),
        (
            "active_going_down",
            "active UP, going down",
            "backup_going_down",
            "backup UP, going down",
        ),
        (
            "active_going_up",
            "active DOWN, going up",
            "backup_going_up",
            "backup DOWN, going up",
        ),
        (
            "active_down",
            "active or backup DOWN",
            "active_no_check",
            "not checked",
        ),
    ];
    out.push_str("<div class=legend><table class=lgd>");
    for (left, left_text, right, right_text) in PAIRS {
        let _ = write!(
            out,
            "<tr><td class=\"{left}\">&nbsp;</td><td class=noborder>{left_text}</td>\
             <td class=\"{right}\">&nbsp;</td><td class=noborder>{right_text}</td></tr>"
        );
    }
    out.push_str(
        "<tr><td class=maintain></td><td class=noborder colspan=3>\
         active or backup DOWN for maintenance (MAINT)</td></tr>\
         <tr><td class=active_draining></td><td class=noborder colspan=3>\
         active or backup SOFT STOPPED for maintenance</td></tr></table>\
         Note: &quot;NOLB&quot;/&quot;DRAIN&quot; = UP with load-balancing disabled.</div>\n",
    );
}

fn links(settings: &Settings, options: &PageOptions, out: &mut String) {
    let uri = &settings.uri;
    let link = |change: fn(&mut PageOptions)| options.link(uri, change);
    let _ = write!(
        out,
        "<div class=links><b>Display option:</b><ul>\
         <li><form method=GET action=\"{}\">Scope : <input value=\"{}\" name=scope size=8 \
         maxlength=20 tabindex=1 aria-label=\"show only proxies whose name contains this\"></form>",
        escaped(&percent_uri(&options.path(uri))),
        escaped(&options.scope)
    );
    if options.view != View::Page {
        let _ = write!(
            out,
            "<li><a href=\"{}\">All proxies and servers</a>",
            link(|options| options.view = View::Page)
        );
    }
    let (hidden_text, refresh_text) = (
        if options.hide_down {
            "Show all servers"
        } else {
            "Hide &#39;DOWN&#39; servers"
        },
        if options.no_refresh {
            "Enable refresh"
        } else {
            "Disable refresh"
        },
    );
    let _ = write!(
        out,
        "<li><a href=\"{}\">{hidden_text}</a>",
        link(|options| options.hide_down = !options.hide_down)
    );
    if settings.refresh_s > 0 {
        let _ = write!(
            out,
            "<li><a href=\"{}\">{refresh_text}</a>",
            link(|options| options.no_refresh = !options.no_refresh)
        );
    }
    let _ = writeln!(
        out,
        "<li><a href=\"{}\">Refresh now</a>\
         <li><a href=\"{}\">Live sessions</a>, <a href=\"{}\">events</a>, <a href=\"{}\">changes</a>\
         <li><a href=\"{}\">CSV export</a>\
         <li><a href=\"{}\">JSON export</a> (<a href=\"{}\">schema</a>)</ul></div>",
        link(|_| ()),
        link(|options| options.view = View::Sessions),
        link(|options| options.view = View::Events),
        link(|options| options.view = View::Changes),
        link(|options| options.export(View::Csv)),
        link(|options| options.export(View::Json)),
        link(|options| options.export(View::JsonSchema)),
    );
    let _ = writeln!(
        out,
        "<div class=links><b>External resources:</b><ul>\
         <li><a href=\"https://docs.haproxy.org/\">Manual of the configuration language</a></ul>\
         <div id=live class=live hidden></div></div>"
    );
}

/// A path as it may stand in an attribute, keeping the option separators.
fn percent_uri(path: &str) -> String {
    path.split(';').map(percent).collect::<Vec<_>>().join(";")
}

/// A number for tooltips of other pages.
pub fn shown(number: u64) -> String {
    figure(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_rates_carry_three_digits_and_a_unit() {
        assert_eq!(bit_rate(0), "0.000 bps");
        assert_eq!(bit_rate(2_043_000), "2.043 Mbps");
        assert_eq!(bit_rate(1_050), "1.050 kbps");
    }
}
