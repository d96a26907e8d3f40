//! Who the process is and where it lives.

use super::GlobalDraft;
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::draft::Negation;
use crate::lb::model::{Account, MasterWorker, Place};
use crate::lb::value;
use crate::source::Span;
use std::path::PathBuf;

type Applied = Result<(), Diagnostic>;

fn path(a: &mut Args<'_>, what: &str) -> Result<(PathBuf, Span), Diagnostic> {
    let word = a.expect(what)?;
    a.finish()?;
    Ok((PathBuf::from(&word.text), word.span))
}

fn account(
    d: &mut GlobalDraft,
    a: &mut Args<'_>,
    keyword: &'static str,
    by_name: bool,
) -> Result<Option<(Account, Place)>, Diagnostic> {
    let word = a.expect(if by_name { "a name" } else { "a number" })?;
    a.finish()?;
    let account = if by_name {
        Account::Name(word.text.clone())
    } else {
        let number = value::number(word, "an id", 0, i64::from(u32::MAX)).map_err(|e| {
            let other = if keyword == "user" { "user" } else { "group" };
            e.help(format!("names are set with `{other}`"))
        })?;
        Account::Id(number as u32)
    };
    let counts = d.first(keyword, a.head());
    Ok(counts.then_some((account, Place(word.span))))
}

/// `1-3`, `all`, `odd`, `even`, `2`: threads or CPUs.
fn set(word: &Word, text: &str, most: u32) -> Result<Vec<u32>, Diagnostic> {
    let all = || 1..=most;
    match text {
        "all" => return Ok(all().collect()),
        "odd" => return Ok(all().filter(|n| n % 2 == 1).collect()),
        "even" => return Ok(all().filter(|n| n % 2 == 0).collect()),
        _ => {}
    }
    let bad = || wrong(word, "a number, a range, `all`, `odd` or `even`");
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let low: u32 = low.parse().map_err(|_| bad())?;
    let high: u32 = if high.is_empty() {
        most
    } else {
        high.parse().map_err(|_| bad())?
    };
    if low > high || high > most {
        return Err(bad().label(format!("expected numbers up to {most}")));
    }
    Ok((low..=high).collect())
}

/// `cpu-map [auto:]<process>[/<threads>] <cpus>...`
fn cpu_map(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("threads such as `1/1-4`")?;
    let (auto, text) = match word.text.strip_prefix("auto:") {
        Some(text) => (true, text),
        None => (false, word.text.as_str()),
    };
    let (group, threads) = text.split_once('/').unwrap_or((text, "all"));
    let groups = set(word, group, 64)?;
    let threads = set(word, threads, 64)?;
    let mut cpus = Vec::new();
    a.expect("CPU numbers").map(|w| cpus.push(w))?;
    cpus.extend(a.rest());
    let mut numbers = Vec::new();
    for cpu in cpus {
        for part in cpu.text.split(',') {
            numbers.extend(set(cpu, part, 1023)?);
        }
    }
    let fits = [threads.len(), groups.len()].contains(&numbers.len());
    if auto && !fits && !text.ends_with("all") {
        return Err(wrong(word, "a set of the same size as that of the CPUs"));
    }
    for (index, thread) in threads.iter().enumerate() {
        // `auto:` gives each thread the next CPU, as long as there are some
        let cpus = match (auto, numbers.get(index)) {
            (true, Some(cpu)) => vec![*cpu],
            (true, None) => break,
            (false, _) => numbers.clone(),
        };
        d.global.cpu_map.insert(*thread, cpus);
    }
    Ok(())
}

fn master_worker(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let no_exit = a.take_if("no-exit-on-failure").is_some();
    a.finish()?;
    d.global.process.master_worker = Some(MasterWorker {
        no_exit_on_failure: no_exit,
    });
    Ok(())
}

