//! One run of a tool: the command is looked up and checked, the node asked,
//! the result written, the exit code chosen.

use super::client::{Node, Unreachable};
use super::commands::{self, App, Command};
use super::line::Line;
use super::output::{Formatter, Rows};
use super::wire::{Fault, FaultKind};
use crate::config::full_name;
use serde_json::{Map, Value};
use std::process::ExitCode;
use std::time::Duration;

/// Which program this acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// `rabbitmqctl`.
    Ctl,
    /// `rabbitmq-diagnostics`.
    Diagnostics,
    /// `rabbitmq-plugins`.
    Plugins,
    /// `rabbitmq-queues`.
    Queues,
    /// `rabbitmq-streams`.
    Streams,
    /// `rabbitmq-upgrade`.
    Upgrade,
}

impl Tool {
    /// The name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Ctl => "rabbitmqctl",
            Tool::Diagnostics => "rabbitmq-diagnostics",
            Tool::Plugins => "rabbitmq-plugins",
            Tool::Queues => "rabbitmq-queues",
            Tool::Streams => "rabbitmq-streams",
            Tool::Upgrade => "rabbitmq-upgrade",
        }
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub enum End {
    /// The arguments are wrong: code and reason.
    Usage(u8, String),
    /// What the command is about is not there: code and text.
    Absent(u8, String),
    /// The node refused.
    Fault(Fault),
    /// The node gave no answer.
    Unreachable(Node, Unreachable),
    /// Everything is said already.
    Code(u8),
}

/// What commands give.
pub type Done = Result<(), End>;

/// A run under way.
pub struct Run {
    /// The program.
    pub tool: Tool,
    /// The command line.
    pub line: Line,
    /// The node that is meant.
    pub node: Node,
    formatter: Formatter,
}

/// Runs a tool with its arguments.
pub fn run(tool: Tool, args: Vec<String>) -> ExitCode {
    let line = Line::new(args);
    if line.command.is_empty() && line.has("version") {
        println!("{}", version());
        return ExitCode::SUCCESS;
    }
    if line.command.is_empty() && !line.has("help") {
        eprint!("{}", commands::help(tool));
        return ExitCode::from(64);
    }
    if line.command == "help" || (line.command.is_empty() && line.has("help")) {
        return help(tool, line.arg(0));
    }
    let Some(command) = commands::find(tool, &line.command) else {
        return unknown(tool, &line.command);
    };
    if line.has("help") {
        print!("{}", commands::help_of(tool, command));
        return ExitCode::SUCCESS;
    }
    match start(tool, line.clone(), command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(end) => finish(tool, &line, command, end),
    }
}

/// The version that tools are told.
pub fn version() -> String {
    conf::broker::Config::default().version
}

fn help(tool: Tool, word: &str) -> ExitCode {
    match commands::find(tool, word) {
        Some(command) => print!("{}", commands::help_of(tool, command)),
        None if word.is_empty() => print!("{}", commands::help(tool)),
        None => {
            eprintln!("Error:\n\nCommand '{word}' not found.");
            return ExitCode::from(64);
        }
    }
    ExitCode::SUCCESS
}

fn unknown(tool: Tool, word: &str) -> ExitCode {
    let near = conf::suggest::nearest(word, commands::names(tool));
    match near {
        Some(near) => eprintln!("\nCommand '{word}' not found. \nDid you mean '{near}'? \n"),
        None => eprint!("\nCommand '{word}' not found. \n{}", commands::help(tool)),
    }
    ExitCode::from(64)
}

fn start(tool: Tool, line: Line, command: &Command) -> Done {
    check(&line, command)?;
    let given = line.option("formatter");
    let formatter = match given.map(Formatter::parse) {
        None => Formatter::Table,
        Some(Some(formatter)) => formatter,
        Some(None) => {
            let text = format!("Formatter {} is not supported", given.unwrap_or(""));
            return Err(End::Usage(64, text));
        }
    };
    let timeout = match line.option("timeout") {
        None => Some(Duration::from_secs(60)),
        Some("infinity") => None,
        Some(text) => match text.parse::<f64>() {
            Ok(seconds) if seconds > 0.0 && seconds < 1e6 => Some(Duration::from_secs_f64(seconds)),
            _ => {
                let short = line.given.iter().any(|word| word == "-t");
                return Err(wrong_option(if short { "-t" } else { "--timeout" }, text));
            }
        },
    };
    let named = line.option("node").map(str::to_owned);
    let named = named.or_else(|| {
        std::env::var("RABBITMQ_NODENAME")
            .ok()
            .filter(|n| !n.is_empty())
    });
    let node = Node::new(full_name(named.as_deref()), line.option("run-dir"), timeout);
    let run = Run {
        tool,
        line,
        node,
        formatter,
    };
    run.check_app(command.app)?;
    (command.run)(&run)
}

fn wrong_option(name: &str, value: &str) -> End {
    End::Usage(
        64,
        format!("Invalid options for this command:\n{name} : {value}"),
    )
}

