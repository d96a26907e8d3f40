//! Fetches: where values come from.

use super::{Kind, When};
use crate::diagnostic::Diagnostic;
use crate::keyword::wrong;
use crate::lb::call::Call;
use crate::lb::draft::{Draft, Referred};
use crate::lb::known;
use crate::lb::model::{DateUnit, Fetch, LvStart, PayloadLv, ServerRef, TcpFigure};
use crate::lb::proxy::server_options::server_ref;
use crate::lb::value;

/// From when on a value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: constants, counters.
    Nothing,
    /// A client's connection.
    Client,
    /// A chosen backend.
    Backend,
    /// A chosen server.
    Server,
    /// What the client sent.
    Request,
    /// What the server sent.
    Response,
    /// A parsed request.
    HttpRequest,
    /// The request's first line, which is kept until the line of the log.
    HttpLine,
    /// A parsed answer.
    HttpResponse,
    /// The end of the inspection.
    InspectionEnd,
}

/// One fetch.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The form of its arguments.
    pub args: &'static str,
    /// Type of its value.
    pub kind: Kind,
    /// From when on it is there.
    pub needs: Needs,
    /// What it gives.
    pub doc: &'static str,
    /// Reads the arguments.
    pub make: fn(&mut Draft, &Call<'_>) -> Result<Fetch, Diagnostic>,
}

impl Row {
    /// Whether the value is there at that time.
    pub fn available(&self, when: When) -> bool {
        use Needs as N;
        use When as W;
        match (self.needs, when) {
            (N::Nothing, _) => true,
            (_, W::Load) => false,
            (N::Client, W::Check) => false,
            (N::Client, _) => true,
            (N::Backend, W::Connection | W::Session) => false,
            (N::Backend, _) => true,
            (N::Server, W::Response | W::HttpResponse | W::Log | W::Check) => true,
            (N::Server, _) => false,
            (N::Request | N::InspectionEnd, W::Content | W::Backend | W::HttpRequest) => true,
            (N::Request | N::InspectionEnd, W::Response) => self.needs == N::InspectionEnd,
            (N::Request | N::InspectionEnd, _) => false,
            (N::Response, W::Response | W::HttpResponse | W::Check) => true,
            (N::Response, _) => false,
            (N::HttpRequest, W::Content | W::Backend | W::HttpRequest) => true,
            (N::HttpRequest, _) => false,
            (N::HttpLine, W::Connection | W::Session | W::Check) => false,
            (N::HttpLine, _) => true,
            (N::HttpResponse, W::Response | W::HttpResponse | W::Check) => true,
            (N::HttpResponse, _) => false,
        }
    }
}

/// The row of a name or of one of its older names.
pub fn find(name: &str) -> Option<&'static Row> {
    let name = ALIASES
        .iter()
        .find(|(old, _)| *old == name)
        .map_or(name, |(_, new)| *new);
    TABLE.iter().find(|row| row.name == name)
}

/// Whether HAProxy has a fetch of this name.
pub fn is_known(name: &str) -> bool {
    known::FETCHES.contains(&name) || known::FETCH_STARTS.iter().any(|s| name.starts_with(s))
}

/// Older names.
const ALIASES: &[(&str, &str)] = &[
    ("payload", "req.payload"),
    ("payload_lv", "req.payload_lv"),
    ("req_len", "req.len"),
    ("req_proto_http", "req.proto_http"),
    ("req_rdp_cookie", "req.rdp_cookie"),
    ("req_rdp_cookie_cnt", "req.rdp_cookie_cnt"),
    ("rdp_cookie", "req.rdp_cookie"),
    ("rdp_cookie_cnt", "req.rdp_cookie_cnt"),
    ("req_ssl_hello_type", "req.ssl_hello_type"),
    ("rep_ssl_hello_type", "res.ssl_hello_type"),
    ("req_ssl_sni", "req.ssl_sni"),
    ("req_ssl_ver", "req.ssl_ver"),
    ("req_ver", "req.ver"),
    ("resp_ver", "res.ver"),
    ("hdr", "req.hdr"),
    ("hdr_cnt", "req.hdr_cnt"),
    ("shdr", "res.hdr"),
    ("shdr_cnt", "res.hdr_cnt"),
    ("cook", "req.cook"),
    ("urlp", "url_param"),
    ("capture.req.method", "method"),
    ("meth", "method"),
    ("ssl_fc_is_resumed", "ssl_fc"),
];

