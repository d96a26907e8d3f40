//! The command line: keepalived's options and a few of our own.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Run the daemon.
    Run,
    /// `-t`: check the file.
    Test,
    /// `-v`.
    Version,
    /// `-h`.
    Help,
    /// `--signum NAME`.
    Signum(String),
    /// Internal: the process that does the work.
    Worker,
    /// Internal: the process that runs scripts.
    Helper,
    /// A tool: `status`, `watch`, `explain`, `demote`, `resume`, `maintenance`, `lint`.
    Tool(String, Vec<String>),
}

/// An operator's `demote` or `maintenance`, which a worker that is started again goes on with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Name of the instance.
    pub instance: String,
    /// `maintenance`, or `demote`.
    pub maintenance: bool,
}

impl Held {
    /// The word behind `--held`.
    pub fn word(&self) -> String {
        let order = if self.maintenance {
            MAINTENANCE
        } else {
            DEMOTE
        };
        format!("{order}:{}", self.instance)
    }

    fn parse(word: &str) -> Option<Held> {
        let (order, instance) = word.split_once(':')?;
        let known = matches!(order, MAINTENANCE | DEMOTE);
        known.then(|| Held {
            instance: instance.to_owned(),
            maintenance: order == MAINTENANCE,
        })
    }
}

const MAINTENANCE: &str = "maintenance";
const DEMOTE: &str = "demote";

/// The command line, read.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to do.
    pub mode: Mode,
    /// `-f`.
    pub file: PathBuf,
    /// `-n`.
    pub foreground: bool,
    /// `-l`.
    pub console: bool,
    /// Log lines are JSON objects.
    pub log_json: bool,
    /// `-G`.
    pub no_syslog: bool,
    /// `-D`.
    pub detail: bool,
    /// `--config-test=FILE`: where the findings go instead of standard error.
    pub findings: Option<PathBuf>,
    /// `-d`.
    pub dump: bool,
    /// `-S`: syslog's number of the facility.
    pub facility: Option<u8>,
    /// `-p`.
    pub pid: Option<PathBuf>,
    /// `-r`.
    pub vrrp_pid: Option<PathBuf>,
    /// `-s`: the network namespace, whatever the file says.
    pub namespace: Option<String>,
    /// `-i`.
    pub config_id: String,
    /// `--run-dir`.
    pub run_dir: PathBuf,
    /// `--lenient`.
    pub lenient: bool,
    /// `--skip-lvs`.
    pub skip_lvs: bool,
    /// `--json` of a tool.
    pub json: bool,
    /// Internal, of a worker: what operators asked of the one before.
    pub held: Vec<Held>,
    /// The words as given, for the processes that this one starts.
    pub raw: Vec<String>,
}

/// The tools by name.
pub const TOOLS: [&str; 7] = [
    "status",
    "watch",
    "explain",
    "demote",
    "resume",
    "maintenance",
    "lint",
];

/// The page of `-h`.
pub const HELP: &str = "\
usage: evenkeel vip [OPTIONS]                  run the VRRP daemon
       evenkeel vip -t [-f FILE]               check a file: 0 good, 5 errors, 6 unsafe scripts
       evenkeel vip status [--json] | watch | explain [INSTANCE]
       evenkeel vip demote | resume | maintenance [INSTANCE]
       evenkeel vip lint FILE-A[@ID] FILE-B[@ID]   do the files of both hosts fit together?

  -f, --use-file FILE      configuration (default /etc/keepalived/keepalived.conf)
  -t, --config-test[=FILE] check the configuration and end; the findings go to this FILE
  -n, --dont-fork          stay in the foreground
  -l, --log-console        log to standard error
      --log-json           each log line is a JSON object
  -D, --log-detail         log more
  -S, --log-facility NAME  syslog facility: local0-local7 or 0-7, user, daemon (default)
  -G, --no-syslog          do not log to syslog
  -d, --dump-conf          log the configuration as understood
  -P, --vrrp               only VRRP (there is nothing else here)
  -p, --pid FILE           pid file of the guardian
  -r, --vrrp_pid FILE      pid file of the worker
  -s, --namespace NAME     run in this network namespace, whatever the file says
  -i, --config-id ID       for @ID lines of the configuration
      --run-dir DIR        sockets and pid files (default /run/evenkeel)
      --lenient            run with the values that keepalived puts in place of bad ones
      --skip-lvs           skip virtual_server blocks instead of refusing them
      --signum NAME        number of the signal STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON
  -v, --version            version
