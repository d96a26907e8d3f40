//! `evenkeel lb ctl`: a friendly client of the runtime CLI. Finds the socket by itself, shows
//! tables on a terminal, and tells by its exit status whether the command worked.

mod table;

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::socket::{RUN_DIR, alive, default_path};

const USAGE: &str = "\
Usage: evenkeel lb ctl [options] [COMMAND...]

Runs a command of the runtime CLI, as `evenkeel lb ctl show stat`; several with `;`.
Without a command, reads commands from a prompt. `evenkeel lb ctl help` lists them.

Options:
  -s SOCKET       path of the socket, or HOST:PORT
  -p PIDFILE      the process whose pid is in this file
  --run-dir DIR   where the sockets are that exist without configuration (default /run/evenkeel)
  --raw           the answer as it comes, also on a terminal
  --table         tables, also into a pipe
  --timeout SECS  give up after this time without an answer (default 10)

Exit status: 0 done, 1 refused by the balancer, 2 wrong usage, 3 no balancer reached.
";

/// Exit statuses.
const REFUSED: u8 = 1;
const USAGE_ERROR: u8 = 2;
const UNREACHED: u8 = 3;

#[derive(Debug, Default)]
struct Options {
    socket: Option<String>,
    pidfile: Option<PathBuf>,
    run_dir: Option<PathBuf>,
    raw: bool,
    table: bool,
    timeout: Option<Duration>,
    command: Vec<String>,
}

/// `evenkeel lb ctl` with the arguments behind `ctl`.
pub fn command(arguments: &[String]) -> ExitCode {
    let options = match parse(arguments, Words::Rest) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("evenkeel lb ctl: {problem}\n\n{USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    let stream = match connect(&options) {
        Ok(stream) => stream,
        Err(problem) => {
            eprintln!("evenkeel lb ctl: {problem}");
            return ExitCode::from(UNREACHED);
        }
    };
    let outcome = if options.command.is_empty() {
        interactive(stream)
    } else {
        once(stream, &options)
    };
    match outcome {
        Ok(status) => status,
        Err(error) => {
            eprintln!("evenkeel lb ctl: {error}");
            ExitCode::from(UNREACHED)
        }
    }
}

const TRACE_USAGE: &str = "\
Usage: evenkeel lb trace [options] [[src] NETWORK]* [frontend NAME] [session ID]

Shows phases, requests, bytes and AMQP methods of sessions as they happen, until
Ctrl-C: of all, of clients in a network, of a frontend, or of one session (`show
sess`). The frontend GLOBAL is the runtime CLI.

Options: -s SOCKET, -p PIDFILE, --run-dir DIR as with `evenkeel lb ctl`.
";

/// `evenkeel lb trace` with the arguments behind `trace`.
pub fn trace(arguments: &[String]) -> ExitCode {
    let parsed = parse(arguments, Words::Between).and_then(|options| match options {
        Some(options) => trace_words(&options.command).map(|words| Some((options, words))),
        None => Ok(None),
    });
    let (mut options, words) = match parsed {
        Ok(Some(parsed)) => parsed,
        Ok(None) => {
            print!("{TRACE_USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("evenkeel lb trace: {problem}\n\n{TRACE_USAGE}");
            return ExitCode::from(USAGE_ERROR);
        }
    };
    options.command = words;
    if io::stdout().is_terminal() {
        eprintln!("Sessions are shown as they do something; Ctrl-C ends.");
    }
    let outcome = connect(&options)
        .and_then(|stream| once(stream, &options).map_err(|error| error.to_string()));
    outcome.unwrap_or_else(|problem| {
        eprintln!("evenkeel lb trace: {problem}");
        ExitCode::from(UNREACHED)
    })
}

/// The words behind `follow sessions`; a network may stand without `src`.
fn trace_words(words: &[String]) -> Result<Vec<String>, String> {
    let mut command = vec!["follow".to_owned(), "sessions".to_owned()];
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if matches!(word.as_str(), "src" | "frontend" | "session") {
            let value = words.next().ok_or(format!("{word} needs a value"))?;
            command.extend([word.clone(), value.clone()]);
        } else if conf::lb::address::network(word).is_some() {
            command.extend(["src".to_owned(), word.clone()]);
        } else {
            return Err(format!(
                "'{word}' is no network, and none of the words src, frontend and session"
            ));
        }
    }
    Ok(command)
}

