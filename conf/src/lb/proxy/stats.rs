//! `stats ...`: the statistics page.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};
use crate::lb::condition;
use crate::lb::draft::Draft;
use crate::lb::known;
use crate::lb::model::{Place, Stats, StatsUser};
use crate::lb::sample::When;
use crate::lb::value::{self, Unit};

/// Any `stats` line but `stats hide-version` and its kin enables the page; all do here.
fn stats<'d>(d: &'d mut Draft, a: &Args<'_>) -> &'d mut Stats {
    let span = a.head();
    d.marks.http_only.push(("stats", span));
    d.proxy.stats.get_or_insert_with(|| Stats {
        place: Place(span),
        ..Stats::default()
    })
}

/// Whom the page obeys is said where the page is.
fn not_in_defaults(d: &Draft, a: &Args<'_>) -> Result<(), Diagnostic> {
    if d.kind.is_some() {
        return Ok(());
    }
    let text = format!("`{}` not allowed in a `defaults` section", a.keyword());
    Err(Diagnostic::error("E1005", a.head(), text)
        .label("not allowed here")
        .help("write it into the section that has the page"))
}

fn auth(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let word = a.expect("user:password")?;
    a.finish()?;
    // a user without a password has an empty one
    let (name, password) = word.text.split_once(':').unwrap_or((&word.text, ""));
    let user = StatsUser {
        name: name.to_owned(),
        password: password.to_owned(),
    };
    stats(d, a).auth.push(user);
    Ok(())
}

fn rest(a: &mut Args<'_>) -> Option<String> {
    let words: Vec<_> = a.rest().iter().map(|w| w.text.as_str()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The lines.
pub static BOTH: &[Keyword<Draft>] = &[
    Keyword {
        name: "stats enable",
        args: "",
        doc: "The statistics page is served, at `/haproxy?stats` unless `stats uri` differs.",
        example: "stats enable",
        apply: |d, a| {
            a.finish()?;
            stats(d, a);
            Ok(())
        },
    },
    Keyword {
        name: "stats uri",
        args: "<prefix>",
        doc: "Where the page is.",
        example: "stats uri /stats",
        apply: |d, a| {
            let uri = a.expect("a path")?.text.clone();
            a.finish()?;
            stats(d, a).uri = uri;
            Ok(())
        },
    },
    Keyword {
        name: "stats refresh",
        args: "<time>",
        doc: "The page renews itself; a bare number counts seconds.",
        example: "stats refresh 5s",
        apply: |d, a| {
            let time = value::take_time(a, "a time", Unit::Seconds)?;
            a.finish()?;
            stats(d, a).refresh = (!time.is_zero()).then_some(time);
            Ok(())
        },
    },
    Keyword {
        name: "stats auth",
        args: "<user>:<password>",
        doc: "Who may see the page; several lines add up.",
        example: "stats auth admin:secret",
        apply: auth,
    },
    Keyword {
        name: "stats realm",
        args: "<text>",
        doc: "What the browser shows when it asks for the password.",
        example: "stats realm Statistics",
        apply: |d, a| {
            let realm = a.expect("a text")?.text.clone();
            a.finish()?;
            stats(d, a).realm = Some(realm);
            Ok(())
        },
    },
    Keyword {
        name: "stats scope",
        args: "{ <name> | . }",
        doc: "Only this proxy is shown (`.`: this one); several lines add up.",
        example: "stats scope .",
        apply: |d, a| {
            let name = a.expect("a proxy's name or `.`")?.text.clone();
            a.finish()?;
            stats(d, a).scope.push(name);
            Ok(())
        },
    },
    Keyword {
        name: "stats hide-version",
        args: "",
        doc: "The page does not show the version.",
        example: "stats hide-version",
        apply: |d, a| {
            a.finish()?;
            stats(d, a).hide_version = true;
            Ok(())
        },
    },
    Keyword {
        name: "stats admin",
        args: "{ if | unless } <condition>",
        doc: "Who may change servers on the page.",
        example: "stats admin if LOCALHOST",
        apply: |d, a| {
            not_in_defaults(d, a)?;
            let condition = condition::required(d, a, When::HttpRequest)?;
            stats(d, a).admin.push(condition);
            Ok(())
        },
    },
    Keyword {
        name: "stats http-request",
        args: "{ allow | deny | auth [realm <text>] } [{ if | unless } <condition>]",
        doc: "Who may see the page.",
        example: "stats http-request deny unless LOCALHOST",
        apply: |d, a| {
            not_in_defaults(d, a)?;
            let rule = super::http::rule(d, a, When::HttpRequest)?;
            stats(d, a).rules.push(rule);
            Ok(())
        },
    },
    Keyword {
        name: "stats show-legends",
        args: "",
        doc: "More in the tooltips: algorithm, ids, addresses.",
        example: "stats show-legends",
        apply: |d, a| {
            a.finish()?;
            stats(d, a).show_legends = true;
            Ok(())
        },
    },
    Keyword {
        name: "stats show-modules",
        args: "",
        doc: "Accepted without effect: no module has columns of its own.",
        example: "stats show-modules",
        apply: |d, a| {
            a.finish()?;
            stats(d, a);
            d.diagnostics
                .push(known::without_effect(a.head(), "stats show-modules"));
            Ok(())
        },
    },
    Keyword {
        name: "stats show-node",
        args: "[<name>]",
        doc: "Shows this instance's name (the host's without one).",
        example: "stats show-node lb-a",
        apply: |d, a| {
            let name = a.take().map(|w| w.text.clone());
            a.finish()?;
            let stats = stats(d, a);
            stats.show_hostname = name.is_none();
            stats.show_node = name;
            Ok(())
        },
    },
    Keyword {
        name: "stats show-desc",
        args: "[<text>]",
        doc: "Shows a description (the one of `global` without a text).",
        example: "stats show-desc \"message cluster\"",
        apply: |d, a| {
            let text = rest(a).unwrap_or_default();
            stats(d, a).show_desc = Some(text);
            Ok(())
        },
    },
];
