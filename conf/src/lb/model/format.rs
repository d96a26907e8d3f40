//! `log-format` strings in parts.

use super::Expr;

/// A parsed `log-format` string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Format {
    /// Its parts in order.
    pub parts: Vec<FormatPart>,
    /// The text as written.
    pub text: String,
}

/// One part.
#[derive(Clone, Debug, PartialEq)]
pub enum FormatPart {
    /// Text as it is.
    Text(String),
    /// One or several spaces: written as one, and as nothing at the start.
    Space,
    /// `%tag`.
    Tag(Tag, FormatFlags),
    /// `%[expression]`.
    Expr(Box<Expr>, FormatFlags),
}

/// `%{+Q,+X,...}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FormatFlags {
    /// `Q`: in quotes.
    pub quote: bool,
    /// `X`: numbers and addresses in hexadecimal.
    pub hex: bool,
    /// `E`: `"`, `\` and `]` escaped.
    pub escape: bool,
    /// `M`: `-` where there is nothing (default for tags of request and response headers).
    pub mandatory: bool,
}

impl FormatFlags {
    /// Writes what an expression gave (nothing: no value) as the flags say.
    pub fn dress(self, value: &[u8], out: &mut Vec<u8>) {
        let quote = self.quote.then_some(b'"');
        out.extend(quote);
        for &byte in value {
            if self.escape && matches!(byte, b'"' | b'\\' | b']') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        if value.is_empty() && self.mandatory {
            out.push(b'-');
        }
        out.extend(quote);
    }
}

/// Tags of `log-format`; the two letters are in the name of the variant's document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tag {
    /// `%o` with flags only: nothing is written.
    Nothing,
    /// `%B` bytes from server to client.
    BytesRead,
    /// `%U` bytes from client to server.
    BytesUploaded,
    /// `%CC` captured request cookie.
    RequestCookie,
    /// `%CS` captured response cookie.
    ResponseCookie,
    /// `%H` host name.
    Hostname,
    /// `%HM` HTTP method.
    HttpMethod,
    /// `%HP` HTTP path.
    HttpPath,
    /// `%HPO` HTTP path without query.
    HttpPathOnly,
    /// `%HQ` query string.
    HttpQuery,
    /// `%HU` URI.
    HttpUri,
    /// `%HV` HTTP version.
    HttpVersion,
    /// `%ID` unique id.
    UniqueId,
    /// `%ST` status code.
    Status,
    /// `%T` GMT date and time.
    DateGmt,
    /// `%Tl` local date and time with zone.
    DateLocal,
    /// `%Ts` seconds since 1970.
    Timestamp,
    /// `%t` date and time, local, with milliseconds.
    Date,
    /// `%tr` date and time of the request.
    RequestDate,
    /// `%trg` same, GMT.
    RequestDateGmt,
    /// `%trl` same, local with zone.
    RequestDateLocal,
    /// `%ms` milliseconds of the accept date.
    Millis,
    /// `%Ta` active time of the request.
    ActiveTime,
    /// `%Tc` connect time.
    ConnectTime,
    /// `%Td` data time.
    DataTime,
    /// `%Th` handshake time.
    HandshakeTime,
    /// `%Ti` idle time before the request.
    IdleTime,
    /// `%Tq` `%Th` + `%Ti` + `%TR`.
    QueryTime,
    /// `%TR` time to receive the request.
    RequestTime,
    /// `%Tr` response time.
    ResponseTime,
    /// `%Tt` total time.
    TotalTime,
    /// `%Tu` total time since the request's first byte or accept.
    UserTime,
    /// `%Tw` time in queues.
    WaitTime,
    /// `%ac` sessions of the process.
    ActiveConns,
    /// `%fc` of the frontend.
    FrontendConns,
    /// `%bc` of the backend.
    BackendConns,
    /// `%sc` of the server.
    ServerConns,
    /// `%rc` retries.
    Retries,
    /// `%sq` place in the server's queue.
    ServerQueue,
    /// `%bq` place in the backend's queue.
    BackendQueue,
    /// `%lc` frontend log counter.
    LogCounter,
    /// `%rt` request counter.
    RequestCounter,
    /// `%b` backend.
    Backend,
    /// `%s` server.
    Server,
    /// `%f` frontend.
    Frontend,
    /// `%ft` frontend with transport mark.
    FrontendTransport,
    /// `%pid`.
    Pid,
    /// `%ci` client address.
    ClientIp,
    /// `%cp` client port.
    ClientPort,
    /// `%fi` frontend address.
    FrontendIp,
    /// `%fp` frontend port.
    FrontendPort,
    /// `%bi` own address towards the server.
    BackendIp,
    /// `%bp` own port towards the server.
    BackendPort,
    /// `%si` server address.
    ServerIp,
    /// `%sp` server port.
    ServerPort,
    /// `%hr` captured request headers.
    RequestHeaders,
    /// `%hrl` same, as a list.
    RequestHeadersList,
    /// `%hs` captured response headers.
    ResponseHeaders,
    /// `%hsl` same, as a list.
    ResponseHeadersList,
    /// `%r` request line.
    RequestLine,
    /// `%sslc` cipher.
    SslCipher,
    /// `%sslv` version.
    SslVersion,
    /// `%ts` termination state, two letters.
    TermState,
    /// `%tsc` with cookie letters, four.
    TermStateCookie,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_quote_escape_and_stand_for_nothing() {
        let dressed = |flags: FormatFlags, value: &str| {
            let mut out = Vec::new();
            flags.dress(value.as_bytes(), &mut out);
            String::from_utf8(out).expect("text")
        };
        let plain = FormatFlags::default();
        let quote = FormatFlags {
            quote: true,
            ..plain
        };
        let escape = FormatFlags {
            escape: true,
            ..quote
        };
        let mandatory = FormatFlags {
            mandatory: true,
            ..plain
        };
        assert_eq!(dressed(plain, "a\"]"), "a\"]");
        assert_eq!(dressed(quote, ""), "\"\"");
        assert_eq!(dressed(escape, "a\"]\\"), r#""a\"\]\\""#);
        assert_eq!(
            (dressed(mandatory, ""), dressed(plain, "")),
            ("-".into(), String::new())
        );
    }
}
