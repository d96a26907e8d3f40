//! Sample expressions, ACLs and conditions.

use super::{Format, Place, ServerRef};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A fetch with the converters behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// Where the value comes from.
    pub fetch: Fetch,
    /// What is done to it, in order.
    pub converters: Vec<Converter>,
    /// The text as written, for logs and `show`.
    pub text: String,
}

/// A figure of the kernel's `TCP_INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpFigure {
    /// Smoothed round trip.
    Rtt,
    /// Its variation.
    RttVariation,
    /// Segments not acknowledged.
    Unacked,
    /// Segments acknowledged selectively.
    Sacked,
    /// Segments sent again and not acknowledged.
    Retransmitted,
    /// Segments sent again since the connection began.
    AllRetransmitted,
    /// Segments acknowledged forward.
    Facked,
    /// Segments taken for lost.
    Lost,
    /// Reordering seen.
    Reordering,
}

/// Where a value comes from. Backends and servers that a fetch names were
/// checked to exist; an empty backend name means the current one.
#[derive(Clone, Debug, PartialEq)]
pub enum Fetch {
    // constants
    /// `always_true`, `always_false`, `bool(x)`.
    Bool(bool),
    /// `int(n)`.
    Int(i64),
    /// `str(s)`.
    Str(String),
    /// `bin(hex)`.
    Bin(Vec<u8>),
    /// `ipv4(a)`, `ipv6(a)`.
    Ip(IpAddr),
    /// `var(name[,default])`.
    Var(String, Option<String>),
    /// `env(name)`, looked up when the configuration was read.
    Env(Option<String>),
    // process
    /// `date([offset][,unit])`: seconds (or ms, us) since 1970.
    Date(i64, DateUnit),
    /// `date_us`: microseconds of the current second.
    DateUs,
    /// `hostname`.
    Hostname,
    /// `pid`.
    Pid,
    /// `nbproc`.
    Nbproc,
    /// `proc`.
    Proc,
    /// `thread`.
    Thread,
    /// `rand([range])`.
    Rand(Option<u32>),
    /// `stopping`.
    Stopping,
    /// `uuid`.
    Uuid,
    /// `act_conn`: sessions of the process.
    ActConn,
    /// `fc_rtt`, `bc_rtt` and others: what the kernel knows of a connection.
    TcpInfo {
        /// Towards the server rather than the client.
        server: bool,
        /// Which figure.
        figure: TcpFigure,
        /// Times in microseconds rather than milliseconds.
        micros: bool,
    },
    // backends and servers
    /// `avg_queue(be)`.
    AvgQueue(String),
    /// `be_conn(be)`.
    BeConn(String),
    /// `be_conn_free(be)`.
    BeConnFree(String),
    /// `be_sess_rate(be)`.
    BeSessRate(String),
    /// `connslots(be)`.
    Connslots(String),
    /// `nbsrv(be)`.
    Nbsrv(String),
    /// `queue(be)`.
    Queue(String),
    /// `fe_conn(fe)`; empty: the current frontend.
    FeConn(String),
    /// `fe_req_rate(fe)`.
    FeReqRate(String),
    /// `fe_sess_rate(fe)`.
    FeSessRate(String),
    /// `srv_conn(srv)`.
    SrvConn(ServerRef),
    /// `srv_conn_free(srv)`.
    SrvConnFree(ServerRef),
    /// `srv_is_up(srv)`.
    SrvIsUp(ServerRef),
    /// `srv_queue(srv)`.
    SrvQueue(ServerRef),
    /// `srv_sess_rate(srv)`.
    SrvSessRate(ServerRef),
    /// `srv_weight(srv)`.
    SrvWeight(ServerRef),
    /// `srv_iweight(srv)`.
    SrvIweight(ServerRef),
    /// `srv_uweight(srv)`.
    SrvUweight(ServerRef),
    /// `prio_class`.
    PrioClass,
    /// `prio_offset`.
    PrioOffset,
    // connection
    /// `src`.
    Src,
    /// `src_port`.
    SrcPort,
    /// `src_is_local`.
    SrcIsLocal,
    /// `dst`.
    Dst,
    /// `dst_port`.
    DstPort,
    /// `dst_is_local`.
    DstIsLocal,
    /// `dst_conn`: connections on the same listening socket.
    DstConn,
    /// `fc_src`, `bc_dst` ...: addresses of the sockets themselves.
    FcSrc,
    /// `fc_src_port`.
    FcSrcPort,
    /// `fc_dst`.
    FcDst,
    /// `fc_dst_port`.
    FcDstPort,
    /// `bc_src`.
    BcSrc,
    /// `bc_src_port`.
    BcSrcPort,
    /// `bc_dst`.
    BcDst,
    /// `bc_dst_port`.
    BcDstPort,
    /// `fc_src_is_local`.
    FcSrcIsLocal,
    /// `fc_dst_is_local`.
    FcDstIsLocal,
    /// `fc_http_major`, `bc_http_major`: 1.
    HttpMajor,
    /// `fc_err`, `bc_err` and the same in words: what is wrong with a connection.
    ConnectionError {
        /// Towards the server rather than the client.
        server: bool,
        /// In words rather than as a number.
        words: bool,
    },
    /// `last_rule_file`: of the rule that ended the last list of rules.
    LastRuleFile,
    /// `last_rule_line`.
    LastRuleLine,
    /// `fc_rcvd_proxy`.
    FcRcvdProxy,
    /// `fc_pp_authority`.
    FcPpAuthority,
    /// `fc_pp_unique_id`.
    FcPpUniqueId,
    /// `be_id`.
    BeId,
    /// `be_name`.
    BeName,
    /// `be_server_timeout`, ms.
    BeServerTimeout,
    /// `be_tunnel_timeout`, ms.
    BeTunnelTimeout,
    /// `cur_server_timeout`, ms.
    CurServerTimeout,
    /// `cur_tunnel_timeout`, ms.
    CurTunnelTimeout,
    /// `fe_id`.
    FeId,
    /// `fe_name`.
    FeName,
    /// `fe_defbe`.
    FeDefbe,
    /// `fe_client_timeout`, ms.
    FeClientTimeout,
    /// `so_id`.
    SoId,
    /// `so_name`.
    SoName,
    /// `srv_id`.
    SrvId,
    /// `srv_name`.
    SrvName,
    /// `unique-id`.
    UniqueId,
    /// `ssl_fc`: false, there is no TLS.
    SslFc,
    // contents
    /// `req.len`.
    ReqLen,
    /// `res.len`.
    ResLen,
    /// `req.payload(offset,length)`; length 0: all there is.
    ReqPayload(usize, usize),
    /// `res.payload(offset,length)`.
    ResPayload(usize, usize),
    /// `req.payload_lv(offset1,length[,offset2])`.
    ReqPayloadLv(PayloadLv),
    /// `res.payload_lv(...)`.
    ResPayloadLv(PayloadLv),
    /// `req.rdp_cookie([name])`.
    ReqRdpCookie(Option<String>),
    /// `req.rdp_cookie_cnt([name])`.
    ReqRdpCookieCnt(Option<String>),
    /// `req.ssl_hello_type`.
    ReqSslHelloType,
    /// `res.ssl_hello_type`.
    ResSslHelloType,
    /// `req.ssl_sni`.
    ReqSslSni,
    /// `req.ssl_ver`.
    ReqSslVer,
    /// `req.ssl_alpn`.
    ReqSslAlpn,
    /// `req.ssl_ec_ext`.
    ReqSslEcExt,
    /// `req.ssl_st_ext`: 0 none, 1 an empty extension, 2 a ticket.
    ReqSslStExt,
    /// `req.proto_http`.
    ReqProtoHttp,
    /// `wait_end`: true once the inspection ended.
    WaitEnd,
    // health checks
    /// `check.payload(offset,length)`: bytes that a check received.
    CheckPayload(usize, usize),
    // HTTP
    /// `method`.
    Method,
    /// `capture.req.uri`.
    CaptureReqUri,
    /// `capture.req.ver`.
    CaptureReqVer,
    /// `capture.req.hdr(slot)`.
    CaptureReqHdr(usize),
    /// `capture.res.hdr(slot)`.
    CaptureResHdr(usize),
    /// `path`.
    Path,
    /// `pathq`.
    PathQ,
    /// `query`.
    Query,
    /// `url`.
    Url,
    /// `url_param(name)`.
    UrlParam(String),
    /// `base`.
    Base,
    /// `req.ver`.
    ReqVer,
    /// `res.ver`.
    ResVer,
    /// `req.hdr(name[,occurrence])`: one comma separated value.
    ReqHdr(String, i32),
    /// `req.fhdr(name[,occurrence])`: a whole header line's value.
    ReqFhdr(String, i32),
    /// `req.hdr_cnt(name)`.
    ReqHdrCnt(String),
    /// `res.hdr(name[,occurrence])`.
    ResHdr(String, i32),
    /// `res.fhdr(name[,occurrence])`.
    ResFhdr(String, i32),
    /// `res.hdr_cnt(name)`.
    ResHdrCnt(String),
    /// `req.cook(name)`.
    ReqCook(String),
    /// `status`.
    Status,
    /// `http_auth(userlist)`.
    HttpAuth(String),
    /// `http_auth_user`.
    HttpAuthUser,
}

