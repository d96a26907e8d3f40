//! `server` and `default-server` lines.

use super::server_options::OPTIONS;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word};
use crate::lb::address::{self, Address, Port};
use crate::lb::draft::{DefaultServer, Draft, Reference, no_address};
use crate::lb::env::Env;
use crate::lb::known;
use crate::lb::model::{
    CheckSettings, Host, InitAddr, OnError, Place, SendProxy, Server, ServerAddress, ServerPort,
};
use crate::suggest;
use std::sync::Arc;

/// A server line in the making: what the table of options writes into.
#[derive(Debug)]
pub struct ServerDraft {
    /// The server so far.
    pub server: Server,
    /// Names to look up in the end.
    pub references: Vec<Reference>,
    /// `proxy-v2-options`, for whichever line switches the header on.
    pub proxy_v2_options: SendProxy,
    /// `check-send-proxy` stands.
    pub check_send_proxy: bool,
    /// Variables, for addresses.
    pub env: Env,
    /// Findings besides the one that `apply` returns.
    pub diagnostics: Vec<Diagnostic>,
}

/// A server with every option at its default.
pub fn blank() -> Server {
    Server {
        name: String::new(),
        id: 0,
        id_forced: false,
        address: no_address(),
        address_place: Place::default(),
        init_addr: vec![InitAddr::Last, InitAddr::Libc],
        weight: 1,
        backup: false,
        disabled: false,
        added: false,
        maxconn: None,
        minconn: None,
        maxqueue: None,
        slowstart: None,
        track: None,
        source: None,
        send_proxy: None,
        on_marked_down_shutdown: false,
        on_marked_up_shutdown_backup: false,
        observe: None,
        error_limit: 10,
        on_error: OnError::FailCheck,
        check: CheckSettings::default(),
        cookie: None,
        tcp_user_timeout: None,
        fast_open: false,
        namespace: None,
        place: Place::default(),
    }
}

/// Reads a server's address.
pub fn address(word: &Word, env: &Env) -> Result<ServerAddress, Diagnostic> {
    if word.text.starts_with("udp") && word.text.contains('@') {
        let text = format!(
            "`{}` is for datagrams, and a server takes a stream",
            word.text
        );
        return Err(Diagnostic::error("E1001", word.span, text));
    }
    let found = address::parse(word, &|name| env.get(name).map(str::to_owned))?;
    match found {
        Address::Unix(path) => Ok(ServerAddress::Unix(path)),
        Address::Abstract(name) => Ok(ServerAddress::Abstract(name)),
        Address::Fd(_) => Err(Diagnostic::error(
            "E1001",
            word.span,
            "a server cannot be a file descriptor",
        )),
        Address::Inet { host, family, port } => {
            let host = Address::host_or_any(host, family);
            let fqdn = match &host {
                Host::Name(name, _) => Some(name.clone()),
                Host::Ip(_) => None,
            };
            let port = match port {
                Port::None => ServerPort::Mapped(0),
                Port::One(0) => ServerPort::Mapped(0),
                Port::One(port) => ServerPort::Fixed(port),
                Port::Offset(offset) => ServerPort::Mapped(offset),
                Port::Range(..) => {
                    return Err(Diagnostic::error(
                        "E1001",
                        word.span,
                        "a server has one port, not a range",
                    ));
                }
            };
            Ok(ServerAddress::Tcp { host, fqdn, port })
        }
    }
}

fn server(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    if d.kind.is_none() {
        return Err(super::general::not_in_defaults(a));
    }
    let name = a.expect("a name")?;
    let place = a.expect("an address")?;
    bad_character(name)?;
    let mut draft = start(d);
    draft.server.name = name.text.clone();
    draft.server.id = 0;
    draft.server.id_forced = false;
    draft.server.place = Place(name.span);
    draft.server.address_place = Place(place.span);
    match address(place, &draft.env) {
        Ok(address) => draft.server.address = address,
        Err(e) => d.diagnostics.push(e),
    }
    options(d, a, &mut draft);
    finish_check(&mut draft);
    finish_limits(&mut draft.server);
    d.references.append(&mut draft.references);
    d.back().servers.push(Arc::new(draft.server));
    Ok(())
}

/// A `minconn` without a higher `maxconn` is the limit itself.
fn finish_limits(server: &mut Server) {
    let (least, most) = (server.minconn.unwrap_or(0), server.maxconn.unwrap_or(0));
    if least > most {
        server.maxconn = server.minconn;
    }
}

fn default_server(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let mut draft = start(d);
    options(d, a, &mut draft);
    d.default_server = DefaultServer {
        server: draft.server,
        references: draft.references,
        proxy_v2_options: draft.proxy_v2_options,
        check_send_proxy: draft.check_send_proxy,
    };
    Ok(())
}

fn start(d: &Draft) -> ServerDraft {
    let usual = d.default_server.clone();
    ServerDraft {
        server: usual.server,
        references: usual.references,
        proxy_v2_options: usual.proxy_v2_options,
        check_send_proxy: usual.check_send_proxy,
        env: d.around.env.clone(),
        diagnostics: Vec::new(),
    }
}

/// Names hold letters, digits and `_-.:`.
pub fn bad_character(word: &Word) -> Result<(), Diagnostic> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    match word.text.chars().find(|c| !allowed(*c)) {
        None => Ok(()),
        Some(c) => Err(Diagnostic::error(
            "E1006",
            word.span,
            format!("`{c}` is not allowed in a name"),
        )
        .label("letters, digits and `_-.:` are")),
    }
}

