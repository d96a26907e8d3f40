//! Which daemon or tool a command line means.

use std::path::Path;
use std::process::ExitCode;

/// One entry of the command line: its word, what it is for, and what runs it.
struct Command {
    word: &'static str,
    about: &'static str,
    run: Entry,
}

/// The subcommands in the order in which `--help` shows them.
static COMMANDS: &[Command] = &[
    Command {
        word: "lb",
        about: "the load balancer (haproxy-style configuration)",
        run: lb::command,
    },
    Command {
        word: "vip",
        about: "the VRRP daemon (keepalived-style configuration)",
        run: vip::command,
    },
    Command {
        word: "broker",
        about: "the AMQP 0-9-1 broker",
        run: broker::command,
    },
    Command {
        word: "ctl",
        about: "talk to a broker node, in rabbitmqctl's words",
        run: broker::ctl,
    },
    Command {
        word: "up",
        about: "the whole picture on one machine: proxies, virtual address, brokers",
        run: crate::up::command,
    },
    Command {
        word: "check",
        about: "read configuration files of any of the languages and say what is wrong",
        run: crate::check::command,
    },
    Command {
        word: "explain",
        about: "what an error code means",
        run: crate::explain::command,
    },
    Command {
        word: "status",
        about: "the daemons of this host: what they hold and serve",
        run: crate::status::command,
    },
    Command {
        word: "doctor",
        about: "what is wrong on this host, or on all hosts, and what mends it",
        run: crate::doctor::command,
    },
    Command {
        word: "manual",
        about: "write manual pages and shell completions",
        run: crate::manual::command,
    },
];

/// The subcommands with what they are for.
pub fn words() -> Vec<(String, String)> {
    let all = COMMANDS.iter();
    all.map(|c| (c.word.to_owned(), c.about.to_owned()))
        .collect()
}

/// What runs a command line.
type Entry = fn(Vec<String>) -> ExitCode;

/// Names of links under which the binary acts as another program.
static LINKS: &[(&str, Entry)] = &[
    ("haproxy", lb::command),
    ("keepalived", vip::command),
    ("rabbitmqctl", broker::ctl),
    ("rabbitmq-diagnostics", broker::diagnostics),
    ("rabbitmq-plugins", broker::plugins),
    ("rabbitmq-queues", broker::queues),
    ("rabbitmq-streams", broker::streams),
    ("rabbitmq-upgrade", broker::upgrade),
    ("rabbitmq-server", broker::server),
];

/// Runs what `program args...` asks for and gives its exit status.
pub fn run(program: &str, mut args: Vec<String>) -> ExitCode {
    let name = Path::new(program).file_name().and_then(|n| n.to_str());
    if let Some((_, act)) = LINKS.iter().find(|(link, _)| Some(*link) == name) {
        return act(args);
    }
    if args.is_empty() {
        eprint!("{}", usage());
        return ExitCode::from(64);
    }
    let word = args.remove(0);
    if let Some(command) = COMMANDS.iter().find(|c| c.word == word) {
        return (command.run)(args);
    }
    match word.as_str() {
        "-h" | "--help" | "help" => {
            print!("{}", usage());
            ExitCode::SUCCESS
        }
        "-V" | "--version" | "version" => {
            println!("evenkeel {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        _ => unknown(&word),
    }
}

fn unknown(word: &str) -> ExitCode {
    let near = conf::suggest::nearest(word, COMMANDS.iter().map(|c| c.word));
    let hint = near.map_or(String::new(), |n| format!("; did you mean `{n}`?"));
    eprintln!(
        "evenkeel: there is no command `{word}`{hint}\n\n{}",
        usage()
    );
    ExitCode::from(64)
}

fn usage() -> String {
    let mut text = String::from(
        "Evenkeel: one stable endpoint for the clients of a message cluster\n\n\
         Usage: evenkeel COMMAND [ARGUMENTS]\n\nCommands:\n",
    );
    for command in COMMANDS {
        text.push_str(&format!("  {:<8} {}\n", command.word, command.about));
    }
    text.push_str("\n`evenkeel COMMAND --help` tells more.\n");
    text
}
