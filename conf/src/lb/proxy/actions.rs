//! What TCP rules do.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Word, wrong};
use crate::lb::call::Call;
use crate::lb::draft::Draft;
use crate::lb::format;
use crate::lb::known;
use crate::lb::model::{LogLevel, TcpAction};
use crate::lb::proxy::logging::LEVELS;
use crate::lb::sample::{self, When, fetch};
use crate::lb::value;
use crate::suggest;

/// The lists of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tcp-request connection`.
    Connection,
    /// `tcp-request session`.
    Session,
    /// `tcp-request content`.
    Content,
    /// `tcp-response content`.
    Response,
}

impl List {
    /// When its rules are evaluated.
    pub fn when(self) -> When {
        match self {
            List::Connection => When::Connection,
            List::Session => When::Session,
            List::Content => When::Content,
            List::Response => When::Response,
        }
    }
}

/// One action.
pub struct Action {
    /// Its name; with `(` at the end a name with an argument.
    pub name: &'static str,
    /// The form of what follows.
    pub args: &'static str,
    /// The lists that take it.
    pub lists: &'static [List],
    /// What it does.
    pub doc: &'static str,
    /// Reads what follows.
    take: fn(&mut Draft, &mut Args<'_>, &Call<'_>, List) -> Result<TcpAction, Diagnostic>,
}

const ALL: &[List] = &[
    List::Connection,
    List::Session,
    List::Content,
    List::Response,
];
const REQUEST: &[List] = &[List::Connection, List::Session, List::Content];
const CONTENT: &[List] = &[List::Content, List::Response];

/// Every action.
pub static TABLE: &[Action] = &[
    Action {
        name: "accept",
        args: "",
        lists: ALL,
        doc: "No further rule of this list is looked at.",
        take: |_, _, _, _| Ok(TcpAction::Accept),
    },
    Action {
        name: "reject",
        args: "",
        lists: ALL,
        doc: "The session ends; by a connection or session rule without a line.",
        take: |_, _, _, _| Ok(TcpAction::Reject),
    },
    Action {
        name: "close",
        args: "",
        lists: &[List::Response],
        doc: "The server's connection is closed.",
        take: |_, _, _, _| Ok(TcpAction::Close),
    },
    Action {
        name: "silent-drop",
        args: "",
        lists: ALL,
        doc: "The connection disappears without a packet to the other side.",
        take: |_, _, _, _| Ok(TcpAction::SilentDrop),
    },
    Action {
        name: "expect-proxy",
        args: "layer4",
        lists: &[List::Connection],
        doc: "This connection must start with a PROXY protocol header.",
        take: |_, a, _, _| {
            a.choose("a layer", &[("layer4", ())])?;
            Ok(TcpAction::ExpectProxy)
        },
    },
    Action {
        name: "set-src",
        args: "<expression>",
        lists: REQUEST,
        doc: "Replaces the client's address.",
        take: |d, a, _, list| Ok(TcpAction::SetSrc(sample::take(d, a, list.when())?)),
    },
    Action {
        name: "set-src-port",
        args: "<expression>",
        lists: REQUEST,
        doc: "Replaces the client's port.",
        take: |d, a, _, list| Ok(TcpAction::SetSrcPort(sample::take(d, a, list.when())?)),
    },
    Action {
        name: "set-dst",
        args: "<expression>",
        lists: REQUEST,
        doc: "Replaces the address that the client connected to.",
        take: |d, a, _, list| Ok(TcpAction::SetDst(sample::take(d, a, list.when())?)),
    },
    Action {
        name: "set-dst-port",
        args: "<expression>",
        lists: REQUEST,
        doc: "Replaces the port that the client connected to.",
        take: |d, a, _, list| Ok(TcpAction::SetDstPort(sample::take(d, a, list.when())?)),
    },
    Action {
        name: "set-mark",
        args: "<mark>",
        lists: ALL,
        doc: "Marks packets to the client for the kernel's routing and filters.",
        take: |_, a, _, _| {
            Ok(TcpAction::SetMark(
                a.parse("a mark (decimal or 0x..)", mark)?,
            ))
        },
    },
    Action {
        name: "set-tos",
        args: "<tos>",
        lists: ALL,
        doc: "Type of service of packets to the client.",
        take: |_, a, _, _| {
            let tos = |text: &str| mark(text).and_then(|n| u8::try_from(n).ok());
            Ok(TcpAction::SetTos(
                a.parse("a type of service (decimal or 0x..)", tos)?,
            ))
        },
    },
    Action {
        name: "set-nice",
        args: "<niceness>",
        lists: CONTENT,
        doc: "Accepted, has no effect: sessions of a thread are served in turn.",
        take: |_, a, _, _| {
            let nice = value::take_number(a, "a niceness", -1024, 1024)?;
            Ok(TcpAction::SetNice(nice as i32))
        },
    },
    Action {
        name: "set-log-level",
        args: "{ <level> | silent }",
        lists: CONTENT,
        doc: "Level of the session's line; `silent`: no line.",
        take: |_, a, _, _| Ok(TcpAction::SetLogLevel(level(a)?)),
    },
    Action {
        name: "set-priority-class",
        args: "<expression>",
        lists: &[List::Content],
        doc: "Class in queues (-2047..2047): lower ones are served first.",
        take: |d, a, _, list| {
            Ok(TcpAction::SetPriorityClass(sample::take(
                d,
                a,
                list.when(),
            )?))
        },
    },
    Action {
        name: "set-priority-offset",
        args: "<expression>",
        lists: &[List::Content],
        doc: "Milliseconds (-524287..524287) by which a session counts as younger in queues.",
        take: |d, a, _, list| {
            Ok(TcpAction::SetPriorityOffset(sample::take(
                d,
                a,
                list.when(),
            )?))
        },
    },
    Action {
        name: "set-var(",
        args: "<expression>",
        lists: ALL,
        doc: "Sets a variable: `set-var(txn.name) src`.",
        take: |d, a, call, list| {
            let name = variable(call)?;
            Ok(TcpAction::SetVar(name, sample::take(d, a, list.when())?))
        },
    },
    Action {
        name: "set-var-fmt(",
        args: "<format>",
        lists: ALL,
        doc: "Sets a variable to a format: `set-var-fmt(txn.name) \"%[src]:%[src_port]\"`.",
        take: |d, a, call, list| {
            let name = variable(call)?;
            let word = a.expect("a format")?;
            let format = format::parse_live(d, word, list.when())?;
            Ok(TcpAction::SetVarFormat(name, format))
        },
    },
    Action {
        name: "unset-var(",
        args: "",
        lists: ALL,
        doc: "Forgets a variable.",
        take: |_, _, call, _| Ok(TcpAction::UnsetVar(variable(call)?)),
    },
    Action {
        name: "capture",
        args: "<expression> len <bytes>",
        lists: &[List::Content],
        doc: "Keeps a value for the line's `{...}`.",
        take: |d, a, _, list| {
            let span = a.peek().map_or(a.head(), |w| w.span);
            let expr = sample::take(d, a, list.when())?;
            let end = expr.text.find(['(', ',']).unwrap_or(expr.text.len());
            let row = fetch::find(&expr.text[..end]);
            if row.is_some_and(|row| row.needs == fetch::Needs::Request) {
                d.marks.captures_contents.get_or_insert(span);
            }
            a.choose("`len`", &[("len", ())])?;
            let len = value::take_number(a, "a length", 1, 65536)? as usize;
            let slot = d.front().captures;
            d.front().captures += 1;
            Ok(TcpAction::Capture { expr, slot, len })
        },
    },
];

