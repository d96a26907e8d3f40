//! The commands: one row each, in the file of its subject.

/// A command of RabbitMQ's that is not there, with what does the same.
macro_rules! refused {
    ($name:literal, $usage:literal, $pointer:literal) => {
        Command {
            name: $name,
            usage: $usage,
            about: concat!("Not there: ", $pointer),
            group: "Operations",
            args: (0, crate::ctl::commands::MANY),
            options: crate::ctl::commands::ANY_OPTION,
            app: crate::ctl::commands::App::Any,
            run: |_| {
                Err(crate::ctl::tool::End::Fault(
                    crate::ctl::wire::Fault::failed(concat!($name, " is not there: ", $pointer)),
                ))
            },
        }
    };
}

/// A row with everything that differs from row to row.
macro_rules! command {
    ($name:literal, $usage:literal, $group:expr, $about:literal, $args:expr, $options:expr, $app:expr, $run:expr) => {
        crate::ctl::commands::Command {
            name: $name,
            usage: $usage,
            about: $about,
            group: $group,
            args: $args,
            options: $options,
            app: $app,
            run: $run,
        }
    };
}

/// A row of a command that needs the broker started.
macro_rules! running {
    ($name:literal, $usage:literal, $group:expr, $about:literal, $args:expr, $run:expr) => {
        running!($name, $usage, $group, $about, $args, &[], $run)
    };
    ($name:literal, $usage:literal, $group:expr, $about:literal, $args:expr, $options:expr, $run:expr) => {
        command!(
            $name,
            $usage,
            $group,
            $about,
            $args,
            $options,
            crate::ctl::commands::App::Running,
            $run
        )
    };
}

mod access;
mod cluster;
mod diagnostics;
mod lists;
mod machine;
mod members;
mod node;
mod parameters;
mod plugins;
mod queues;
mod status;
mod wait;

use super::tool::{Done, Run, Tool};

/// What state of the broker a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// Started.
    Running,
    /// Stopped by `stop_app`.
    Stopped,
    /// Either, or no node at all.
    Any,
}

/// One command.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What stands behind the name in the usage line.
    pub usage: &'static str,
    /// What it does, for the list of commands.
    pub about: &'static str,
    /// The heading under which it is listed.
    pub group: &'static str,
    /// Arguments at least and at most.
    pub args: (usize, usize),
    /// Options beside those of all commands.
    pub options: &'static [&'static str],
    /// What state it needs.
    pub app: App,
    /// Does it.
    pub run: fn(&Run) -> Done,
}

/// The options of a command that takes whatever comes.
pub const ANY_OPTION: &[&str] = &["*"];

/// Any number of arguments.
pub const MANY: usize = usize::MAX;

/// Headings in the order of the help.
const GROUPS: [&str; 14] = [
    "Help",
    "Nodes",
    "Cluster",
    "Replication",
    "Users",
    "Access Control",
    "Monitoring, observability and health checks",
    "Parameters",
    "Policies",
    "Virtual hosts",
    "Configuration and Environment",
    "Definitions",
    "Operations",
    "Upgrade",
];

fn tables(tool: Tool) -> Vec<&'static [Command]> {
    match tool {
        Tool::Ctl => vec![
            access::COMMANDS,
            lists::COMMANDS,
            node::COMMANDS,
            status::SHARED,
            cluster::COMMANDS,
            parameters::COMMANDS,
            queues::COMMANDS,
        ],
        Tool::Diagnostics => vec![
            diagnostics::COMMANDS,
            diagnostics::CRITICAL,
            machine::COMMANDS,
            lists::COMMANDS,
            status::SHARED,
        ],
        Tool::Plugins => vec![plugins::COMMANDS],
        Tool::Queues => vec![members::QUEUES, diagnostics::CRITICAL],
        Tool::Streams => vec![members::STREAMS],
        Tool::Upgrade => vec![members::UPGRADE],
    }
}

/// All commands.
pub fn all(tool: Tool) -> impl Iterator<Item = &'static Command> {
    tables(tool).into_iter().flatten()
}

/// The command of this name. The other tools' words are found under `evenkeel ctl`, too, so that it alone has them all.
pub fn find(tool: Tool, name: &str) -> Option<&'static Command> {
    let others = [
        Tool::Diagnostics,
        Tool::Queues,
        Tool::Streams,
        Tool::Upgrade,
    ];
    let also = others.into_iter().filter(|_| tool == Tool::Ctl);
    all(tool).chain(also.flat_map(all)).find(|c| c.name == name)
}

/// All names.
pub fn names(tool: Tool) -> impl Iterator<Item = &'static str> {
    all(tool).map(|c| c.name)
}

/// The usage line of a command.
pub fn usage(tool: Tool, command: &Command) -> String {
    let line = format!(
        "{} [--node <node>] [--longnames] [--quiet] {} {}",
        tool.name(),
        command.name,
        command.usage
    );
    line.trim_end().to_owned()
}

/// The help of one command.
pub fn help_of(tool: Tool, command: &Command) -> String {
    let usage = usage(tool, command);
    format!(
        "\n\u{1b}[1mUsage\u{1b}[0m\n\n{usage}\n\n{}\n\n\
         \u{1b}[1mGeneral Options\u{1b}[0m\n\n\
         -n, --node <node>      the node (rabbit@ and this host's name)\n\
         -p, --vhost <vhost>    the virtual host, where one matters (/)\n\
         -t, --timeout <s>      seconds to wait for an answer (60)\n\
         -q, --quiet            no lines that say what is done\n\
         -s, --silent           neither those nor a table's header\n\
         --formatter <name>     table, pretty_table, json, csv\n\
         --run-dir <dir>        where the node's control socket is\n\n",
        command.about
    )
}

/// The list of commands.
pub fn help(tool: Tool) -> String {
    let mut out = format!(
        "\n\u{1b}[1mUsage\u{1b}[0m\n\n{} [--node <node>] [--timeout <timeout>] [--longnames] [--quiet] \
         <command> [<command options>]\n\nAvailable commands:\n",
        tool.name()
    );
    let width = names(tool).map(str::len).max().unwrap_or(0) + 2;
    for group in GROUPS {
        let mut rows: Vec<_> = all(tool).filter(|c| c.group == group).collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by_key(|c| c.name);
        out.push_str(&format!("\n\u{1b}[1m{group}\u{1b}[0m:\n\n"));
        for c in rows {
            out.push_str(&format!("   {:width$}{}\n", c.name, c.about));
        }
    }
    out.push_str(&format!(
        "\nUse '{} help <command>' to learn more about a specific command\n",
        tool.name()
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_name_of_its_own_and_a_heading() {
        for tool in [
            Tool::Ctl,
            Tool::Diagnostics,
            Tool::Plugins,
            Tool::Queues,
            Tool::Streams,
            Tool::Upgrade,
        ] {
            let mut seen = Vec::new();
            for command in all(tool) {
                assert!(!seen.contains(&command.name), "{} twice", command.name);
                assert!(GROUPS.contains(&command.group), "{}", command.name);
                assert!(!command.about.is_empty(), "{}", command.name);
                seen.push(command.name);
            }
        }
    }
}