";

const NO_SNMP: &str = "-x and -A: there is no SNMP here; \
     the status page has JSON and Prometheus metrics (`status_page` in global_defs)";

/// Options that take a value: short, long.
const VALUED: [(&str, &str); 14] = [
    ("-f", "--use-file"),
    ("-S", "--log-facility"),
    ("-p", "--pid"),
    ("-r", "--vrrp_pid"),
    ("-c", "--checkers_pid"),
    ("-i", "--config-id"),
    ("", "--run-dir"),
    ("", "--signum"),
    ("", "--role"),
    ("", "--held"),
    ("-b", "--bfd_pid"),
    ("-s", "--namespace"),
    ("-u", "--umask"),
    ("-A", "--snmp-agent-socket"),
];

impl Options {
    /// Reads the words behind `evenkeel vip`.
    pub fn parse(words: &[String]) -> Result<Options, String> {
        let mut options = Options {
            mode: Mode::Run,
            file: PathBuf::from("/etc/keepalived/keepalived.conf"),
            foreground: false,
            console: false,
            log_json: false,
            no_syslog: false,
            detail: false,
            findings: None,
            dump: false,
            facility: None,
            pid: None,
            vrrp_pid: None,
            namespace: None,
            config_id: String::new(),
            run_dir: PathBuf::from("/run/evenkeel"),
            lenient: false,
            skip_lvs: false,
            json: false,
            held: Vec::new(),
            raw: words.to_vec(),
        };
        let internal = |w: &String| w.starts_with("--role=") || w.starts_with("--held=");
        options.raw.retain(|w| !internal(w));
        let words = spread(words);
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if let Some((short, long)) = VALUED.iter().find(|(s, l)| word == s || word == l) {
                let name = if word == short { short } else { long };
                let value = rest.next().ok_or_else(|| format!("{name} needs a value"))?;
                options.value(long, value)?;
            } else {
                options.word(word)?;
            }
        }
        Ok(options)
    }

    fn value(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--use-file" => self.file = PathBuf::from(value),
            "--log-facility" => {
                let wrong = || {
                    format!(
                        "--log-facility takes local0 to local7, 0 to 7, user or daemon, not `{value}`"
                    )
                };
                self.facility = Some(facility(value).ok_or_else(wrong)?);
            }
            "--pid" => self.pid = Some(PathBuf::from(value)),
            "--vrrp_pid" => self.vrrp_pid = Some(PathBuf::from(value)),
            "--config-id" => self.config_id = value.to_owned(),
            "--run-dir" => self.run_dir = PathBuf::from(value),
            "--signum" => self.mode = Mode::Signum(value.to_owned()),
            "--role" if value == "worker" => self.mode = Mode::Worker,
            "--role" if value == "helper" => self.mode = Mode::Helper,
            "--held" => {
                let wrong = || format!("there is no order `{value}`");
                self.held.push(Held::parse(value).ok_or_else(wrong)?);
            }
            "--role" => return Err(format!("there is no role `{value}`")),
            "--namespace" => self.namespace = Some(value.to_owned()),
            "--snmp-agent-socket" => return Err(NO_SNMP.to_owned()),
            // nothing here checks or speaks BFD: their pid files have no process; what is written
            // here is for root alone, whatever the umask
            _ => {}
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        match word {
            "-t" | "--config-test" => self.mode = Mode::Test,
            "-n" | "--dont-fork" => self.foreground = true,
            "-l" | "--log-console" => self.console = true,
            "--log-json" => self.log_json = true,
            "-D" | "--log-detail" => self.detail = true,
            "-G" | "--no-syslog" => self.no_syslog = true,
            "-d" | "--dump-conf" => self.dump = true,
            // nothing here respawns by option, checks, speaks BFD or balances in the kernel
            "-P"
            | "--vrrp"
            | "-R"
            | "--dont-respawn"
            | "-m"
            | "--core-dump"
            | "--all"
            | "-a"
            | "--address-monitoring"
            | "-X"
            | "--release-vips"
            | "-I"
            | "--dont-release-ipvs"
            | "-B"
            | "--no_bfd"
            | "-M"
            | "--core-dump-pattern" => {}
            "-v" | "--version" => self.mode = Mode::Version,
            "-h" | "--help" => self.mode = Mode::Help,
            "--lenient" => self.lenient = true,
            "--skip-lvs" => self.skip_lvs = true,
            "--json" => self.json = true,
            "-C" | "--check" => {
                return Err("-C runs only the checkers of virtual servers, \
                     which this program does not have"
                    .to_owned());
            }
            "-x" | "--snmp" => return Err(NO_SNMP.to_owned()),
            "-V" | "--dont-release-vrrp" => {
                return Err("-V would leave addresses on a host whose daemon ended: \
                     here they always go with it"
                    .to_owned());
            }
            _ if word.starts_with("--core-dump-pattern=") => {}
            _ if word.starts_with("--config-test=") => {
                self.mode = Mode::Test;
                self.findings = Some(PathBuf::from(&word["--config-test=".len()..]));
            }
            _ if word.starts_with('-') => {
                let names = HELP.split_whitespace().filter(|w| w.starts_with("--"));
                let hint = nearest(word, names);
                return Err(format!("there is no option `{word}`; {hint}"));
            }
            _ => return self.positional(word),
        }
        Ok(())
    }

    fn positional(&mut self, word: &str) -> Result<(), String> {
        match &mut self.mode {
            Mode::Tool(_, arguments) => arguments.push(word.to_owned()),
            // keepalived's -t takes the file behind a space nowhere, yet people write it
            Mode::Test => self.file = PathBuf::from(word),
            Mode::Run if TOOLS.contains(&word) => {
                self.mode = Mode::Tool(word.to_owned(), Vec::new());
            }
            Mode::Run
            | Mode::Version
            | Mode::Help
            | Mode::Signum(_)
            | Mode::Worker
            | Mode::Helper => {
                let hint = nearest(word, TOOLS);
                return Err(format!("there is no command `vip {word}`; {hint}"));
            }
        }
        Ok(())
    }

    /// Pid file of the guardian.
    pub fn pid_file(&self) -> PathBuf {
        let default = || self.run_dir.join("vip.pid");
        self.pid.clone().unwrap_or_else(default)
    }

    /// Pid file of the worker.
    pub fn vrrp_pid_file(&self) -> PathBuf {
        let default = || self.run_dir.join("vip-worker.pid");
        self.vrrp_pid.clone().unwrap_or_else(default)
    }

    /// The admin socket.
    pub fn socket(&self) -> PathBuf {
        self.run_dir.join("vip.sock")
    }

    /// How the file is read.
    pub fn reading(&self) -> conf::vip::Options {
        conf::vip::Options {
            lenient: self.lenient,
            skip_lvs: self.skip_lvs,
            config_id: match self.config_id.is_empty() {
                true => short_name(),
                false => self.config_id.clone(),
            },
        }
    }
}