type Made = Result<Fetch, Diagnostic>;

fn too_many(call: &Call<'_>, most: usize) -> Result<(), Diagnostic> {
    if call.args.len() <= most {
        return Ok(());
    }
    Err(Diagnostic::error(
        "E0004",
        call.span,
        format!("`{}` takes at most {most} argument(s)", call.name),
    ))
}

fn plain(call: &Call<'_>, fetch: Fetch) -> Made {
    too_many(call, 0)?;
    Ok(fetch)
}

fn integer(call: &Call<'_>, index: usize, default: Option<i64>) -> Result<i64, Diagnostic> {
    match (call.word(index), default) {
        (Some(word), _) => value::number(&word, "a number", i64::MIN / 2, i64::MAX / 2),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(Diagnostic::error(
            "E0003",
            call.span,
            format!("`{}` needs a number as argument {}", call.name, index + 1),
        )),
    }
}

fn offset(call: &Call<'_>, index: usize) -> Result<usize, Diagnostic> {
    let number = integer(call, index, None)?;
    usize::try_from(number)
        .ok()
        .filter(|n| *n <= 1 << 20)
        .ok_or_else(|| Diagnostic::error("E0006", call.span, format!("`{number}` is out of range")))
}

fn proxy(d: &mut Draft, call: &Call<'_>, to: Referred, make: fn(String) -> Fetch) -> Made {
    too_many(call, 1)?;
    let name = call.optional(0).unwrap_or("").to_owned();
    if !name.is_empty() {
        d.refer(to, "fetch", &name, call.span);
        return Ok(make(name));
    }
    let side = match to {
        Referred::AnyBackend if !d.has_back() => "backend",
        Referred::AnyFrontend if !d.has_front() => "frontend",
        _ => return Ok(make(name)),
    };
    let (word, section) = (d.word(), &d.proxy.name);
    let text = format!(
        "`{}` is about a {side}, which {word} `{section}` is not",
        call.name
    );
    Err(Diagnostic::error("E1011", call.span, text).label(format!("name a {side} in brackets")))
}

fn backend(d: &mut Draft, call: &Call<'_>, make: fn(String) -> Fetch) -> Made {
    proxy(d, call, Referred::AnyBackend, make)
}

fn frontend(d: &mut Draft, call: &Call<'_>, make: fn(String) -> Fetch) -> Made {
    proxy(d, call, Referred::AnyFrontend, make)
}

fn server(d: &mut Draft, call: &Call<'_>, make: fn(ServerRef) -> Fetch) -> Made {
    too_many(call, 1)?;
    let name = call.one("[<backend>/]<server>")?;
    d.refer(Referred::Server, "fetch", &name, call.span);
    Ok(make(server_ref(&name)))
}

fn payload_lv(call: &Call<'_>) -> Result<PayloadLv, Diagnostic> {
    too_many(call, 3)?;
    let start = match call.optional(2) {
        None => LvStart::Behind(0),
        Some(text) if text.starts_with(['+', '-']) => {
            LvStart::Behind(integer(call, 2, None)? as isize)
        }
        Some(_) => LvStart::At(offset(call, 2)?),
    };
    let length_size = offset(call, 1)?;
    if length_size == 0 || length_size > 8 {
        return Err(Diagnostic::error(
            "E0006",
            call.span,
            "a length field has 1 to 8 bytes",
        ));
    }
    Ok(PayloadLv {
        length_at: offset(call, 0)?,
        length_size,
        start,
    })
}

fn occurrence(call: &Call<'_>, make: fn(String, i32) -> Fetch) -> Made {
    too_many(call, 2)?;
    let name = call.one("a header's name")?;
    Ok(make(
        name.to_ascii_lowercase(),
        integer(call, 1, Some(0))? as i32,
    ))
}