/// Where the words that are no options stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    /// From the first one on everything is one: a command with options of its own.
    Rest,
    /// Options may follow them.
    Between,
}

fn parse(arguments: &[String], words: Words) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let mut value = || {
            rest.next()
                .cloned()
                .ok_or_else(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "-s" | "--socket" => options.socket = Some(value()?),
            "-p" | "--pidfile" => options.pidfile = Some(value()?.into()),
            "--run-dir" => options.run_dir = Some(value()?.into()),
            "--raw" => options.raw = true,
            "--table" => options.table = true,
            "--timeout" => {
                let seconds = value()?
                    .parse::<u64>()
                    .map_err(|_| "--timeout needs a number of seconds".to_owned())?;
                options.timeout = Some(Duration::from_secs(seconds.max(1)));
            }
            "-h" | "--help" => return Ok(None),
            word if word.starts_with('-') => return Err(format!("unknown option {word}")),
            word => {
                options.command.push(word.to_owned());
                if words == Words::Rest {
                    options.command.extend(rest.by_ref().cloned());
                }
            }
        }
    }
    Ok(Some(options))
}

/// A connection of either kind.
trait Talk: io::Read + io::Write + Send {
    fn halves(&self) -> io::Result<Box<dyn Talk>>;
}

impl Talk for UnixStream {
    fn halves(&self) -> io::Result<Box<dyn Talk>> {
        Ok(Box::new(self.try_clone()?))
    }
}

impl Talk for std::net::TcpStream {
    fn halves(&self) -> io::Result<Box<dyn Talk>> {
        Ok(Box::new(self.try_clone()?))
    }
}

fn connect(options: &Options) -> Result<Box<dyn Talk>, String> {
    let timeout = Some(options.timeout.unwrap_or(Duration::from_secs(10)));
    let failed = |what: &str, error: io::Error| format!("cannot reach {what}: {error}");
    if let Some(address) = options
        .socket
        .as_deref()
        .filter(|address| !address.contains('/') && address.contains(':'))
    {
        let stream = std::net::TcpStream::connect(address).map_err(|e| failed(address, e))?;
        stream
            .set_read_timeout(timeout)
            .map_err(|e| failed(address, e))?;
        return Ok(Box::new(stream));
    }
    let path = path(options)?;
    let shown = path.display().to_string();
    let stream = UnixStream::connect(&path).map_err(|e| failed(&shown, e))?;
    stream
        .set_read_timeout(timeout)
        .map_err(|e| failed(&shown, e))?;
    Ok(Box::new(stream))
}

fn path(options: &Options) -> Result<PathBuf, String> {
    if let Some(socket) = &options.socket {
        return Ok(PathBuf::from(
            socket.strip_prefix("unix@").unwrap_or(socket),
        ));
    }
    let run_dir = options.run_dir.as_deref().unwrap_or(Path::new(RUN_DIR));
    if let Some(file) = &options.pidfile {
        let text = std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        let pid = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(|| format!("{} holds no pid", file.display()))?;
        let socket = crate::takeover::admin_socket(run_dir, pid);
        return Ok(socket.unwrap_or_else(|| default_path(run_dir, pid)));
    }
    let mut found = alive(run_dir);
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(format!(
            "no running balancer has a socket in {}; name one with -s, or a pid file with -p",
            run_dir.display()
        )),
        _ => {
            let names: Vec<_> = found
                .iter()
                .map(|path| format!("  -s {}", path.display()))
                .collect();
            Err(format!(
                "several balancers run; choose one:\n{}",
                names.join("\n")
            ))
        }
    }
}

