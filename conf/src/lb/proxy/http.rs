//! What `mode http` needs: answers that the balancer makes itself, and rules.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::condition;
use crate::lb::draft::Draft;
use crate::lb::format;
use crate::lb::known;
use crate::lb::model::{ErrorFile, HttpAction, HttpAnswer, HttpCapture, HttpRule, Place};
use crate::lb::proxy::actions;
use crate::lb::proxy::rules::not_in_anonymous_defaults;
use crate::lb::sample::When;
use crate::lb::value;
use crate::suggest;

type Applied = Result<(), Diagnostic>;

const STATUSES: &[i64] = &[
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 425, 429, 500, 501, 502, 503, 504,
];

fn errorfile(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let code = a.expect("a status")?;
    let status = value::number(code, "a status", 100, 599)?;
    if !STATUSES.contains(&status) {
        return Err(wrong(code, "a status that can be replaced"));
    }
    let file = a.expect("a file")?;
    a.finish()?;
    let path = d.around.path(&file.text);
    let content = std::fs::read(&path).map_err(|e| {
        Diagnostic::error("E0001", file.span, format!("cannot read `{}`", file.text))
            .label(e.to_string())
    })?;
    let files = &mut d.proxy.http.error_files;
    files.retain(|f| i64::from(f.status) != status);
    files.push(ErrorFile {
        status: status as u16,
        path,
        content,
    });
    Ok(())
}

/// Actions, and in which of the two lists they may stand.
const ACTIONS: &[&str] = &[
    "allow",
    "deny",
    "auth",
    "return",
    "reject",
    "set-header",
    "add-header",
    "del-header",
    "set-log-level",
    "use-service",
];

const KNOWN: &[&str] = &[
    "add-acl",
    "cache-store",
    "cache-use",
    "capture",
    "del-acl",
    "del-map",
    "disable-l7-retry",
    "do-resolve",
    "early-hint",
    "normalize-uri",
    "ot-group",
    "redirect",
    "replace-header",
    "replace-path",
    "replace-pathq",
    "replace-uri",
    "replace-value",
    "sc-inc-gpc",
    "sc-inc-gpc0",
    "sc-inc-gpc1",
    "sc-set-gpt",
    "sc-set-gpt0",
    "send-spoe-group",
    "set-dst",
    "set-dst-port",
    "set-map",
    "set-mark",
    "set-method",
    "set-nice",
    "set-path",
    "set-pathq",
    "set-priority-class",
    "set-priority-offset",
    "set-query",
    "set-src",
    "set-src-port",
    "set-status",
    "set-timeout",
    "set-tos",
    "set-uri",
    "set-var",
    "set-var-fmt",
    "silent-drop",
    "strict-mode",
    "tarpit",
    "track-sc0",
    "track-sc1",
    "track-sc2",
    "unset-var",
    "wait-for-body",
    "wait-for-handshake",
];

/// Takes a rule: an action and perhaps a condition.
pub fn rule(d: &mut Draft, a: &mut Args<'_>, when: When) -> Result<HttpRule, Diagnostic> {
    let span = a.head();
    let word = a.expect("an action")?;
    let action = action(d, a, word, when)?;
    let condition = condition::optional(d, a, when)?;
    d.marks.http_only.push((list(when), span));
    Ok(HttpRule {
        action,
        condition,
        place: Place(span),
        line: d.around.line.clone(),
    })
}

fn list(when: When) -> &'static str {
    match when {
        When::HttpRequest => "http-request",
        _ => "http-response",
    }
}

/// As [`rule`]; none where something in it is not there yet, which counts in `mode http` only.
fn rule_or_later(
    d: &mut Draft,
    a: &mut Args<'_>,
    when: When,
) -> Result<Option<HttpRule>, Diagnostic> {
    match rule(d, a, when) {
        Err(e) if e.code == known::NOT_YET => {
            d.marks.http_later.push((list(when), e));
            Ok(None)
        }
        result => result.map(Some),
    }
}