fn named(call: &Call<'_>, what: &str, make: fn(String) -> Fetch) -> Made {
    too_many(call, 1)?;
    Ok(make(call.one(what)?))
}

fn date(_: &mut Draft, call: &Call<'_>) -> Made {
    too_many(call, 2)?;
    let unit = match call.optional(1) {
        None | Some("s") => DateUnit::Seconds,
        Some("ms") => DateUnit::Millis,
        Some("us") => DateUnit::Micros,
        Some(other) => {
            return Err(
                Diagnostic::error("E0005", call.span, format!("`{other}` is not a unit"))
                    .label("expected `s`, `ms` or `us`"),
            );
        }
    };
    Ok(Fetch::Date(integer(call, 0, Some(0))?, unit))
}

fn boolean(_: &mut Draft, call: &Call<'_>) -> Made {
    match call.one("a boolean")?.as_str() {
        "true" | "1" => Ok(Fetch::Bool(true)),
        "false" | "0" => Ok(Fetch::Bool(false)),
        _ => Err(Diagnostic::error("E0005", call.span, "not a boolean")
            .label("expected true, false, 1 or 0")),
    }
}

fn address(call: &Call<'_>, v4: bool) -> Made {
    let word = call.word(0).ok_or_else(|| {
        Diagnostic::error(
            "E0003",
            call.span,
            format!("`{}` needs an address", call.name),
        )
    })?;
    word.text
        .parse()
        .ok()
        .filter(|ip: &std::net::IpAddr| ip.is_ipv4() == v4)
        .map(Fetch::Ip)
        .ok_or_else(|| wrong(&word, "an address of that family"))
}

/// Names of variables: `proc`, `sess`, `txn`, `req`, `res`, `check`, a dot, a name.
pub fn variable(name: &str) -> bool {
    let Some((scope, rest)) = name.split_once('.') else {
        return false;
    };
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    matches!(scope, "proc" | "sess" | "txn" | "req" | "res" | "check")
        && !rest.is_empty()
        && rest.chars().all(good)
}

fn var(_: &mut Draft, call: &Call<'_>) -> Made {
    too_many(call, 2)?;
    let name = call.one("a variable's name")?;
    if !variable(&name) {
        return Err(bad_variable(call.span, &name));
    }
    Ok(Fetch::Var(name, call.args.get(1).cloned()))
}

/// The error for a name that is none of a variable.
pub fn bad_variable(span: crate::source::Span, name: &str) -> Diagnostic {
    Diagnostic::error("E1020", span, format!("`{name}` is not a variable's name"))
        .label("expected a scope, a dot and a name, as in `txn.user`")
        .help("scopes are: proc, sess, txn, req, res, check")
}

fn http_auth(d: &mut Draft, call: &Call<'_>, make: fn(String) -> Fetch) -> Made {
    let name = call.one("a userlist")?;
    d.refer(Referred::Userlist, "http_auth", &name, call.span);
    Ok(make(name))
}

macro_rules! rows {
    ($($name:literal $args:literal $kind:ident $needs:ident $doc:literal => $make:expr;)*) => {
        &[$(Row {
            name: $name,
            args: $args,
            kind: Kind::$kind,
            needs: Needs::$needs,
            doc: $doc,
            make: $make,
        }),*]
    };
}

fn tcp_info(c: &Call<'_>, server: bool, figure: TcpFigure) -> Result<Fetch, Diagnostic> {
    let timed = matches!(figure, TcpFigure::Rtt | TcpFigure::RttVariation);
    too_many(c, usize::from(timed))?;
    let micros = match c.optional(0) {
        None | Some("ms") => false,
        Some("us") => true,
        Some(other) => {
            return Err(
                Diagnostic::error("E0005", c.span, format!("`{other}` is not a unit"))
                    .label("expected `ms` or `us`"),
            );
        }
    };
    Ok(Fetch::TcpInfo {
        server,
        figure,
        micros,
    })
}

