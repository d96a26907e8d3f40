//! Manual pages and shell completions, written from one table of commands and
//! their options. (HAProxy's options such as `-sf` or `-dW` do not fit the
//! libraries that write such pages, so this is a small writer of its own.)

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
    /// Other pages.
    pub see: &'static [&'static str],
}

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
        options: &[
            ("lb", "the load balancer"),
            ("vip", "the VRRP daemon"),
            ("broker", "the broker"),
            ("ctl", "talk to a broker node, in rabbitmqctl's words"),
            ("up", "the whole picture on one machine"),
            (
                "status",
                "the daemons of this host: what they hold and serve",
            ),
            ("doctor", "what is wrong on this host or on all hosts"),
            (
                "check",
                "read configuration files of any kind and say what is wrong",
            ),
            ("explain", "tell more about a code of a diagnostic"),
            ("manual", "write manual pages and shell completions"),
        ],
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
        ],
        see: &["evenkeel(1)", "evenkeel-vip(8)"],
    },
    Page {
        name: "evenkeel vip",
        section: 8,
        about: "VRRP daemon that reads keepalived-style configuration",
        form: "-f FILE [OPTIONS]  |  status | watch | explain | demote | resume | maintenance | lint A B",
        text: &["Understands keepalived's options."],
        options: &[
            ("-f FILE", "the configuration file"),
            ("-t", "check the configuration and leave"),
            ("-n", "stay in the foreground"),
            ("-l", "log to the console"),
            ("-D", "detailed log"),
            ("-P", "only VRRP; the default"),
            ("-d", "dump the configuration"),
            ("-p FILE", "write the process id"),
            ("-r FILE", "write the VRRP process's id"),
            ("-G", "no syslog"),
            ("-S FACILITY", "syslog facility, 0-7"),
            ("-v", "version"),
            (
                "--signum NAME",
                "number of the signal for STOP, RELOAD, DATA or STATS",
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
        see: &["evenkeel(1)", "evenkeel-lb(8)"],
    },
    Page {
        name: "evenkeel broker",
        section: 8,
        about: "AMQP 0-9-1 broker that RabbitMQ's clients use unchanged",
        form: "[OPTIONS]",
        text: &["Runs without any file."],
        options: &[
            ("--config FILE", "broker.toml or a rabbitmq.conf"),
            (
                "--data-dir DIRECTORY",
                "where messages and metadata are kept",
            ),
            ("--listen ADDRESS", "where AMQP clients connect"),
            ("--tls ADDRESS", "the same with TLS"),
            ("--management ADDRESS", "HTTP API and page"),
            ("--node NAME", "name of the node, such as rabbit@host"),
            (
                "--run-dir DIRECTORY",
                "where the control socket and the cookie are",
            ),
        ],
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
        options: &[
            (
                "--with-rabbitmq",
                "a real three-node RabbitMQ cluster in place of our broker",
            ),
            ("--brokers N", "number of our brokers"),
            (
                "--traffic",
                "a numbered publisher and consumer with a ledger",
            ),
            ("--rate N", "messages a second of --traffic"),
            ("--plain", "lines instead of the live view"),
            ("--for TIME", "end so long after being ready"),
            ("--do ACTION", "ask a running `up` to do something"),
            ("--at TIME:ACTION", "do something by itself"),
            ("--client COMMAND", "run a command on the client host"),
            ("--peers", "haproxy and keepalived in place of our proxies"),
            ("--no-vip", "one balancer and one broker on loopback"),
            ("--state-dir DIRECTORY", "where it keeps its files"),
            ("--amqp-port PORT", "port on localhost for AMQP"),
            ("--stats-port PORT", "port on localhost for the statistics"),
            (
                "--management-port PORT",
                "port on localhost for the management page",
            ),
        ],
        see: &["evenkeel(1)"],
    },
    Page {
        name: "evenkeel status",
        section: 1,
        about: "the daemons of this host: who they are, what they hold and serve",
        form: "[OPTIONS]",
        text: &["Exit status 1 when no daemon answers. The words are those of docs/watching.md."],
        options: &[
            (
                "--run-dir DIRECTORY",
                "where the daemons keep their sockets",
            ),
            ("--broker ADDRESS:PORT", "the broker's metrics listener"),
            ("--json", "one JSON object: host, at, daemons"),
        ],
        see: &["evenkeel(1)", "evenkeel-doctor(1)"],
    },
    Page {
        name: "evenkeel doctor",
        section: 1,
        about: "what is wrong on this host or on all hosts, and what mends it",
        form: "[OPTIONS]",
        text: &["Only looks; changes nothing. Exit status 1 when something does not work."],
        options: &[
            (
                "--hosts FILE",
                "a file that names the hosts and what runs a command on them",
            ),
            ("--lb FILE", "the balancer's configuration"),
            ("--vip FILE", "the VRRP daemon's configuration"),
            (
                "--run-dir DIRECTORY",
                "where the daemons keep their sockets",
            ),
            ("--json", "findings as JSON"),
        ],
        see: &["evenkeel(1)"],
    },
    Page {
        name: "evenkeel check",
        section: 1,
        about: "read configuration files of any kind and say what is wrong",
        form: "[--format json] [--lang LANGUAGE] FILE...",
        text: &["Exit status 0 when no file has an error."],
        options: &[
            ("--format json", "diagnostics as JSON lines, for editors"),
            (
                "--lang LANGUAGE",
                "the language, when the file does not tell",
            ),
        ],
        see: &["evenkeel-explain(1)"],
    },
    Page {
        name: "evenkeel explain",
        section: 1,
        about: "tell more about a code of a diagnostic",
        form: "[CODE]",
        text: &["Without a code: the list of all codes."],
        options: &[],
        see: &["evenkeel-check(1)"],
    },
];

/// `evenkeel manual man DIRECTORY` or `evenkeel manual completions SHELL`.
pub fn command(args: Vec<String>) -> ExitCode {
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
        ["completions", "bash"] => print(&bash()),
        ["completions", "zsh"] => print(&zsh()),
        ["completions", "fish"] => print(&fish()),
        _ => {
            eprintln!(
                "usage: evenkeel manual man DIRECTORY\n       evenkeel manual completions bash|zsh|fish"
            );
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
        std::fs::write(directory.join(name), roff(page))?;
    }
    Ok(PAGES.len())
}

/// A page in the manual's language.
fn roff(page: &Page) -> String {
    let escape = |text: &str| {
        let text = text.replace('\\', "\\e").replace('-', "\\-");
        let starts_like_a_request = text.starts_with(['.', '\'']);
        if starts_like_a_request {
            format!("\\&{text}")
        } else {
            text
        }
    };
    let name = page.name.replace(' ', "-");
    let mut out = format!(
        ".TH {} {} \"\" \"Evenkeel {}\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n{}\n.SH DESCRIPTION\n",
        name.to_uppercase(),
        page.section,
        env!("CARGO_PKG_VERSION"),
        name,
        escape(page.about),
        escape(page.name),
        escape(page.form)
    );
    for paragraph in page.text {
        out.push_str(&format!("{}\n.PP\n", escape(paragraph)));
    }
    if !page.options.is_empty() {
        out.push_str(".SH OPTIONS\n");
    }
    for (form, doc) in page.options {
        out.push_str(&format!(".TP\n.B {}\n{}\n", escape(form), escape(doc)));
    }
    out.push_str(&format!(".SH SEE ALSO\n{}\n", escape(&page.see.join(", "))));
    out
}

/// Commands and the words and options that follow them.
fn tree() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    PAGES.iter().filter_map(|page| {
        let command = page.name.strip_prefix("evenkeel ")?;
        let words = page.options.iter().map(|(form, _)| first(form));
        Some((command, words.collect()))
    })
}

