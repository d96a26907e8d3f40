//! An HTTP/1 answer as far as it has come, for checks.

/// Headers that are looked at.
const HEADER_LIMIT: usize = 101;

/// An answer whose head is complete.
#[derive(Debug)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: &'a str,
    /// Header names and values in order.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// The decoded body once it is complete.
    pub body: Option<Vec<u8>>,
}

/// How far an answer has come.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The head is not complete.
    More,
    /// This is no HTTP, or it ended within the head.
    Bad,
    /// The head is complete.
    Head(Answer<'a>),
}

impl<'a> Answer<'a> {
    /// Reads what has come; `last` says that no more will.
    pub fn parse(input: &'a [u8], last: bool) -> Progress<'a> {
        let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut response = httparse::Response::new(&mut headers);
        let head = match response.parse(input) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if last => return Progress::Bad,
            Ok(httparse::Status::Partial) => return Progress::More,
            Err(_) => return Progress::Bad,
        };
        let (Some(status), reason) = (response.code, response.reason.unwrap_or_default()) else {
            return Progress::Bad;
        };
        let headers: Vec<_> = response.headers.iter().map(|h| (h.name, h.value)).collect();
        let body = body(status, &headers, &input[head..], last);
        Progress::Head(Answer {
            status,
            reason,
            headers,
            body,
        })
    }
}

fn body(status: u16, headers: &[(&str, &[u8])], bytes: &[u8], last: bool) -> Option<Vec<u8>> {
    if status < 200 || status == 204 || status == 304 {
        return Some(Vec::new());
    }
    let get = |name: &str| {
        let found = headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.and_then(|(_, value)| std::str::from_utf8(value).ok())
    };
    if get("transfer-encoding").is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        let (decoded, complete) = dechunk(bytes);
        return (complete || last).then_some(decoded);
    }
    match get("content-length").and_then(|v| v.trim().parse::<usize>().ok()) {
        Some(length) if bytes.len() >= length => Some(bytes[..length].to_vec()),
        _ => last.then(|| bytes.to_vec()),
    }
}

/// The chunks so far, and whether the last one was among them.
fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) {
        let Ok(size) = usize::try_from(size) else {
            break;
        };
        if size == 0 {
            return (out, true);
        }
        let Some(chunk) = start
            .checked_add(size)
            .and_then(|end| bytes.get(start..end))
        else {
            out.extend_from_slice(&bytes[start..]);
            return (out, false);
        };
        out.extend_from_slice(chunk);
        bytes = bytes.get(start + size + 2..).unwrap_or_default();
    }
    (out, false)
}
