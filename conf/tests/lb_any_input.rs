//! Whatever the input: no panic, and every place lies inside of its file.

mod places;

use conf::lb;
use places::places_lie_inside;
use proptest::prelude::*;
use std::path::PathBuf;

fn check(text: &str) {
    let (config, report) = lb::load_str(text);
    assert_eq!(config.is_some(), !report.has_errors());
    places_lie_inside(&report);
}

/// Lines of all inputs and examples of the repository.
fn lines() -> Vec<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut out = Vec::new();
    for directory in ["tests/lb", "examples"] {
        for entry in std::fs::read_dir(root.join(directory)).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "cfg") {
                let text = std::fs::read_to_string(path).expect("a readable file");
                out.extend(text.lines().map(str::to_owned));
            }
        }
    }
    out
}

#[test]
fn the_fuzzing_corpus_is_read_without_a_panic() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/lb_config");
    for entry in std::fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a readable file");
        check(&lb::text_of(bytes));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn any_mix_of_damaged_lines_is_read_without_a_panic(
        picks in prop::collection::vec((any::<prop::sample::Index>(), any::<u16>(), any::<char>()), 1..40)
    ) {
        let lines = lines();
        let mut text = String::new();
        for (pick, at, c) in picks {
            let line = &lines[pick.index(lines.len())];
            let mut chars: Vec<char> = line.chars().collect();
            match at % 4 {
                0 => {}
                1 if !chars.is_empty() => chars[usize::from(at) % line.chars().count()] = c,
                2 => chars.truncate(usize::from(at) % (chars.len() + 1)),
                _ => chars.insert(usize::from(at) % (chars.len() + 1), c),
            }
            text.extend(chars);
            text.push('\n');
        }
        check(&text);
    }

    #[test]
    fn any_line_with_words_of_the_language_is_read_without_a_panic(
        words in prop::collection::vec(prop::sample::select(WORDS.to_vec()), 1..14)
    ) {
        check(&format!("listen l\n bind :1\n {}\n", words.join(" ")));
        check(&format!("{}\n", words.join(" ")));
        check(&format!("global\n {}\n", words.join(" ")));
    }
}

const WORDS: &[&str] = &[
    "acl",
    "a",
    "src",
    "{",
    "}",
    "!",
    "if",
    "unless",
    "or",
    "||",
    "use_backend",
    "server",
    "bind",
    ":1-",
    "::",
    "[",
    "]",
    "1.2.3.4:",
    "tcp-request",
    "content",
    "connection",
    "accept",
    "set-var(",
    "set-var(txn.x)",
    "capture",
    "len",
    "10",
    "-m",
    "reg",
    "(",
    ")",
    "%[",
    "%{+Q}",
    "%",
    "log-format",
    "balance",
    "hash",
    "random(",
    "random(9)",
    "stats",
    "uri",
    "option",
    "tcp-check",
    "expect",
    "string",
    "send",
    "\"\"",
    "'",
    "\"",
    "\\",
    "\\x4",
    "\"$A\"",
    "\"${A[*]}\"",
    "\"${\"",
    ".if",
    ".else",
    ".endif",
    "1",
    "feature(",
    "defaults",
    "from",
    "frontend",
    "no",
    "default",
    "listen",
    "l",
    "timeout",
    "client",
    "99999999999999999999",
    "-1",
    "0",
    "ö",
    "fd@",
    "abns@",
    "unix@",
    "ipv6@:1",
    "track",
    "l/s",
    "s",
    "source",
    "usesrc",
    "field(1,",
    "src,ipmask(",
    "payload(0,0)",
    "log",
    "global",
    "local0",
    "default-server",
    "http-request",
    "deny",
    "return",
    "cpu-map",
    "1/all",
];
