//! `include` and its patterns: `*`, `?`, `[...]`, and braces as in a shell. Not here: what
//! stands in the files.

use super::{MAX_DEPTH, Reader, directory};
use crate::diagnostic::Diagnostic;
use crate::keyword::Word;
use std::path::{Path, PathBuf};

/// Patterns that the braces of one stand for at most.
const MOST: usize = 1000;

/// Whether a line that begins so names files.
pub(super) fn is_include(word: &Word) -> bool {
    let words = [
        "include", "includer", "includem", "includew", "includeb", "includea",
    ];
    words.contains(&word.text.as_str())
}

impl Reader<'_> {
    /// `include PATTERN`: the files that match, in order.
    pub(super) fn include(&mut self, words: &[Word], path: &Path, depth: usize) {
        let at = words[0].span;
        let Some(pattern) = words.get(1) else {
            let text = "`include` needs a file name or pattern";
            self.report.push(Diagnostic::error("E0003", at, text));
            return;
        };
        if depth >= MAX_DEPTH {
            let text = "files include each other too deeply";
            self.report.push(Diagnostic::error("E0006", at, text));
            return;
        }
        let full = directory(path).join(&pattern.text);
        let files = match matching(&full.to_string_lossy()) {
            Ok(files) => files,
            Err(error) => {
                let text = format!("`{}` is not a pattern: {error}", pattern.text);
                self.report
                    .push(Diagnostic::error("E0005", pattern.span, text));
                return;
            }
        };
        if files.is_empty() {
            let text = format!("no file matches {}", full.display());
            // a folder for later is often empty; only some words ask for a file in any case
            let wild = pattern.text.contains(['*', '?', '[', '{']);
            let must = matches!(words[0].text.as_str(), "includew" | "includea");
            self.report.push(if wild && !must {
                Diagnostic::warning("E0001", pattern.span, text)
            } else {
                Diagnostic::error("E0001", pattern.span, text)
            });
        }
        for file in files {
            self.file(&file, Some(pattern.span), depth + 1);
        }
    }
}

/// What is read instead of a path that does not exist and is a pattern; otherwise the path.
pub(super) fn of_pattern(path: &Path) -> Vec<PathBuf> {
    let found = match path.exists() {
        true => Vec::new(),
        false => matching(&path.to_string_lossy()).unwrap_or_default(),
    };
    match found.is_empty() {
        true => vec![path.to_owned()],
        false => found,
    }
}

/// The files of a pattern: those of each alternative in its place, by name.
fn matching(pattern: &str) -> Result<Vec<PathBuf>, glob::PatternError> {
    let mut found = Vec::new();
    for one in alternatives(pattern) {
        let paths = glob::glob(&one)?.flatten();
        let mut files: Vec<PathBuf> = paths.filter(|p| p.is_file()).collect();
        files.sort();
        found.append(&mut files);
    }
    Ok(found)
}

/// `a{b,c{d,e}}` as `ab`, `acd` and `ace`; a brace without its other half is a character.
fn alternatives(pattern: &str) -> Vec<String> {
    let mut open = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(next) = open.pop() {
        match split(&next) {
            Some(parts) if open.len() + done.len() + parts.len() <= MOST => {
                open.extend(parts.into_iter().rev());
            }
            _ => done.push(next),
        }
    }
    done
}

/// What the first pair of braces stands for.
fn split(pattern: &str) -> Option<Vec<String>> {
    let from = pattern.find('{')?;
    let mut depth = 0;
    let mut commas = Vec::new();
    for (at, c) in pattern.char_indices().skip_while(|(at, _)| *at < from) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => commas.push(at),
            _ => {}
        }
        if depth == 0 {
            let (before, after) = (&pattern[..from], &pattern[at + 1..]);
            let starts = std::iter::once(from).chain(commas.iter().copied());
            let ends = commas.iter().copied().chain([at]);
            let parts = starts.zip(ends).map(|(s, e)| &pattern[s + 1..e]);
            return Some(parts.map(|p| format!("{before}{p}{after}")).collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_each_of_their_parts_in_order() {
        let cases = [
            ("a", "a"),
            ("x/{b,a}.conf", "x/b.conf x/a.conf"),
            ("{foo/{,cat,dog},bar}", "foo/ foo/cat foo/dog bar"),
            ("{a,b}{1,2}", "a1 a2 b1 b2"),
            ("{a}", "a"),
            ("a{b,c", "a{b,c"),
            ("a}b", "a}b"),
        ];
        for (pattern, wanted) in cases {
            assert_eq!(alternatives(pattern).join(" "), wanted, "{pattern}");
        }
    }

    #[test]
    fn braces_beyond_measure_end() {
        let pattern = "{a,b}".repeat(64);
        assert!(alternatives(&pattern).len() <= MOST);
    }
}
