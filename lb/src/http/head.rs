//! Heads of HTTP/1 messages: parsed, looked at, changed and written again; and how long the body
//! behind one is. Bytes in, values out; no socket.

use std::ops::Range;

/// Most header fields of a message.
const FIELDS_MAX: usize = 101;

/// Why bytes are not a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Not HTTP/1, or a header that is none.
    Syntax,
    /// More headers than allowed.
    TooMany,
    /// `content-length` or `transfer-encoding` that cannot be trusted.
    Framing,
}

impl Invalid {
    /// What `show errors` says.
    pub fn text(self) -> &'static str {
        match self {
            Invalid::Syntax => "not a valid HTTP/1 head",
            Invalid::TooMany => "too many header fields",
            Invalid::Framing => "ambiguous length of the body",
        }
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    Length(u64),
    Chunked,
    /// Everything until the connection closes.
    UntilClose,
}

/// One header field as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: Vec<u8>,
}

/// A request's head.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// 0 or 1: HTTP/1.0 or HTTP/1.1.
    pub minor: u8,
    pub fields: Vec<Field>,
    pub body: Body,
    /// The request line as received, without its end.
    pub line: Vec<u8>,
}

/// An answer's head.
#[derive(Clone, Debug)]
pub struct Response {
    pub minor: u8,
    pub status: u16,
    pub reason: String,
    pub fields: Vec<Field>,
    pub body: Body,
}

/// Parses a request's head from the start of `bytes`; nothing while it is incomplete. Gives the
/// head and how many bytes it took.
pub fn request(bytes: &[u8]) -> Result<Option<(Request, usize)>, Invalid> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut slots);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Invalid::TooMany),
        Err(_) => return Err(Invalid::Syntax),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Invalid::Syntax);
    };
    let fields = fields(parsed.headers);
    let body = framing(&fields)?.unwrap_or(Body::None);
    one_host(&fields)?;
    let line = first_line(bytes);
    let request = Request {
        method: method.to_owned(),
        target: target.to_owned(),
        minor,
        body,
        line: bytes[line].to_vec(),
        fields,
    };
    Ok(Some((request, length)))
}

/// Parses an answer's head to a request with this method.
pub fn response(bytes: &[u8], method: &str) -> Result<Option<(Response, usize)>, Invalid> {
    let mut slots = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Response::new(&mut slots);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Invalid::TooMany),
        Err(_) => return Err(Invalid::Syntax),
    };
    let (Some(status), Some(minor)) = (parsed.code, parsed.version) else {
        return Err(Invalid::Syntax);
    };
    let fields = fields(parsed.headers);
    let bodyless = method == "HEAD" || matches!(status, 100..=199 | 204 | 304);
    let body = match (bodyless, framing(&fields)?) {
        (true, _) => Body::None,
        (false, body) => body.unwrap_or(Body::UntilClose),
    };
    let response = Response {
        minor,
        status,
        reason: parsed.reason.unwrap_or("").to_owned(),
        fields,
        body,
    };
    Ok(Some((response, length)))
}

/// Several `host` fields must agree: who routes by one must not be told another.
fn one_host(fields: &[Field]) -> Result<(), Invalid> {
    let mut hosts = fields
        .iter()
        .filter(|f| f.name.eq_ignore_ascii_case("host"));
    let Some(first) = hosts.next() else {
        return Ok(());
    };
    match hosts.all(|host| host.value.eq_ignore_ascii_case(&first.value)) {
        true => Ok(()),
        false => Err(Invalid::Syntax),
    }
}

fn fields(parsed: &[httparse::Header<'_>]) -> Vec<Field> {
    parsed
        .iter()
        .map(|header| Field {
            name: header.name.to_owned(),
            value: header.value.to_vec(),
        })
        .collect()
}

fn first_line(bytes: &[u8]) -> Range<usize> {
    let start = bytes
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .unwrap_or(0);
    let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
    start..(if bytes[..end].ends_with(b"\r") {
        end - 1
    } else {
        end
    })
}

/// The body's length by the header fields; nothing when they say nothing. Contradictions are
/// refused, as two hops could otherwise disagree about where the next message starts.
fn framing(fields: &[Field]) -> Result<Option<Body>, Invalid> {
    let mut length: Option<u64> = None;
    let mut chunked = false;
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(&field.value).map_err(|_| Invalid::Framing)?;
            for part in text.split(',') {
                let part = part.trim();
                if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Invalid::Framing);
                }
                let number = part.parse().map_err(|_| Invalid::Framing)?;
                if length.is_some_and(|length| length != number) {
                    return Err(Invalid::Framing);
                }
                length = Some(number);
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if chunked || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Invalid::Framing);
            }
            chunked = true;
        }
    }
    match (chunked, length) {
        (true, Some(_)) => Err(Invalid::Framing),
        (true, None) => Ok(Some(Body::Chunked)),
        (false, length) => Ok(length.map(|length| match length {
            0 => Body::None,
            length => Body::Length(length),
        })),
    }
}