/// Actions that are not there yet.
const KNOWN: &[&str] = &[
    "do-resolve",
    "expect-netscaler-cip",
    "ot-group",
    "sc-inc-gpc",
    "sc-inc-gpc0",
    "sc-inc-gpc1",
    "sc-set-gpt",
    "sc-set-gpt0",
    "send-spoe-group",
    "switch-mode",
    "track-sc0",
    "track-sc1",
    "track-sc2",
    "use-service",
];

fn mark(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Takes a level or `silent`.
pub fn level(a: &mut Args<'_>) -> Result<LogLevel, Diagnostic> {
    if a.take_if("silent").is_some() {
        return Ok(LogLevel::Silent);
    }
    a.choose("a level or `silent`", LEVELS).map(LogLevel::At)
}

fn variable(call: &Call<'_>) -> Result<String, Diagnostic> {
    let name = call.one("a variable's name")?;
    if fetch::variable(&name) {
        return Ok(name);
    }
    Err(fetch::bad_variable(call.span, &name))
}

/// Takes an action of a list.
pub fn take(d: &mut Draft, a: &mut Args<'_>, list: List) -> Result<TcpAction, Diagnostic> {
    let word = a.expect("an action")?;
    let call = Call::of(word)?;
    let found = TABLE
        .iter()
        .find(|action| match action.name.strip_suffix('(') {
            Some(name) => name == call.name && call.has_parentheses,
            None => action.name == word.text,
        });
    let Some(action) = found else {
        return Err(unknown(word, call.name, list));
    };
    if !action.lists.contains(&list) {
        return Err(wrong(word, "an action of this list").label("not possible in this list"));
    }
    (action.take)(d, a, &call, list)
}

fn unknown(word: &Word, name: &str, list: List) -> Diagnostic {
    if KNOWN.contains(&name) {
        return known::not_yet(word.span, &format!("action `{name}`"));
    }
    let names = TABLE
        .iter()
        .filter(|action| action.lists.contains(&list))
        .map(|action| action.name.trim_end_matches('('));
    let near = suggest::nearest(name, names.clone());
    wrong(word, "an action")
        .label(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "expected an action".to_owned(),
        })
        .help(format!(
            "accepted are: `{}`",
            names.collect::<Vec<_>>().join("`, `")
        ))
        .maybe_suggest(word.span, near.filter(|_| name == word.text))
}
