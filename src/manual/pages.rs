//! The table of the manual: each command, what it is for and, where its parser has no table of its
//! own, its options.

use super::{Entry, Page};
use clap::Command;

/// All pages.
pub static PAGES: &[Page] = &[
    Page {
        name: "evenkeel",
        section: 1,
        about: "one stable endpoint for the clients of a message cluster",
        form: "COMMAND [ARGUMENTS]",
        text: &[
            "One binary: a load balancer that reads haproxy-style configuration, a VRRP daemon that reads \
             keepalived-style configuration, and an AMQP 0-9-1 broker that RabbitMQ's clients use unchanged.",
            "Called through a link named haproxy, keepalived, rabbitmqctl, rabbitmq-diagnostics, \
             rabbitmq-plugins, rabbitmq-queues, rabbitmq-streams, rabbitmq-upgrade or rabbitmq-server it acts as that program.",
        ],
        options: &[],
        more: crate::dispatch::words,
        see: &["evenkeel-lb(8)", "evenkeel-vip(8)", "evenkeel-broker(8)"],
    },
    Page {
        name: "evenkeel lb",
        section: 8,
        about: "load balancer that reads haproxy-style configuration",
        form: "-f FILE [OPTIONS]  |  ctl COMMAND  |  diff FILE  |  check --live -f FILE  |  trace [NETWORK]  |  convert FILE",
        text: &[
            "Understands HAProxy's options; those that have nothing to act on are accepted.",
            "check --live runs every server's check once and prints a table: status 0 all passed, 1 some failed, 2 trouble.",
            "trace shows phases, bytes and AMQP methods of sessions as they happen, of clients in a network, of a frontend or of one session.",
            "convert tells line by line what of a configuration of haproxy or of nginx's stream block works here; -o FILE takes the translated file.",
        ],
        options: &[
            (
                "-f FILE",
                "a configuration file, or a directory whose *.cfg files are read in order; may be repeated",
            ),
            ("-c", "check the configuration and leave: 0 good, 1 bad"),
            ("-cc CONDITION", "evaluate a condition as in .if and leave"),
            ("-d", "debug: foreground"),
            ("-db", "stay in the foreground"),
            ("-D", "go to the background"),
            ("-W", "master and worker"),
            ("-Ws", "as -W, and tell systemd"),
            ("-S ADDRESS", "the master's CLI"),
            ("-p FILE", "write the process id"),
            ("-q", "say nothing"),
            ("-V", "say more"),
            ("-v", "version; -vv also what is built in"),
            ("-n NUMBER", "connections of the process"),
            ("-N NUMBER", "connections of a proxy that names none"),
            ("-C DIRECTORY", "change there first"),
            ("-L NAME", "local peer name"),
            ("-m MEGABYTES", "limit of memory"),
            ("-dW", "warnings are fatal"),
            ("-dD", "more diagnostics"),
            ("-dr", "names that do not resolve are no error"),
            ("-dR", "no SO_REUSEPORT"),
            ("-dS", "no splice"),
            (
                "-sf PIDS",
                "take over from these processes: their listeners and counters come here, their sessions end there",
            ),
            ("-st PIDS", "end these processes at once"),
            (
                "-x SOCKET",
                "take over the listeners of the process behind this CLI socket",
            ),
            (
                "--state-dir DIRECTORY",
                "keep counters, states and weights there over a restart",
            ),
            (
                "--run-dir DIRECTORY",
                "where the admin socket is that is always there; default /run/evenkeel",
            ),
            ("--format json", "diagnostics as JSON lines"),
            (
                "ctl COMMAND",
                "talk to the balancer that runs; see evenkeel-lb-ctl(1)",
            ),
            (
                "check --live",
                "try every server's check once; see evenkeel-lb-check(1)",
            ),
            (
                "diff FILE",
                "what a reload would change; see evenkeel-lb-diff(1)",
            ),
            ("trace", "sessions as they happen; see evenkeel-lb-trace(1)"),
            (
                "convert FILE",
                "what of a file works here; see evenkeel-lb-convert(1)",
            ),
        ],
        more: nothing,
        see: &["evenkeel(1)", "evenkeel-lb-ctl(1)", "evenkeel-vip(8)"],
    },
    Page {
        name: "evenkeel lb ctl",
        section: 1,
        about: "talk to the balancer that runs",
        form: "[OPTIONS] [COMMAND]",
        text: &[
            "Runs a command of the runtime CLI; several with `;`. Without a command, reads them from a prompt.",
            "Exit status 0 done, 1 refused by the balancer, 2 wrong usage, 3 no balancer reached.",
        ],
        options: &[
            ("-s SOCKET", "path of the socket, or HOST:PORT"),
            ("-p PIDFILE", "the process whose pid is in this file"),
            (
                "--run-dir DIRECTORY",
                "where the sockets are that exist without configuration",
            ),
            ("--raw", "the answer as it comes, also on a terminal"),
            ("--table", "tables, also into a pipe"),
            (
                "--timeout SECONDS",
                "give up after this time without an answer",
            ),
        ],
        more: runtime_commands,
        see: &["evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel lb check",
        section: 1,
        about: "try every server's check once before it takes traffic",
        form: "--live -f FILE",
        text: &["Prints a table. Status 0 all passed, 1 some failed, 2 trouble."],
        options: &[
            ("--live", "run the checks"),
            ("-f FILE", "a configuration file; may be repeated"),
        ],
        more: nothing,
        see: &["evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel lb diff",
        section: 1,
        about: "what a reload of a file would change",
        form: "[OPTIONS] [OLD FILE] NEW FILE",
        text: &["Without an old file, the one that the running balancer was started with."],
        options: &[
            ("--json", "the changes as JSON"),
            ("--socket PATH", "the socket of the balancer"),
        ],
        more: nothing,
        see: &["evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel lb trace",
        section: 1,
        about: "phases, requests, bytes and AMQP methods of sessions as they happen",
        form: "[OPTIONS] [[src] NETWORK]... [frontend NAME] [session ID]",
        text: &[
            "Of all sessions, of clients in a network, of a frontend, or of one session. \
             The frontend GLOBAL is the runtime CLI.",
        ],
        options: &[
            ("src NETWORK", "only clients in this network"),
            ("frontend NAME", "only sessions of this frontend"),
            ("session ID", "only this session"),
            ("-s SOCKET", "path of the socket, or HOST:PORT"),
            ("-p PIDFILE", "the process whose pid is in this file"),
            (
                "--run-dir DIRECTORY",
                "where the sockets are that exist without configuration",
            ),
        ],
        more: nothing,
        see: &["evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel lb convert",
        section: 1,
        about: "what of an haproxy.cfg or of nginx's stream block works here, line by line",
        form: "[--from haproxy|nginx] [-o FILE] FILE",
        text: &["Status 0 everything works, 1 something is left out, 2 the file cannot be read."],
        options: &[
            (
                "--from LANGUAGE",
                "haproxy or nginx, when the file does not tell",
            ),
            ("-o FILE", "the translated file; otherwise standard output"),
        ],
        more: nothing,
        see: &["evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel vip",
        section: 8,
        about: "VRRP daemon that reads keepalived-style configuration",
        form: "-f FILE [OPTIONS]  |  status | watch | explain | demote | resume | maintenance | lint A B",
        text: &["Understands keepalived's options."],
        options: &[
            ("-f, --use-file FILE", "the configuration file"),
            (
                "-t, --config-test[=FILE]",
                "check the configuration and leave",
            ),
            ("-n, --dont-fork", "stay in the foreground"),
            ("-l, --log-console", "log to the console"),
            ("-D, --log-detail", "detailed log"),
            ("-P, --vrrp", "only VRRP; the default"),
            ("-d, --dump-conf", "dump the configuration"),
            ("-p, --pid FILE", "write the process id"),
            ("-r, --vrrp_pid FILE", "write the VRRP process's id"),
            ("-G, --no-syslog", "no syslog"),
            (
                "-S, --log-facility FACILITY",
                "syslog facility: 0-7, local0 to local7, user, daemon",
            ),
            ("-v, --version", "version"),
            (
                "-s, --namespace NAME",
                "run in this network namespace, whatever the file says",
            ),
            (
                "-i, --config-id ID",
                "for the @ID lines of the configuration",
            ),
            ("--log-json", "each log line is a JSON object"),
            (
                "--signum NAME",
                "number of the signal for STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON",
            ),
            (
                "--run-dir DIRECTORY",
                "where the admin socket is; default /run/evenkeel",
            ),
            (
                "--lenient",
                "run with the values that keepalived puts in place of bad ones",
            ),
            ("--skip-lvs", "skip virtual_server blocks"),
            ("status [--json]", "how it stands"),
            ("watch", "changes as they come"),
            ("explain", "why is this host master or not"),
            ("demote", "give the addresses away"),
            ("resume", "take part again"),
            ("maintenance", "give the addresses away and stay out"),
            ("lint A B", "do the two hosts' files fit together"),
        ],
        more: nothing,
        see: &["evenkeel(1)", "evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel broker",
        section: 8,
        about: "AMQP 0-9-1 broker that RabbitMQ's clients use unchanged",
        form: "[OPTIONS]",
        text: &["Runs without any file."],
        options: &[
            ("-c, --config FILE", "broker.toml or a rabbitmq.conf"),
            (
                "--data-dir DIRECTORY",
                "where messages and metadata are kept",
            ),
            ("--listen ADDRESS", "where AMQP clients connect"),
            ("--tls ADDRESS", "the same with TLS"),
            ("--management ADDRESS", "HTTP API and page"),
            ("--prometheus ADDRESS", "metrics alone"),
            ("--check", "check the configuration and end"),
            (
                "--reference",
                "print the reference of the configuration file",
            ),
            ("-h, --help", "the options"),
            ("-V, --version", "version"),
            ("-n, --node NAME", "name of the node, such as rabbit@host"),
            (
                "--run-dir DIRECTORY",
                "where the control socket and the cookie are",
            ),
        ],
        more: nothing,
        see: &["evenkeel(1)", "evenkeel-ctl(8)"],
    },
    Page {
        name: "evenkeel ctl",
        section: 8,
        about: "talk to a broker node, in rabbitmqctl's words",
        form: "[-n NODE] [-q] [--formatter FORMATTER] COMMAND [ARGUMENTS]",
        text: &["`evenkeel ctl help` lists the commands."],
        options: &[
            ("-n NODE", "the node"),
            ("-q", "no banner"),
            ("-s", "no banner and no header"),
            ("-p VHOST", "the virtual host"),
            ("--formatter FORMATTER", "table, pretty_table, json or csv"),
            ("-t SECONDS", "longest wait"),
        ],
        more: node_commands,
        see: &["evenkeel-broker(8)"],
    },
    Page {
        name: "evenkeel up",
        section: 1,
        about: "two proxy hosts, one virtual address and brokers on one machine",
        form: "[OPTIONS]",
        text: &[
            "Each host is a set of namespaces; nothing of the machine's own network is touched.",
        ],
        options: &[],
        more: up,
        see: &["evenkeel(1)"],
    },
    Page {
        name: "evenkeel status",
        section: 1,
        about: "the daemons of this host: who they are, what they hold and serve",
        form: "[OPTIONS]",
        text: &["Exit status 1 when no daemon answers. The words are those of docs/watching.md."],
        options: &[],
        more: || parsed(crate::status::parser()),
        see: &["evenkeel(1)", "evenkeel-doctor(1)"],
    },
    Page {
        name: "evenkeel doctor",
        section: 1,
        about: "what is wrong on this host or on all hosts, and what mends it",
        form: "[OPTIONS]",
        text: &["Only looks; changes nothing. Exit status 1 when something does not work."],
        options: &[],
        more: || parsed(crate::doctor::parser()),
        see: &["evenkeel(1)"],
    },
    Page {
        name: "evenkeel check",
        section: 1,
        about: "read configuration files of any kind and say what is wrong",
        form: "[--format json] [--lang LANGUAGE] FILE...",
        text: &["Exit status 0 when no file has an error."],
        options: &[],
        more: || parsed(crate::check::parser()),
        see: &["evenkeel-explain(1)"],
    },
    Page {
        name: "evenkeel explain",
        section: 1,
        about: "tell more about a code of a diagnostic",
        form: "[CODE]",
        text: &["Without a code: the list of all codes."],
        options: &[],
        more: codes,
        see: &["evenkeel-check(1)"],
    },
    Page {
        name: "evenkeel manual",
        section: 1,
        about: "write manual pages and shell completions",
        form: "man DIRECTORY  |  completions bash|zsh|fish",
        text: &[],
        options: &[
            ("man DIRECTORY", "every page of this manual"),
            ("completions bash", "for bash"),
            ("completions zsh", "for zsh"),
            ("completions fish", "for fish"),
        ],
        more: nothing,
        see: &["evenkeel(1)"],
    },
];

fn nothing() -> Vec<Entry> {
    Vec::new()
}

/// The options of a parser.
fn parsed(parser: Command) -> Vec<Entry> {
    let options = parser.get_arguments().filter(|o| !o.is_positional());
    let entry = |option: &clap::Arg| {
        let long = option.get_long().map(|l| format!("--{l}"));
        let short = option.get_short().map(|s| format!("-{s}"));
        let names: Vec<String> = short.into_iter().chain(long).collect();
        let values = option.get_value_names().unwrap_or_default();
        let takes_value = option.get_action().takes_values();
        let values = values
            .iter()
            .filter(|_| takes_value)
            .map(|v| format!(" {v}"));
        let help = option.get_help().map(ToString::to_string);
        let form = names.join(", ") + &values.collect::<String>();
        (form, help.unwrap_or_default())
    };
    options.map(entry).collect()
}

fn up() -> Vec<Entry> {
    let actions = crate::up::WORDS.iter();
    let actions = actions.map(|(word, what)| ((*word).to_owned(), format!("--do: {what}")));
    parsed(crate::up::parser())
        .into_iter()
        .chain(actions)
        .collect()
}

/// The runtime CLI's commands that work.
fn runtime_commands() -> Vec<Entry> {
    let shown = |c: &&lb::admin::command::Command| {
        !c.is_hidden() && matches!(c.run, lb::admin::command::Run::Here(_))
    };
    let all = lb::admin::table().filter(shown);
    all.map(|c| (c.usage(), c.help.to_owned())).collect()
}

fn node_commands() -> Vec<Entry> {
    let form = |name: &str, usage: &str| format!("{name} {usage}").trim_end().to_owned();
    let all = broker::ctl_commands();
    all.map(|(name, usage, about)| (form(name, usage), about.to_owned()))
        .collect()
}

fn codes() -> Vec<Entry> {
    let all = conf::code::all();
    all.map(|code| (code.id.to_owned(), code.title.to_owned()))
        .collect()
}
