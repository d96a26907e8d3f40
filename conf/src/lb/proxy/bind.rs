//! `bind` lines and their options, which `stats socket` shares.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::address::{self, Address, Port};
use crate::lb::draft::Draft;
use crate::lb::env::Env;
use crate::lb::known::{self, without_effect};
use crate::lb::model::{Account, AdminLevel, Bind, BindAddress, Place, SeverityOutput};
use crate::lb::value::{self, Unit};
use crate::suggest;
use std::ffi::OsString;

/// A bind line in the making.
#[derive(Debug)]
pub struct BindDraft {
    /// Options, set on every address of the line.
    pub bind: Bind,
    /// `level` of a CLI socket.
    pub level: AdminLevel,
    /// `expose-fd listeners`.
    pub expose_fd: bool,
    /// Notes.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the comma separated addresses of a bind line.
pub fn addresses(
    word: &Word,
    env: &Env,
    ports_needed: bool,
) -> Result<Vec<BindAddress>, Diagnostic> {
    let lookup = |name: &str| env.get(name).map(str::to_owned);
    // a comma behind the last one is none too many
    let text = word.text.strip_suffix(',').unwrap_or(&word.text);
    text.split(',')
        .map(|text| {
            let part = Word {
                text: text.to_owned(),
                span: word.span,
            };
            if text.starts_with("udp") && text.contains('@') || text.starts_with("dgram+") {
                return Err(Diagnostic::error(
                    "E1001",
                    word.span,
                    format!("`{text}` is for datagrams, which cannot be listened for here"),
                ));
            }
            let found = address::parse(&part, &lookup)?;
            listen(&part, found, ports_needed)
        })
        .collect()
}

fn listen(word: &Word, found: Address, ports_needed: bool) -> Result<BindAddress, Diagnostic> {
    let bad = |text: String| Diagnostic::error("E1001", word.span, text);
    match found {
        Address::Unix(path) => Ok(BindAddress::Unix(path)),
        Address::Abstract(name) => Ok(BindAddress::Abstract(name)),
        Address::Fd(fd) => Ok(BindAddress::Fd(fd)),
        Address::Inet { host, family, port } => {
            let host = Address::host_or_any(host, family);
            let (first, last) = match port {
                Port::One(0) => return Err(bad("invalid port `0`".to_owned())),
                Port::One(port) => (port, port),
                Port::Range(first, last) => (first, last),
                Port::None if !ports_needed => (0, 0),
                Port::None => {
                    return Err(bad(format!("missing port in `{}`", word.text))
                        .label("expected address:port, or :port for every address"));
                }
                Port::Offset(_) => {
                    return Err(bad(format!("no port offset can stand in `{}`", word.text)));
                }
            };
            Ok(BindAddress::Tcp { host, first, last })
        }
    }
}

fn bind(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    if d.kind.is_none() {
        return Err(super::general::not_in_defaults(a));
    }
    d.marks.binds = true;
    let word = a.expect("an address and port")?;
    let found = match addresses(word, &d.around.env, true) {
        Ok(found) => found,
        Err(e) => {
            d.diagnostics.push(e);
            Vec::new()
        }
    };
    let mut blank = Bind::new(BindAddress::Fd(0), Place(word.span));
    let unix = d.around.unix_bind.clone();
    blank.unix = unix.access;
    let (draft, mut findings) = options(blank, a, false);
    d.diagnostics.append(&mut findings);
    if let Some(several) = several_with_id(word, &found, &draft.bind) {
        d.diagnostics.push(several);
    }
    for mut address in found {
        if let BindAddress::Unix(path) = &mut address {
            let mut prefixed = OsString::from(&unix.prefix);
            prefixed.push(&*path);
            *path = prefixed.into();
        }
        let bind = Bind {
            address,
            ..draft.bind.clone()
        };
        d.front().binds.push(bind);
    }
    Ok(())
}

/// An `id` goes with a single address.
fn several_with_id(word: &Word, found: &[BindAddress], bind: &Bind) -> Option<Diagnostic> {
    let total: u32 = found.iter().map(BindAddress::count).sum();
    bind.id.filter(|_| total > 1).map(|id| {
        Diagnostic::error(
            "E0005",
            word.span,
            format!("id {id} cannot be that of {total} addresses"),
        )
        .label("`id` goes with a single address and port")
    })
}

/// Reads options until the line ends and gives every finding.
pub fn options(bind: Bind, a: &mut Args<'_>, cli: bool) -> (BindDraft, Vec<Diagnostic>) {
    let mut draft = BindDraft {
        bind,
        level: AdminLevel::default(),
        expose_fd: false,
        diagnostics: Vec::new(),
    };
    let mut findings = Vec::new();
    let words = a.rest();
    let mut at = 0;
    let rows = || OPTIONS.iter().chain(CLI_OPTIONS);
    let known =
        |text: &str| rows().any(|row| row.name == text) || known::BIND_OPTIONS.contains(&text);
    while let Some(word) = words.get(at) {
        at += 1;
        let Some(row) = rows().find(|row| row.name == word.text) else {
            findings.push(unknown(word, rows().map(|row| row.name)));
            while words.get(at).is_some_and(|w| !known(&w.text)) {
                at += 1;
            }
            continue;
        };
        let mut args = Args::new(row.name, row.args, word.span, &words[at..]);
        match (row.apply)(&mut draft, &mut args) {
            Err(e) => findings.push(e),
            // HAProxy takes them anywhere
            Ok(()) if !cli && CLI_OPTIONS.iter().any(|of_cli| of_cli.name == row.name) => {
                findings.push(known::without_effect(word.span, row.name));
            }
            Ok(()) => {}
        }
        at += args.taken();
    }
    findings.append(&mut draft.diagnostics);
    (draft, findings)
}

fn unknown(word: &Word, names: impl Iterator<Item = &'static str>) -> Diagnostic {
    if known::BIND_OPTIONS.contains(&word.text.as_str()) {
        return known::not_yet(word.span, &format!("bind option `{}`", word.text));
    }
    let near = suggest::nearest(&word.text, names);
    Diagnostic::error(
        "E0002",
        word.span,
        format!("unknown bind option `{}`", word.text),
    )
    .label(match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => "not an option of a listening address".to_owned(),
    })
    .maybe_suggest(word.span, near)
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777)
}

