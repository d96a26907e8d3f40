//! `evenkeel explain`: what an error code means, and the list of all.

use std::process::ExitCode;

/// Widest line of an explanation.
const WIDTH: usize = 80;

/// Entry of the subcommand.
pub fn command(args: Vec<String>) -> ExitCode {
    match args.first().map(String::as_str) {
        Some("-h" | "--help") => {
            println!("Usage: evenkeel explain [CODE]...\n\nWithout a code, lists all.");
            ExitCode::SUCCESS
        }
        None | Some("--list") => {
            for code in conf::code::all() {
                println!("{}  {}", code.id, code.title);
            }
            ExitCode::SUCCESS
        }
        Some(_) => {
            let found = args.iter().filter(|id| one(id)).count();
            ExitCode::from(u8::from(found < args.len()))
        }
    }
}

fn one(id: &str) -> bool {
    let id = id.trim_start_matches("error[").trim_end_matches(']');
    let Some(code) = conf::code::find(id) else {
        let ids = conf::code::all().map(|code| code.id);
        let near = conf::suggest::nearest(id, ids);
        let all = || "; `evenkeel explain` lists all".to_owned();
        let hint = near.map_or_else(all, |n| format!("; did you mean {n}?"));
        eprintln!("evenkeel: there is no code `{id}`{hint}");
        return false;
    };
    println!("{}: {}\n", code.id, code.title);
    for paragraph in code.explanation.split("\n\n") {
        println!("{}\n", wrap(paragraph));
    }
    true
}

/// Breaks a paragraph into lines.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            out.push('\n');
            column = 0;
        } else if column > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_broken_between_words() {
        let text = wrap(&"word ".repeat(40));
        assert!(text.lines().count() > 1);
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text.split_whitespace().count(), 40);
    }
}