/// Every fetch that works.
pub static TABLE: &[Row] = rows! {
    "always_false" "" Bool Nothing "false" => |_, c| plain(c, Fetch::Bool(false));
    "always_true" "" Bool Nothing "true" => |_, c| plain(c, Fetch::Bool(true));
    "bool" "<bool>" Bool Nothing "the boolean" => boolean;
    "int" "<n>" Int Nothing "the number" => |_, c| Ok(Fetch::Int(integer(c, 0, None)?));
    "str" "<text>" Str Nothing "the text" => |_, c| Ok(Fetch::Str(c.args.join(",")));
    "bin" "<hex>" Bin Nothing "the bytes" => |_, c| {
        value::hex(&c.one("hexadecimal digits")?)
            .map(Fetch::Bin)
            .ok_or_else(|| Diagnostic::error("E0005", c.span, "not hexadecimal digits, two a byte"))
    };
    "ipv4" "<address>" Ip Nothing "the address" => |_, c| address(c, true);
    "ipv6" "<address>" Ip Nothing "the address" => |_, c| address(c, false);
    "var" "<name>[,<default>]" Any Nothing "a variable's value" => var;
    "env" "<name>" Str Nothing "an environment variable's value when the file was read" => |d, c| {
        let name = c.one("a name")?;
        Ok(Fetch::Env(d.around.env.get(&name).map(str::to_owned)))
    };
    "date" "[<offset>[,<unit>]]" Int Nothing "seconds (ms, us) since 1970" => date;
    "date_us" "" Int Nothing "microseconds of the current second" => |_, c| plain(c, Fetch::DateUs);
    "hostname" "" Str Nothing "name of this host" => |_, c| plain(c, Fetch::Hostname);
    "pid" "" Int Nothing "process id" => |_, c| plain(c, Fetch::Pid);
    "nbproc" "" Int Nothing "1" => |_, c| plain(c, Fetch::Nbproc);
    "proc" "" Int Nothing "1" => |_, c| plain(c, Fetch::Proc);
    "thread" "" Int Nothing "number of the thread, from 0" => |_, c| plain(c, Fetch::Thread);
    "rand" "[<range>]" Int Nothing "a random number, below the range if given" => |_, c| {
        too_many(c, 1)?;
        let range = match c.word(0) {
            Some(word) => Some(value::number(&word, "a range", 1, i64::from(u32::MAX))? as u32),
            None => None,
        };
        Ok(Fetch::Rand(range))
    };
    "stopping" "" Bool Nothing "the process is stopping" => |_, c| plain(c, Fetch::Stopping);
    "uuid" "[<version>]" Str Nothing "a random UUID" => |_, c| plain(c, Fetch::Uuid);
    "fc_total_retrans" "" Int Client "segments sent to the client again since the connection began" => |_, c| tcp_info(c, false, TcpFigure::AllRetransmitted);
    "bc_rtt" "[us|ms]" Int Server "round trip of the server's connection, in ms" => |_, c| tcp_info(c, true, TcpFigure::Rtt);
    "bc_rttvar" "[us|ms]" Int Server "its variation on the server's connection, in ms" => |_, c| tcp_info(c, true, TcpFigure::RttVariation);
    "bc_unacked" "" Int Server "segments to the server that are not acknowledged" => |_, c| tcp_info(c, true, TcpFigure::Unacked);
    "bc_sacked" "" Int Server "segments to the server acknowledged selectively" => |_, c| tcp_info(c, true, TcpFigure::Sacked);
    "bc_retrans" "" Int Server "segments sent to the server again and not yet acknowledged" => |_, c| tcp_info(c, true, TcpFigure::Retransmitted);
    "bc_total_retrans" "" Int Server "segments sent to the server again since the connection began" => |_, c| tcp_info(c, true, TcpFigure::AllRetransmitted);
    "bc_fackets" "" Int Server "segments to the server acknowledged forward" => |_, c| tcp_info(c, true, TcpFigure::Facked);
    "bc_lost" "" Int Server "segments to the server taken for lost" => |_, c| tcp_info(c, true, TcpFigure::Lost);
    "bc_reordering" "" Int Server "reordering seen on the server's connection" => |_, c| tcp_info(c, true, TcpFigure::Reordering);
    "act_conn" "" Int Nothing "sessions of the process" => |_, c| plain(c, Fetch::ActConn);
    "avg_queue" "[<backend>]" Int Nothing "queued sessions for each usable server" => |d, c| backend(d, c, Fetch::AvgQueue);
    "be_conn" "[<backend>]" Int Nothing "sessions of a backend" => |d, c| backend(d, c, Fetch::BeConn);
    "be_conn_free" "[<backend>]" Int Nothing "sessions that the usable servers can still take, -1: unlimited" => |d, c| backend(d, c, Fetch::BeConnFree);
    "be_sess_rate" "[<backend>]" Int Nothing "new sessions a second" => |d, c| backend(d, c, Fetch::BeSessRate);
    "connslots" "[<backend>]" Int Nothing "free slots and queue places of the usable servers, -1: unlimited" => |d, c| backend(d, c, Fetch::Connslots);
    "nbsrv" "[<backend>]" Int Nothing "usable servers" => |d, c| backend(d, c, Fetch::Nbsrv);
    "queue" "[<backend>]" Int Nothing "queued sessions, those of the servers included" => |d, c| backend(d, c, Fetch::Queue);
    "fe_conn" "[<frontend>]" Int Nothing "connections of a frontend" => |d, c| frontend(d, c, Fetch::FeConn);
    "fe_req_rate" "[<frontend>]" Int Nothing "requests a second" => |d, c| frontend(d, c, Fetch::FeReqRate);
    "fe_sess_rate" "[<frontend>]" Int Nothing "new sessions a second" => |d, c| frontend(d, c, Fetch::FeSessRate);
    "srv_conn" "[<backend>/]<server>" Int Nothing "sessions of a server" => |d, c| server(d, c, Fetch::SrvConn);
    "srv_conn_free" "[<backend>/]<server>" Int Nothing "sessions that a server can still take, -1: unlimited" => |d, c| server(d, c, Fetch::SrvConnFree);
    "srv_is_up" "[<backend>/]<server>" Bool Nothing "the server is usable" => |d, c| server(d, c, Fetch::SrvIsUp);
    "srv_queue" "[<backend>/]<server>" Int Nothing "sessions in the server's queue" => |d, c| server(d, c, Fetch::SrvQueue);
    "srv_sess_rate" "[<backend>/]<server>" Int Nothing "new sessions a second" => |d, c| server(d, c, Fetch::SrvSessRate);
    "srv_weight" "[<backend>/]<server>" Int Nothing "effective weight" => |d, c| server(d, c, Fetch::SrvWeight);
    "srv_iweight" "[<backend>/]<server>" Int Nothing "weight in the file" => |d, c| server(d, c, Fetch::SrvIweight);
    "srv_uweight" "[<backend>/]<server>" Int Nothing "weight set by the operator" => |d, c| server(d, c, Fetch::SrvUweight);
    "prio_class" "" Int Client "priority class of the session" => |_, c| plain(c, Fetch::PrioClass);
    "prio_offset" "" Int Client "priority offset of the session" => |_, c| plain(c, Fetch::PrioOffset);
    "src" "" Ip Client "client's address (from the PROXY header, if there was one)" => |_, c| plain(c, Fetch::Src);
    "src_port" "" Int Client "client's port" => |_, c| plain(c, Fetch::SrcPort);
    "src_is_local" "" Bool Client "the client's address is one of this host" => |_, c| plain(c, Fetch::SrcIsLocal);
    "dst" "" Ip Client "address that the client connected to" => |_, c| plain(c, Fetch::Dst);
    "dst_port" "" Int Client "port that the client connected to" => |_, c| plain(c, Fetch::DstPort);
    "dst_is_local" "" Bool Client "that address is one of this host" => |_, c| plain(c, Fetch::DstIsLocal);
    "dst_conn" "" Int Client "connections of the same listening address" => |_, c| plain(c, Fetch::DstConn);
    "fc_src" "" Ip Client "address of the client's socket itself" => |_, c| plain(c, Fetch::FcSrc);
    "fc_src_port" "" Int Client "port of the client's socket itself" => |_, c| plain(c, Fetch::FcSrcPort);
    "fc_dst" "" Ip Client "own address of the client's socket itself" => |_, c| plain(c, Fetch::FcDst);
    "fc_dst_port" "" Int Client "own port of the client's socket itself" => |_, c| plain(c, Fetch::FcDstPort);
    "fc_rcvd_proxy" "" Bool Client "a PROXY header came" => |_, c| plain(c, Fetch::FcRcvdProxy);
    "fc_src_is_local" "" Bool Client "the address of the client's socket is one of this host" => |_, c| plain(c, Fetch::FcSrcIsLocal);
    "fc_dst_is_local" "" Bool Client "the own address of the client's socket is one of this host" => |_, c| plain(c, Fetch::FcDstIsLocal);
    "fc_http_major" "" Int Client "1" => |_, c| plain(c, Fetch::HttpMajor);
    "bc_http_major" "" Int Server "1" => |_, c| plain(c, Fetch::HttpMajor);
    "fc_rtt" "[us|ms]" Int Client "round trip time to the client, ms or us" => |_, c| tcp_info(c, false, TcpFigure::Rtt);
    "fc_rttvar" "[us|ms]" Int Client "variance of the round trip time, ms or us" => |_, c| tcp_info(c, false, TcpFigure::RttVariation);
    "fc_unacked" "" Int Client "segments that the client has not acknowledged" => |_, c| tcp_info(c, false, TcpFigure::Unacked);
    "fc_sacked" "" Int Client "segments that the client acknowledged selectively" => |_, c| tcp_info(c, false, TcpFigure::Sacked);
    "fc_lost" "" Int Client "segments lost on the way to the client" => |_, c| tcp_info(c, false, TcpFigure::Lost);
    "fc_retrans" "" Int Client "segments being sent again to the client" => |_, c| tcp_info(c, false, TcpFigure::Retransmitted);
    "fc_fackets" "" Int Client "forward acknowledgements of the client" => |_, c| tcp_info(c, false, TcpFigure::Facked);
    "fc_reordering" "" Int Client "reordering seen on the way to the client" => |_, c| tcp_info(c, false, TcpFigure::Reordering);
    "fc_err" "" Int Client "what was wrong with the client's connection: 0 nothing" => |_, c| plain(c, Fetch::ConnectionError { server: false, words: false });
    "fc_err_str" "" Str Client "same in words" => |_, c| plain(c, Fetch::ConnectionError { server: false, words: true });
    "bc_err" "" Int Server "what was wrong with the server's connection: 0 nothing" => |_, c| plain(c, Fetch::ConnectionError { server: true, words: false });
    "bc_err_str" "" Str Server "same in words" => |_, c| plain(c, Fetch::ConnectionError { server: true, words: true });
    "last_rule_file" "" Str Client "configuration file of the rule that last ended a list of content or HTTP rules" => |_, c| plain(c, Fetch::LastRuleFile);
    "last_rule_line" "" Int Client "line of that rule" => |_, c| plain(c, Fetch::LastRuleLine);
    "fc_pp_authority" "" Str Client "authority of the PROXY header" => |_, c| plain(c, Fetch::FcPpAuthority);
    "fc_pp_unique_id" "" Str Client "unique id of the PROXY header" => |_, c| plain(c, Fetch::FcPpUniqueId);
    "bc_src" "" Ip Server "own address towards the server" => |_, c| plain(c, Fetch::BcSrc);
    "bc_src_port" "" Int Server "own port towards the server" => |_, c| plain(c, Fetch::BcSrcPort);
    "bc_dst" "" Ip Server "address of the server's socket" => |_, c| plain(c, Fetch::BcDst);
    "bc_dst_port" "" Int Server "port of the server's socket" => |_, c| plain(c, Fetch::BcDstPort);
    "be_id" "" Int Backend "number of the backend" => |_, c| plain(c, Fetch::BeId);
    "be_name" "" Str Backend "name of the backend" => |_, c| plain(c, Fetch::BeName);
    "be_server_timeout" "" Int Backend "`timeout server`, ms" => |_, c| plain(c, Fetch::BeServerTimeout);
    "be_tunnel_timeout" "" Int Backend "`timeout tunnel`, ms" => |_, c| plain(c, Fetch::BeTunnelTimeout);
    "cur_server_timeout" "" Int Backend "server timeout of the session, ms" => |_, c| plain(c, Fetch::CurServerTimeout);
    "cur_tunnel_timeout" "" Int Backend "tunnel timeout of the session, ms" => |_, c| plain(c, Fetch::CurTunnelTimeout);
    "fe_id" "" Int Client "number of the frontend" => |_, c| plain(c, Fetch::FeId);
    "fe_name" "" Str Client "name of the frontend" => |_, c| plain(c, Fetch::FeName);
    "fe_defbe" "" Str Client "the frontend's default backend" => |_, c| plain(c, Fetch::FeDefbe);
    "fe_client_timeout" "" Int Client "`timeout client`, ms" => |_, c| plain(c, Fetch::FeClientTimeout);
    "so_id" "" Int Client "number of the listening address" => |_, c| plain(c, Fetch::SoId);
    "so_name" "" Str Client "name of the listening address" => |_, c| plain(c, Fetch::SoName);
    "srv_id" "" Int Server "number of the server" => |_, c| plain(c, Fetch::SrvId);
    "srv_name" "" Str Server "name of the server" => |_, c| plain(c, Fetch::SrvName);
    "unique-id" "" Str Client "unique id of the session" => |_, c| plain(c, Fetch::UniqueId);
    "ssl_fc" "" Bool Client "false: there is no TLS towards clients" => |_, c| plain(c, Fetch::SslFc);
    "req.len" "" Int Request "bytes of the client in the buffer" => |_, c| plain(c, Fetch::ReqLen);
    "res.len" "" Int Response "bytes of the server in the buffer" => |_, c| plain(c, Fetch::ResLen);
    "req.payload" "<offset>,<length>" Bin Request "bytes of the client; length 0: all" => |_, c| {
        too_many(c, 2)?;
        Ok(Fetch::ReqPayload(offset(c, 0)?, offset(c, 1)?))
    };
    "res.payload" "<offset>,<length>" Bin Response "bytes of the server; length 0: all" => |_, c| {
        too_many(c, 2)?;
        Ok(Fetch::ResPayload(offset(c, 0)?, offset(c, 1)?))
    };
    "req.payload_lv" "<offset>,<size>[,<start>]" Bin Request "bytes whose length stands at an offset" => |_, c| Ok(Fetch::ReqPayloadLv(payload_lv(c)?));
    "res.payload_lv" "<offset>,<size>[,<start>]" Bin Response "same, of the server" => |_, c| Ok(Fetch::ResPayloadLv(payload_lv(c)?));
    "req.rdp_cookie" "[<name>]" Str Request "the RDP cookie" => |_, c| {
        too_many(c, 1)?;
        Ok(Fetch::ReqRdpCookie(c.optional(0).map(str::to_owned)))
    };
    "req.rdp_cookie_cnt" "[<name>]" Int Request "how many RDP cookies there are" => |_, c| {
        too_many(c, 1)?;
        Ok(Fetch::ReqRdpCookieCnt(c.optional(0).map(str::to_owned)))
    };
    "req.ssl_hello_type" "" Int Request "type of the TLS handshake message; 1: client hello" => |_, c| plain(c, Fetch::ReqSslHelloType);
    "res.ssl_hello_type" "" Int Response "type of the TLS handshake message; 2: server hello" => |_, c| plain(c, Fetch::ResSslHelloType);
    "req.ssl_sni" "" Str Request "server name of a TLS client hello" => |_, c| plain(c, Fetch::ReqSslSni);
    "req.ssl_ver" "" Int Request "TLS version of a client hello" => |_, c| plain(c, Fetch::ReqSslVer);
    "req.ssl_alpn" "" Str Request "protocols that a TLS client offers" => |_, c| plain(c, Fetch::ReqSslAlpn);
    "req.ssl_ec_ext" "" Bool Request "a TLS client supports elliptic curves" => |_, c| plain(c, Fetch::ReqSslEcExt);
    "req.ssl_st_ext" "" Int Request "session ticket of a TLS client: 0 none, 1 an empty extension, 2 one" => |_, c| plain(c, Fetch::ReqSslStExt);
    "req.proto_http" "" Bool Request "the bytes look like HTTP" => |_, c| plain(c, Fetch::ReqProtoHttp);
    "wait_end" "" Bool InspectionEnd "true once the inspection ended" => |_, c| plain(c, Fetch::WaitEnd);
    "method" "" Method HttpLine "HTTP method" => |_, c| plain(c, Fetch::Method);
    "capture.req.uri" "" Str HttpLine "URI of the request" => |_, c| plain(c, Fetch::CaptureReqUri);
    "capture.req.ver" "" Str HttpLine "HTTP version of the request" => |_, c| plain(c, Fetch::CaptureReqVer);
    "capture.req.hdr" "<slot>" Str Client "what a rule captured into this slot, from 0" => |_, c| {
        too_many(c, 1)?;
        Ok(Fetch::CaptureReqHdr(offset(c, 0)?))
    };
    "capture.res.hdr" "<slot>" Str HttpResponse "what was captured of the answer into this slot" => |_, c| {
        too_many(c, 1)?;
        Ok(Fetch::CaptureResHdr(offset(c, 0)?))
    };
    "path" "" Str HttpRequest "path of the URL" => |_, c| plain(c, Fetch::Path);
    "pathq" "" Str HttpRequest "path and query of the URL" => |_, c| plain(c, Fetch::PathQ);
    "query" "" Str HttpRequest "query of the URL" => |_, c| plain(c, Fetch::Query);
    "url" "" Str HttpRequest "the URL" => |_, c| plain(c, Fetch::Url);
    "url_param" "<name>" Str HttpRequest "a parameter of the query" => |_, c| named(c, "a parameter", Fetch::UrlParam);
    "base" "" Str HttpRequest "host and path" => |_, c| plain(c, Fetch::Base);
    "req.ver" "" Str HttpRequest "HTTP version" => |_, c| plain(c, Fetch::ReqVer);
    "res.ver" "" Str HttpResponse "HTTP version" => |_, c| plain(c, Fetch::ResVer);
    "req.hdr" "<name>[,<n>]" Str HttpRequest "a header's value, comma separated ones apart" => |_, c| occurrence(c, Fetch::ReqHdr);
    "req.fhdr" "<name>[,<n>]" Str HttpRequest "a header line's value" => |_, c| occurrence(c, Fetch::ReqFhdr);
    "req.hdr_cnt" "<name>" Int HttpRequest "how many values a header has" => |_, c| named(c, "a header's name", Fetch::ReqHdrCnt);
    "res.hdr" "<name>[,<n>]" Str HttpResponse "a header's value, comma separated ones apart" => |_, c| occurrence(c, Fetch::ResHdr);
    "res.fhdr" "<name>[,<n>]" Str HttpResponse "a header line's value" => |_, c| occurrence(c, Fetch::ResFhdr);
    "res.hdr_cnt" "<name>" Int HttpResponse "how many values a header has" => |_, c| named(c, "a header's name", Fetch::ResHdrCnt);
    "req.cook" "<name>" Str HttpRequest "a cookie's value" => |_, c| named(c, "a cookie's name", Fetch::ReqCook);
    "status" "" Int HttpResponse "HTTP status" => |_, c| plain(c, Fetch::Status);
    "http_auth" "<userlist>" Bool HttpRequest "the request's user and password are of the list" => |d, c| http_auth(d, c, Fetch::HttpAuth);
    "http_auth_user" "" Str HttpRequest "the request's user" => |_, c| plain(c, Fetch::HttpAuthUser);
    "check.payload" "[<offset>,<length>]" Bin Response "bytes that a check received" => |_, c| {
        too_many(c, 2)?;
        if c.args.is_empty() {
            return Ok(Fetch::CheckPayload(0, 0));
        }
        Ok(Fetch::CheckPayload(offset(c, 0)?, offset(c, 1)?))
    };
};