/// Unit of `date`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateUnit {
    /// `s`.
    #[default]
    Seconds,
    /// `ms`.
    Millis,
    /// `us`.
    Micros,
}

/// `payload_lv(offset1,length[,offset2])`: a length field and where its bytes start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadLv {
    /// Offset of the length field.
    pub length_at: usize,
    /// Its size in bytes (big-endian).
    pub length_size: usize,
    /// Where the bytes start.
    pub start: LvStart,
}

/// Where the bytes of a `payload_lv` start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LvStart {
    /// Right behind the length field, plus this (`+n`, `-n`; 0 without).
    Behind(isize),
    /// At this offset.
    At(usize),
}

/// What is done to a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Converter {
    /// `add(n)` and others with a number or a variable.
    Arithmetic(ArithmeticOp, Operand),
    /// `neg`.
    Neg,
    /// `cpl`: all bits inverted.
    Cpl,
    /// `not`.
    Not,
    /// `bool`.
    Bool,
    /// `even`.
    Even,
    /// `odd`.
    Odd,
    /// `lower`.
    Lower,
    /// `upper`.
    Upper,
    /// `length`.
    Length,
    /// `bytes(offset[,length])`.
    Bytes(usize, Option<usize>),
    /// `field(index,delimiters[,count])`; count 0: the rest.
    Field(i64, String, i64),
    /// `word(index,delimiters[,count])`.
    Word(i64, String, i64),
    /// `hex`: bytes to hexadecimal.
    Hex,
    /// `hex2i`: hexadecimal text to an integer.
    Hex2i,
    /// `be2dec(separator,chunk[,truncate])`.
    Be2dec(String, usize, bool),
    /// `be2hex([separator[,chunk[,truncate]]])`.
    Be2hex(String, usize, bool),
    /// `base64`.
    Base64,
    /// `ub64enc`.
    UrlBase64,
    /// `b64dec`.
    Base64Decode,
    /// `ub64dec`.
    UrlBase64Decode,
    /// `url_dec([in_form])`.
    UrlDecode,
    /// `url_enc`.
    UrlEncode,
    /// `ipmask(v4[,v6])`.
    IpMask(Ipv4Addr, Option<Ipv6Addr>),
    /// `crc32([avalanche])` and the other 32 bit hashes.
    Hash32(HashFunction, bool),
    /// `crc32c([avalanche])`.
    Crc32c(bool),
    /// `regsub(regex,subst[,flags])`.
    Regsub {
        /// What to find.
        regex: Regex,
        /// What to put there (`\1` for groups).
        with: String,
        /// `g`: every place.
        all: bool,
    },
    /// `concat([start][,var[,end]])`.
    Concat(String, Option<String>, String),
    /// `iif(true,false)`.
    Iif(String, String),
    /// `ltime(format[,offset])`: local time by strftime.
    Ltime(String, i64),
    /// `utime(format[,offset])`.
    Utime(String, i64),
    /// `strcmp(var)`.
    Strcmp(String),
    /// `json([encoding])`.
    Json,
    /// `set-var(name)`.
    SetVar(String),
    /// `unset-var(name)`.
    UnsetVar(String),
    /// `nbsrv`: usable servers of the backend of this name.
    Nbsrv,
    /// `srv_queue`: queue of the server `be/srv`.
    SrvQueue,
    /// `htonl`: an integer as four bytes, big-endian.
    Htonl,
    /// `debug`: passes on.
    Debug,
    /// `ltrim(chars)`.
    Ltrim(String),
    /// `rtrim(chars)`.
    Rtrim(String),
}

