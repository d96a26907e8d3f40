//! The one-line checks of the tutorials: what they really ask is whether some
//! process lives, and that can be watched instead of polled.

use std::path::PathBuf;

/// Which processes a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Any process of this name.
    Name(String),
    /// The process whose number is in this file.
    PidFile(PathBuf),
    /// Any process of this systemd unit.
    Unit(String),
}

/// The question of a script line; nothing when it is not one of the known forms.
pub fn recognise(line: &str) -> Option<Question> {
    let line = line.trim();
    let line = ["sh -c", "bash -c"]
        .iter()
        .fold(line, |line, shell| unshell(line, shell));
    let line = strip_quiet(line);
    let words: Vec<&str> = line.split_whitespace().collect();
    let (program, rest) = words.split_first()?;
    match (program.rsplit('/').next()?, rest) {
        ("killall", ["-0", name] | ["-s", "0", name] | ["-q", "-0", name] | ["-0", "-q", name]) => {
            plain(name).map(Question::Name)
        }
        ("pidof", [name] | ["-q" | "-s" | "-x", name]) => plain(name).map(Question::Name),
        (
            "pgrep",
            ["-x", name] | ["-xq" | "-qx", name] | ["-q", "-x", name] | ["-x", "-q", name],
        ) => plain(name).map(Question::Name),
        ("kill", ["-0", rest @ ..]) => pid_file(&rest.join(" ")).map(Question::PidFile),
        ("systemctl", ["is-active", unit])
        | ("systemctl", ["is-active", "--quiet" | "-q", unit])
        | ("systemctl", ["--quiet" | "-q", "is-active", unit])
        | ("systemctl", ["is-active", unit, "--quiet" | "-q"]) => plain(unit).map(Question::Unit),
        _ => None,
    }
}

/// What stands in quotes behind `sh -c`.
fn unshell<'l>(line: &'l str, shell: &str) -> &'l str {
    let stripped = ["/bin/", "/usr/bin/"]
        .iter()
        .find_map(|dir| line.strip_prefix(dir))
        .unwrap_or(line);
    let Some(rest) = stripped.strip_prefix(shell) else {
        return line;
    };
    let rest = rest.trim();
    for quote in ['"', '\''] {
        let inner = rest.strip_prefix(quote).and_then(|r| r.strip_suffix(quote));
        if let Some(inner) = inner.filter(|i| !i.contains(quote)) {
            return inner.trim();
        }
    }
    rest
}

/// Without redirections to nowhere.
fn strip_quiet(mut line: &str) -> &str {
    const NOWHERE: [&str; 6] = [
        "> /dev/null 2>&1",
        ">/dev/null 2>&1",
        "&> /dev/null",
        "&>/dev/null",
        "2>/dev/null",
        ">/dev/null",
    ];
    while let Some(rest) = NOWHERE.iter().find_map(|n| line.strip_suffix(n)) {
        line = rest.trim_end();
    }
    line
}

/// A name without any meaning to a shell.
fn plain(word: &str) -> Option<String> {
    let word = word.trim_matches(['"', '\'']);
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+@/:".contains(c);
    (!word.is_empty() && !word.starts_with('-') && word.chars().all(fits)).then(|| word.to_owned())
}

/// `$(cat FILE)`, with quotes or back quotes, or `$(<FILE)`.
fn pid_file(text: &str) -> Option<PathBuf> {
    let text = text.trim().trim_matches('"');
    let dollar = text.strip_prefix("$(").and_then(|t| t.strip_suffix(')'));
    let ticks = || text.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
    let inner = dollar.or_else(ticks)?.trim();
    let file = ["/bin/cat ", "/usr/bin/cat ", "cat ", "<"]
        .iter()
        .find_map(|cat| inner.strip_prefix(cat))?;
    let file = plain(file.trim())?;
    file.starts_with('/').then(|| PathBuf::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_tutorials_are_recognised() {
        let name = Some(Question::Name("haproxy".to_owned()));
        for line in [
            "killall -0 haproxy",
            "/usr/bin/killall -0 haproxy",
            "/usr/bin/killall -0 haproxy > /dev/null 2>&1",
            "pidof haproxy",
            "/bin/pidof haproxy",
            "pgrep -x haproxy",
            "/usr/bin/pgrep -x haproxy",
            "/bin/sh -c 'pidof haproxy'",
        ] {
            assert_eq!(recognise(line), name, "{line}");
        }
        let file = Some(Question::PidFile("/run/haproxy.pid".into()));
        for line in [
            "kill -0 $(cat /run/haproxy.pid)",
            "/bin/kill -0 `cat /run/haproxy.pid`",
            "kill -0 \"$(/bin/cat /run/haproxy.pid)\"",
            "bash -c \"kill -0 $(cat /run/haproxy.pid)\"",
        ] {
            assert_eq!(recognise(line), file, "{line}");
        }
        let unit = Some(Question::Unit("haproxy".to_owned()));
        for line in [
            "systemctl is-active haproxy",
            "/usr/bin/systemctl is-active --quiet haproxy",
            "/bin/systemctl -q is-active haproxy",
        ] {
            assert_eq!(recognise(line), unit, "{line}");
        }
    }

    #[test]
    fn what_asks_for_more_is_left_to_the_script() {
        for line in [
            "/usr/local/bin/check.sh",
            "killall -0 haproxy && curl -f http://127.0.0.1/",
            "killall haproxy",
            "pgrep haproxy",
            "pgrep -f haproxy.cfg",
            "kill -9 $(cat /run/haproxy.pid)",
            "kill -0 $(pidof haproxy)",
            "systemctl is-failed haproxy",
            "killall -0 $NAME",
            "",
        ] {
            assert_eq!(recognise(line), None, "{line}");
        }
    }
}