/// syslog's number of a facility that keepalived takes.
fn facility(name: &str) -> Option<u8> {
    match name {
        "user" => Some(1),
        "daemon" => Some(3),
        _ => {
            let number = name.strip_prefix("local").unwrap_or(name);
            let number: u8 = number.parse().ok()?;
            (number < 8).then_some(16 + number)
        }
    }
}

/// The host's name without its domain.
pub fn short_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name = name.to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// `--name=value` becomes two words, `-nlD` three, `-f/path` two.
fn spread(words: &[String]) -> Vec<String> {
    let mut out = Vec::new();
    for word in words {
        let long = word
            .split_once('=')
            .filter(|(n, _)| VALUED.iter().any(|(_, l)| l == n));
        if let Some((name, value)) = long {
            out.extend([name.to_owned(), value.to_owned()]);
        } else if word.starts_with('-') && !word.starts_with("--") && word.len() > 2 {
            spread_short(word, &mut out);
        } else {
            out.push(word.clone());
        }
    }
    out
}

fn spread_short(word: &str, out: &mut Vec<String>) {
    for (at, letter) in word.char_indices().skip(1) {
        let short = format!("-{letter}");
        let valued = VALUED.iter().any(|(s, _)| *s == short);
        out.push(short);
        let rest = &word[at + letter.len_utf8()..];
        if valued && !rest.is_empty() {
            out.push(rest.to_owned());
            return;
        }
    }
}

