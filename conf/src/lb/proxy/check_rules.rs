//! Rules of `tcp-check` and `http-check` scripts.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word, wrong};
use crate::lb::acl::regex;
use crate::lb::call::Call;
use crate::lb::draft::Draft;
use crate::lb::model::{
    CheckAction, CheckConnect, CheckExpect, CheckKind, CheckPayload, CheckStatus, CheckStep,
    ExpectHeader, ExpectPattern, Format, HeaderMatch, HttpSend, Place,
};
use crate::lb::sample::{self, When, fetch};
use crate::lb::value;
use crate::lb::{address, format, known};

type Applied = Result<(), Diagnostic>;

/// Which of the two scripts of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// `tcp-check`.
    Tcp,
    /// `http-check`.
    Http,
}

/// Form of what `tcp-check send` is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A text.
    Text,
    /// Hexadecimal digits.
    Hex,
    /// A format.
    Format,
    /// A format that gives hexadecimal digits.
    HexFormat,
}

/// What is wrong with an action behind these steps: a script connects first or not at all, and
/// one of HTTP asks and expects once for each connection.
fn misplaced(steps: &[CheckStep], script: Script, next: &CheckAction) -> Option<&'static str> {
    use CheckAction::{Connect, Expect, HttpSend, Send};
    let acts =
        |step: &&CheckStep| matches!(step.action, Connect(_) | Send(_) | HttpSend(_) | Expect(_));
    let first = &steps.iter().find(acts)?.action;
    let last = &steps.iter().rfind(acts)?.action;
    match (next, script) {
        (Connect(_), _) if !matches!(first, Connect(_)) => {
            Some("the first step must be a `connect`, too, where there is one")
        }
        (Connect(_), Script::Http) if !matches!(last, Expect(_)) => {
            Some("an `expect` is missing ahead of this `connect`")
        }
        (HttpSend(_), _) if !matches!(last, Connect(_)) => {
            Some("a `connect` is missing ahead of this `send`")
        }
        (Expect(_), Script::Http) if matches!(last, Connect(_)) => {
            Some("a `send` is missing ahead of this `expect`")
        }
        _ => None,
    }
}

fn push(
    d: &mut Draft,
    a: &Args<'_>,
    script: Script,
    action: CheckAction,
    comment: Option<String>,
) -> Applied {
    let step = CheckStep {
        action,
        comment,
        place: Place(a.head()),
    };
    let runs = match script {
        Script::Tcp => matches!(d.back().check.kind, CheckKind::Tcp(_)),
        Script::Http => matches!(d.back().check.kind, CheckKind::Http(_)),
    };
    if !runs {
        d.checks.unused[script as usize].get_or_insert(a.head());
    }
    // the rules of a section replace those of its defaults
    if std::mem::take(&mut d.checks.inherited[script as usize]) {
        rules(d, script).clear();
    }
    if let Some(text) = misplaced(rules(d, script), script, &step.action) {
        return Err(Diagnostic::error("E1038", a.head(), text)
            .label("the steps before it do not lead here"));
    }
    rules(d, script).push(step);
    Ok(())
}

fn rules(d: &mut Draft, script: Script) -> &mut Vec<CheckStep> {
    match script {
        Script::Tcp => &mut d.checks.tcp,
        Script::Http => &mut d.checks.http,
    }
}

/// `comment <text>`, alone on its line or behind a rule.
pub fn comment(d: &mut Draft, a: &mut Args<'_>, script: Script) -> Applied {
    let text = a.expect("a text")?.text.clone();
    a.finish()?;
    push(d, a, script, CheckAction::Comment(text), None)
}

fn take_comment(a: &mut Args<'_>) -> Result<Option<String>, Diagnostic> {
    match a.take_if("comment") {
        Some(_) => Ok(Some(a.expect("a text")?.text.clone())),
        None => Ok(None),
    }
}

