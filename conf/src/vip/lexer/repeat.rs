//! `~SEQ(NAME, 1, 9) rest` and `~LST(NAME, a, b) rest`: the rest once for each value of NAME.
//! Not here: what becomes of the rest.

use super::line::{Char, is_name};

/// Values that one line goes through at most.
pub(super) const MOST: usize = 65_536;

/// A line that is read several times: how the names stand each time.
pub(super) struct Repeat {
    /// What the line goes through.
    pub(super) names: Vec<String>,
    /// As many values each time as there are names.
    pub(super) rounds: Vec<Vec<String>>,
}

/// Whether a line begins as such a one.
pub(super) fn begins(line: &[Char]) -> bool {
    let text: String = line.iter().take(4).map(|c| c.c).collect();
    text == "~SEQ" || text == "~LST"
}

/// Reads what stands before the rest, from the `~` to the `)`; or says what is wrong with it.
pub(super) fn read(line: &[Char]) -> Result<Repeat, String> {
    let end = closing(line).ok_or("the `)` is missing")?;
    let text: String = line[..end].iter().map(|c| c.c).collect();
    let (head, inner) = text.split_once('(').ok_or("the `(` is missing")?;
    let parts = split(inner);
    let (names, values) = parts.split_first().ok_or("a name is missing")?;
    let (names, rounds) = match head.trim_end() {
        "~SEQ" => (vec![names.clone()], sequence(values, false)?),
        "~SEQx" => (vec![names.clone()], sequence(values, true)?),
        "~LST" => list(names, values)?,
        other => return Err(format!("`{other}` is none of ~SEQ, ~SEQx and ~LST")),
    };
    if let Some(bad) = names.iter().find(|name| !is_name(name)) {
        return Err(format!("`{bad}` cannot be a name"));
    }
    Ok(Repeat { names, rounds })
}

/// Where the parenthesis closes.
fn closing(line: &[Char]) -> Option<usize> {
    line.iter().position(|c| c.c == ')')
}

/// At commas outside of braces.
fn split(text: &str) -> Vec<String> {
    let mut depth = 0_i32;
    let at_comma = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    text.split(at_comma).map(|p| p.trim().to_owned()).collect()
}

/// The numbers from one to another.
fn sequence(values: &[String], hex: bool) -> Result<Vec<Vec<String>>, String> {
    let numbers: Vec<i64> = values.iter().map(|v| number(v)).collect::<Result<_, _>>()?;
    let (start, step, end) = match numbers[..] {
        [end] => (if end > 0 { 1 } else { -1 }, None, end),
        [start, end] => (start, None, end),
        [start, step, end] => (start, Some(step), end),
        _ => return Err("one to three numbers stand behind the name".to_owned()),
    };
    let step = step.unwrap_or(if end >= start { 1 } else { -1 });
    if step == 0 || (end > start) != (step > 0) && end != start {
        return Err(format!("steps of {step} do not lead from {start} to {end}"));
    }
    let round = |at: i64| {
        vec![if hex {
            format!("{at:x}")
        } else {
            at.to_string()
        }]
    };
    let upto = |at: &i64| if step > 0 { *at <= end } else { *at >= end };
    let rounds: Vec<_> = std::iter::successors(Some(start), |at| at.checked_add(step))
        .take_while(upto)
        .take(MOST + 1)
        .map(round)
        .collect();
    bounded(rounds)
}

fn number(text: &str) -> Result<i64, String> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    let value = value.map_err(|_| format!("`{text}` is not a number"))?;
    Ok(sign * i64::from(value))
}

/// The names of a list, and its values: single words or, for several names, `{a, b}`.
fn list(names: &str, values: &[String]) -> Result<(Vec<String>, Vec<Vec<String>>), String> {
    let several = |text: &str| {
        let inner = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        match inner {
            Some(inner) => split(inner),
            None => vec![text.to_owned()],
        }
    };
    let names = several(names);
    let rounds: Vec<_> = values.iter().map(|v| several(v)).collect();
    if rounds.is_empty() {
        return Err("a value is missing".to_owned());
    }
    if let Some(bad) = rounds.iter().find(|r| r.len() != names.len()) {
        return Err(format!(
            "{} values for {} names: `{}`",
            bad.len(),
            names.len(),
            bad.join(", ")
        ));
    }
    Ok((names, bounded(rounds)?))
}

fn bounded(rounds: Vec<Vec<String>>) -> Result<Vec<Vec<String>>, String> {
    if rounds.len() > MOST {
        return Err(format!("more than {MOST} values"));
    }
    Ok(rounds)
}

#[cfg(test)]
mod tests {
    use super::super::line::chars;
    use super::*;

    fn rounds(text: &str) -> Result<Vec<String>, String> {
        let read = read(&chars(text, 0))?;
        Ok(read.rounds.iter().map(|r| r.join("-")).collect())
    }

    #[test]
    fn a_sequence_counts_up_or_down_in_steps() {
        let cases = [
            ("~SEQ(N, 3)", "1 2 3"),
            ("~SEQ(N, -2) x", "-1 -2"),
            ("~SEQ(N,5,3)", "5 4 3"),
            ("~SEQ(N, 1, 3, 9)", "1 4 7"),
            ("~SEQ(N, 4, 4)", "4"),
            ("~SEQx(N, 0x90, 0x10, 0xb0)", "90 a0 b0"),
            ("~SEQx(N, 0x12, -1, 16)", "12 11 10"),
        ];
        for (text, wanted) in cases {
            assert_eq!(rounds(text).expect(text).join(" "), wanted, "{text}");
        }
    }

    #[test]
    fn a_list_has_a_value_for_each_name() {
        assert_eq!(rounds("~LST(A, x, y)").unwrap(), ["x", "y"]);
        let pairs = "~LST({A, B}, {10,1},{20,4})";
        assert_eq!(rounds(pairs).unwrap(), ["10-1", "20-4"]);
    }

    #[test]
    fn what_leads_nowhere_is_an_error() {
        for text in [
            "~SEQ(N, 1, 9",
            "~SEQ N",
            "~SEQ(N)",
            "~SEQ(N, a)",
            "~SEQ(N, 1, 0, 5)",
            "~SEQ(N, 1, -1, 5)",
            "~SEQ(5, 1, 2)",
            "~SEQ(N, 0, 4000000000)",
            "~LST(N)",
            "~LST({A, B}, {1})",
            "~LSTX(N, 1)",
        ] {
            assert!(rounds(text).is_err(), "{text}");
        }
    }
}
