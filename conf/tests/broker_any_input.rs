//! Whatever the input in the broker's two languages: no panic, and every place lies inside of its file.

mod places;

use conf::broker;
use places::places_lie_inside;
use proptest::prelude::*;
use std::path::Path;

const TOML: &str = include_str!("../examples/broker.toml");
const KEYS: &str = include_str!("../src/broker/rabbitmq_keys.txt");

fn check(name: &str, text: &str) {
    let (config, report) = broker::parse(Path::new(name), text.to_owned());
    assert_eq!(config.is_some(), !report.has_errors());
    places_lie_inside(&report);
}

/// Values of every kind, good ones and odd ones.
const VALUES: &[&str] = &[
    "",
    "true",
    "false",
    "on",
    "0",
    "1",
    "-1",
    "5672",
    "65536",
    "4294967296",
    "18446744073709551616",
    "1.5",
    "0.0",
    "1e400",
    "nan",
    "none",
    "all",
    "local",
    "info",
    "0.0.0.0",
    "::",
    "::1",
    "[::]:5672",
    ":5672",
    "127.0.0.1:",
    "*:5672",
    "2GB",
    "2 GB",
    "-2GB",
    "9999999999999GB",
    "50MiB",
    "10s",
    "10 years",
    "/",
    "/no/such/file",
    "verify_peer",
    "'quoted'",
    "'half",
    "\"half",
    "é",
    "\u{0}",
    "\t",
    "a b c",
    "# no comment",
    "=",
    "==",
    "\\",
    "plain",
    "EXTERNAL",
    "tlsv1.3",
    "classic",
    "quorum",
    "x-foo",
    "[]",
    "[1,",
    "{",
    "}",
    "$num",
    "$",
    "%",
];

/// A key out of the table, its wild parts filled in.
fn key() -> impl Strategy<Value = String> {
    let keys: Vec<&str> = KEYS.lines().collect();
    (prop::sample::select(keys), "[a-z0-9]{0,4}").prop_map(|(key, part)| {
        let parts = key.split('.').map(|piece| match piece.strip_prefix('$') {
            Some(_) => part.as_str(),
            None => piece,
        });
        parts.collect::<Vec<_>>().join(".")
    })
}

fn damaged(line: &str, at: u16, c: char) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    let place = usize::from(at) % (chars.len() + 1);
    match at % 5 {
        0 if place < chars.len() => chars[place] = c,
        1 => chars.truncate(place),
        2 => chars.insert(place, c),
        _ => {}
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        check("rabbitmq.conf", &text);
        check("broker.toml", &text);
    }

    #[test]
    fn any_keys_with_any_values_are_read_without_a_panic(
        lines in prop::collection::vec((key(), prop::sample::select(VALUES.to_vec()), any::<u16>(), any::<char>()), 1..20)
    ) {
        let lines: Vec<_> = lines
            .into_iter()
            .map(|(key, value, at, c)| damaged(&format!("{key} = {value}"), at, c))
            .collect();
        check("rabbitmq.conf", &lines.join("\n"));
    }

    #[test]
    fn any_mix_of_damaged_lines_is_read_without_a_panic(
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u16>(), any::<char>()), 1..40)
    ) {
        let lines: Vec<_> = TOML.lines().collect();
        let lines: Vec<_> = picks
            .into_iter()
            .map(|(pick, at, c)| damaged(lines[pick.index(lines.len())], at, c))
            .collect();
        check("broker.toml", &lines.join("\n"));
    }

    #[test]
    fn any_value_of_an_example_is_read_without_a_panic(
        pick in any::<prop::sample::Index>(),
        value in prop::sample::select(VALUES.to_vec()),
        quoted in any::<bool>(),
    ) {
        let mut lines: Vec<_> = TOML.lines().map(str::to_owned).collect();
        let place = pick.index(lines.len());
        if let Some((key, _)) = lines[place].clone().split_once('=') {
            lines[place] = match quoted {
                true => format!("{key}= {value:?}"),
                false => format!("{key}= {value}"),
            };
        }
        check("broker.toml", &lines.join("\n"));
    }
}