fn check(line: &Line, command: &Command) -> Done {
    if command.options == commands::ANY_OPTION {
        return Ok(());
    }
    if let Some((name, value)) = line.wrong.first() {
        return Err(wrong_option(name, value));
    }
    let common = [
        "node",
        "quiet",
        "silent",
        "longnames",
        "help",
        "timeout",
        "formatter",
        "vhost",
        "run-dir",
        "no-table-headers",
        // about Erlang's files and way to the node: without meaning here
        "dry-run",
        "print-stacktrace",
        "erlang-cookie",
        "rabbitmq-home",
        "mnesia-dir",
        "plugins-dir",
        "enabled-plugins-file",
        "aliases-file",
        "script-name",
    ];
    for name in line.options.keys() {
        if !common.contains(name) && !command.options.contains(name) {
            let value = line.option(name).unwrap_or("");
            return Err(wrong_option(&format!("--{name}"), value));
        }
    }
    let (least, most) = command.args;
    match line.args.len() {
        n if n < least => Err(End::Usage(64, "not enough arguments.".to_owned())),
        n if n > most => Err(End::Usage(64, "too many arguments.".to_owned())),
        _ => Ok(()),
    }
}

/// Says why a command ended, and with which code.
fn finish(tool: Tool, line: &Line, command: &Command, end: End) -> ExitCode {
    match end {
        End::Usage(code, text) => {
            let head = match text.starts_with("this command requires") {
                true => format!("Error: {text}"),
                false => format!("Error (argument validation): {text}"),
            };
            let usage = commands::usage(tool, command);
            let given = line.given.join(" ");
            eprintln!("{head}\nArguments given:\n\t{given}\n\n\u{1b}[1mUsage\u{1b}[0m\n\n{usage}");
            ExitCode::from(code)
        }
        End::Absent(code, text) => {
            eprintln!("{text}");
            ExitCode::from(code)
        }
        End::Fault(fault) => {
            eprintln!("Error:\n{}", fault.text);
            ExitCode::from(fault.kind.exit())
        }
        End::Unreachable(node, why) => {
            eprintln!("{}", node.explain(&why));
            ExitCode::from(69)
        }
        End::Code(code) => ExitCode::from(code),
    }
}

impl Run {
    /// A line that says what is done; not when quiet, nor before JSON or CSV.
    pub fn banner(&self, text: impl AsRef<str>) {
        let machine = matches!(self.formatter, Formatter::Json | Formatter::Csv);
        if !self.line.is_quiet() && !machine {
            println!("{}", text.as_ref());
        }
    }

    /// A line that is the result.
    pub fn say(&self, text: impl AsRef<str>) {
        println!("{}", text.as_ref());
    }

    /// A check that went well.
    pub fn pass(&self, text: impl AsRef<str>) {
        match self.is_json() {
            true => self.say("{\"result\":\"ok\"}"),
            false => self.say(text),
        }
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.formatter == Formatter::Json
    }

    /// Writes a list.
    pub fn list(&self, rows: Rows) -> Done {
        let header = !self.line.is_silent() && !self.line.has("no-table-headers");
        print!("{}", rows.text(self.formatter, header));
        Ok(())
    }

    /// Writes a list in boxes, unless another form was asked for.
    pub fn boxes(&self, rows: Rows) -> Done {
        let formatter = match self.line.option("formatter") {
            None => Formatter::Pretty,
            Some(_) => self.formatter,
        };
        print!("{}", rows.text(formatter, true));
        Ok(())
    }

    /// Asks for something of the HTTP API.
    pub fn get(&self, path: &str) -> Result<Value, End> {
        self.said(self.node.get(path))
    }

    /// The list behind a path of the HTTP API.
    pub fn items(&self, path: &str) -> Result<Vec<Value>, End> {
        match self.get(path)? {
            Value::Array(items) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Has something done.
    pub fn perform(&self, name: &str, with: &[(&str, Value)]) -> Result<Value, End> {
        let with = with.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
        self.said(self.node.perform(name, with.collect::<Map<_, _>>()))
    }

    /// Has something done that answers nothing.
    pub fn change(&self, name: &str, with: &[(&str, Value)]) -> Done {
        self.perform(name, with).map(drop)
    }

    fn said(&self, said: Result<Result<Value, Fault>, Unreachable>) -> Result<Value, End> {
        match said {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(fault)) if fault.kind == FaultKind::Usage => Err(End::Usage(64, fault.text)),
            Ok(Err(fault)) => Err(End::Fault(fault)),
            Err(why) => Err(End::Unreachable(self.node.clone(), why)),
        }
    }

    fn check_app(&self, app: App) -> Done {
        let wanted = match app {
            App::Any => return Ok(()),
            App::Running => true,
            App::Stopped => false,
        };
        let state = self.perform("running", &[])?;
        if state["running"] == Value::Bool(wanted) {
            return Ok(());
        }
        let (state, verb, word) = match wanted {
            true => ("running", "Start", "start_app"),
            false => ("stopped", "Stop", "stop_app"),
        };
        let tool = Tool::Ctl.name();
        Err(End::Usage(
            64,
            format!(
                "this command requires the 'rabbit' app to be {state} on the target node. {verb} it with '{tool} {word}'."
            ),
        ))
    }

    /// Ends the command when the virtual host is not there.
    pub fn need_vhost(&self) -> Done {
        let path = format!("/api/vhosts/{}", self.vhost_path());
        match self.get(&path) {
            Err(End::Fault(fault)) if fault.text == "not_found" => {
                let text = format!("Virtual host '{}' does not exist", self.line.vhost());
                Err(End::Absent(65, text))
            }
            other => other.map(drop),
        }
    }

    /// The virtual host in a path.
    pub fn vhost_path(&self) -> String {
        encoded(self.line.vhost())
    }
}

/// A part of a path.
pub fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
        out
    })
}
