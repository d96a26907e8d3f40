//! What stands in front of a log line's text.

use super::clock::{self, Moment};
use conf::lb::model::{Level, LogHeader, LogTarget};

/// Who is talking.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// `log-tag`.
    pub tag: &'a str,
    /// The process.
    pub pid: u32,
    /// The host's name.
    pub host: &'a str,
    /// `log-send-hostname` stands.
    pub send_host: bool,
}

/// A whole line for a target, with this header, cut to its `len`, without a line end.
pub fn line(
    target: &LogTarget,
    format: LogHeader,
    level: Level,
    sender: &Sender<'_>,
    structured: &str,
    text: &str,
    now: Moment,
) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    // never sent as more important than `minlevel`
    let level = (level as u8).max(target.min_level as u8);
    let priority = u32::from(target.facility.0) * 8 + u32::from(level);
    match format {
        LogHeader::Raw => {}
        LogHeader::Priority => out.push_str(&format!("<{priority}>")),
        LogHeader::Short => out.push_str(&format!("<{level}>")),
        LogHeader::Timed => {
            out.push_str(&format!("<{level}>"));
            clock::push_iso(&mut out, now);
            out.push(' ');
        }
        LogHeader::Iso => {
            clock::push_iso(&mut out, now);
            out.push(' ');
        }
        LogHeader::Local | LogHeader::Rfc3164 => {
            out.push_str(&format!("<{priority}>"));
            clock::push_syslog(&mut out, now);
            out.push(' ');
            if sender.send_host || format == LogHeader::Rfc3164 {
                out.push_str(sender.host);
                out.push(' ');
            }
            out.push_str(&format!("{}[{}]: ", sender.tag, sender.pid));
        }
        LogHeader::Rfc5424 => {
            out.push_str(&format!("<{priority}>1 "));
            clock::push_iso(&mut out, now);
            let structured = if structured.is_empty() {
                "-"
            } else {
                structured
            };
            let host = if sender.host.is_empty() {
                "-"
            } else {
                sender.host
            };
            out.push_str(&format!(
                " {host} {} {} - {structured} ",
                sender.tag, sender.pid
            ));
        }
    }
    out.push_str(text);
    cut(&mut out, target.max_len as usize);
    out
}

/// Cuts at a character's boundary.
fn cut(text: &mut String, length: usize) {
    if text.len() > length {
        let mut end = length;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::lb::model::{Facility, LogAddress};

    fn target(format: LogHeader) -> LogTarget {
        LogTarget {
            address: LogAddress::Fd(1),
            max_len: 1024,
            format: Some(format),
            sample: None,
            facility: Facility(16),
            max_level: Level::Debug,
            min_level: Level::Emerg,
            place: Default::default(),
        }
    }

    fn write(target: &LogTarget) -> String {
        let sender = Sender {
            tag: "tag",
            pid: 7,
            host: "vm",
            send_host: false,
        };
        let now = Moment {
            seconds: 0,
            micros: 5,
        };
        let format = target.format.expect("these tests name one");
        line(target, format, Level::Info, &sender, "", "text", now)
    }

    #[test]
    fn the_default_header_has_no_host_name() {
        let line = write(&target(LogHeader::Local));
        assert!(line.starts_with("<134>"), "{line}");
        assert!(line.ends_with(" tag[7]: text"), "{line}");
        assert!(!line.contains("vm"));
    }

    #[test]
    fn short_and_priority_headers_are_only_a_number() {
        assert_eq!(write(&target(LogHeader::Short)), "<6>text");
        assert_eq!(write(&target(LogHeader::Priority)), "<134>text");
        assert_eq!(write(&target(LogHeader::Raw)), "text");
    }

    #[test]
    fn rfc5424_has_a_dash_for_what_is_missing() {
        let line = write(&target(LogHeader::Rfc5424));
        assert!(line.starts_with("<134>1 "), "{line}");
        assert!(line.ends_with(" vm tag 7 - - text"), "{line}");
    }

    #[test]
    fn a_line_is_cut_at_its_length() {
        let mut target = target(LogHeader::Raw);
        target.max_len = 3;
        assert_eq!(write(&target), "tex");
    }

    #[test]
    fn the_minimum_level_caps_the_importance() {
        let mut target = target(LogHeader::Short);
        target.min_level = Level::Debug;
        assert_eq!(write(&target), "<7>text");
    }
}
