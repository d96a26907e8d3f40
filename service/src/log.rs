//! Log lines as JSON objects, one a line, with the words that all daemons
//! share: `at`, `level`, `daemon`, `message`, then the event's own fields.

use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The format, for `tracing_subscriber::fmt().event_format(...)`.
#[derive(Clone, Copy, Debug)]
pub struct JsonLines {
    /// `lb`, `vip` or `broker`.
    pub daemon: &'static str,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = event.metadata().level().as_str().to_lowercase();
        let mut line = Map::new();
        line.insert("at".to_owned(), crate::wall_time().into());
        line.insert("level".to_owned(), level.into());
        line.insert("daemon".to_owned(), self.daemon.into());
        event.record(&mut Fields(&mut line));
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_an_object_with_the_common_words_and_the_event_s_own() {
        let buffer = Buffer::default();
        let to = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonLines { daemon: "vip" })
            .with_writer(move || to.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(
                vrrp_instance = "VI_1",
                to = "MASTER",
                n = 3,
                "\"quoted\"\nrole"
            );
        });
        let text = buffer.0.lock().expect("not poisoned").clone();
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(line["level"], "info");
        assert_eq!(line["daemon"], "vip");
        assert_eq!(line["vrrp_instance"], "VI_1");
        assert_eq!(line["n"], 3);
        assert_eq!(line["message"], "\"quoted\"\nrole");
        assert!(line["at"].is_string());
    }
}
