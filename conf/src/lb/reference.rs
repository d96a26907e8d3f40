//! The reference page, written from the tables.

use super::acl::PREDEFINED;
use super::format::TAGS;
use super::global;
use super::healthcheck;
use super::known;
use super::predicate::{FEATURES, PREDICATES};
use super::proxy::{self, Side, actions, bind, server_options};
use super::ring;
use super::sample::{convert, fetch};
use super::userlist;
use crate::keyword::Keyword;
use std::fmt::Write as _;

/// The whole page in Markdown.
pub fn page() -> String {
    let mut out = String::from(HEAD);
    out.push_str("\n## global\n");
    for (heading, rows) in global::TABLES {
        let _ = write!(out, "\n### {heading}\n\n");
        keywords(&mut out, rows, |_| "");
    }
    proxies(&mut out);
    options(&mut out);
    out.push_str("\n## userlist\n\n");
    keywords(&mut out, userlist::KEYWORDS, |_| "");
    out.push_str("\n## ring\n\n");
    out.push_str("Lines of `log ring@<name>` kept in memory: `show events <name> [-w]`.\n\n");
    keywords(&mut out, ring::KEYWORDS, |_| "");
    out.push_str("\n## healthcheck\n\n");
    out.push_str(
        "A check with a name, which servers of any backend choose by `healthcheck <name>`. Beside \
         these lines it takes all those of *Health checks* above.\n\n",
    );
    keywords(&mut out, healthcheck::CHOICE, |_| "");
    tcp_actions(&mut out);
    samples(&mut out);
    formats(&mut out);
    conditions(&mut out);
    not_yet(&mut out);
    out
}

const HEAD: &str = "# Reference of the balancer's configuration

<!-- Written from the keyword tables by `REWRITE=1 cargo test -p evenkeel-conf --test lb_reference`. -->

The language is HAProxy's. Every keyword that works is on this page with its form, its meaning
and a line that parses; those that HAProxy 2.6 has and Evenkeel does not are listed at the end.
Times are numbers with `us`, `ms`, `s`, `m`, `h` or `d`; a bare number counts milliseconds unless
the keyword says otherwise. Sizes are bytes, or have `k`, `m` or `g`.
";

/// One list entry a row.
fn keywords<C>(out: &mut String, rows: &[Keyword<C>], mark: impl Fn(&Keyword<C>) -> &'static str) {
    for row in rows {
        let form = format!("{} {}", row.name, row.args);
        let _ = writeln!(out, "- `{}`{}  ", form.trim_end(), mark(row));
        let _ = writeln!(out, "  {}  ", row.doc);
        let _ = writeln!(out, "  Example: `{}`", row.example);
    }
}

fn proxies(out: &mut String) {
    out.push_str("\n## defaults, frontend, backend, listen\n\n");
    out.push_str(
        "Keywords marked F belong to the side of the clients (`frontend`, `listen`), those marked \
         B to the side of the servers (`backend`, `listen`); all may stand in `defaults` unless \
         they describe one proxy.\n",
    );
    let mut headings: Vec<&str> = Vec::new();
    for (_, heading, _) in proxy::TABLES {
        if !headings.contains(heading) {
            headings.push(heading);
        }
    }
    for heading in headings {
        let _ = write!(out, "\n### {heading}\n\n");
        let tables = proxy::TABLES.iter().filter(|(_, h, _)| *h == heading);
        for (side, _, rows) in tables {
            keywords(out, rows, |_| match side {
                Side::Both => "",
                Side::Front => " (F)",
                Side::Back => " (B)",
            });
        }
    }
}

fn options(out: &mut String) {
    out.push_str("\n## Options of `server` and `default-server`\n\n");
    keywords(out, server_options::OPTIONS, |_| "");
    out.push_str("\n## Options of `bind`\n\n");
    keywords(out, bind::OPTIONS, |_| "");
    out.push_str("\n## Options of `stats socket` besides\n\n");
    keywords(out, bind::CLI_OPTIONS, |_| "");
}

