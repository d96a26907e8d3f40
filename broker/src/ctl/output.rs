//! Results in the forms that scripts read: tables with tabs, boxes, JSON, CSV.

use serde_json::Value;

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatter {
    /// Tabs between columns, a header line.
    Table,
    /// Boxes.
    Pretty,
    /// JSON.
    Json,
    /// Comma-separated, all in quotes.
    Csv,
    /// Lists of pairs as Erlang prints them.
    Erlang,
}

impl Formatter {
    /// By name.
    pub fn parse(name: &str) -> Option<Formatter> {
        match name {
            "table" | "string" => Some(Formatter::Table),
            "pretty_table" => Some(Formatter::Pretty),
            "json" | "json_stream" => Some(Formatter::Json),
            "csv" => Some(Formatter::Csv),
            "erlang" => Some(Formatter::Erlang),
            _ => None,
        }
    }
}

/// Rows of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// One value a column.
    pub rows: Vec<Vec<Value>>,
}

impl Rows {
    /// Picks columns out of objects.
    pub fn pick(items: &[Value], columns: &[&str]) -> Rows {
        let row = |item: &Value| {
            let cell = |column: &&str| item.get(*column).cloned().unwrap_or(Value::Null);
            columns.iter().map(cell).collect()
        };
        Rows {
            columns: columns.iter().map(|c| (*c).to_owned()).collect(),
            rows: items.iter().map(row).collect(),
        }
    }

    /// The text; without the header line when that is not wanted.
    pub fn text(&self, formatter: Formatter, header: bool) -> String {
        match formatter {
            Formatter::Table => self.table(header),
            Formatter::Pretty => self.boxes(),
            Formatter::Json => self.json(),
            Formatter::Csv => self.csv(header),
            Formatter::Erlang => self.erlang(),
        }
    }

    fn table(&self, header: bool) -> String {
        let mut out = String::new();
        if header && !self.rows.is_empty() {
            out.push_str(&self.columns.join("\t"));
            out.push('\n');
        }
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(cell).collect();
            out.push_str(&cells.join("\t"));
            out.push('\n');
        }
        out
    }

    fn json(&self) -> String {
        if self.rows.is_empty() {
            return "[]\n".to_owned();
        }
        let object = |row: &Vec<Value>| {
            let pairs = self.columns.iter().zip(row).map(|(column, value)| {
                let value = match value {
                    Value::Null => Value::from(""),
                    Value::Object(map) => typed(map),
                    other => other.clone(),
                };
                format!("{}:{value}", Value::from(column.as_str()))
            });
            format!("{{{}}}\n", pairs.collect::<Vec<_>>().join(","))
        };
        let rows: Vec<_> = self.rows.iter().map(object).collect();
        format!("[\n{}]\n", rows.join(","))
    }

    fn erlang(&self) -> String {
        let row = |row: &Vec<Value>| {
            let pairs = self.columns.iter().zip(row);
            let pairs =
                pairs.map(|(column, value)| format!("{{{column},{}}}", atomic(column, value)));
            format!("[{}]", pairs.collect::<Vec<_>>().join(","))
        };
        let rows: Vec<_> = self.rows.iter().map(row).collect();
        let line = format!("[{}]", rows.join(","));
        // what does not fit in a line of a terminal stands one row a line
        match line.len() {
            0..80 => format!("{line}\n"),
            _ => format!("[{}]\n", rows.join(",\n ")),
        }
    }

    fn csv(&self, header: bool) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut out = String::new();
        if header && !self.rows.is_empty() {
            let names: Vec<_> = self.columns.iter().map(|c| quoted(c)).collect();
            out.push_str(&names.join(","));
            out.push('\n');
        }
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(|value| quoted(&cell(value))).collect();
            out.push_str(&cells.join(","));
            out.push('\n');
        }
        out
    }

    /// Boxes of the terminal's line-drawing characters.
    fn boxes(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|r| r.iter().map(boxed).collect())
            .collect();
        let width = |index: usize| {
            let longest = cells.iter().map(|row| row[index].chars().count()).max();
            longest
                .unwrap_or(0)
                .max(self.columns[index].chars().count())
        };
        let widths: Vec<_> = (0..self.columns.len()).map(width).collect();
        let rule = |left: char, middle: &str, right: char| {
            let parts: Vec<_> = widths.iter().map(|w| "q".repeat(w + 2)).collect();
            format!("\u{1b}(0{left}{}{right}\u{1b}(B\n", parts.join(middle))
        };
        let bar = "\u{1b}(0x\u{1b}(B";
        let mut out = rule('l', "w", 'k');
        out.push_str(bar);
        for (name, width) in self.columns.iter().zip(&widths) {
            let pad = " ".repeat(width - name.chars().count());
            out.push_str(&format!(" \u{1b}[1m{name}\u{1b}[0m{pad} {bar}"));
        }
        out.push('\n');
        for row in &cells {
            out.push_str(&rule('t', "n", 'u'));
            out.push_str(bar);
            for (text, width) in row.iter().zip(&widths) {
                let pad = " ".repeat(width - text.chars().count());
                out.push_str(&format!(" {text}{pad} {bar}"));
            }
            out.push('\n');
        }
        out.push_str(&rule('m', "v", 'j'));
        out
    }
}

