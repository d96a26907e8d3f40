//! Prometheus metrics: RabbitMQ's series by their names, and ours beside them.

mod columns;
mod detailed;
mod facts;
mod global;
mod node;

use super::reply::{Answer, Reply};
use super::request::Request;
use super::state::Management;
use std::fmt::{Display, Write};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves `/metrics`, `/metrics/per-object` and `/metrics/detailed`, and
/// `/status` in the words that all daemons share; nothing for other paths.
pub async fn serve(m: &Management, request: &Request) -> Option<Answer> {
    let path: Vec<_> = request.path.iter().map(String::as_str).collect();
    if path.as_slice() == ["status"] {
        return Some(node::status(m).await.map(Reply::ok));
    }
    let text = match path.as_slice() {
        ["metrics"] => node::page(m).await,
        ["metrics", "per-object"] => detailed::per_object(m).await,
        ["metrics", "detailed"] => detailed::page(m, request).await,
        _ => return None,
    };
    Some(text.map(|text| Reply::body(CONTENT_TYPE, text)))
}

/// A page of series under way.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// How a series behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// A fact in labels.
    Info,
}

impl Page {
    /// The head of a family.
    pub fn family(&mut self, kind: Kind, name: &str, help: &str) {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Info => "untyped",
        };
        // writing to a String cannot fail
        let _ = writeln!(self.text, "# TYPE {name} {word}\n# HELP {name} {help}");
    }

    /// One series of the family.
    pub fn series(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// A family of one series without labels.
    pub fn one(&mut self, kind: Kind, name: &str, help: &str, value: impl Display) {
        self.family(kind, name, help);
        self.series(name, &[], value);
    }

    /// Families that are written already.
    pub fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_written_in_the_text_format() {
        let mut page = Page::default();
        page.family(Kind::Gauge, "a", "What it is");
        page.series("a", &[("q", "x\"\\\n"), ("v", "/")], 3);
        page.one(Kind::Counter, "b_total", "More", 1.5);
        let want = "# TYPE a gauge\n# HELP a What it is\na{q=\"x\\\"\\\\\\n\",v=\"/\"} 3\n\
                    # TYPE b_total counter\n# HELP b_total More\nb_total 1.5\n";
        assert_eq!(page.finish(), want);
    }
}