/// Operators of the arithmetic converters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ArithmeticOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
}

/// A number or a variable's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The number.
    Int(i64),
    /// `txn.x` and others.
    Var(String),
}

/// Hash functions that balancing and converters share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// `sdbm` (the default of balancing).
    #[default]
    Sdbm,
    /// `djb2`.
    Djb2,
    /// `wt6`.
    Wt6,
    /// `crc32`.
    Crc32,
    /// `none` (balancing only): the key itself is the number.
    None,
}

/// A named ACL: true if any of its tests is.
#[derive(Clone, Debug, PartialEq)]
pub struct Acl {
    /// Name; empty for one written in place (`{ ... }`).
    pub name: String,
    /// Its tests; several lines of the same name add to one ACL.
    pub tests: Vec<AclTest>,
    /// Where the first line stands.
    pub place: Place,
}

/// One line of an ACL: true if the value matches any pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct AclTest {
    /// The value.
    pub expr: Expr,
    /// How it is compared.
    pub matcher: Matcher,
}

/// How a value is compared; none of the patterns given: false.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    /// `found`: there is a value.
    Found,
    /// `bool`: the value is true (or not zero).
    Bool,
    /// `int`: in one of the ranges.
    Int(Vec<IntRange>),
    /// `len`: the length is in one of the ranges.
    Len(Vec<IntRange>),
    /// `ip`: in one of the networks.
    Ip(Vec<IpNet>),
    /// String comparisons.
    Text {
        /// How.
        how: TextMatch,
        /// `-i`.
        ignore_case: bool,
        /// What to find.
        patterns: Vec<String>,
    },
    /// `bin`: equal to one of these.
    Bin(Vec<Vec<u8>>),
    /// `reg`: matches one of these.
    Regex(Vec<Regex>),
}