/// A value in a table: lists in brackets, tables as pairs.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(['\t', '\n', '\r'], " "),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(cell).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(map) => pairs(map),
        other => other.to_string(),
    }
}

/// A value as Erlang prints it: text as a binary, tags as atoms.
fn atomic(column: &str, value: &Value) -> String {
    let is_tags = column == "tags";
    match value {
        Value::String(text) if is_tags => text.clone(),
        Value::String(text) => format!("<<\"{}\">>", text.replace('"', "\\\"")),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| atomic(column, item)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => {
            let pair = |(key, value): (&String, &Value)| {
                let (kind, _) = type_of(value);
                format!("{{<<\"{key}\">>,{kind},{}}}", atomic(key, value))
            };
            format!("[{}]", map.iter().map(pair).collect::<Vec<_>>().join(","))
        }
        Value::Null => "<<>>".to_owned(),
        other => other.to_string(),
    }
}

fn boxed(value: &Value) -> String {
    match value {
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => cell(other),
    }
}

fn pairs(map: &serde_json::Map<String, Value>) -> String {
    let pair = |(key, value): (&String, &Value)| format!("{{\"{key}\",{}}}", term(value));
    let items: Vec<_> = map.iter().map(pair).collect();
    format!("[{}]", items.join(","))
}

fn term(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace('"', "\\\"")),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(term).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(map) => pairs(map),
        Value::Null => "undefined".to_owned(),
        other => other.to_string(),
    }
}

/// A table as the tools' JSON shows it: name, type, value.
fn typed(map: &serde_json::Map<String, Value>) -> Value {
    let one = |(key, value): (&String, &Value)| {
        let (kind, value) = type_of(value);
        Value::from(vec![Value::from(key.as_str()), kind.into(), value])
    };
    map.iter().map(one).collect()
}

fn type_of(value: &Value) -> (&'static str, Value) {
    match value {
        Value::Null => ("void", Value::from("undefined")),
        Value::Bool(_) => ("bool", value.clone()),
        Value::Number(n) if n.is_f64() => ("double", value.clone()),
        Value::Number(_) => ("long", value.clone()),
        Value::String(_) => ("longstr", value.clone()),
        Value::Array(items) => {
            let pair = |item: &Value| {
                let (kind, value) = type_of(item);
                Value::from(vec![Value::from(kind), value])
            };
            ("array", items.iter().map(pair).collect())
        }
        Value::Object(map) => ("table", typed(map)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rows() -> Rows {
        let items = [json!({"name": "cq", "arguments": {"x-max-length": 10}, "tags": ["a", "b"]})];
        Rows::pick(&items, &["name", "arguments", "tags"])
    }

    #[test]
    fn a_table_has_tabs_and_pairs() {
        let text = "name\targuments\ttags\ncq\t[{\"x-max-length\",10}]\t[a, b]\n";
        assert_eq!(rows().text(Formatter::Table, true), text);
        assert_eq!(Rows::default().text(Formatter::Table, true), "");
    }

    #[test]
    fn json_names_the_types_of_arguments() {
        let text = "[\n{\"name\":\"cq\",\"arguments\":[[\"x-max-length\",\"long\",10]],\"tags\":[\"a\",\"b\"]}\n]\n";
        assert_eq!(rows().text(Formatter::Json, true), text);
        assert_eq!(Rows::default().text(Formatter::Json, true), "[]\n");
    }

    #[test]
    fn erlang_has_lists_of_pairs() {
        let text =
            "[[{name,<<\"cq\">>},{arguments,[{<<\"x-max-length\">>,long,10}]},{tags,[a,b]}]]\n";
        assert_eq!(rows().text(Formatter::Erlang, true), text);
        assert_eq!(Rows::default().text(Formatter::Erlang, true), "[]\n");
    }

    #[test]
    fn csv_quotes_quotes() {
        let text =
            "\"name\",\"arguments\",\"tags\"\n\"cq\",\"[{\"\"x-max-length\"\",10}]\",\"[a, b]\"\n";
        assert_eq!(rows().text(Formatter::Csv, true), text);
    }

    #[test]
    fn boxes_are_drawn_as_there() {
        let rows = Rows::pick(&[json!({"name": "qq"})], &["name"]);
        let text = "\u{1b}(0lqqqqqqk\u{1b}(B\n\u{1b}(0x\u{1b}(B \u{1b}[1mname\u{1b}[0m \u{1b}(0x\u{1b}(B\n\
                    \u{1b}(0tqqqqqqu\u{1b}(B\n\u{1b}(0x\u{1b}(B qq   \u{1b}(0x\u{1b}(B\n\
                    \u{1b}(0mqqqqqqj\u{1b}(B\n";
        assert_eq!(rows.text(Formatter::Pretty, true), text);
    }
}
