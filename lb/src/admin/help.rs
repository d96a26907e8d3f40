//! `help`, and what is said to a command that does not exist.

use std::fmt::Write as _;

use conf::lb::model::AdminLevel;

use super::command::{Answer, Call, Command, Run};
use super::table;

/// Help and the end of a connection.
pub static COMMANDS: &[Command] = &[
    Command::new(
        &["help"],
        "[<command>]",
        AdminLevel::User,
        "list the commands, all or those that match",
        help,
    ),
    Command::new(
        &["prompt"],
        "",
        AdminLevel::User,
        "stay connected and show a prompt; again to leave that mode",
        |call| {
            call.session.prompt = !call.session.prompt;
            Answer::Done
        },
    ),
    Command::new(
        &["quit"],
        "",
        AdminLevel::User,
        "close the connection",
        |_| Answer::Quit,
    ),
];

fn help(call: &mut Call<'_>) -> Answer {
    let level = call.session.level;
    let commands: Vec<_> = if call.arguments.is_empty() {
        allowed(level).collect()
    } else {
        nearest(call.arguments, level)
    };
    let mut out = String::from("The following commands are valid at this level:\n");
    list(&commands, &mut out);
    Answer::Text(out)
}

/// The answer to words that name no command: what was perhaps meant.
pub fn unknown(words: &[String], level: AdminLevel) -> Answer {
    let near = if words.is_empty() {
        Vec::new()
    } else {
        nearest(words, level)
    };
    let mut out = String::new();
    if near.is_empty() {
        out.push_str("Unknown command. Please enter one of the following commands only:\n");
        list(&allowed(level).collect::<Vec<_>>(), &mut out);
    } else {
        out.push_str("Unknown command, but maybe one of the following ones is a better match:\n");
        list(&near, &mut out);
        list(&COMMANDS.iter().collect::<Vec<_>>(), &mut out);
    }
    Answer::Text(out)
}

fn allowed(level: AdminLevel) -> impl Iterator<Item = &'static Command> {
    table().filter(move |command| {
        matches!(command.run, Run::Here(_)) && command.level <= level && !command.is_hidden()
    })
}

fn list(commands: &[&Command], out: &mut String) {
    let width = commands
        .iter()
        .map(|command| command.usage().len())
        .filter(|width| *width <= 44)
        .max()
        .unwrap_or(40)
        .max(40);
    for command in commands {
        let _ = writeln!(out, "  {:<width$}: {}", command.usage(), command.help);
    }
}

/// Commands that begin as the words do, else those whose words are spelled alike.
fn nearest(words: &[String], level: AdminLevel) -> Vec<&'static Command> {
    let common = |command: &Command| {
        command
            .words
            .iter()
            .zip(words)
            .take_while(|(a, b)| a == b)
            .count()
    };
    let sharing = |least: usize| -> Vec<&'static Command> {
        let longest = allowed(level).map(common).max().unwrap_or(0);
        allowed(level)
            .filter(|command| longest >= least && common(command) == longest)
            .collect()
    };
    let exact: Vec<_> = allowed(level)
        .filter(|command| common(command) == words.len().min(command.words.len()))
        .collect();
    if !exact.is_empty() {
        return exact;
    }
    let near = sharing(2);
    if !near.is_empty() {
        return near;
    }
    let near = alike(words, level);
    if !near.is_empty() {
        return near;
    }
    sharing(1)
}

/// Commands whose words are spelled alike, the nearest first.
fn alike(words: &[String], level: AdminLevel) -> Vec<&'static Command> {
    let mut scored: Vec<_> = allowed(level)
        .filter_map(|command| distance(command, words).map(|distance| (distance, command)))
        .collect();
    scored.sort_by_key(|(distance, _)| *distance);
    let best = scored.first().map_or(0, |(distance, _)| *distance);
    scored
        .into_iter()
        .filter(|(distance, _)| *distance <= best + 1)
        .take(5)
        .map(|(_, command)| command)
        .collect()
}

/// How many letters the words differ in; nothing when they have little in common.
fn distance(command: &Command, words: &[String]) -> Option<usize> {
    let mut sum = 0;
    for (index, expected) in command.words.iter().enumerate() {
        let Some(word) = words.get(index) else {
            sum += 2;
            continue;
        };
        let distance = edits(word, expected);
        let near = distance <= (expected.len() / 3).max(1)
            || (word.len() >= 2 && expected.starts_with(word.as_str()));
        if !near {
            return None;
        }
        sum += distance.min(2);
    }
    Some(sum)
}

/// Letters to insert, delete, change or swap with their neighbour.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(32).collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn near(line: &str) -> Vec<String> {
        nearest(&words(line), AdminLevel::Admin)
            .into_iter()
            .map(|command| command.words.join(" "))
            .collect()
    }

    #[test]
    fn a_misspelled_word_finds_its_command() {
        assert_eq!(near("shwo stat"), ["show stat"]);
        assert_eq!(near("show statt"), ["show stat", "show status"]);
        assert_eq!(near("relaod"), ["reload"]);
    }

    #[test]
    fn half_a_command_finds_what_goes_on() {
        assert_eq!(
            near("show servers"),
            ["show servers conn", "show servers state"]
        );
    }

    #[test]
    fn a_wrong_last_word_finds_the_commands_that_begin_alike() {
        assert_eq!(
            near("show servers foo"),
            ["show servers conn", "show servers state"]
        );
        assert_eq!(near("set maxconn foo").len(), 3);
        assert!(near("show hlua").contains(&"show stat".to_owned()));
    }

    #[test]
    fn what_resembles_nothing_lists_everything() {
        let Answer::Text(text) = unknown(&words("xyzzy"), AdminLevel::User) else {
            panic!("help is text");
        };
        assert!(text.starts_with("Unknown command. Please enter"));
        assert!(text.contains("  show stat "));
        assert!(!text.contains("shutdown frontend"), "needs a higher level");
    }

    #[test]
    fn every_command_that_works_has_a_help() {
        for command in allowed(AdminLevel::Admin) {
            assert!(!command.help.is_empty(), "{:?}", command.words);
        }
    }

    #[test]
    fn no_command_is_hidden_by_a_shorter_one_before_it() {
        let all: Vec<_> = table().collect();
        for (index, command) in all.iter().enumerate() {
            let line: Vec<String> = command.words.iter().map(|w| (*w).to_owned()).collect();
            let first = all.iter().position(|other| other.is_named_by(&line));
            assert_eq!(first, Some(index), "{:?}", command.words);
        }
    }
}