fn id(a: &mut Args<'_>) -> Result<u32, Diagnostic> {
    Ok(value::take_number(a, "an id", 0, i64::from(u32::MAX))? as u32)
}

/// `1/2-3`, `all`, `odd`, `even`: threads that would accept.
fn threads(d: &mut BindDraft, a: &mut Args<'_>, name: &str) -> Result<(), Diagnostic> {
    let number = |text: &str| text.parse::<u32>().is_ok_and(|n| n > 0);
    let set = |text: &str| {
        matches!(text, "all" | "odd" | "even") || text.split('-').all(number) && !text.is_empty()
    };
    let sets = |text: &str| text.split('/').all(set).then_some(());
    a.parse("a set of threads, such as 1/1-2", sets)?;
    d.diagnostics.push(match name {
        "process" => Diagnostic::warning(
            "E1104",
            a.head(),
            "`process` of `bind` is an older word for `thread`, and has no effect here",
        )
        .label("may be left out"),
        _ => without_effect(a.head(), name),
    });
    Ok(())
}

/// The line.
pub static KEYWORDS: &[Keyword<Draft>] = &[Keyword {
    name: "bind",
    args: "[<address>]:<port>[-<port>][, ...] [<options>]",
    doc: "Where to listen: an address (`*` or nothing: every IPv4 address, `[::]`: every IPv6 \
          address), a path for a unix socket, `abns@name`, `fd@number` for an inherited socket; \
          several with commas.",
    example: "bind 0.0.0.0:5672 maxconn 1000",
    apply: bind,
}];

