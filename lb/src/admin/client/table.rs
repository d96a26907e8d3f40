//! Answers as tables for people: columns aligned, states coloured.

use std::fmt::Write as _;

/// An answer in the form that suits its command; as it is where there is none better.
pub fn show(command: &str, answer: &str, colours: bool) -> String {
    let paint = Paint(colours);
    let first: Vec<&str> = command.split_whitespace().take(3).collect();
    match first.as_slice() {
        _ if command.contains(';') => answer.to_owned(),
        ["show", "stat", ..] if answer.starts_with("# pxname") => stat(answer, paint),
        ["show", "info", ..] if answer.starts_with("Name: ") => info(answer, paint),
        ["show", "sess"] => sessions(answer, paint),
        ["show", "servers", _] => columns(answer, paint),
        ["show", "cli", "sockets"] | ["show", "backend"] => columns(answer, paint),
        _ => answer.to_owned(),
    }
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn head(self, text: &str) -> String {
        self.with("1", text)
    }

    fn state(self, status: &str, text: &str) -> String {
        let code = match status.split([' ', '(']).next().unwrap_or("") {
            "UP" if status.contains('/') => "33",
            "UP" | "OPEN" => "32",
            "DOWN" | "STOP" => "31;1",
            "MAINT" => "35",
            "DRAIN" | "NOLB" | "PAUSED" => "36",
            _ => "2",
        };
        self.with(code, text)
    }
}

/// A table in which figures stand to the right.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|cell| (*cell).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// The text; `paint_cell` gives a padded cell its colour.
    fn render(&self, paint: Paint, paint_cell: impl Fn(usize, &str, &str) -> String) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells
                .chain(self.head.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let is_figure = |column: usize| {
            let mut cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.all(|cell| {
                cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-')
            })
        };
        let figures: Vec<bool> = (0..self.head.len()).map(is_figure).collect();
        let pad = |column: usize, cell: &str| {
            if figures[column] {
                format!("{cell:>width$}", width = widths[column])
            } else {
                format!("{cell:<width$}", width = widths[column])
            }
        };
        let mut out = String::new();
        let head: Vec<String> = (0..self.head.len())
            .map(|column| pad(column, &self.head[column]))
            .collect();
        let _ = writeln!(out, "{}", paint.head(head.join("  ").trim_end()));
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .take(self.head.len())
                .map(|(column, cell)| paint_cell(column, cell, &pad(column, cell)))
                .collect();
            let _ = writeln!(out, "{}", cells.join("  ").trim_end());
        }
        out
    }
}

/// A line of CSV, quotes taken off.
fn fields(line: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => out.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    out.push(field);
    out
}

fn stat(answer: &str, paint: Paint) -> String {
    const SHOWN: [(&str, &str); 17] = [
        ("pxname", "PROXY"),
        ("svname", "NAME"),
        ("status", "STATUS"),
        ("addr", "ADDRESS"),
        ("weight", "WGHT"),
        ("scur", "CUR"),
        ("smax", "MAX"),
        ("slim", "LIMIT"),
        ("rate", "RATE"),
        ("stot", "TOTAL"),
        ("qcur", "QUEUE"),
        ("bin", "IN"),
        ("bout", "OUT"),
        ("econ", "ECON"),
        ("wretr", "RETR"),
        ("check_status", "CHECK"),
        ("lastchg", "SINCE"),
    ];
    let mut lines = answer.lines();
    let head = fields(lines.next().unwrap_or("").trim_start_matches("# "));
    let place = |name: &str| head.iter().position(|column| column == name);
    let places: Vec<Option<usize>> = SHOWN.iter().map(|(name, _)| place(name)).collect();
    let mut table = Table::new(&SHOWN.map(|(_, head)| head));
    for line in lines.filter(|line| !line.is_empty()) {
        let cells = fields(line);
        let row = SHOWN
            .iter()
            .zip(&places)
            .map(|((name, _), place)| {
                let cell = place.and_then(|place| cells.get(place));
                let cell = cell.map_or("", String::as_str);
                match *name {
                    "bin" | "bout" => size(cell),
                    "lastchg" => age(cell),
                    _ => cell.to_owned(),
                }
            })
            .collect();
        table.rows.push(row);
    }
    table.render(paint, |column, cell, padded| match SHOWN[column].0 {
        "status" => paint.state(cell, padded),
        "check_status" if cell.ends_with("OK") || cell.is_empty() => padded.to_owned(),
        "check_status" => paint.with("31", padded),
        _ => padded.to_owned(),
    })
}

