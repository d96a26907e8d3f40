//! Conditions and formats over an HTTP request: what ACLs may ask about it.

use std::net::IpAddr;
use std::sync::atomic::Ordering::Relaxed;

use conf::lb::model::{
    AclTest, Back, Balance, BalanceUri, Condition, Config, Expr, Fetch, Matcher, Password,
    Proxy as ProxyConf, TextMatch,
};

use super::head::{self, Request};
use crate::core::balance;
use crate::state::{Generation, Proxy, Runtime};

/// What a request is judged by.
pub struct Facts<'a> {
    pub runtime: &'a Runtime,
    pub generation: &'a Generation,
    pub proxy: &'a Proxy,
    pub request: &'a Request,
    pub source: Option<IpAddr>,
    pub source_port: Option<u16>,
    pub destination: Option<IpAddr>,
    pub destination_port: Option<u16>,
}

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
enum Sample {
    None,
    Bool(bool),
    Int(i64),
    Ip(IpAddr),
    Text(Vec<u8>),
}

impl Facts<'_> {
    /// Whether a rule applies; without a condition it does.
    pub fn hold(&self, condition: Option<&Condition>) -> bool {
        let Some(condition) = condition else {
            return true;
        };
        let any = condition
            .any
            .iter()
            .any(|all| all.iter().all(|term| self.acl(term.acl) != term.negated));
        any != condition.unless
    }

    fn acl(&self, index: usize) -> bool {
        let conf: &ProxyConf = &self.proxy.conf;
        conf.acls
            .get(index)
            .is_some_and(|acl| acl.tests.iter().any(|test| self.test(test)))
    }

    fn test(&self, test: &AclTest) -> bool {
        let sample = self.sample(&test.expr);
        match (&test.matcher, sample) {
            (Matcher::Found, sample) => sample != Sample::None,
            (_, Sample::None) => false,
            (Matcher::Bool, Sample::Bool(value)) => value,
            (Matcher::Bool, Sample::Int(value)) => value != 0,
            (Matcher::Int(ranges), sample) => sample
                .number()
                .is_some_and(|value| ranges.iter().any(|range| range.contains(value))),
            (Matcher::Len(ranges), sample) => {
                let length = sample.text().len() as i64;
                ranges.iter().any(|range| range.contains(length))
            }
            (Matcher::Ip(nets), Sample::Ip(ip)) => nets.iter().any(|net| net.contains(ip)),
            (Matcher::Ip(nets), sample) => std::str::from_utf8(&sample.text())
                .ok()
                .and_then(|text| text.trim().parse().ok())
                .is_some_and(|ip| nets.iter().any(|net| net.contains(ip))),
            (
                Matcher::Text {
                    how,
                    ignore_case,
                    patterns,
                },
                sample,
            ) => {
                let text = sample.text();
                patterns
                    .iter()
                    .any(|pattern| matches(*how, *ignore_case, &text, pattern.as_bytes()))
            }
            (Matcher::Bin(patterns), sample) => patterns.contains(&sample.text()),
            (Matcher::Regex(patterns), sample) => {
                let text = sample.text();
                patterns.iter().any(|regex| regex.compiled.is_match(&text))
            }
            (Matcher::Bool, Sample::Ip(_) | Sample::Text(_)) => false,
        }
    }

    /// What the balancing algorithm hashes, if it hashes.
    pub fn balance_key(&self, back: &Back) -> Option<u32> {
        let target = &self.request.target;
        let bytes = match &back.balance {
            Balance::Source => return Some(balance::key_of_source(back, self.source?)),
            Balance::Hash(expr) => match self.sample(expr) {
                Sample::None => return None,
                sample => sample.text(),
            },
            Balance::Uri(uri) if uri.whole => uri_part(target, uri),
            Balance::Uri(uri) => uri_part(target.split('?').next().unwrap_or(target), uri),
            Balance::UrlParam(name) => url_param(target, name)?.as_bytes().to_vec(),
            Balance::Header(name, _) => head::field(&self.request.fields, name)?.to_vec(),
            Balance::RoundRobin
            | Balance::StaticRr
            | Balance::LeastConn
            | Balance::First
            | Balance::Random(_)
            | Balance::RdpCookie(_) => return None,
        };
        Some(balance::key_of(back, &bytes))
    }

    fn sample(&self, expr: &Expr) -> Sample {
        // converters belong to the evaluation of sessions; here only the bare fetch is known
        if !expr.converters.is_empty() {
            return self.converted(expr);
        }
        self.fetch(&expr.fetch)
    }

    fn converted(&self, expr: &Expr) -> Sample {
        use conf::lb::model::Converter;
        expr.converters.iter().fold(
            self.fetch(&expr.fetch),
            |sample, converter| match converter {
                Converter::Lower => Sample::Text(sample.text().to_ascii_lowercase()),
                Converter::Upper => Sample::Text(sample.text().to_ascii_uppercase()),
                Converter::Length => Sample::Int(sample.text().len() as i64),
                _ => Sample::None,
            },
        )
    }

    fn fetch(&self, fetch: &Fetch) -> Sample {
        let request = self.request;
        let text = |text: &str| Sample::Text(text.as_bytes().to_vec());
        match fetch {
            Fetch::Bool(value) => Sample::Bool(*value),
            Fetch::Int(value) => Sample::Int(*value),
            Fetch::Str(value) => text(value),
            Fetch::Ip(value) => Sample::Ip(*value),
            Fetch::Env(value) => value.as_deref().map_or(Sample::None, text),
            Fetch::Src => self.source.map_or(Sample::None, Sample::Ip),
            Fetch::SrcPort => number(self.source_port),
            Fetch::Dst => self.destination.map_or(Sample::None, Sample::Ip),
            Fetch::DstPort => number(self.destination_port),
            Fetch::Method => text(&request.method),
            Fetch::Path => text(request.path()),
            Fetch::PathQ | Fetch::Url => text(&request.target),
            Fetch::Query => text(
                request
                    .target
                    .split_once('?')
                    .map_or("", |(_, query)| query),
            ),
            Fetch::UrlParam(name) => url_param(&request.target, name).map_or(Sample::None, text),
            Fetch::Base => Sample::Text(
                [
                    head::field(&request.fields, "host").unwrap_or(b""),
                    request.path().as_bytes(),
                ]
                .concat(),
            ),
            Fetch::ReqVer => text(if request.minor == 0 { "1.0" } else { "1.1" }),
            Fetch::ReqHdr(name, occurrence) => part(&self.values(name, true), *occurrence),
            Fetch::ReqFhdr(name, occurrence) => part(&self.values(name, false), *occurrence),
            Fetch::ReqHdrCnt(name) => Sample::Int(self.values(name, true).len() as i64),
            Fetch::HttpAuth(list) => Sample::Bool(self.authenticated(list)),
            Fetch::HttpAuthUser => {
                credentials(request).map_or(Sample::None, |(user, _)| text(&user))
            }
            Fetch::Stopping => Sample::Bool(self.runtime.process.stopping.load(Relaxed)),
            Fetch::Nbsrv(backend) => Sample::Int(self.usable(backend)),
            Fetch::BeConn(backend) => Sample::Int(self.sessions(backend)),
            _ => Sample::None,
        }
    }

    fn backend<'a>(&'a self, name: &str) -> Option<&'a Proxy> {
        if name.is_empty() {
            return Some(self.proxy);
        }
        self.generation
            .backend(name)
            .map(std::convert::AsRef::as_ref)
    }

    fn usable(&self, name: &str) -> i64 {
        let back = self.backend(name).and_then(|proxy| proxy.back.as_ref());
        back.map_or(0, |back| {
            i64::from(back.active.load(Relaxed) + back.backups.load(Relaxed))
        })
    }

    fn sessions(&self, name: &str) -> i64 {
        let back = self.backend(name).and_then(|proxy| proxy.back.as_ref());
        back.map_or(0, |back| i64::from(back.sessions.get()))
    }

    fn values(&self, name: &str, split: bool) -> Vec<Vec<u8>> {
        let fields = self.request.fields.iter();
        let wanted = fields.filter(|field| field.name.eq_ignore_ascii_case(name));
        if split {
            wanted
                .flat_map(|field| field.value.split(|byte| *byte == b','))
                .map(|part| part.trim_ascii().to_vec())
                .collect()
        } else {
            wanted.map(|field| field.value.clone()).collect()
        }
    }

    fn authenticated(&self, list: &str) -> bool {
        let config: &Config = &self.generation.conf;
        let Some((user, password)) = credentials(self.request) else {
            return false;
        };
        config
            .userlists
            .iter()
            .filter(|userlist| userlist.name == list)
            .flat_map(|userlist| &userlist.users)
            .any(|known| {
                known.name == user
                    && match &known.password {
                        Password::Plain(plain) => same(plain.as_bytes(), password.as_bytes()),
                        // crypt(3) is not there; the configuration says so when it is read
                        Password::Crypt(_) => false,
                    }
            })
    }
}

