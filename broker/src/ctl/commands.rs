//! The commands: one row each, in the file of its subject.

mod access;
mod diagnostics;
mod lists;
mod node;
mod parameters;
mod plugins;
mod queues;

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

/// Any number of arguments.
pub const MANY: usize = usize::MAX;

/// Headings in the order of the help.
const GROUPS: [&str; 13] = [
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
];

fn tables(tool: Tool) -> Vec<&'static [Command]> {
    match tool {
        Tool::Ctl => vec![
            access::COMMANDS,
            lists::COMMANDS,
            node::COMMANDS,
            parameters::COMMANDS,
            queues::COMMANDS,
        ],
        Tool::Diagnostics => vec![diagnostics::COMMANDS, lists::COMMANDS, node::SHARED],
        Tool::Plugins => vec![plugins::COMMANDS],
    }
}

fn all(tool: Tool) -> impl Iterator<Item = &'static Command> {
    tables(tool).into_iter().flatten()
}

/// The command of this name. The node's health checks are found under every
/// tool, so that `evenkeel ctl` alone has them all.
pub fn find(tool: Tool, name: &str) -> Option<&'static Command> {
    let also = (tool == Tool::Ctl).then_some(diagnostics::COMMANDS);
    all(tool)
        .chain(also.into_iter().flatten())
        .find(|c| c.name == name)
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
        for tool in [Tool::Ctl, Tool::Diagnostics, Tool::Plugins] {
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