fn first(form: &'static str) -> &'static str {
    form.split(' ').next().unwrap_or(form)
}

fn commands() -> String {
    let words: Vec<_> = PAGES[0].options.iter().map(|(word, _)| *word).collect();
    words.join(" ")
}

fn bash() -> String {
    let mut cases = String::new();
    for (command, words) in tree() {
        cases.push_str(&format!(
            "    {command}) words=\"{}\" ;;\n",
            words.join(" ")
        ));
    }
    format!(
        "# bash completion for evenkeel\n_evenkeel() {{\n  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" words\n  \
         if [ \"$COMP_CWORD\" -eq 1 ]; then\n    words=\"{}\"\n  else\n    case \"${{COMP_WORDS[1]}}\" in\n{cases}    \
         esac\n  fi\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}}\n\
         complete -o default -F _evenkeel evenkeel\n",
        commands()
    )
}

fn zsh() -> String {
    let mut cases = String::new();
    for (command, words) in tree() {
        cases.push_str(&format!(
            "    {command}) compadd -- {} ;;\n",
            words.join(" ")
        ));
    }
    format!(
        "#compdef evenkeel\n_evenkeel() {{\n  if (( CURRENT == 2 )); then\n    compadd -- {}\n  else\n    \
         case $words[2] in\n{cases}    esac\n    _files\n  fi\n}}\n_evenkeel \"$@\"\n",
        commands()
    )
}

fn fish() -> String {
    let mut out = String::from("# fish completion for evenkeel\n");
    let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    for (word, doc) in PAGES[0].options {
        out.push_str(&format!(
            "complete -c evenkeel -n __fish_use_subcommand -a {word} -d '{}'\n",
            quote(doc)
        ));
    }
    for page in PAGES {
        let Some(command) = page.name.strip_prefix("evenkeel ") else {
            continue;
        };
        for (form, doc) in page.options {
            let word = first(form);
            let flag = match word {
                long if long.starts_with("--") => format!("-l {}", &long[2..]),
                old if old.starts_with('-') => format!("-o {}", &old[1..]),
                word => format!("-a {word}"),
            };
            out.push_str(&format!(
                "complete -c evenkeel -n '__fish_seen_subcommand_from {command}' {flag} -d '{}'\n",
                quote(doc)
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_completes() {
        for (word, _) in PAGES[0].options.iter().filter(|(w, _)| *w != "manual") {
            let name = format!("evenkeel {word}");
            assert!(PAGES.iter().any(|p| p.name == name), "{name} has no page");
            assert!(bash().contains(&format!("{word}) words=")), "{word}");
        }
        assert!(zsh().contains("compadd") && fish().contains("-l with-rabbitmq"));
    }

    #[test]
    fn pages_escape_what_the_manual_s_language_would_read() {
        let page = roff(&PAGES[1]);
        assert!(page.contains(".B \\-sf PIDS"));
        assert!(page.lines().filter(|l| l.starts_with('.')).all(|l| {
            [".TH", ".SH", ".B ", ".PP", ".TP"]
                .iter()
                .any(|r| l.starts_with(r))
        }));
    }
}
