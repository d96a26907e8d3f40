//! The command line taken apart: options anywhere, then the command and its
//! arguments.

use std::collections::BTreeMap;

/// Options that stand alone, and those with a value: every spelling with its
/// name.
const FLAGS: &[(&[&str], &str)] = &[
    (&["-q", "--quiet"], "quiet"),
    (&["-s", "--silent"], "silent"),
    (&["-l", "--longnames"], "longnames"),
    (&["-?", "--help"], "help"),
    (&["--version"], "version"),
    (&["--no-table-headers"], "no-table-headers"),
    (&["--online"], "online"),
    (&["--offline"], "offline"),
    (&["--local"], "local"),
    (&["--global"], "global"),
    (&["--ram"], "ram"),
    (&["--disc"], "disc"),
    (&["--if-empty", "-e"], "if-empty"),
    (&["--if-unused", "-u"], "if-unused"),
    (&["--pre-hashed-password"], "pre-hashed-password"),
    (&["--dry-run"], "dry-run"),
    (&["--all"], "all"),
    (&["--enabled"], "enabled"),
    (&["-E"], "explicit"),
    (&["--minimal", "-m"], "minimal"),
    (&["--verbose", "-v"], "verbose"),
    (&["--by-source"], "by-source"),
    (&["--implicitly-enabled"], "implicitly-enabled"),
    (&["--print-stacktrace"], "print-stacktrace"),
    (&["--idempotent"], "idempotent"),
    (&["--wait"], "wait"),
];

const VALUES: &[(&[&str], &str)] = &[
    (&["-n", "--node"], "node"),
    (&["-p", "--vhost"], "vhost"),
    (&["-t", "--timeout"], "timeout"),
    (&["--formatter"], "formatter"),
    (&["--priority"], "priority"),
    (&["--apply-to"], "apply-to"),
    (&["--description"], "description"),
    (&["--tags"], "tags"),
    (&["--default-queue-type"], "default-queue-type"),
    (&["--user"], "user"),
    (&["--unit"], "unit"),
    (&["--within"], "within"),
    (&["--format"], "format"),
    (&["--limit"], "limit"),
    (&["--run-dir"], "run-dir"),
    (&["--per-connection-delay"], "per-connection-delay"),
    (&["--number", "-N"], "number"),
    (&["--vhost-pattern"], "vhost-pattern"),
    (&["--queue-pattern"], "queue-pattern"),
    (&["--queue-timeout"], "queue-timeout"),
    (&["--pid", "-P"], "pid"),
    (&["--erlang-cookie"], "erlang-cookie"),
    (&["--rabbitmq-home"], "rabbitmq-home"),
    (&["--mnesia-dir"], "mnesia-dir"),
    (&["--plugins-dir"], "plugins-dir"),
    (&["--enabled-plugins-file"], "enabled-plugins-file"),
    (&["--aliases-file"], "aliases-file"),
    (&["--script-name"], "script-name"),
];

/// A command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The command.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Options by name; flags have an empty value.
    pub options: BTreeMap<&'static str, String>,
    /// Options that are not known, or whose value is missing or wrong.
    pub wrong: Vec<(String, String)>,
    /// Everything as it was given, for messages.
    pub given: Vec<String>,
}

impl Line {
    /// Takes a command line apart.
    pub fn new(words: Vec<String>) -> Line {
        let mut line = Line {
            given: words.clone(),
            ..Line::default()
        };
        let mut words = words.into_iter();
        let mut only_args = false;
        while let Some(word) = words.next() {
            let is_option = word.starts_with('-') && word.len() > 1 && !is_number(&word);
            if only_args || !is_option {
                line.add(word);
                continue;
            }
            if word == "--" {
                only_args = true;
                continue;
            }
            let (name, attached) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word, None),
            };
            if let Some((_, key)) = FLAGS
                .iter()
                .find(|(names, _)| names.contains(&name.as_str()))
            {
                line.options.insert(key, String::new());
            } else if let Some((_, key)) = VALUES
                .iter()
                .find(|(names, _)| names.contains(&name.as_str()))
            {
                match attached.or_else(|| words.next()) {
                    Some(value) => drop(line.options.insert(key, value)),
                    None => line.wrong.push((name, String::new())),
                }
            } else {
                line.wrong.push((name, attached.unwrap_or_default()));
            }
        }
        line
    }

    fn add(&mut self, word: String) {
        match self.command.is_empty() {
            true => self.command = word,
            false => self.args.push(word),
        }
    }

    /// Whether an option is there.
    pub fn has(&self, name: &str) -> bool {
        self.options.contains_key(name)
    }

    /// An option's value.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(String::as_str)
    }

    /// The virtual host that is meant.
    pub fn vhost(&self) -> &str {
        self.option("vhost").unwrap_or("/")
    }

    /// An argument; empty when it is missing.
    pub fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// Neither banner nor header lines.
    pub fn is_silent(&self) -> bool {
        self.has("silent")
    }

    /// No banner lines.
    pub fn is_quiet(&self) -> bool {
        self.has("quiet") || self.is_silent()
    }
}

fn is_number(word: &str) -> bool {
    word[1..].bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::new(text.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn options_stand_anywhere_and_values_may_be_attached() {
        let line = line("-q -n rabbit@a list_queues -p v name --formatter=json messages");
        assert_eq!(line.command, "list_queues");
        assert_eq!(line.args, ["name", "messages"]);
        assert_eq!(line.option("node"), Some("rabbit@a"));
        assert_eq!(line.option("formatter"), Some("json"));
        assert_eq!(line.vhost(), "v");
        assert!(line.is_quiet() && !line.is_silent());
    }

    #[test]
    fn unknown_options_are_kept_for_the_complaint() {
        assert_eq!(
            line("list_queues --foo").wrong,
            [("--foo".to_owned(), String::new())]
        );
        assert_eq!(
            line("list_queues -n").wrong,
            [("-n".to_owned(), String::new())]
        );
    }

    #[test]
    fn a_negative_number_is_an_argument_and_so_is_what_follows_two_dashes() {
        assert_eq!(line("x -5").args, ["-5"]);
        assert_eq!(line("x -- -q").args, ["-q"]);
    }
}