/// `connect ...`
pub fn connect(d: &mut Draft, a: &mut Args<'_>, script: Script) -> Applied {
    let mut connect = CheckConnect::default();
    let mut comment = None;
    while let Some(word) = a.peek() {
        match word.text.as_str() {
            "default" => connect.default = a.take().is_some(),
            "send-proxy" => connect.send_proxy = a.take().is_some(),
            "linger" => connect.linger = a.take().is_some(),
            "port" => {
                a.take();
                port(d, a, &mut connect)?;
            }
            "addr" => {
                a.take();
                connect.addr = Some(host(d, a)?);
            }
            "comment" => comment = take_comment(a)?,
            "ssl" | "sni" | "alpn" | "via-socks4" | "proto" => {
                return Err(known::not_yet(
                    word.span,
                    &format!("`{}` of a check", word.text),
                ));
            }
            _ => break,
        }
    }
    a.finish()?;
    push(d, a, script, CheckAction::Connect(connect), comment)
}

fn port(d: &mut Draft, a: &mut Args<'_>, connect: &mut CheckConnect) -> Applied {
    let word = a.expect("a port or an expression")?;
    if word.text.bytes().all(|b| b.is_ascii_digit()) {
        connect.port = Some(value::number(word, "a port", 1, 65535)? as u16);
    } else {
        sample::parse_text(d, word, When::Check)?;
        return Err(known::not_yet(word.span, "an expression as a check's port"));
    }
    Ok(())
}

fn host(d: &Draft, a: &mut Args<'_>) -> Result<crate::lb::model::Host, Diagnostic> {
    let word = a.expect("an address")?;
    let env = &d.around.env;
    match address::parse(word, &|name| env.get(name).map(str::to_owned))? {
        address::Address::Inet {
            host: Some(host), ..
        } => Ok(host),
        _ => Err(wrong(word, "an address")),
    }
}

/// `send`, `send-lf`, `send-binary`, `send-binary-lf`.
pub fn send(d: &mut Draft, a: &mut Args<'_>, form: Payload) -> Applied {
    let word = a.expect("what to send")?;
    let payload = match form {
        Payload::Text => CheckPayload::Bytes(value::bytes(&word.text)),
        Payload::Hex => CheckPayload::Bytes(hex(word)?),
        Payload::Format => CheckPayload::Format(format::parse_check(d, word)?),
        Payload::HexFormat => CheckPayload::HexFormat(format::parse_check(d, word)?),
    };
    let comment = take_comment(a)?;
    a.finish()?;
    push(d, a, Script::Tcp, CheckAction::Send(payload), comment)
}

fn hex(word: &Word) -> Result<Vec<u8>, Diagnostic> {
    value::hex(&word.text).ok_or_else(|| {
        wrong(word, "hexadecimal digits").label("expected pairs of hexadecimal digits")
    })
}

/// `http-check send ...`; what it leaves out is taken from `option httpchk`.
pub fn http_send(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let base = d.checks.request.clone();
    let mut send = base.unwrap_or_else(plain_request);
    let mut comment = None;
    loop {
        if a.take_if("meth").is_some() {
            send.method = a.expect("a method")?.text.clone();
        } else if a.take_if("uri").is_some() {
            send.uri = format::fixed(&a.expect("a URI")?.text);
        } else if a.take_if("uri-lf").is_some() {
            send.uri = take_format(d, a)?;
        } else if a.take_if("ver").is_some() {
            send.version = a.expect("a version")?.text.clone();
        } else if a.take_if("hdr").is_some() {
            let name = a.expect("a header's name")?.text.clone();
            let value = take_format(d, a)?;
            send.headers.push((name, value));
        } else if a.take_if("body").is_some() {
            send.body = Some(format::fixed(&a.expect("a body")?.text));
        } else if a.take_if("body-lf").is_some() {
            send.body = Some(take_format(d, a)?);
        } else if a.peek().is_some_and(|w| w.text == "comment") {
            comment = take_comment(a)?;
        } else {
            break;
        }
    }
    a.finish()?;
    push(d, a, Script::Http, CheckAction::HttpSend(send), comment)
}

/// What is sent without any word about it.
pub fn plain_request() -> HttpSend {
    HttpSend {
        method: "OPTIONS".to_owned(),
        uri: format::fixed("/"),
        version: "HTTP/1.0".to_owned(),
        headers: Vec::new(),
        body: None,
        send_state: false,
    }
}

