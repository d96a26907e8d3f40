//! Small pieces of HTML: escaped text, figures with gaps, tooltips, cells.

use std::fmt::Write as _;

/// Appends text with the five special characters escaped.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// Escaped text as a string of its own.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape(text, &mut out);
    out
}

/// Text for the path of a URI: everything but the unreserved characters as `%xx`.
pub fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// A figure with a thin gap between thousands that is not part of the copied text: the digit
/// before each gap carries a class that spaces it.
pub fn figure(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - 1 - index;
        if left > 0 && left.is_multiple_of(3) {
            let _ = write!(out, "<span class=\"rls\">{digit}</span>");
        } else {
            out.push(digit);
        }
    }
    out
}

/// A duration in its two largest units: `38s`, `2m5s`, `3h7m`, `1d4h`; `?` when unknown.
pub fn duration(seconds: i64) -> String {
    const UNITS: [(i64, char); 4] = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    if seconds < 0 {
        return "?".to_owned();
    }
    let Some(first) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return "0s".to_owned();
    };
    let (unit, letter) = UNITS[first];
    let mut out = format!("{}{letter}", seconds / unit);
    if let Some((smaller, letter)) = UNITS.get(first + 1) {
        let rest = seconds % unit / smaller;
        if rest > 0 {
            let _ = write!(out, "{rest}{letter}");
        }
    }
    out
}

/// A percentage of a whole, 0 of nothing.
pub fn share(part: u64, whole: u64) -> u64 {
    (part.saturating_mul(100)).checked_div(whole).unwrap_or(0)
}

/// The text of a tooltip that is a table: heading and values by line.
#[derive(Default)]
pub struct Tip {
    lines: String,
}

impl Tip {
    pub fn new() -> Self {
        Self::default()
    }

    /// A line with a heading and an already escaped value.
    pub fn line(mut self, heading: &str, value: &str) -> Self {
        let _ = write!(self.lines, "<tr><th>{heading}</th><td>{value}</td></tr>");
        self
    }

    /// A line with a unit or percentage in a third column.
    pub fn line3(mut self, heading: &str, value: &str, third: &str) -> Self {
        let _ = write!(
            self.lines,
            "<tr><th>{heading}</th><td>{value}</td><td>{third}</td></tr>"
        );
        self
    }

    /// A heading across all columns.
    pub fn title(mut self, heading: &str) -> Self {
        let _ = write!(self.lines, "<tr><th colspan=3>{heading}</th></tr>");
        self
    }

    /// The table.
    pub fn html(self) -> String {
        format!("<table class=det>{}</table>", self.lines)
    }
}

/// Appends the cells of one row.
pub struct Cells<'a> {
    out: &'a mut String,
}

impl<'a> Cells<'a> {
    pub fn new(out: &'a mut String) -> Self {
        Self { out }
    }

    /// A right-aligned cell.
    pub fn cell(&mut self, html: &str) -> &mut Self {
        let _ = write!(self.out, "<td>{html}</td>");
        self
    }

    /// A figure.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let html = figure(number);
        self.cell(&html)
    }

    /// A figure that may be unlimited.
    pub fn limit(&mut self, limit: Option<u32>) -> &mut Self {
        match limit {
            Some(limit) => self.number(u64::from(limit)),
            None => self.cell("-"),
        }
    }

    /// A cell whose value explains itself when pointed at.
    pub fn tip(&mut self, html: &str, tip: &str) -> &mut Self {
        let _ = write!(
            self.out,
            "<td><u>{html}<div class=tips>{tip}</div></u></td>"
        );
        self
    }

    /// A centred cell.
    pub fn centre(&mut self, html: &str) -> &mut Self {
        let _ = write!(self.out, "<td class=ac>{html}</td>");
        self
    }

    /// A centred cell with a tooltip.
    pub fn centre_tip(&mut self, html: &str, tip: &str) -> &mut Self {
        let _ = write!(
            self.out,
            "<td class=ac><u>{html}<div class=tips>{tip}</div></u></td>"
        );
        self
    }

    /// An empty cell across several columns.
    pub fn gap(&mut self, columns: u32) -> &mut Self {
        let _ = match columns {
            1 => write!(self.out, "<td></td>"),
            _ => write!(self.out, "<td colspan={columns}></td>"),
        };
        self
    }

    /// A centred cell across several columns.
    pub fn wide(&mut self, columns: u32, html: &str) -> &mut Self {
        let _ = write!(self.out, "<td class=ac colspan={columns}>{html}</td>");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_a_gap_before_each_group_of_three() {
        assert_eq!(figure(7), "7");
        assert_eq!(figure(999), "999");
        assert_eq!(figure(2000), "<span class=\"rls\">2</span>000");
        assert_eq!(figure(263_592), "26<span class=\"rls\">3</span>592");
    }

    #[test]
    fn durations_show_their_two_largest_units() {
        assert_eq!(duration(-1), "?");
        assert_eq!(duration(0), "0s");
        assert_eq!(duration(38), "38s");
        assert_eq!(duration(125), "2m5s");
        assert_eq!(duration(3600), "1h");
        assert_eq!(duration(100_000), "1d3h");
    }

    #[test]
    fn text_from_outside_cannot_become_markup() {
        assert_eq!(escaped("<b>\"'&\u{1}"), "&lt;b&gt;&quot;&#39;&amp;\u{fffd}");
    }
}
