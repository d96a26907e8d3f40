//! Which settings of two values differ, by the names of their fields: read from
//! the `Debug` form, so that no setting can be forgotten.

use std::fmt::Debug;

/// Settings told one by one; more are counted.
const TOLD: usize = 6;
/// Longest value that is shown, in characters.
const LONGEST: usize = 40;

/// `name old -> new` for each setting of two values that are not equal.
pub fn changes(old: &impl Debug, new: &impl Debug) -> String {
    let (before, after) = (leaves(old), leaves(new));
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in before.iter().chain(&after) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names.retain(|name| values(&before, name) != values(&after, name));
    // what came or went as a whole is told once
    let whole = |name: &&str| !names.iter().any(|other| is_part(name, other));
    let mut told: Vec<String> = names
        .iter()
        .copied()
        .filter(whole)
        .map(|name| change(name, &values(&before, name), &values(&after, name)))
        .collect();
    let more = told.len().saturating_sub(TOLD);
    told.truncate(TOLD);
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    if told.is_empty() {
        told.push("settings".to_owned());
    }
    told.join(", ")
}

fn values<'a>(leaves: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let of_name = leaves.iter().filter(|(other, _)| other == name);
    of_name.map(|(_, value)| value.as_str()).collect()
}

fn is_part(name: &str, of: &str) -> bool {
    name.strip_prefix(of)
        .is_some_and(|rest| rest.starts_with(' '))
}

fn change(name: &str, before: &[&str], after: &[&str]) -> String {
    let short = |value: &str| value.chars().count() <= LONGEST;
    match (before, after) {
        (&[old], &[new]) if short(old) && short(new) => format!("{name} {old} -> {new}"),
        _ => name.to_owned(),
    }
}

/// Every value with the names that lead to it, sides and wrappers left out.
fn leaves(value: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{value:#?}");
    let (mut path, mut found) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        let (name, rest) = split(line);
        if matches!(rest, "}" | ")" | "]" | "}," | ")," | "],") {
            path.pop();
        } else if let Some(value) = rest.strip_suffix(',') {
            path.push(name);
            let names = path
                .iter()
                .filter(|n| !matches!(**n, "" | "front" | "back"));
            let name = names.copied().collect::<Vec<_>>().join(" ");
            path.pop();
            // where it stands in the file is no setting
            if !name.ends_with("place") {
                found.push((name.replace('_', "-"), shown(value)));
            }
        } else {
            path.push(name);
        }
    }
    found
}

/// A value in the words of the file: `RoundRobin` is `roundrobin` there.
fn shown(value: &str) -> String {
    let is_variant = value.starts_with(|c: char| c.is_ascii_uppercase())
        && value.bytes().all(|b| b.is_ascii_alphanumeric());
    match is_variant {
        true => value.to_ascii_lowercase(),
        false => value.to_owned(),
    }
}

/// A field's name, if the line begins with one, and the rest.
fn split(line: &str) -> (&str, &str) {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    match line.split_once(": ") {
        Some((name, rest)) if is_name(name) => (name, rest),
        _ => ("", line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by way of Debug")]
    struct Timeouts {
        client_fin: Option<Duration>,
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by way of Debug")]
    struct Front {
        timeouts: Timeouts,
        names: Vec<&'static str>,
        place: (u32, u32),
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by way of Debug")]
    struct Proxy {
        front: Option<Front>,
        mode: &'static str,
    }

    fn proxy(seconds: u64, names: &[&'static str], mode: &'static str) -> Proxy {
        let timeouts = Timeouts {
            client_fin: Some(Duration::from_secs(seconds)),
        };
        let front = Front {
            timeouts,
            names: names.to_vec(),
            place: (seconds as u32, 1),
        };
        Proxy {
            front: Some(front),
            mode,
        }
    }

    #[test]
    fn each_setting_that_differs_is_named_with_both_values() {
        let (old, new) = (proxy(1, &["a"], "tcp"), proxy(5, &["a"], "http: {"));
        let expected = r#"timeouts client-fin 1s -> 5s, mode "tcp" -> "http: {""#;
        assert_eq!(changes(&old, &new), expected);
    }

    #[test]
    fn a_part_that_came_or_went_as_a_whole_is_named_once() {
        let (old, mut new) = (proxy(1, &["a"], "tcp"), proxy(1, &["a"], "tcp"));
        new.front.as_mut().expect("it has one").timeouts.client_fin = None;
        assert_eq!(changes(&old, &new), "timeouts client-fin 1s -> none");
        let holder = |timeouts| Holder { timeouts };
        let some = holder(old.front.map(|front| front.timeouts));
        assert_eq!(changes(&holder(None), &some), "timeouts");
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by way of Debug")]
    struct Holder {
        timeouts: Option<Timeouts>,
    }

    #[derive(Debug)]
    enum Algorithm {
        LeastConn,
        RoundRobin,
    }

    #[derive(Debug)]
    #[allow(dead_code, reason = "read by way of Debug")]
    struct Address {
        v6only: Option<bool>,
        port: u16,
    }

    #[test]
    fn values_stand_in_the_words_of_the_file() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "read by way of Debug")]
        struct Backend {
            balance: Algorithm,
        }
        let old = Backend {
            balance: Algorithm::LeastConn,
        };
        let new = Backend {
            balance: Algorithm::RoundRobin,
        };
        assert_eq!(changes(&old, &new), "balance leastconn -> roundrobin");
    }

    #[test]
    fn a_name_with_a_digit_is_a_name() {
        #[derive(Debug)]
        #[allow(dead_code, reason = "read by way of Debug")]
        struct Global {
            prometheus: Option<Address>,
        }
        let v6only = None;
        let address = Some(Address { v6only, port: 9101 });
        let (old, new) = (
            Global {
                prometheus: address,
            },
            Global { prometheus: None },
        );
        assert_eq!(changes(&old, &new), "prometheus");
    }

    #[test]
    fn a_list_that_differs_is_named() {
        let (old, new) = (proxy(1, &["a"], "tcp"), proxy(1, &["a", "b"], "tcp"));
        assert_eq!(changes(&old, &new), "names");
    }
}
