//! Answers made here: errors, denials, the monitor's.

use conf::lb::model::Http;

/// An answer that is completely known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Head and body.
    pub bytes: Vec<u8>,
    /// The connection closes after it.
    pub closes: bool,
    /// Body bytes at the end of `bytes`; left out for `HEAD`.
    body: usize,
}

impl Answer {
    /// An answer with these fields and this body.
    pub fn new(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Self {
        let mut bytes = format!(
            "HTTP/1.1 {status} {}\r\ncontent-length: {}\r\n",
            reason(status),
            body.len()
        )
        .into_bytes();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self {
            status,
            bytes,
            closes: false,
            body: body.len(),
        }
    }

    /// The page for an error; the proxy's `errorfile` where there is one.
    pub fn error(status: u16, http: &Http) -> Self {
        let file = http.error_files.iter().find(|file| file.status == status);
        if let Some(file) = file {
            return Self {
                status,
                bytes: file.content.clone(),
                closes: true,
                body: 0,
            };
        }
        let (title, text) = words(status);
        let page = page(status, title, text);
        if matches!(status, 400 | 408) {
            // what made no sense is answered in the plain form of old, and the connection ends
            return Self {
                status,
                bytes: format!(
                    "HTTP/1.1 {status} {title}\r\nContent-length: {}\r\nCache-Control: no-cache\r\n\
                     Connection: close\r\nContent-Type: text/html\r\n\r\n{page}",
                    page.len()
                )
                .into_bytes(),
                closes: true,
                body: page.len(),
            };
        }
        Self::new(status, HTML, page.as_bytes())
    }

    /// `401` with a challenge for this realm.
    pub fn challenge(realm: &str) -> Self {
        let (title, text) = words(401);
        let challenge = format!("Basic realm=\"{}\"", realm.replace(['"', '\r', '\n'], ""));
        let mut fields = HTML.to_vec();
        fields.push(("www-authenticate", &challenge));
        Self::new(401, &fields, page(401, title, text).as_bytes())
    }

    /// The monitor's answer.
    pub fn monitor(works: bool, http: &Http) -> Self {
        if works {
            let page = page(200, "OK", "Service ready.");
            Self::new(200, HTML, page.as_bytes())
        } else {
            Self::error(503, http)
        }
    }

    /// Makes it say that the connection closes.
    pub fn closing(mut self) -> Self {
        if !self.closes {
            self.closes = true;
            if let Some(end) = memchr::memmem::find(&self.bytes, b"\r\n\r\n") {
                self.bytes
                    .splice(end + 2..end + 2, *b"connection: close\r\n");
            }
        }
        self
    }

    /// Leaves the body out, for `HEAD`.
    pub fn without_body(mut self) -> Self {
        let head = self.bytes.len() - self.body;
        self.bytes.truncate(head);
        self.body = 0;
        self
    }
}

const HTML: &[(&str, &str)] = &[("cache-control", "no-cache"), ("content-type", "text/html")];

fn page(status: u16, title: &str, text: &str) -> String {
    format!("<html><body><h1>{status} {title}</h1>\n{text}\n</body></html>\n")
}

/// The reason phrase of a status.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        303 => "See Other",
        404 => "Not Found",
        _ => words(status).0,
    }
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        200 => ("OK", "Service ready."),
        400 => ("Bad request", "Your browser sent an invalid request."),
        401 => (
            "Unauthorized",
            "You need a valid user and password to access this content.",
        ),
        403 => ("Forbidden", "Request forbidden by administrative rules."),
        404 => ("Not Found", "The resource could not be found."),
        405 => (
            "Method Not Allowed",
            "A request was made of a resource using a request method not supported by that resource",
        ),
        408 => (
            "Request Time-out",
            "Your browser didn't send a complete request in time.",
        ),
        410 => ("Gone", "The resource is no longer available."),
        413 => (
            "Payload Too Large",
            "The request entity exceeds the maximum allowed.",
        ),
        425 => ("Too Early", "Your browser sent early data."),
        429 => (
            "Too Many Requests",
            "You have sent too many requests in a given amount of time.",
        ),
        500 => (
            "Internal Server Error",
            "An internal server error occurred.",
        ),
        501 => (
            "Not Implemented",
            "The server does not support the functionality required to fulfill the request.",
        ),
        502 => (
            "Bad Gateway",
            "The server returned an invalid or incomplete response.",
        ),
        504 => ("Gateway Time-out", "The server didn't respond in time."),
        _ => (
            "Service Unavailable",
            "No server is available to handle this request.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_pages_have_the_length_that_monitoring_knows() {
        let http = Http::default();
        for (status, length) in [
            (400, 90),
            (403, 93),
            (408, 110),
            (429, 117),
            (502, 107),
            (503, 107),
            (504, 92),
        ] {
            assert_eq!(Answer::error(status, &http).body, length, "{status}");
        }
        assert_eq!(Answer::challenge("foo").body, 112);
    }

    #[test]
    fn an_answer_to_head_is_the_head_alone() {
        let answer = Answer::error(503, &Http::default()).without_body();
        assert!(answer.bytes.ends_with(b"text/html\r\n\r\n"));
    }

    #[test]
    fn a_closing_answer_says_so() {
        let answer = Answer::new(200, &[], b"x").closing();
        assert_eq!(
            answer.bytes,
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx"
        );
    }

    #[test]
    fn an_error_file_replaces_the_page() {
        let http = Http {
            error_files: vec![conf::lb::model::ErrorFile {
                status: 503,
                path: "x".into(),
                content: b"HTTP/1.0 503 Gone fishing\r\n\r\n".to_vec(),
            }],
            ..Http::default()
        };
        assert!(
            Answer::error(503, &http)
                .bytes
                .starts_with(b"HTTP/1.0 503 Gone")
        );
    }
}