/// The first field of this name.
pub fn field<'a>(fields: &'a [Field], name: &str) -> Option<&'a [u8]> {
    fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.as_slice())
}

/// Removes the fields of this name.
pub fn remove(fields: &mut Vec<Field>, name: &str) {
    fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
}

/// Adds a field.
pub fn add(fields: &mut Vec<Field>, name: &str, value: &str) {
    fields.push(Field {
        name: name.to_owned(),
        value: value.as_bytes().to_vec(),
    });
}

/// Whether the `connection` field has this word.
pub fn connection_says(fields: &[Field], word: &str) -> bool {
    fields
        .iter()
        .filter(|field| field.name.eq_ignore_ascii_case("connection"))
        .flat_map(|field| field.value.split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

impl Request {
    /// A server that got it twice does no more than one that got it once, and all
    /// of it is here (RFC 9110 §9.2.2).
    pub fn may_be_repeated(&self) -> bool {
        let method = self.method.as_str();
        let idempotent = matches!(
            method,
            "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE"
        );
        idempotent && self.body == Body::None
    }

    /// The client wants the connection to stay.
    pub fn keeps_alive(&self) -> bool {
        match self.minor {
            0 => connection_says(&self.fields, "keep-alive"),
            _ => !connection_says(&self.fields, "close"),
        }
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        let path = match self.target.find("://") {
            Some(scheme) => {
                let rest = &self.target[scheme + 3..];
                rest.find('/').map_or("/", |slash| &rest[slash..])
            }
            None => &self.target,
        };
        path.split('?').next().unwrap_or(path)
    }

    /// The head as it is sent on.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_fields(&self.fields, &mut out);
        out
    }
}

impl Response {
    /// The server wants the connection to stay.
    pub fn keeps_alive(&self) -> bool {
        self.body != Body::UntilClose
            && match self.minor {
                0 => connection_says(&self.fields, "keep-alive"),
                _ => !connection_says(&self.fields, "close"),
            }
    }

    /// The head as it is sent on.
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", self.status, self.reason).as_bytes());
        write_fields(&self.fields, &mut out);
        out
    }
}

fn write_fields(fields: &[Field], out: &mut Vec<u8>) {
    for field in fields {
        out.extend(field.name.bytes().map(|byte| byte.to_ascii_lowercase()));
        out.extend_from_slice(b": ");
        out.extend_from_slice(&field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_is_parsed_and_written_again() {
        let bytes = b"GET /a?b HTTP/1.1\r\nHost: x\r\nX-Y:  z \r\n\r\nrest";
        let (request, length) = request(bytes).unwrap().unwrap();
        assert_eq!(&bytes[length..], b"rest");
        assert_eq!(request.path(), "/a");
        assert_eq!(request.line, b"GET /a?b HTTP/1.1");
        assert_eq!(
            request.write(),
            b"GET /a?b HTTP/1.1\r\nhost: x\r\nx-y: z\r\n\r\n"
        );
    }

    #[test]
    fn contradicting_lengths_are_refused() {
        for bad in [
            "Content-Length: 1\r\nContent-Length: 2\r\n",
            "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: +1\r\n",
            "Content-Length: 99999999999999999999\r\n",
        ] {
            let head = format!("POST / HTTP/1.1\r\n{bad}\r\n");
            assert_eq!(
                request(head.as_bytes()).unwrap_err(),
                Invalid::Framing,
                "{bad}"
            );
        }
    }

    #[test]
    fn garbage_is_no_head() {
        assert_eq!(request(b"garbage\r\n\r\n").unwrap_err(), Invalid::Syntax);
        assert_eq!(
            request(b"GET / HTTP/1.1\r\nbad header\r\n\r\n").unwrap_err(),
            Invalid::Syntax
        );
        assert!(request(b"GET / HT").unwrap().is_none());
    }

    #[test]
    fn answers_without_body_have_none_whatever_they_say() {
        let head = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(response(head, "GET").unwrap().unwrap().0.body, Body::None);
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(response(head, "HEAD").unwrap().unwrap().0.body, Body::None);
        assert_eq!(
            response(head, "GET").unwrap().unwrap().0.body,
            Body::Length(5)
        );
        let head = b"HTTP/1.0 200 OK\r\n\r\n";
        let (answer, _) = response(head, "GET").unwrap().unwrap();
        assert_eq!(answer.body, Body::UntilClose);
        assert!(!answer.keeps_alive());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = request(&bytes);
            let _ = response(&bytes, "GET");
        }
    }
}
