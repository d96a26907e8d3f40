//! What a log line shows of headers and cookies: `capture ...`.

use super::head::Field;
use conf::lb::model::{HttpCapture, HttpCaptures};

/// What was captured of one exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captured {
    pub request_headers: Vec<Option<Vec<u8>>>,
    pub response_headers: Vec<Option<Vec<u8>>>,
    pub request_cookie: Option<Vec<u8>>,
    pub response_cookie: Option<Vec<u8>>,
}

impl Captured {
    /// Takes what is wanted of a request.
    pub fn request(&mut self, wanted: &HttpCaptures, fields: &[Field]) {
        self.request_headers = headers(&wanted.request, fields);
        // the places of an answer's are there even if none comes
        self.response_headers = vec![None; wanted.response.len()];
        let cookie = wanted.cookie.as_ref();
        self.request_cookie = cookie.and_then(|cookie| {
            let lines = named(fields, "cookie");
            let mut pairs = lines.flat_map(|value| value.split(|byte| *byte == b';'));
            pairs.find_map(|pair| taken(cookie, pair.trim_ascii()))
        });
    }

    /// Takes what is wanted of an answer.
    pub fn response(&mut self, wanted: &HttpCaptures, fields: &[Field]) {
        self.response_headers = headers(&wanted.response, fields);
        let cookie = wanted.cookie.as_ref();
        self.response_cookie = cookie.and_then(|cookie| {
            let mut lines = named(fields, "set-cookie");
            lines.find_map(|value| {
                let pair = value.split(|byte| *byte == b';').next()?;
                taken(cookie, pair.trim_ascii())
            })
        });
    }
}

/// The last value of each header, cut to its length.
fn headers(wanted: &[HttpCapture], fields: &[Field]) -> Vec<Option<Vec<u8>>> {
    let value = |capture: &HttpCapture| {
        let last = named(fields, &capture.name).last()?;
        Some(last[..last.len().min(capture.len)].to_vec())
    };
    wanted.iter().map(value).collect()
}

fn named<'f>(fields: &'f [Field], name: &str) -> impl Iterator<Item = &'f [u8]> {
    let wanted = move |field: &&Field| field.name.eq_ignore_ascii_case(name);
    fields.iter().filter(wanted).map(|f| f.value.as_slice())
}

/// A `name=value` of the cookie that is wanted, cut to its length.
fn taken(cookie: &HttpCapture, pair: &[u8]) -> Option<Vec<u8>> {
    let fits = pair.starts_with(cookie.name.as_bytes());
    fits.then(|| pair[..pair.len().min(cookie.len)].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> Field {
        Field {
            name: name.to_owned(),
            value: value.as_bytes().to_vec(),
        }
    }

    fn capture(name: &str, len: usize) -> HttpCapture {
        HttpCapture {
            name: name.to_owned(),
            len,
        }
    }

    #[test]
    fn the_last_header_and_the_first_cookie_are_kept_up_to_their_length() {
        let wanted = HttpCaptures {
            request: vec![capture("Host", 4), capture("Absent", 9)],
            response: vec![capture("server", 20)],
            cookie: Some(capture("SID", 7)),
        };
        let mut captured = Captured::default();
        let request = [
            field("host", "first"),
            field("host", "second"),
            field("cookie", "a=b; SID1=12345; SID2=x"),
        ];
        captured.request(&wanted, &request);
        assert_eq!(captured.request_headers, [Some(b"seco".to_vec()), None]);
        assert_eq!(captured.request_cookie.as_deref(), Some(&b"SID1=12"[..]));
        let response = [
            field("Server", "x"),
            field("set-cookie", "SIDX=1; path=/; secure"),
        ];
        captured.response(&wanted, &response);
        assert_eq!(captured.response_headers, [Some(b"x".to_vec())]);
        assert_eq!(captured.response_cookie.as_deref(), Some(&b"SIDX=1"[..]));
    }
}