/// The lines.
pub static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    Keyword {
        name: "daemon",
        args: "",
        doc: "Goes to the background, unless `-db` or `-d` is given.",
        example: "daemon",
        apply: |d, a| {
            d.global.process.daemon = true;
            a.finish()
        },
    },
    Keyword {
        name: "pidfile",
        args: "<file>",
        doc: "Where the process id is written (process id and line feed).",
        example: "pidfile /run/evenkeel.pid",
        apply: |d, a| {
            let (file, _) = path(a, "a file")?;
            if d.first("pidfile", a.head()) {
                d.global.process.pidfile = Some(file);
            }
            Ok(())
        },
    },
    Keyword {
        name: "chroot",
        args: "<directory>",
        doc: "Moves into this directory after start. `/dev/log` cannot be reached from there.",
        example: "chroot /var/empty",
        apply: |d, a| {
            let (directory, span) = path(a, "a directory")?;
            if d.first("chroot", a.head()) {
                d.global.process.chroot = Some((directory, Place(span)));
            }
            Ok(())
        },
    },
    Keyword {
        name: "user",
        args: "<name>",
        doc: "Becomes this user after start.",
        example: "user haproxy",
        apply: |d, a| {
            if let Some(account) = account(d, a, "user", true)? {
                d.global.process.user = Some(account);
            }
            Ok(())
        },
    },
    Keyword {
        name: "uid",
        args: "<number>",
        doc: "Becomes this user after start, by number.",
        example: "uid 99",
        apply: |d, a| {
            if let Some(account) = account(d, a, "user", false)? {
                d.global.process.user = Some(account);
            }
            Ok(())
        },
    },
    Keyword {
        name: "group",
        args: "<name>",
        doc: "Becomes this group after start.",
        example: "group haproxy",
        apply: |d, a| {
            if let Some(account) = account(d, a, "group", true)? {
                d.global.process.group = Some(account);
            }
            Ok(())
        },
    },
    Keyword {
        name: "gid",
        args: "<number>",
        doc: "Becomes this group after start, by number.",
        example: "gid 99",
        apply: |d, a| {
            if let Some(account) = account(d, a, "group", false)? {
                d.global.process.group = Some(account);
            }
            Ok(())
        },
    },
    Keyword {
        name: "server-state-base",
        args: "<directory>",
        doc: "Where server state files with a relative path are.",
        example: "server-state-base /var/lib/haproxy",
        apply: |d, a| {
            let (directory, _) = path(a, "a directory")?;
            if d.first("server-state-base", a.head()) {
                d.global.server_state_base = Some(directory);
            }
            Ok(())
        },
    },
    Keyword {
        name: "server-state-file",
        args: "<file>",
        doc: "What `show servers state` printed, for backends with `load-server-state-from-file global`: \
              states, weights and check results at the start. A weight, port or address that the \
              configuration changed since is not overridden.",
        example: "server-state-file /var/lib/haproxy/server-state",
        apply: |d, a| {
            let (file, _) = path(a, "a file")?;
            if d.first("server-state-file", a.head()) {
                d.global.server_state_file = Some(file);
            }
            Ok(())
        },
    },
    Keyword {
        name: "nbthread",
        args: "<count>",
        doc: "Number of data threads, at most 64; one for each CPU when absent.",
        example: "nbthread 4",
        apply: |d, a| {
            d.global.nbthread = Some(value::take_number(a, "a number of threads", 1, 64)? as u32);
            a.finish()
        },
    },
    Keyword {
        name: "nbproc",
        args: "1",
        doc: "There is one process; any other number is refused.",
        example: "nbproc 1",
        apply: |_, a| {
            let word = a.expect("a number")?;
            if word.text != "1" {
                return Err(wrong(word, "a number of processes")
                    .label("only 1 is possible")
                    .help("use `nbthread` for more threads"));
            }
            a.finish()
        },
    },
    Keyword {
        name: "thread-groups",
        args: "1",
        doc: "There is one group of threads.",
        example: "thread-groups 1",
        apply: |_, a| {
            value::take_number(a, "a number of thread groups", 1, 1)?;
            a.finish()
        },
    },
    Keyword {
        name: "cpu-map",
        args: "[auto:]<group>[/<threads>] <cpus>...",
        doc: "On which CPUs threads run: numbers, ranges, `all`, `odd`, `even`.",
        example: "cpu-map auto:1/1-2 0-1",
        apply: cpu_map,
    },
    Keyword {
        name: "numa-cpu-mapping",
        args: "",
        doc: "Threads of one machine node only (accepted; `no numa-cpu-mapping` also).",
        example: "numa-cpu-mapping",
        apply: |_, a| a.finish(),
    },
    Keyword {
        name: "ulimit-n",
        args: "<count>",
        doc: "Limit of open files; derived from `maxconn` when absent.",
        example: "ulimit-n 20000",
        apply: |d, a| {
            d.global.process.ulimit_n = Some(value::take_u32(a, "a number of files")?);
            a.finish()
        },
    },
    Keyword {
        name: "fd-hard-limit",
        args: "<count>",
        doc: "Bound of the open files that a derived limit may reach.",
        example: "fd-hard-limit 50000",
        apply: |d, a| {
            d.global.process.fd_hard_limit = Some(value::take_u32(a, "a number of files")?);
            a.finish()
        },
    },
    Keyword {
        name: "strict-limits",
        args: "",
        doc: "A limit that cannot be set is fatal (the default); `no strict-limits`: a warning.",
        example: "strict-limits",
        apply: |d, a| {
            d.global.strict_limits = d.negation == Negation::Plain;
            a.finish()
        },
    },
    Keyword {
        name: "hard-stop-after",
        args: "<time>",
        doc: "After a soft stop, sessions that still live then are closed.",
        example: "hard-stop-after 30m",
        apply: |d, a| {
            d.global.process.hard_stop_after = value::take_timeout(a, "a time")?;
            a.finish()
        },
    },
    Keyword {
        name: "master-worker",
        args: "[no-exit-on-failure]",
        doc: "A master process watches the worker, as with `-W`. When the worker dies, those of programs before that still have sessions are ended, too; with `no-exit-on-failure` they go on.",
        example: "master-worker",
        apply: master_worker,
    },
    Keyword {
        name: "mworker-max-reloads",
        args: "<count>",
        doc: "Accepted: no process is left behind by a reload here.",
        example: "mworker-max-reloads 3",
        apply: |_, a| {
            value::take_u32(a, "a number of reloads")?;
            a.finish()
        },
    },
    Keyword {
        name: "quiet",
        args: "",
        doc: "Nothing is shown at start but errors.",
        example: "quiet",
        apply: |d, a| {
            d.global.process.quiet = true;
            a.finish()
        },
    },
    Keyword {
        name: "zero-warning",
        args: "",
        doc: "Warnings are fatal at start, as with `-dW`.",
        example: "zero-warning",
        apply: |d, a| {
            d.global.zero_warning = true;
            a.finish()
        },
    },
    Keyword {
        name: "expose-experimental-directives",
        args: "",
        doc: "Accepted: no keyword needs it.",
        example: "expose-experimental-directives",
        apply: |_, a| a.finish(),
    },
    Keyword {
        name: "insecure-fork-wanted",
        args: "",
        doc: "The process may start others (external checks).",
        example: "insecure-fork-wanted",
        apply: |d, a| {
            d.global.insecure_fork_wanted = d.negation == Negation::Plain;
            a.finish()
        },
    },
    Keyword {
        name: "external-check",
        args: "[preserve-env]",
        doc: "Allows external checks. Their programs see only the variables of the check, or with \
              `preserve-env` those of the process, too.",
        example: "external-check",
        apply: |d, a| {
            d.global.external_check = true;
            d.global.external_check_env = a.take_if("preserve-env").is_some();
            a.finish()
        },
    },
    Keyword {
        name: "node",
        args: "<name>",
        doc: "Name of this instance on the statistics page.",
        example: "node lb-a",
        apply: |d, a| {
            d.global.node = Some(a.expect("a name")?.text.clone());
            a.finish()
        },
    },
    Keyword {
        name: "description",
        args: "<text>",
        doc: "Description of this instance on the statistics page.",
        example: "description \"first of two\"",
        apply: |d, a| {
            a.expect("a text")
                .map(|w| d.global.description = Some(w.text.clone()))?;
            let rest: Vec<_> = a.rest().iter().map(|w| w.text.as_str()).collect();
            if let Some(text) = d.global.description.as_mut().filter(|_| !rest.is_empty()) {
                text.push(' ');
                text.push_str(&rest.join(" "));
            }
            Ok(())
        },
    },
    Keyword {
        name: "localpeer",
        args: "<name>",
        doc: "Name of this instance among peers.",
        example: "localpeer lb-a",
        apply: |d, a| {
            d.global.localpeer = Some(a.expect("a name")?.text.clone());
            a.finish()
        },
    },
];