/// Methods of string comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// `str`: equal.
    Equal,
    /// `beg`: starts with.
    Begin,
    /// `end`: ends with.
    End,
    /// `sub`: contains.
    Contains,
    /// `dir`: contains between slashes.
    Dir,
    /// `dom`: contains between dots.
    Dom,
}

/// Numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct IntRange {
    pub min: i64,
    pub max: i64,
}

impl IntRange {
    /// Whether the number is in the range.
    pub fn contains(self, value: i64) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// An address with the mask that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpNet {
    /// Address and mask.
    V4(Ipv4Addr, Ipv4Addr),
    /// Address and mask.
    V6(Ipv6Addr, Ipv6Addr),
}

impl IpNet {
    /// Whether the address lies in the network; an IPv4 address and its
    /// IPv6-mapped form are the same.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (IpNet::V4(net, mask), IpAddr::V4(a)) => {
                u32::from(a) & u32::from(mask) == u32::from(net) & u32::from(mask)
            }
            (IpNet::V6(net, mask), IpAddr::V6(a)) => {
                u128::from(a) & u128::from(mask) == u128::from(net) & u128::from(mask)
            }
            (IpNet::V4(..), IpAddr::V6(a)) => a
                .to_ipv4_mapped()
                .is_some_and(|a| self.contains(IpAddr::V4(a))),
            (IpNet::V6(..), IpAddr::V4(a)) => self.contains(IpAddr::V6(a.to_ipv6_mapped())),
        }
    }
}

/// `if` / `unless` of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// `unless`: the rule applies when the terms do not hold.
    pub unless: bool,
    /// Any of these, each of which is: all of these.
    pub any: Vec<Vec<Term>>,
}

/// An ACL, perhaps negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// `!`.
    pub negated: bool,
    /// Index into the `acls` of the proxy that the condition belongs to.
    pub acl: usize,
}

/// A compiled regular expression that compares by its text.
#[derive(Clone)]
pub struct Regex {
    /// The compiled form, over bytes.
    pub compiled: regex::bytes::Regex,
    /// `-i`.
    pub ignore_case: bool,
}

impl Regex {
    /// Compiles; the error is one line for the operator.
    pub fn new(text: &str, ignore_case: bool) -> Result<Regex, String> {
        let compiled = regex::bytes::RegexBuilder::new(text)
            .case_insensitive(ignore_case)
            .unicode(false)
            .size_limit(1 << 20)
            .build()
            .map_err(|e| match e {
                regex::Error::Syntax(text) => {
                    let line = text.lines().last().unwrap_or_default();
                    line.trim_start_matches("error: ").to_owned()
                }
                other => other.to_string(),
            })?;
        Ok(Regex {
            compiled,
            ignore_case,
        })
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Regex) -> bool {
        self.compiled.as_str() == other.compiled.as_str() && self.ignore_case == other.ignore_case
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.compiled.as_str())
    }
}

/// A text that may be a fixed string or a format: `str` or `lf` arguments.
#[derive(Clone, Debug, PartialEq)]
pub enum Text {
    /// As it is.
    Fixed(String),
    /// To be evaluated.
    Format(Format),
}
