//! Manual pages and shell completions, written from the tables that the commands themselves read
//! where they have one, and from [`PAGES`]. (HAProxy's options such as `-sf` or `-dW` do not fit the
//! libraries that write such pages, so this is a small writer of its own.)

mod pages;
mod roff;
mod shells;

use pages::PAGES;
use std::path::Path;
use std::process::ExitCode;

/// A command with its options.
pub struct Page {
    /// `evenkeel lb`.
    pub name: &'static str,
    /// Section of the manual.
    pub section: u8,
    /// One line.
    pub about: &'static str,
    /// The form of the command line behind the name.
    pub form: &'static str,
    /// Paragraphs.
    pub text: &'static [&'static str],
    /// Options or words: form and meaning.
    pub options: &'static [(&'static str, &'static str)],
    /// The rest of them, from the command's own table.
    pub more: fn() -> Vec<Entry>,
    /// Other pages.
    pub see: &'static [&'static str],
}

/// An option or word, as it is written and what it means.
pub type Entry = (String, String);

impl Page {
    /// All options and words.
    fn entries(&self) -> Vec<Entry> {
        let own = self.options.iter();
        let mut all: Vec<Entry> = own
            .map(|(form, doc)| ((*form).to_owned(), (*doc).to_owned()))
            .collect();
        all.extend((self.more)());
        all
    }

    /// The words behind `evenkeel`; none for the page of the whole.
    fn words(&self) -> Option<&'static str> {
        self.name.strip_prefix("evenkeel ")
    }
}

/// The names in a form such as `-f, --use-file FILE` or `show stat <proxy>`.
fn names(form: &str) -> Vec<&str> {
    match form.starts_with('-') {
        true => {
            let names = form
                .split(", ")
                .filter_map(|part| part.split([' ', '=', '[']).next());
            names.collect()
        }
        false => form.split(' ').take_while(|w| is_literal(w)).collect(),
    }
}

/// A word to type as it stands, no placeholder.
fn is_literal(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == 'E')
        && !word.contains(['|', '<', '['])
}

/// `evenkeel manual man DIRECTORY` or `evenkeel manual completions SHELL`.
pub fn command(args: Vec<String>) -> ExitCode {
    const USAGE: &str = "usage: evenkeel manual man DIRECTORY\n       \
        evenkeel manual completions bash|zsh|fish";
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["man", directory] => match write_pages(Path::new(directory)) {
            Ok(count) => {
                println!("{count} pages in {directory}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("evenkeel manual: {directory}: {error}");
                ExitCode::from(2)
            }
        },
        ["completions", "bash"] => print(&shells::bash()),
        ["completions", "zsh"] => print(&shells::zsh()),
        ["completions", "fish"] => print(&shells::fish()),
        ["-h" | "--help"] => print(&format!("{USAGE}\n")),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(64)
        }
    }
}

fn print(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

fn write_pages(directory: &Path) -> std::io::Result<usize> {
    std::fs::create_dir_all(directory)?;
    for page in PAGES {
        let name = format!("{}.{}", page.name.replace(' ', "-"), page.section);
        std::fs::write(directory.join(name), roff::page(page))?;
    }
    Ok(PAGES.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_completes() {
        for (word, _) in PAGES[0].entries() {
            let name = format!("evenkeel {word}");
            assert!(PAGES.iter().any(|p| p.name == name), "{name} has no page");
            assert!(shells::bash().contains(&format!("\"{word}\")")), "{word}");
        }
        assert!(shells::zsh().contains("compadd") && shells::fish().contains("-l with-rabbitmq"));
    }

    #[test]
    fn names_are_the_words_to_type() {
        assert_eq!(names("-t, --config-test[=FILE]"), ["-t", "--config-test"]);
        assert_eq!(names("-sf PIDS"), ["-sf"]);
        assert_eq!(names("show stat [<proxy>]"), ["show", "stat"]);
        assert_eq!(names("E0002"), ["E0002"]);
    }

    #[test]
    fn pages_escape_what_the_manual_s_language_would_read() {
        let lb = PAGES.iter().find(|p| p.name == "evenkeel lb");
        let page = roff::page(lb.expect("its page"));
        assert!(page.contains(".B \\-sf PIDS"));
        assert!(page.lines().filter(|l| l.starts_with('.')).all(|l| {
            [".TH", ".SH", ".B ", ".PP", ".TP"]
                .iter()
                .any(|r| l.starts_with(r))
        }));
    }
}