fn take_format(d: &mut Draft, a: &mut Args<'_>) -> Result<Format, Diagnostic> {
    let word = a.expect("a format")?;
    format::parse_check(d, word)
}

const OK: &[(&str, CheckStatus)] = &[
    ("L7OK", CheckStatus::L7Ok),
    ("L7OKC", CheckStatus::L7Okc),
    ("L6OK", CheckStatus::L6Ok),
    ("L4OK", CheckStatus::L4Ok),
];
const ERROR: &[(&str, CheckStatus)] = &[
    ("L7OKC", CheckStatus::L7Okc),
    ("L7RSP", CheckStatus::L7Rsp),
    ("L7STS", CheckStatus::L7Sts),
    ("L6RSP", CheckStatus::L6Rsp),
    ("L4CON", CheckStatus::L4Con),
];
const TIMEOUT: &[(&str, CheckStatus)] = &[
    ("L7TOUT", CheckStatus::L7Tout),
    ("L6TOUT", CheckStatus::L6Tout),
    ("L4TOUT", CheckStatus::L4Tout),
];

/// `expect ...`
pub fn expect(d: &mut Draft, a: &mut Args<'_>, script: Script) -> Applied {
    let mut rule = CheckExpect::new(ExpectPattern::Custom);
    let mut comment = None;
    expect_options(d, a, &mut rule, &mut comment)?;
    rule.pattern = pattern(d, a, script, &mut rule.negated)?;
    // HAProxy takes them on either side of the pattern
    expect_options(d, a, &mut rule, &mut comment)?;
    a.finish()?;
    push(d, a, script, CheckAction::Expect(rule), comment)
}

fn expect_options(
    d: &mut Draft,
    a: &mut Args<'_>,
    rule: &mut CheckExpect,
    comment: &mut Option<String>,
) -> Applied {
    loop {
        if a.take_if("min-recv").is_some() {
            let count = value::take_number(a, "a number of bytes", -1, i64::from(i32::MAX))?;
            rule.min_recv = u32::try_from(count).ok();
        } else if a.take_if("ok-status").is_some() {
            rule.ok_status = Some(a.choose("a status", OK)?);
        } else if a.take_if("error-status").is_some() {
            rule.error_status = Some(a.choose("a status", ERROR)?);
        } else if a.take_if("tout-status").is_some() {
            rule.timeout_status = Some(a.choose("a status", TIMEOUT)?);
        } else if a.take_if("on-success").is_some() {
            rule.on_success = Some(take_format(d, a)?);
        } else if a.take_if("on-error").is_some() {
            rule.on_error = Some(take_format(d, a)?);
        } else if a.take_if("status-code").is_some() {
            rule.status_code = Some(Box::new(sample::take(d, a, When::Check)?));
        } else if a.peek().is_some_and(|w| w.text == "comment") {
            *comment = take_comment(a)?;
        } else {
            return Ok(());
        }
    }
}

fn pattern(
    d: &mut Draft,
    a: &mut Args<'_>,
    script: Script,
    negated: &mut bool,
) -> Result<ExpectPattern, Diagnostic> {
    let what = "what to look for";
    let mut word = a.expect(what)?;
    let mut name = word.text.as_str();
    while let Some(rest) = name.strip_prefix('!') {
        *negated = !*negated;
        name = rest;
        if name.is_empty() {
            word = a.expect(what)?;
            name = word.text.as_str();
        }
    }
    let http = script == Script::Http;
    match name {
        "string" => Ok(ExpectPattern::String(value::bytes(
            &a.expect("a text")?.text,
        ))),
        "rstring" => Ok(ExpectPattern::Regex(regex(
            a.expect("an expression")?,
            false,
        )?)),
        "string-lf" => Ok(ExpectPattern::StringFormat(take_format(d, a)?)),
        "binary" if !http => Ok(ExpectPattern::Binary(hex(a.expect("hexadecimal digits")?)?)),
        "rbinary" if !http => Ok(ExpectPattern::HexRegex(regex(
            a.expect("an expression")?,
            true,
        )?)),
        "binary-lf" if !http => Ok(ExpectPattern::BinaryFormat(take_format(d, a)?)),
        "status" if http => Ok(ExpectPattern::Status(statuses(a.expect("statuses")?)?)),
        "rstatus" if http => Ok(ExpectPattern::StatusRegex(regex(
            a.expect("an expression")?,
            false,
        )?)),
        "hdr" | "fhdr" if http => header(d, a, name == "fhdr").map(ExpectPattern::Header),
        _ => {
            let names: &[&str] = if http {
                &[
                    "status",
                    "rstatus",
                    "string",
                    "rstring",
                    "string-lf",
                    "hdr",
                    "fhdr",
                ]
            } else {
                &[
                    "string",
                    "rstring",
                    "string-lf",
                    "binary",
                    "rbinary",
                    "binary-lf",
                ]
            };
            let near = crate::suggest::nearest(name, names.iter().copied());
            Err(wrong(word, "a kind of pattern")
                .help(format!("accepted are: `{}`", names.join("`, `")))
                .maybe_suggest(word.span, near.filter(|_| name == word.text)))
        }
    }
}

