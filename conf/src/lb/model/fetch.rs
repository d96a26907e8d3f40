//! Where the values of expressions come from.

use super::ServerRef;
use std::net::IpAddr;

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