fn action(
    d: &mut Draft,
    a: &mut Args<'_>,
    word: &Word,
    when: When,
) -> Result<HttpAction, Diagnostic> {
    let request = when == When::HttpRequest;
    Ok(match word.text.as_str() {
        "allow" => HttpAction::Allow,
        "deny" if request => HttpAction::Deny(answer(d, a, 403)?),
        "deny" => HttpAction::Deny(HttpAnswer {
            status: 502,
            content_type: None,
            body: None,
            headers: Vec::new(),
        }),
        "return" if request => {
            let answer = answer(d, a, 200)?;
            if answer.body.is_some() && answer.content_type.is_none() {
                return Err(
                    Diagnostic::error("E0003", word.span, "a body needs a `content-type`")
                        .label("which type has it?"),
                );
            }
            HttpAction::Return(answer)
        }
        "auth" if request => HttpAction::Auth(match a.take_if("realm") {
            Some(_) => Some(a.expect("a realm")?.text.clone()),
            None => None,
        }),
        "reject" if request => HttpAction::Reject,
        "set-header" => {
            let (name, value) = header(d, a, when)?;
            HttpAction::SetHeader(name, value)
        }
        "add-header" => {
            let (name, value) = header(d, a, when)?;
            HttpAction::AddHeader(name, value)
        }
        "del-header" => {
            let name = a.expect("a header's name")?.text.clone();
            if let Some(flag) = a.peek().filter(|w| w.text == "-m") {
                return Err(known::not_yet(flag.span, "`del-header -m`"));
            }
            HttpAction::DelHeader(name)
        }
        "set-log-level" if request => HttpAction::SetLogLevel(actions::level(a)?),
        "use-service" if request => {
            let service = a.expect("a service")?;
            if service.text != "prometheus-exporter" {
                return Err(wrong(service, "a service").label("there is `prometheus-exporter`"));
            }
            HttpAction::PrometheusExporter
        }
        "return" | "set-log-level" => {
            let what = format!("`{}` in an `http-response` rule", word.text);
            return Err(known::not_yet(word.span, &what));
        }
        name => return Err(unknown(word, name)),
    })
}

fn unknown(word: &Word, name: &str) -> Diagnostic {
    let plain = name.split('(').next().unwrap_or(name);
    if KNOWN.contains(&plain) {
        return known::not_yet(word.span, &format!("HTTP action `{plain}`"));
    }
    let near = suggest::nearest(name, ACTIONS.iter().copied());
    wrong(word, "an HTTP action")
        .label(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "expected an action".to_owned(),
        })
        .help(format!("accepted are: `{}`", ACTIONS.join("`, `")))
        .maybe_suggest(word.span, near)
}

fn header(
    d: &mut Draft,
    a: &mut Args<'_>,
    when: When,
) -> Result<(String, crate::lb::model::Format), Diagnostic> {
    let name = a.expect("a header's name")?.text.clone();
    let word = a.expect("a format")?;
    Ok((name, format::parse_live(d, word, when)?))
}

/// `[status <n>] [content-type <t>] [{ string | lf-string | file } <x>] [hdr <n> <v>]`.
fn answer(d: &mut Draft, a: &mut Args<'_>, status: u16) -> Result<HttpAnswer, Diagnostic> {
    let when = When::HttpRequest;
    let mut answer = HttpAnswer {
        status,
        content_type: None,
        body: None,
        headers: Vec::new(),
    };
    // HAProxy's older word for `status`
    loop {
        if a.take_if("status").is_some() || a.take_if("deny_status").is_some() {
            answer.status = value::take_number(a, "a status", 200, 599)? as u16;
        } else if a.take_if("content-type").is_some() {
            answer.content_type = Some(a.expect("a type")?.text.clone());
        } else if a.take_if("string").is_some() {
            answer.body = Some(format::fixed(&a.expect("a text")?.text));
        } else if a.take_if("lf-string").is_some() {
            let word = a.expect("a format")?;
            answer.body = Some(format::parse_live(d, word, when)?);
        } else if a.take_if("file").is_some() {
            let file = a.expect("a file")?;
            let bytes = std::fs::read(d.around.path(&file.text)).map_err(|e| {
                Diagnostic::error("E0001", file.span, format!("cannot read `{}`", file.text))
                    .label(e.to_string())
            })?;
            answer.body = Some(format::fixed(&crate::lb::text_of(bytes)));
        } else if a.take_if("hdr").is_some() {
            let pair = header(d, a, when)?;
            answer.headers.push(pair);
        } else if let Some(word) = a.peek().filter(|w| {
            matches!(
                w.text.as_str(),
                "lf-file" | "errorfile" | "errorfiles" | "default-errorfiles"
            )
        }) {
            return Err(known::not_yet(word.span, &format!("`{}`", word.text)));
        } else {
            return Ok(answer);
        }
    }
}

