//! Completions for shells: which words follow which.

use super::pages::PAGES;
use super::{Page, names};
use std::collections::BTreeSet;

/// The commands with their words: of two words (`lb ctl`) before those of one.
fn commands() -> impl Iterator<Item = (&'static str, &'static Page)> {
    let of = |nested: bool| {
        let all = PAGES.iter().filter_map(|page| Some((page.words()?, page)));
        all.filter(move |(words, _)| words.contains(' ') == nested)
    };
    of(true).chain(of(false))
}

/// Each word of a page once.
fn words(page: &Page) -> String {
    let entries = page.entries();
    let all: BTreeSet<&str> = entries.iter().flat_map(|(form, _)| names(form)).collect();
    all.into_iter().collect::<Vec<_>>().join(" ")
}

/// What may follow `evenkeel`.
fn first() -> String {
    words(&PAGES[0])
}

/// For bash. The words of the nodes' commands come from the program itself.
pub fn bash() -> String {
    let mut cases = String::new();
    for (command, page) in commands() {
        let pattern = match command.contains(' ') {
            true => format!("\"{command} \"*"),
            false => format!("\"{command} \"* | \"{command}\""),
        };
        cases.push_str(&format!("    {pattern}) words=\"{}\" ;;\n", words(page)));
    }
    format!(
        "# bash completion for evenkeel\n_evenkeel() {{\n  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" words\n  \
         if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"{}\"\n  else\n    \
         case \"${{COMP_WORDS[*]:1:COMP_CWORD-1}} \" in\n{cases}    \
         esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}}\n\
         complete -o default -F _evenkeel evenkeel\n",
        first()
    )
}

/// For zsh.
pub fn zsh() -> String {
    let mut cases = String::new();
    for (command, page) in commands() {
        cases.push_str(&format!(
            "    \"{command} \"*) compadd -- {} ;;\n",
            words(page)
        ));
    }
    format!(
        "#compdef evenkeel\n_evenkeel() {{\n  if (( CURRENT == 2 )); then\n    compadd -- {}\n  else\n    \
         case \"${{(j: :)words[2,CURRENT-1]}} \" in\n{cases}    esac\n    _files\n  fi\n}}\n_evenkeel \"$@\"\n",
        first()
    )
}

/// For fish.
pub fn fish() -> String {
    let mut out = String::from(
        "# fish completion for evenkeel\nfunction __evenkeel_in\n    \
         set -l typed (commandline -opc)[2..-1]\n    \
         test \"$typed[1..\"(count $argv)\"]\" = \"$argv\"\nend\n",
    );
    let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    for (word, doc) in PAGES[0].entries() {
        let doc = quote(&doc);
        out.push_str(&format!(
            "complete -c evenkeel -f -n __fish_use_subcommand -a {word} -d '{doc}'\n"
        ));
    }
    for (command, page) in commands() {
        let mut seen = BTreeSet::new();
        for (form, doc) in page.entries() {
            for name in names(&form)
                .into_iter()
                .filter(|n| seen.insert((*n).to_owned()))
            {
                let flag = match name {
                    long if long.starts_with("--") => format!("-l {}", &long[2..]),
                    old if old.starts_with('-') => format!("-o {}", &old[1..]),
                    word => format!("-a {word}"),
                };
                out.push_str(&format!(
                    "complete -c evenkeel -n '__evenkeel_in {command}' {flag} -d '{}'\n",
                    quote(&doc)
                ));
            }
        }
    }
    out
}