fn number(port: Option<u16>) -> Sample {
    port.map_or(Sample::None, |port| Sample::Int(i64::from(port)))
}

/// The beginning of a URI that counts: at most so many characters, at most so many directories.
fn uri_part(uri: &str, options: &BalanceUri) -> Vec<u8> {
    let mut bytes = uri.as_bytes();
    if options.len > 0 {
        bytes = &bytes[..bytes.len().min(options.len as usize)];
    }
    if options.depth > 0 {
        let mut slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        if let Some((end, _)) = slashes.nth(options.depth as usize) {
            bytes = &bytes[..end];
        }
    }
    bytes.to_vec()
}

/// The n-th value from 1, or from the end when negative; the last for 0.
fn part(values: &[Vec<u8>], occurrence: i32) -> Sample {
    let index = match occurrence {
        0 => values.len().checked_sub(1),
        n if n > 0 => Some(n as usize - 1),
        n => values.len().checked_sub(n.unsigned_abs() as usize),
    };
    index
        .and_then(|index| values.get(index))
        .map_or(Sample::None, |value| Sample::Text(value.clone()))
}

fn url_param<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = target.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

fn matches(how: TextMatch, ignore_case: bool, text: &[u8], pattern: &[u8]) -> bool {
    let (text, pattern) = if ignore_case {
        (text.to_ascii_lowercase(), pattern.to_ascii_lowercase())
    } else {
        (text.to_vec(), pattern.to_vec())
    };
    let between = |separators: &[u8]| {
        let trimmed: &[u8] = trim(&pattern, separators);
        let parts: Vec<&[u8]> = text
            .split(|byte| separators.contains(byte))
            .filter(|part| !part.is_empty())
            .collect();
        let wanted: Vec<&[u8]> = trimmed
            .split(|byte| separators.contains(byte))
            .filter(|part| !part.is_empty())
            .collect();
        !wanted.is_empty() && parts.windows(wanted.len()).any(|window| window == wanted)
    };
    match how {
        TextMatch::Equal => text == pattern,
        TextMatch::Begin => text.starts_with(&pattern),
        TextMatch::End => text.ends_with(&pattern),
        TextMatch::Contains => memchr::memmem::find(&text, &pattern).is_some(),
        TextMatch::Dir => between(b"/?"),
        TextMatch::Dom => between(b"/?.:"),
    }
}