/// What helps with a word that is not known: the nearest one, or where all stand.
fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match conf::suggest::nearest(word, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`evenkeel vip --help` lists all".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_of_operators_go_from_worker_to_worker() {
        let held = |instance: &str, maintenance| Held {
            instance: instance.to_owned(),
            maintenance,
        };
        let all = [held("VI:1", true), held("b=c", false)];
        let words: Vec<String> = all.iter().map(|h| format!("--held={}", h.word())).collect();
        let options = Options::parse(&words).expect("valid");
        assert_eq!(options.held, all);
        assert!(options.raw.is_empty(), "not for the next processes");
        assert!(parse("--held=stop:VI_1").is_err());
    }

    #[test]
    fn lines_for_a_host_are_for_this_one_unless_an_id_is_given() {
        let own = parse("-f /etc/k.conf").expect("valid").reading();
        assert_eq!(own.config_id, short_name());
        assert!(!own.config_id.contains('.'));
        let given = parse("-i blue").expect("valid").reading();
        assert_eq!(given.config_id, "blue");
    }

    fn parse(line: &str) -> Result<Options, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn keepalived_s_own_command_lines_are_read() {
        let o = parse("-n -l -D -P -f /etc/k.conf -p /run/m.pid -r /run/v.pid").expect("valid");
        assert!(o.foreground && o.console && o.detail);
        assert_eq!(o.file, PathBuf::from("/etc/k.conf"));
        assert_eq!(o.pid_file(), PathBuf::from("/run/m.pid"));
        assert_eq!(o.vrrp_pid_file(), PathBuf::from("/run/v.pid"));
        let o = parse("-nlDf/etc/k.conf --log-facility=3").expect("valid");
        assert!(o.foreground && o.console && o.detail);
        assert_eq!(
            (o.facility, o.file),
            (Some(19), PathBuf::from("/etc/k.conf"))
        );
        assert_eq!(
            parse("--signum=DATA").expect("valid").mode,
            Mode::Signum("DATA".into())
        );
        assert_eq!(parse("-t -f x").expect("valid").mode, Mode::Test);
        assert_eq!(
            parse("--config-test=y").expect("valid").findings,
            Some(PathBuf::from("y"))
        );
    }

    #[test]
    fn facilities_are_written_as_for_keepalived() {
        let facility = |word: &str| parse(&format!("-S {word}")).map(|o| o.facility);
        assert_eq!(facility("local3"), Ok(Some(19)));
        assert_eq!(facility("7"), Ok(Some(23)));
        assert_eq!(facility("user"), Ok(Some(1)));
        assert_eq!(facility("daemon"), Ok(Some(3)));
        assert!(facility("local8").is_err() && facility("kern").is_err());
    }

    #[test]
    fn options_of_keepalived_that_would_change_something_say_why_they_are_not_there() {
        assert!(parse("-aXIBRm -u 022 --core-dump-pattern=core -c /x -b /y").is_ok());
        for (word, why) in [("-x", "SNMP"), ("-A /x", "SNMP"), ("-V", "always go")] {
            let error = parse(word).expect_err("not there");
            assert!(error.contains(why), "{error}");
        }
        let there = parse("-s blue").expect("valid");
        assert_eq!(there.namespace.as_deref(), Some("blue"));
    }

    #[test]
    fn what_is_not_known_is_refused_with_the_nearest() {
        let error = parse("--use-fil x").expect_err("unknown");
        assert!(error.contains("did you mean `--use-file`?"), "{error}");
        let error = parse("stats").expect_err("unknown");
        assert!(error.contains("did you mean `status`?"), "{error}");
        for far in ["--zzzzzz", "zzzzzz"] {
            let error = parse(far).expect_err("unknown");
            assert!(error.contains("--help"), "{error}");
        }
        assert!(parse("-f").is_err() && parse("-S 9").is_err());
    }
}