fn size(cell: &str) -> String {
    let Ok(bytes) = cell.parse::<u64>() else {
        return cell.to_owned();
    };
    const UNITS: [&str; 5] = ["", "k", "M", "G", "T"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => bytes.to_string(),
        _ => format!("{value:.1}{}", UNITS[unit]),
    }
}

fn age(cell: &str) -> String {
    cell.parse::<u64>().map_or_else(
        |_| cell.to_owned(),
        |seconds| super::super::time::span(seconds * 1000),
    )
}

fn info(answer: &str, paint: Paint) -> String {
    let pairs: Vec<(&str, &str)> = answer
        .lines()
        .filter_map(|line| line.split_once(": "))
        .collect();
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    pairs
        .iter()
        .map(|(name, value)| format!("{}  {value}\n", paint.head(&format!("{name:<width$}"))))
        .collect()
}

fn columns(answer: &str, paint: Paint) -> String {
    let mut lines = answer.lines().filter(|line| *line != "1");
    let head: Vec<&str> = lines
        .next()
        .unwrap_or("")
        .trim_start_matches("# ")
        .split_whitespace()
        .collect();
    let mut table = Table::new(&head);
    table.rows = lines
        .filter(|line| !line.is_empty())
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .collect();
    table.render(paint, |_, _, padded| padded.to_owned())
}

fn sessions(answer: &str, paint: Paint) -> String {
    if !answer.contains(": proto=") || answer.contains("\n  frontend=") {
        return answer.to_owned();
    }
    let mut table = Table::new(&[
        "ID", "CLIENT", "FRONTEND", "BACKEND", "SERVER", "STATE", "AGE", "IDLE", "IN", "OUT",
    ]);
    for line in answer.lines().filter(|line| !line.is_empty()) {
        let Some((id, rest)) = line.split_once(": ") else {
            continue;
        };
        let value = |key: &str| {
            rest.split([' ', '[', ','])
                .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
                .unwrap_or("")
                .to_owned()
        };
        let bytes = |side: &str| {
            let part = rest.split(&format!(" {side}[bytes=")).nth(1).unwrap_or("");
            size(part.split([',', ']']).next().unwrap_or(""))
        };
        table.rows.push(vec![
            id.to_owned(),
            value("src"),
            value("fe"),
            value("be"),
            value("srv"),
            match value("rules").as_str() {
                "old" => format!("{}, old rules", value("ts")),
                _ => value("ts"),
            },
            value("age"),
            value("idle"),
            bytes("rq"),
            bytes("rp"),
        ]);
    }
    table.render(paint, |_, _, padded| padded.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_become_a_table_with_the_columns_that_matter() {
        let answer =
            "# pxname,svname,scur,bin,status,\na,\"x,y\",1,1500,UP,\na,BACKEND,12,0,DOWN,\n";
        let table = show("show stat", answer, false);
        let lines: Vec<_> = table.lines().collect();
        assert!(lines[0].starts_with("PROXY  NAME"));
        assert!(lines[1].contains("x,y") && lines[1].contains("1.5k") && lines[1].contains("UP"));
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn sessions_become_a_table() {
        let answer = "0x1: proto=tcpv4 src=10.0.0.7:1 fe=f be=b srv=s ts=EST age=3s idle=1s \
                      rq[bytes=5,i=0,rx=] rp[bytes=2500,i=0,rx=] exp=\n";
        let table = show("show sess", answer, false);
        assert!(table.lines().nth(1).unwrap().contains("10.0.0.7:1"));
        assert!(table.contains("2.5k"));
    }

    #[test]
    fn what_has_no_table_stays_as_it_is() {
        assert_eq!(show("show version", "1.2\n", true), "1.2\n");
        assert_eq!(show("show stat; show info", "x", true), "x");
    }
}