fn statuses(word: &Word) -> Result<Vec<(u16, u16)>, Diagnostic> {
    let bad = || wrong(word, "a list of statuses").label("expected a list such as 200,300-399");
    word.text
        .split(',')
        .map(|range| {
            let (low, high) = range.split_once('-').unwrap_or((range, range));
            let low: u16 = low.parse().map_err(|_| bad())?;
            let high: u16 = high.parse().map_err(|_| bad())?;
            let good = (100..=999).contains(&low) && (low..=999).contains(&high);
            good.then_some((low, high)).ok_or_else(bad)
        })
        .collect()
}

fn header(d: &mut Draft, a: &mut Args<'_>, full: bool) -> Result<ExpectHeader, Diagnostic> {
    let evaluated = a.choose("`name` or `name-lf`", &[("name", false), ("name-lf", true)])?;
    let name = header_match(d, a, evaluated)?;
    let value = match a.peek().map(|w| w.text.as_str()) {
        Some("value") => a.take().map(|_| false),
        Some("value-lf") => a.take().map(|_| true),
        _ => None,
    };
    let value = match value {
        Some(evaluated) => Some(header_match(d, a, evaluated)?),
        None => None,
    };
    Ok(ExpectHeader { full, name, value })
}

fn header_match(
    d: &mut Draft,
    a: &mut Args<'_>,
    evaluated: bool,
) -> Result<(HeaderMatch, Format), Diagnostic> {
    let method = match a.take_if("-m") {
        Some(_) => a.choose(
            "a matching method",
            &[("str", 0), ("beg", 1), ("end", 2), ("sub", 3), ("reg", 4)],
        )?,
        None => 0,
    };
    let word = a.expect("a pattern")?;
    let how = match method {
        0 => HeaderMatch::Equal,
        1 => HeaderMatch::Begin,
        2 => HeaderMatch::End,
        3 => HeaderMatch::Contains,
        _ => HeaderMatch::Regex(regex(word, false)?),
    };
    let format = if evaluated {
        format::parse_check(d, word)?
    } else {
        format::fixed(&word.text)
    };
    Ok((how, format))
}

/// `set-var(...)`, `set-var-fmt(...)`, `unset-var(...)`: the whole word is the rule's name.
pub fn variable(d: &mut Draft, a: &mut Args<'_>, script: Script) -> Applied {
    let word = a.expect("a rule")?;
    let call = Call::of(word)?;
    let name = call.one("a variable's name")?;
    if !fetch::variable(&name) {
        return Err(fetch::bad_variable(word.span, &name));
    }
    let action = match call.name {
        "set-var" => {
            let expr = sample::take(d, a, When::Check)?;
            CheckAction::SetVar(name, Box::new(expr))
        }
        "set-var-fmt" => CheckAction::SetVarFormat(name, take_format(d, a)?),
        _ => CheckAction::UnsetVar(name),
    };
    let comment = take_comment(a)?;
    a.finish()?;
    push(d, a, script, action, comment)
}