fn tcp_actions(out: &mut String) {
    out.push_str("\n## Actions of `tcp-request` and `tcp-response`\n\n");
    out.push_str(
        "| action | connection | session | content | response | |\n|---|---|---|---|---|---|\n",
    );
    for action in actions::TABLE {
        let name = match action.name.strip_suffix('(') {
            Some(name) => format!("{name}(<variable>) {}", action.args),
            None => format!("{} {}", action.name, action.args),
        };
        let _ = write!(out, "| `{}` |", cell(name.trim_end()));
        for list in [
            actions::List::Connection,
            actions::List::Session,
            actions::List::Content,
            actions::List::Response,
        ] {
            let there = if action.lists.contains(&list) {
                "yes"
            } else {
                ""
            };
            let _ = write!(out, " {there} |");
        }
        let _ = writeln!(out, " {} |", action.doc);
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn samples(out: &mut String) {
    out.push_str("\n## Fetches\n\n| fetch | type | there from | value |\n|---|---|---|---|\n");
    for row in fetch::TABLE {
        let name = call(row.name, row.args);
        let (kind, needs) = (format!("{:?}", row.kind), needs(row.needs));
        let _ = writeln!(
            out,
            "| `{name}` | {} | {needs} | {} |",
            kind.to_lowercase(),
            cell(row.doc)
        );
    }
    out.push_str("\n## Converters\n\n| converter | takes | gives | |\n|---|---|---|---|\n");
    for row in convert::TABLE {
        let name = call(row.name, row.args);
        let kinds = format!("{:?} | {:?}", row.takes, row.gives).to_lowercase();
        let _ = writeln!(out, "| `{name}` | {kinds} | {} |", cell(row.doc));
    }
    out.push_str("\n## ACLs without a definition\n\n| name | criterion |\n|---|---|\n");
    for (name, words) in PREDEFINED {
        let _ = writeln!(out, "| `{name}` | `{}` |", words.join(" "));
    }
}

fn call(name: &str, args: &str) -> String {
    if args.is_empty() {
        return name.to_owned();
    }
    format!("{name}({args})")
}

fn needs(needs: fetch::Needs) -> &'static str {
    match needs {
        fetch::Needs::Nothing => "always",
        fetch::Needs::Client => "accept",
        fetch::Needs::Backend => "a backend is chosen",
        fetch::Needs::Server => "a server is chosen",
        fetch::Needs::Request => "the client sent something",
        fetch::Needs::Response => "the server sent something",
        fetch::Needs::HttpRequest => "an HTTP request is there",
        fetch::Needs::HttpLine => "an HTTP request is there, or was",
        fetch::Needs::HttpResponse => "an HTTP answer is there",
        fetch::Needs::InspectionEnd => "the inspection ended",
    }
}

fn formats(out: &mut String) {
    out.push_str("\n## Tags of `log-format`\n\n");
    out.push_str("Flags: `%{+Q}tag` in quotes, `+X` hexadecimal, `+E` escaped.\n\n");
    out.push_str("| tag | |\n|---|---|\n");
    for (name, _, doc) in TAGS {
        let _ = writeln!(out, "| `%{name}` | {doc} |");
    }
}

fn conditions(out: &mut String) {
    out.push_str("\n## Conditional blocks\n\n");
    out.push_str(
        "`.if <condition>`, `.elif <condition>`, `.else`, `.endif`; `.notice`, `.warning`, \
         `.alert` and `.diag` with a text. Conditions combine numbers (0: false) and predicates \
         with `!`, `&&`, `||` and parentheses.\n\n| predicate | arguments | true when |\n|---|---|---|\n",
    );
    for (name, arity, doc) in PREDICATES {
        let _ = writeln!(out, "| `{name}` | {arity} | {doc} |");
    }
    let _ = writeln!(
        out,
        "\n`feature()` is true for: `{}`.",
        FEATURES.join("`, `")
    );
}

fn not_yet(out: &mut String) {
    out.push_str("\n## Known, but not there yet\n\nRefused with E0007, never ignored.\n");
    let lists = [
        ("Sections", known::SECTIONS),
        ("Keywords of `global`", known::GLOBAL),
        ("Keywords of proxies", known::PROXY),
        ("Options of `server`", known::SERVER_OPTIONS),
        ("Options of `bind`", known::BIND_OPTIONS),
        ("Fetches", known::FETCHES),
        ("Converters", known::CONVERTERS),
    ];
    for (heading, names) in lists {
        let _ = writeln!(out, "\n{heading}: `{}`.", names.join("`, `"));
    }
    let of_http: Vec<&str> = known::HTTP_ONLY.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(
        out,
        "\nKeywords of proxies in `mode http`, ignored with a warning or a note in `mode tcp`: `{}`.",
        of_http.join("`, `")
    );
    out.push_str("\n## Accepted without effect\n\nWith a note (E1104).\n");
    let lists = [
        ("Keywords of `global`", known::GLOBAL_WITHOUT_EFFECT),
        ("Keywords of proxies", known::PROXY_WITHOUT_EFFECT),
    ];
    for (heading, names) in lists {
        let _ = writeln!(out, "\n{heading}: `{}`.", names.join("`, `"));
    }
}
