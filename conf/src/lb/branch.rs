//! `.if`, `.elif`, `.else`, `.endif` and `.notice` and its kin.

use super::env::Env;
use super::predicate;
use crate::diagnostic::{Diagnostic, Report};
use crate::keyword::{Word, unknown};
use crate::source::{FileId, Span};

/// Deepest nesting.
const MAX_DEPTH: usize = 1024;

/// A block that is open.
#[derive(Clone, Copy, Debug)]
struct Block {
    opened: Span,
    /// What surrounds it is read.
    outer: bool,
    /// A branch was taken already.
    taken: bool,
    /// The current branch is read.
    active: bool,
    /// `.else` was there.
    last: bool,
}

/// The blocks that are open.
#[derive(Debug, Default)]
pub struct Branches {
    blocks: Vec<Block>,
    /// Blocks beyond the deepest nesting.
    too_deep: usize,
}

const NAMES: &[&str] = &[
    ".if", ".elif", ".else", ".endif", ".notice", ".warning", ".alert", ".diag",
];

impl Branches {
    /// Whether lines are read.
    pub fn active(&self) -> bool {
        self.too_deep == 0 && self.blocks.last().is_none_or(|b| b.active)
    }

    /// Takes a line that starts with a dot.
    pub fn line(&mut self, words: &[Word], env: &Env, report: &mut Report) {
        let head = &words[0];
        match head.text.as_str() {
            ".if" => self.open(words, env, report),
            ".elif" => self.elif(words, env, report),
            ".else" => self.otherwise(words, report),
            ".endif" => self.close(words, report),
            ".notice" | ".warning" | ".alert" | ".diag" if self.active() => say(words, report),
            ".notice" | ".warning" | ".alert" | ".diag" => {}
            _ if self.active() => {
                report.push(unknown(head, "the configuration", NAMES.iter().copied()));
            }
            _ => {}
        }
    }

    fn open(&mut self, words: &[Word], env: &Env, report: &mut Report) {
        let outer = self.active();
        if self.blocks.len() >= MAX_DEPTH || self.too_deep > 0 {
            if self.too_deep == 0 {
                report.push(Diagnostic::error(
                    "E1013",
                    words[0].span,
                    format!("more than {MAX_DEPTH} `.if` blocks in one another"),
                ));
            }
            self.too_deep += 1;
            return;
        }
        let holds = outer && condition(words, env, report);
        self.blocks.push(Block {
            opened: words[0].span,
            outer,
            taken: holds,
            active: holds,
            last: false,
        });
    }

    fn elif(&mut self, words: &[Word], env: &Env, report: &mut Report) {
        if self.too_deep > 0 {
            return;
        }
        let Some(block) = self.blocks.last_mut() else {
            report.push(lonely(&words[0]));
            return;
        };
        if block.last {
            report.push(
                lonely(&words[0])
                    .label("`.else` was there already")
                    .also(block.opened, "the block starts here"),
            );
            return;
        }
        block.active = false;
        if block.outer && !block.taken && condition(words, env, report) {
            block.active = true;
            block.taken = true;
        }
    }

    fn otherwise(&mut self, words: &[Word], report: &mut Report) {
        if self.too_deep > 0 {
            return;
        }
        nothing_behind(words, report);
        let Some(block) = self.blocks.last_mut() else {
            report.push(lonely(&words[0]));
            return;
        };
        if block.last {
            report.push(
                lonely(&words[0])
                    .label("`.else` was there already")
                    .also(block.opened, "the block starts here"),
            );
        }
        block.last = true;
        block.active = block.outer && !block.taken;
        block.taken = true;
    }

    fn close(&mut self, words: &[Word], report: &mut Report) {
        nothing_behind(words, report);
        if self.too_deep > 0 {
            self.too_deep -= 1;
        } else if self.blocks.pop().is_none() {
            report.push(lonely(&words[0]));
        }
    }

    /// Blocks must end in the file in which they started.
    pub fn end_of_file(&mut self, file: FileId, end: u32, report: &mut Report) {
        for block in self.blocks.drain(..) {
            let here = Span {
                file,
                start: end,
                end,
            };
            report.push(
                Diagnostic::error("E0008", block.opened, "this `.if` has no `.endif`")
                    .label("opened here")
                    .also(here, "the file ends here"),
            );
        }
        self.too_deep = 0;
    }
}

fn condition(words: &[Word], env: &Env, report: &mut Report) -> bool {
    predicate::holds(&words[0], &words[1..], env).unwrap_or_else(|e| {
        report.push(e);
        false
    })
}

fn lonely(word: &Word) -> Diagnostic {
    Diagnostic::error(
        "E1013",
        word.span,
        format!("`{}` without a matching `.if`", word.text),
    )
}

fn nothing_behind(words: &[Word], report: &mut Report) {
    if let Some(word) = words.get(1) {
        report.push(
            Diagnostic::error(
                "E0004",
                word.span,
                format!("`{}` takes no argument", words[0].text),
            )
            .label("is too much"),
        );
    }
}

fn say(words: &[Word], report: &mut Report) {
    let Some(text) = words.get(1) else {
        report.push(
            Diagnostic::error(
                "E0003",
                words[0].span.after(),
                format!("`{}` needs a text", words[0].text),
            )
            .label("a text is missing here"),
        );
        return;
    };
    if let Some(word) = words.get(2) {
        report.push(
            Diagnostic::error("E0004", word.span, "the text is one word")
                .label("is too much")
                .help("put the text into quotes"),
        );
        return;
    }
    let span = words[0].span.to(text.span);
    let message = text.text.clone();
    report.push(match words[0].text.as_str() {
        ".alert" => Diagnostic::error("E1014", span, message).label("the file says so"),
        ".warning" => Diagnostic::warning("E1014", span, message).label("the file says so"),
        ".notice" => Diagnostic::note("E1014", span, message).label("the file says so"),
        _ => Diagnostic::note("E1113", span, message).label("the file says so"),
    });
}