fn trim<'a>(text: &'a [u8], separators: &[u8]) -> &'a [u8] {
    let start = text.iter().position(|byte| !separators.contains(byte));
    let end = text.iter().rposition(|byte| !separators.contains(byte));
    match (start, end) {
        (Some(start), Some(end)) => &text[start..=end],
        _ => &[],
    }
}

impl Sample {
    fn number(&self) -> Option<i64> {
        match self {
            Sample::Int(value) => Some(*value),
            Sample::Bool(value) => Some(i64::from(*value)),
            Sample::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
            Sample::None | Sample::Ip(_) => None,
        }
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Sample::None => Vec::new(),
            Sample::Bool(value) => if *value { b"1" } else { b"0" }.to_vec(),
            Sample::Int(value) => value.to_string().into_bytes(),
            Sample::Ip(ip) => ip.to_string().into_bytes(),
            Sample::Text(text) => text.clone(),
        }
    }
}

/// User and password of the `authorization` field, where it is of the basic kind.
pub fn credentials(request: &Request) -> Option<(String, String)> {
    use base64::Engine as _;
    let value = std::str::from_utf8(head::field(&request.fields, "authorization")?).ok()?;
    let (kind, encoded) = value.trim().split_once(' ')?;
    if !kind.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD
        .decode(encoded.trim())
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Compares without telling by its duration where the difference is.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_compared_in_each_way() {
        assert!(matches(TextMatch::Begin, false, b"/api/x", b"/api"));
        assert!(matches(TextMatch::End, true, b"a.PNG", b".png"));
        assert!(matches(TextMatch::Contains, false, b"abc", b"b"));
        assert!(matches(TextMatch::Dir, false, b"/a/static/b", b"static"));
        assert!(!matches(TextMatch::Dir, false, b"/a/statics/b", b"static"));
        assert!(matches(
            TextMatch::Dom,
            false,
            b"www.example.org",
            b"example.org"
        ));
        assert!(!matches(TextMatch::Equal, false, b"/A", b"/a"));
    }

    #[test]
    fn credentials_come_from_the_basic_scheme() {
        let bytes = b"GET / HTTP/1.1\r\nAuthorization: Basic YTpiOmM=\r\n\r\n";
        let (request, _) = head::request(bytes).unwrap().unwrap();
        assert_eq!(credentials(&request), Some(("a".into(), "b:c".into())));
    }

    #[test]
    fn a_uri_counts_up_to_its_length_and_depth() {
        let part = |len, depth| {
            uri_part(
                "/a/b/c",
                &BalanceUri {
                    len,
                    depth,
                    ..BalanceUri::default()
                },
            )
        };
        assert_eq!(part(0, 0), b"/a/b/c");
        assert_eq!(part(3, 0), b"/a/");
        assert_eq!(part(0, 1), b"/a");
    }

    #[test]
    fn occurrences_count_from_either_end() {
        let values = vec![b"a".to_vec(), b"b".to_vec()];
        assert_eq!(part(&values, 1), Sample::Text(b"a".to_vec()));
        assert_eq!(part(&values, -1), Sample::Text(b"b".to_vec()));
        assert_eq!(part(&values, 0), Sample::Text(b"b".to_vec()));
        assert_eq!(part(&values, 3), Sample::None);
    }
}
