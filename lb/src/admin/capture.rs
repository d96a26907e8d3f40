//! The last invalid request and the last invalid answer of each proxy, for `show errors`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::SystemTime;

use super::time;

/// Most bytes kept of one capture.
const BYTES_MAX: usize = 4096;
/// Most proxies with captures.
const PROXIES_MAX: usize = 256;

/// One capture.
#[derive(Clone, Debug)]
pub struct Capture {
    pub at: SystemTime,
    pub number: u64,
    pub peer: String,
    pub backend: String,
    pub server: String,
    /// Why it is invalid.
    pub reason: String,
    pub bytes: Vec<u8>,
}

/// Captures by proxy: of a request (`true`) or an answer.
#[derive(Default)]
pub struct Captures {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    total: u64,
    by_proxy: BTreeMap<(String, bool), Capture>,
}

impl Captures {
    /// Keeps what a proxy could not make sense of, in place of the last.
    pub fn keep(&self, proxy: &str, is_request: bool, mut capture: Capture) {
        capture.bytes.truncate(BYTES_MAX);
        let mut inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        inner.total += 1;
        capture.number = inner.total;
        let key = (proxy.to_owned(), is_request);
        if inner.by_proxy.len() < PROXIES_MAX || inner.by_proxy.contains_key(&key) {
            inner.by_proxy.insert(key, capture);
        }
    }

    /// `show errors`, of one proxy or all, of requests, answers or both.
    pub fn show(&self, proxy: Option<&str>, requests: Option<bool>) -> String {
        let inner = self.inner.lock().unwrap_or_else(|e| e.into_inner());
        let mut out = format!(
            "Total events captured on [{}] : {}\n",
            time::stamp_ms(SystemTime::now()),
            inner.total
        );
        for ((name, is_request), capture) in &inner.by_proxy {
            let wanted = proxy.is_none_or(|proxy| proxy == name)
                && requests.is_none_or(|requests| requests == *is_request);
            if wanted {
                one(name, *is_request, capture, &mut out);
            }
        }
        out
    }
}

fn one(proxy: &str, is_request: bool, capture: &Capture, out: &mut String) {
    let (side, kind) = if is_request {
        ("frontend", "request")
    } else {
        ("backend", "response")
    };
    let _ = write!(
        out,
        " \n[{}] {side} {proxy}: invalid {kind}\n  backend {}, server {}, event #{}, src {}\n  {}\n  \
         buffer len {}:\n\n",
        time::stamp_ms(capture.at),
        capture.backend,
        capture.server,
        capture.number,
        capture.peer,
        capture.reason,
        capture.bytes.len()
    );
    let mut offset = 0;
    for line in capture.bytes.split_inclusive(|byte| *byte == b'\n') {
        for part in line.chunks(70) {
            let _ = writeln!(out, "  {offset:05}  {}", part.escape_ascii());
            offset += part.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_show_their_bytes_escaped_and_with_offsets() {
        let captures = Captures::default();
        captures.keep(
            "web",
            true,
            Capture {
                at: SystemTime::UNIX_EPOCH,
                number: 0,
                peer: "10.0.0.7:1".into(),
                backend: "<NONE>".into(),
                server: "<NONE>".into(),
                reason: "invalid token".into(),
                bytes: b"\x16\x03garbage\r\nx".to_vec(),
            },
        );
        let text = captures.show(None, None);
        assert!(text.contains("frontend web: invalid request"));
        assert!(text.contains("  00000  \\x16\\x03garbage\\r\\n\n  00011  x\n"));
        assert_eq!(captures.show(Some("other"), None).lines().count(), 1);
        assert_eq!(captures.show(None, Some(false)).lines().count(), 1);
    }
}
