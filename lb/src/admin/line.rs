//! A line typed at the CLI: commands separated by `;`, words separated by blanks, `\` before a
//! character that shall be taken as it is.

/// Splits a line into commands of words. A command without words is kept, as it is answered too.
pub fn split(line: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => {
                let escaped = characters.next().unwrap_or('\\');
                word.get_or_insert_default().push(escaped);
            }
            ';' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<String>> {
        split(line)
    }

    #[test]
    fn semicolons_chain_commands_and_blanks_separate_words() {
        assert_eq!(
            words("show stat  2 4;\tquit"),
            [vec!["show", "stat", "2", "4"], vec!["quit"]]
        );
    }

    #[test]
    fn a_backslash_takes_the_next_character_as_it_is() {
        assert_eq!(words(r"a\ b\;c\\"), [vec![r"a b;c\"]]);
    }

    #[test]
    fn an_empty_line_is_a_command_without_words() {
        assert_eq!(words("  "), [Vec::<String>::new()]);
        assert_eq!(words("x;").len(), 2);
    }
}