/// Of both sides.
pub static BOTH: &[Keyword<Draft>] = &[
    Keyword {
        name: "errorfile",
        args: "<status> <file>",
        doc: "The whole answer for a status that the balancer makes itself, headers included.",
        example: "errorfile 503 /dev/null",
        apply: errorfile,
    },
    Keyword {
        name: "http-request",
        args: "<action> [{ if | unless } <condition>]",
        doc: "A rule for every request: `allow`, `deny [status n]`, `auth [realm text]`, `return \
              [status n] [content-type t] [string s]`, `reject`, `set-header`, `add-header`, \
              `del-header`, `set-log-level`, `use-service prometheus-exporter`. Texts of headers \
              may be formats.",
        example: "http-request deny if { src 192.0.2.66 }",
        apply: |d, a| {
            not_in_anonymous_defaults(d, a)?;
            let rule = rule_or_later(d, a, When::HttpRequest)?;
            d.proxy.http.request_rules.extend(rule);
            Ok(())
        },
    },
    Keyword {
        name: "http-response",
        args: "<action> [{ if | unless } <condition>]",
        doc: "A rule for every answer of a server: `allow`, `deny` (502 instead), `set-header`, \
              `add-header`, `del-header`. The header's text may be a format.",
        example: "http-response set-header X-Served-By lb",
        apply: |d, a| {
            not_in_anonymous_defaults(d, a)?;
            let rule = rule_or_later(d, a, When::HttpResponse)?;
            d.proxy.http.response_rules.extend(rule);
            Ok(())
        },
    },
];

/// `<name> len <bytes>`
fn capture(d: &mut Draft, a: &mut Args<'_>) -> Result<HttpCapture, Diagnostic> {
    if d.kind.is_none() {
        return Err(super::general::not_in_defaults(a));
    }
    let name = a.expect("a name")?.text.clone();
    a.choose("the word `len`", &[("len", ())])?;
    let len = value::take_number(a, "a number of bytes", 1, 1 << 16)? as usize;
    a.finish()?;
    Ok(HttpCapture { name, len })
}

/// Of the side of the clients.
pub static FRONT: &[Keyword<Draft>] = &[
    Keyword {
        name: "capture request header",
        args: "<name> len <bytes>",
        doc: "Log lines show the last header of this name in the request, among the others between \
              braces.",
        example: "capture request header Host len 32",
        apply: |d, a| {
            let capture = capture(d, a)?;
            d.proxy.http.captures.request.push(capture);
            Ok(())
        },
    },
    Keyword {
        name: "capture response header",
        args: "<name> len <bytes>",
        doc: "Same, of the answer.",
        example: "capture response header Server len 32",
        apply: |d, a| {
            let capture = capture(d, a)?;
            d.proxy.http.captures.response.push(capture);
            Ok(())
        },
    },
    Keyword {
        name: "capture cookie",
        args: "<name> len <bytes>",
        doc: "Log lines show the first cookie whose name starts so, of request and answer, as \
              `name=value`. `=` behind the name makes it exact.",
        example: "capture cookie SESSION= len 32",
        apply: |d, a| {
            d.proxy.http.captures.cookie = Some(capture(d, a)?);
            d.marks.http_only.push(("capture cookie", a.head()));
            Ok(())
        },
    },
    Keyword {
        name: "monitor-uri",
        args: "<path>",
        doc: "Requests for exactly this path are answered 200 (503 when a `monitor fail` \
              condition holds), without a line.",
        example: "monitor-uri /alive",
        apply: |d, a| {
            d.proxy.http.monitor_uri = Some(a.expect("a path")?.text.clone());
            d.marks.http_only.push(("monitor-uri", a.head()));
            a.finish()
        },
    },
    Keyword {
        name: "monitor fail",
        args: "{ if | unless } <condition>",
        doc: "When `monitor-uri` answers 503.",
        example: "monitor fail if { nbsrv lt 1 }",
        apply: |d, a| {
            if d.kind.is_none() {
                return Err(super::general::not_in_defaults(a));
            }
            let condition = condition::required(d, a, When::HttpRequest)?;
            d.proxy.http.monitor_fail.push(condition);
            Ok(())
        },
    },
];
