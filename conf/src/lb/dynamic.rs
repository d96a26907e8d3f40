//! A server given by one command (`add server`) rather than by a file.

use super::load::load_texts;
use super::model::Server;
use super::{Env, model::CheckKind};
use crate::diagnostic::Severity;
use std::path::PathBuf;
use std::sync::Arc;

/// Options of `server` that a server added at run time cannot have.
const REFUSED: &[&str] = &[
    "cookie",
    "healthcheck",
    "init-addr",
    "log-proto",
    "namespace",
    "no-tfo",
    "non-stick",
    "redir",
    "resolvers",
    "resolve-opts",
    "resolve-prefer",
    "resolve-net",
    "socks4",
    "stick",
    "tcp-ut",
];

/// The server that these words describe: name, address, options. Nothing of a
/// `default-server` applies. `kind` is what its backend checks with.
///
/// # Errors
/// What is wrong, in one line.
pub fn server(words: &[String], kind: &CheckKind) -> Result<Server, String> {
    if words.len() < 2 {
        return Err("'server' expects <name> and <addr>[:<port>] as arguments.".to_owned());
    }
    if let Some(word) = words[2..].iter().find(|w| REFUSED.contains(&w.as_str())) {
        return Err(format!(
            "'{word}' option is not accepted for dynamic server"
        ));
    }
    let (words, track) = without_track(words);
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    // a check that needs no port of the server must not be asked for one
    let kind = match kind {
        CheckKind::External(_) => " external-check command /\n option external-check\n",
        _ => "",
    };
    let text = format!(
        "global\n external-check\nbackend b\n{kind} server {}\n",
        quoted.join(" ")
    );
    let (config, report) = load_texts(vec![(PathBuf::from("cli"), text)], Env::empty());
    let mut errors = report.diagnostics.iter();
    if let Some(error) = errors.find(|d| d.severity == Severity::Error) {
        return Err(error.message.clone());
    }
    let found = config.and_then(|config| {
        config
            .proxies
            .first()?
            .back
            .as_ref()?
            .servers
            .first()
            .cloned()
    });
    let mut server = Arc::unwrap_or_clone(found.ok_or("this is no server")?);
    let start = words
        .iter()
        .rfind(|w| matches!(w.as_str(), "enabled" | "disabled"));
    server.added = start.is_none_or(|word| word == "disabled");
    server.track = track.map(|name| super::proxy::server_options::server_ref(&name));
    Ok(server)
}

/// `track` names a server that only the running configuration knows.
fn without_track(words: &[String]) -> (Vec<String>, Option<String>) {
    let at = words.iter().position(|word| word == "track");
    let Some((at, name)) = at.and_then(|at| Some((at, words.get(at + 1)?))) else {
        return (words.to_vec(), None);
    };
    let mut rest = words.to_vec();
    let name = name.clone();
    rest.drain(at..at + 2);
    (rest, Some(name))
}

/// A word as a configuration file has to have it to be read back as it is.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+:/@[],=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars().filter(|c| !matches!(c, '\n' | '\r')) {
        if matches!(c, '"' | '\\' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Server, String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        server(&words, &CheckKind::Connect)
    }

    #[test]
    fn options_are_those_of_a_server_line() {
        let server =
            parse("s9 127.0.0.1:1 weight 3 maxconn 7 check agent-check agent-port 9").unwrap();
        assert_eq!((server.name.as_str(), server.weight), ("s9", 3));
        assert_eq!(server.maxconn, Some(7));
        assert!(server.check.agent.is_used());
    }

    #[test]
    fn it_starts_in_maintenance_unless_it_is_enabled() {
        let start = |words: &str| {
            let server = parse(&format!("s9 127.0.0.1:1{words}")).unwrap();
            (server.added, server.disabled)
        };
        assert_eq!(start(""), (true, false));
        assert_eq!(start(" disabled"), (true, true));
        assert_eq!(start(" enabled"), (false, false));
        assert!(
            parse("s9 127.0.0.1:1 tcp-ut 3s")
                .unwrap_err()
                .contains("not accepted")
        );
    }

    #[test]
    fn a_tracked_server_is_looked_up_by_who_asked() {
        let server = parse("s9 127.0.0.1:1 track other/s1 weight 3").unwrap();
        let track = server.track.unwrap();
        assert_eq!(
            (track.backend.as_str(), track.server.as_str()),
            ("other", "s1")
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        assert!(parse("s9").unwrap_err().contains("expects <name>"));
        assert!(parse("s9 127.0.0.1:1 foo").unwrap_err().contains("foo"));
        assert!(
            parse("s9 127.0.0.1:1 cookie x")
                .unwrap_err()
                .contains("not accepted")
        );
        assert!(parse("s9 127.0.0.1 check").unwrap_err().contains("port"));
        assert!(parse("s9 127.0.0.1:1\nserver weight").is_err());
    }
}