fn once(mut stream: Box<dyn Talk>, options: &Options) -> io::Result<ExitCode> {
    let command = options.command.join(" ");
    let waits = options.command.iter().any(|word| word == "-w");
    let follows =
        waits && command.starts_with("show events") || command.starts_with("follow sessions");
    // what follows without an end would end with it; a master's CLI goes on without it
    let quit = if follows { "" } else { ";quit" };
    // messages marked with their severity tell whether the command was refused
    writeln!(stream, "set severity-output number;{command}{quit}")?;
    if follows {
        return follow(stream);
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let answer = answer.strip_prefix('\n').unwrap_or(&answer);
    let (text, refused) = unmark(answer);
    let stdout = io::stdout();
    let tables = options.table || (stdout.is_terminal() && !options.raw);
    let shown = if tables && !refused {
        let colours = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        table::show(&command, &text, colours)
    } else {
        text
    };
    if refused {
        eprint!("{}", shown.trim_start_matches('\n'));
        return Ok(ExitCode::from(REFUSED));
    }
    write_out(&shown)?;
    Ok(ExitCode::SUCCESS)
}

fn write_out(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        // the reader of a pipe may stop early
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn follow(mut stream: Box<dyn Talk>) -> io::Result<ExitCode> {
    let mut piece = [0u8; 4096];
    let mut first = true;
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Ok(ExitCode::SUCCESS),
            Ok(read) => {
                let text = String::from_utf8_lossy(&piece[..read]);
                let text = text.trim_start_matches('\n');
                if first && let (problem, true) = unmark(text) {
                    eprint!("{problem}");
                    return Ok(ExitCode::from(REFUSED));
                }
                first = first && text.is_empty();
                write_out(text)?;
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes the severities off; true when one of them was an error.
fn unmark(answer: &str) -> (String, bool) {
    let mut refused = answer.starts_with("Unknown command");
    let mut text = String::with_capacity(answer.len());
    for line in answer.split_inclusive('\n') {
        let rest = line
            .strip_prefix('[')
            .and_then(|rest| rest.split_once("]: "));
        match rest.and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest))) {
            Some((number, rest)) => {
                refused |= number <= 3;
                text.push_str(rest);
            }
            None => text.push_str(line),
        }
    }
    while text.ends_with("\n\n") {
        text.pop();
    }
    if text == "\n" {
        text.clear();
    }
    (text, refused)
}

fn interactive(mut stream: Box<dyn Talk>) -> io::Result<ExitCode> {
    stream.write_all(b"prompt\n")?;
    let mut answers = stream.halves()?;
    let printer = std::thread::spawn(move || {
        let mut piece = [0u8; 4096];
        loop {
            match answers.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    let shown = write_out(&String::from_utf8_lossy(&piece[..read]));
                    if shown.and_then(|()| io::stdout().flush()).is_err() {
                        break;
                    }
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => break,
            }
        }
    });
    let mut line = String::new();
    while io::stdin().read_line(&mut line)? > 0 {
        if stream.write_all(line.as_bytes()).is_err() {
            break;
        }
        line.clear();
    }
    // ends the connection, and with it the printer
    let _ = stream.write_all(b"quit\n");
    let _ = printer.join();
    println!();
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let parse = |line: &str| parse(&words(line), Words::Rest);
        let options = parse("-s /x --raw show info -p").unwrap().unwrap();
        assert_eq!(options.socket.as_deref(), Some("/x"));
        assert_eq!(options.command, words("show info -p"));
        assert!(parse("-s").is_err());
        assert!(parse("--nope").is_err());
        assert!(parse("--help").unwrap().is_none());
    }

    #[test]
    fn options_of_a_trace_may_follow_its_words() {
        let words = words("src 10.0.0.0/8 -s /x");
        let options = parse(&words, Words::Between).unwrap().unwrap();
        assert_eq!(options.socket.as_deref(), Some("/x"));
        assert_eq!(options.command, ["src", "10.0.0.0/8"]);
        let refused = trace_words(&["bogus".to_owned()]).unwrap_err();
        assert!(refused.contains("src, frontend and session"), "{refused}");
    }

    #[test]
    fn an_error_message_makes_the_status_bad_and_a_warning_does_not() {
        assert_eq!(
            unmark("[3]: No such server.\n\n"),
            ("No such server.\n".into(), true)
        );
        assert_eq!(
            unmark("[4]: IP changed\n\n"),
            ("IP changed\n".into(), false)
        );
        assert_eq!(unmark("\n"), (String::new(), false));
        assert!(unmark("Unknown command. Please\n").1);
    }
}