/// Reads options until the line ends; an error does not end it, so that all
/// errors of a line are found.
fn options(d: &mut Draft, a: &mut Args<'_>, draft: &mut ServerDraft) {
    let words = a.rest();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let Some(row) = OPTIONS.iter().find(|row| row.name == word.text) else {
            d.diagnostics.push(unknown(word));
            at += 1;
            // its arguments are skipped, up to what is or should be an option
            while words.get(at).is_some_and(|w| !looks_like_option(&w.text)) {
                at += 1;
            }
            continue;
        };
        let mut args = Args::new(row.name, row.args, word.span, &words[at + 1..]);
        if let Err(e) = (row.apply)(draft, &mut args) {
            d.diagnostics.push(e);
        }
        at += 1 + args.taken();
    }
    d.diagnostics.append(&mut draft.diagnostics);
}

fn looks_like_option(text: &str) -> bool {
    let names = OPTIONS.iter().map(|row| row.name);
    known::SERVER_OPTIONS.contains(&text) || suggest::nearest(text, names).is_some()
}

fn unknown(word: &Word) -> Diagnostic {
    if known::SERVER_OPTIONS.contains(&word.text.as_str()) {
        return known::not_yet(word.span, &format!("server option `{}`", word.text));
    }
    let names = OPTIONS.iter().map(|row| row.name);
    let near = suggest::nearest(&word.text, names);
    Diagnostic::error(
        "E0002",
        word.span,
        format!("unknown server option `{}`", word.text),
    )
    .label(match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => "not an option of a server".to_owned(),
    })
    .maybe_suggest(word.span, near)
}

/// A check to the server's own address and port speaks the PROXY protocol as
/// the server's sessions do.
fn finish_check(draft: &mut ServerDraft) {
    if let Some(header) = draft.server.send_proxy.as_mut().filter(|h| h.v2) {
        let wanted = draft.proxy_v2_options;
        header.crc32c |= wanted.crc32c;
        header.unique_id |= wanted.unique_id;
        header.ssl |= wanted.ssl;
        header.authority |= wanted.authority;
    }
    let own_target = draft.server.check.addr.is_none() && draft.server.check.port.is_none();
    draft.server.check.send_proxy = match draft.server.send_proxy {
        Some(header) if own_target || draft.check_send_proxy => Some(header),
        None if draft.check_send_proxy => Some(Default::default()),
        _ => None,
    };
}

fn dispatch(d: &mut Draft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    if d.kind.is_none() {
        return Err(super::general::not_in_defaults(a));
    }
    let word = a.expect("an address and port")?;
    let found = address(word, &d.around.env)?;
    let complete = !matches!(
        found,
        ServerAddress::Tcp {
            port: ServerPort::Mapped(_),
            ..
        }
    );
    if !complete {
        return Err(Diagnostic::error(
            "E1001",
            word.span,
            "`dispatch` needs an address and a port",
        )
        .label("expected address:port"));
    }
    a.finish()?;
    d.marks.dispatch = Some((found, word.span));
    Ok(())
}

/// What log lines call a session's server where there is none.
const NO_SERVER: &str = "<NOSRV>";

/// Where sessions go in a section without servers, as `dispatch` or `option
/// transparent` has it.
pub fn direct(draft: &Draft) -> Option<Server> {
    let (address, span) = match (&draft.marks.dispatch, draft.marks.transparent) {
        (Some((address, span)), _) => (address.clone(), *span),
        (None, Some(span)) => (no_address(), span),
        (None, None) => return None,
    };
    Some(Server {
        name: NO_SERVER.to_owned(),
        address,
        place: Place(span),
        ..blank()
    })
}

/// The lines.
pub static KEYWORDS: &[Keyword<Draft>] = &[
    Keyword {
        name: "dispatch",
        args: "<address>:<port>",
        doc: "In a section without servers: all sessions go there, unchecked.",
        example: "dispatch 192.0.2.1:5672",
        apply: dispatch,
    },
    Keyword {
        name: "server",
        args: "<name> <address>[:<port>] [<options>]",
        doc: "A server of this backend. Without a port, or with `+n` / `-n`, the port that the \
              client connected to is used.",
        example: "server rmq1 192.0.2.1:5672 check inter 5s rise 2 fall 3",
        apply: server,
    },
    Keyword {
        name: "default-server",
        args: "<options>",
        doc: "Options for the `server` lines that follow, in this section or, from `defaults`, \
              in all that use it.",
        example: "default-server inter 5s rise 2 fall 3",
        apply: default_server,
    },
];

#[cfg(test)]
mod tests {
    use crate::lb::load_str;

    #[test]
    fn servers_start_with_check_send_proxy_of_default_server() {
        let text = "listen l\n bind :1\n default-server check check-send-proxy\n \
                    server a 192.0.2.1:1 port 2\n server b 192.0.2.1:1 port 2 no-check-send-proxy\n";
        let (config, report) = load_str(text);
        let config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        let back = config.proxies[0].back.as_ref().expect("a back side");
        let sends: Vec<_> = back
            .servers
            .iter()
            .map(|server| server.check.send_proxy.is_some())
            .collect();
        assert_eq!(sends, [true, false]);
    }
}