/// Options of every listening address.
pub static OPTIONS: &[Keyword<BindDraft>] = &[
    Keyword {
        name: "name",
        args: "<name>",
        doc: "Its name in statistics.",
        example: "bind :5672 name amqp",
        apply: |d, a| {
            d.bind.name = Some(a.expect("a name")?.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "id",
        args: "<number>",
        doc: "Its number in statistics.",
        example: "bind :5672 id 3",
        apply: |d, a| {
            let id = value::take_number(a, "an id", 1, i64::from(i32::MAX))? as u32;
            match d.bind.id.replace(id) {
                Some(_) => {
                    let text = "this address has an id already";
                    Err(Diagnostic::error("E1012", a.head(), text).label("a second one"))
                }
                None => Ok(()),
            }
        },
    },
    Keyword {
        name: "interface",
        args: "<interface>",
        doc: "Only connections through this network interface.",
        example: "bind :5672 interface eth0",
        apply: |d, a| {
            d.bind.interface = Some(a.expect("an interface's name")?.text.clone());
            Ok(())
        },
    },
    Keyword {
        name: "backlog",
        args: "<connections>",
        doc: "Size of the kernel's queue of connections not yet accepted.",
        example: "bind :5672 backlog 1024",
        apply: |d, a| {
            d.bind.backlog = Some(value::take_u32(a, "a number of connections")?);
            Ok(())
        },
    },
    Keyword {
        name: "maxconn",
        args: "<connections>",
        doc: "Most concurrent connections through this address.",
        example: "bind :5672 maxconn 1000",
        apply: |d, a| {
            let count = value::take_u32(a, "a number of connections")?;
            d.bind.maxconn = (count > 0).then_some(count);
            Ok(())
        },
    },
    Keyword {
        name: "accept-proxy",
        args: "",
        doc: "Every connection starts with a PROXY protocol header, version 1 or 2, which gives \
              the real client.",
        example: "bind :5672 accept-proxy",
        apply: |d, _| {
            d.bind.accept_proxy = true;
            Ok(())
        },
    },
    Keyword {
        name: "defer-accept",
        args: "",
        doc: "Connections are accepted only once data arrived. Not for protocols in which the \
              server speaks first.",
        example: "bind :5672 defer-accept",
        apply: |d, _| {
            d.bind.defer_accept = true;
            Ok(())
        },
    },
    Keyword {
        name: "transparent",
        args: "",
        doc: "Accepts connections to addresses that are not this machine's.",
        example: "bind :5672 transparent",
        apply: |d, _| {
            d.bind.transparent = true;
            Ok(())
        },
    },
    Keyword {
        name: "v4v6",
        args: "",
        doc: "An IPv6 any-address takes IPv4 connections too.",
        example: "bind :::5672 v4v6",
        apply: |d, _| {
            d.bind.v6only = Some(false);
            Ok(())
        },
    },
    Keyword {
        name: "v6only",
        args: "",
        doc: "An IPv6 any-address takes IPv6 connections only.",
        example: "bind :::5672 v6only",
        apply: |d, _| {
            d.bind.v6only = Some(true);
            Ok(())
        },
    },
    Keyword {
        name: "mode",
        args: "<octal>",
        doc: "Permissions of a unix socket.",
        example: "bind /run/lb.sock mode 660",
        apply: |d, a| {
            d.bind.unix.mode = Some(a.parse("an octal mode", octal)?);
            Ok(())
        },
    },
    Keyword {
        name: "user",
        args: "<user>",
        doc: "Owner of a unix socket.",
        example: "bind /run/lb.sock user haproxy",
        apply: |d, a| {
            d.bind.unix.user = Some(Account::Name(a.expect("a user's name")?.text.clone()));
            Ok(())
        },
    },
    Keyword {
        name: "uid",
        args: "<number>",
        doc: "Owner of a unix socket, by number.",
        example: "bind /run/lb.sock uid 99",
        apply: |d, a| {
            d.bind.unix.user = Some(Account::Id(id(a)?));
            Ok(())
        },
    },
    Keyword {
        name: "group",
        args: "<group>",
        doc: "Group of a unix socket.",
        example: "bind /run/lb.sock group haproxy",
        apply: |d, a| {
            d.bind.unix.group = Some(Account::Name(a.expect("a group's name")?.text.clone()));
            Ok(())
        },
    },
    Keyword {
        name: "gid",
        args: "<number>",
        doc: "Group of a unix socket, by number.",
        example: "bind /run/lb.sock gid 99",
        apply: |d, a| {
            d.bind.unix.group = Some(Account::Id(id(a)?));
            Ok(())
        },
    },
    Keyword {
        name: "nice",
        args: "<-1024..1024>",
        doc: "Priority of its sessions (accepted, has no effect: threads are fair).",
        example: "bind :5672 nice 10",
        apply: |d, a| {
            d.diagnostics.push(without_effect(a.head(), "nice"));
            d.bind.nice = value::take_number(a, "a niceness", -1024, 1024)? as i32;
            Ok(())
        },
    },
    Keyword {
        name: "shards",
        args: "{ <number> | by-thread }",
        doc: "How many sockets share the address (accepted, has no effect: each thread has its own).",
        example: "bind :5672 shards by-thread",
        apply: |d, a| {
            let shards = |text: &str| match text {
                "by-thread" => Some(0),
                number => number.parse::<u32>().ok().filter(|n| *n > 0),
            };
            a.parse("a number or `by-thread`", shards)?;
            d.diagnostics.push(without_effect(a.head(), "shards"));
            Ok(())
        },
    },
    Keyword {
        name: "thread",
        args: "[<group>/]<threads>",
        doc: "Which threads accept (accepted, has no effect: all do).",
        example: "bind :5672 thread 1/1-2",
        apply: |d, a| threads(d, a, "thread"),
    },
    Keyword {
        name: "process",
        args: "<process>[/<threads>]",
        doc: "Older word for `thread`.",
        example: "bind :5672 process 1/1-2",
        apply: |d, a| threads(d, a, "process"),
    },
    Keyword {
        name: "mss",
        args: "<bytes>",
        doc: "Largest TCP segment to announce; negative: that much less than usual.",
        example: "bind :5672 mss 1400",
        apply: |d, a| {
            let word = a.peek();
            let size = value::take_number(a, "a segment size", -65535, 65535)?;
            if let Some(word) = word.filter(|_| size == 0) {
                return Err(wrong(word, "a segment size other than 0"));
            }
            d.bind.mss = Some(size as i32);
            Ok(())
        },
    },
    Keyword {
        name: "tcp-ut",
        args: "<time>",
        doc: "How long sent data may stay unacknowledged before the connection is dead.",
        example: "bind :5672 tcp-ut 30s",
        apply: |d, a| {
            let time = value::take_time(a, "a time", Unit::Millis)?;
            d.bind.tcp_user_timeout = (!time.is_zero()).then_some(time);
            Ok(())
        },
    },
    Keyword {
        name: "tfo",
        args: "",
        doc: "TCP fast open.",
        example: "bind :5672 tfo",
        apply: |d, _| {
            d.bind.fast_open = true;
            Ok(())
        },
    },
];

/// Options of CLI sockets besides.
pub static CLI_OPTIONS: &[Keyword<BindDraft>] = &[
    Keyword {
        name: "level",
        args: "{ user | operator | admin }",
        doc: "What its users may do. Default operator.",
        example: "stats socket /run/lb.sock level admin",
        apply: |d, a| {
            d.level = a.choose(
                "a level",
                &[
                    ("user", AdminLevel::User),
                    ("operator", AdminLevel::Operator),
                    ("admin", AdminLevel::Admin),
                ],
            )?;
            Ok(())
        },
    },
    Keyword {
        name: "expose-fd",
        args: "listeners",
        doc: "A process that may speak here as an admin is given our listening sockets (`-x`).",
        example: "stats socket /run/lb.sock expose-fd listeners",
        apply: |d, a| {
            a.choose("what to expose", &[("listeners", ())])?;
            d.expose_fd = true;
            Ok(())
        },
    },
    Keyword {
        name: "severity-output",
        args: "{ none | number | string }",
        doc: "Prefix of its messages.",
        example: "stats socket /run/lb.sock severity-output number",
        apply: |d, a| {
            d.bind.severity_output = a.choose(
                "a form",
                &[
                    ("none", SeverityOutput::None),
                    ("number", SeverityOutput::Number),
                    ("string", SeverityOutput::String),
                ],
            )?;
            Ok(())
        },
    },
];
