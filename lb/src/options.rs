//! The command line of `evenkeel lb`: HAProxy's options.
//!
//! Parsing only; [`crate::command`] acts on the result.

use std::path::PathBuf;

/// A parsed command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-f` and what follows `--`: files and directories in order.
    pub files: Vec<PathBuf>,
    /// `-c`: check and leave.
    pub check: bool,
    /// `-cc`: evaluate this condition and leave.
    pub condition: Option<String>,
    /// `-v` once, `-vv` twice.
    pub version: u8,
    /// `-h`, `--help`.
    pub help: bool,
    /// `-d` and `-db`: stay in the foreground, one process.
    pub foreground: bool,
    /// `-D`.
    pub daemon: bool,
    /// `-W` and `-Ws`.
    pub master_worker: bool,
    /// `-Ws`: tell systemd.
    pub notify: bool,
    /// `-S`: address and options of the master's CLI.
    pub master_cli: Vec<String>,
    /// `-q`.
    pub quiet: bool,
    /// `-V`.
    pub verbose: bool,
    /// `-p`.
    pub pidfile: Option<PathBuf>,
    /// `-C`: change to this directory before the files are read.
    pub directory: Option<PathBuf>,
    /// `-L`.
    pub local_peer: Option<String>,
    /// `-n`: sessions of the process.
    pub maxconn: Option<u32>,
    /// `-N`: sessions of a proxy without its own `maxconn`.
    pub proxy_maxconn: Option<u32>,
    /// `-m`: memory in MiB.
    pub memory_mib: Option<u64>,
    /// `-dW`: warnings are fatal.
    pub zero_warning: bool,
    /// `-dD`: tell more about what looks suspicious.
    pub diagnostics: bool,
    /// `-dr`: a name that does not resolve leaves its server in maintenance.
    pub ignore_resolution: bool,
    /// `-dR`: no SO_REUSEPORT.
    pub no_reuseport: bool,
    /// `-dS`: no splice.
    pub no_splice: bool,
    /// `-dL`: list loaded object files.
    pub list_objects: bool,
    /// `-dK`: list keywords of these classes.
    pub list_keywords: Option<String>,
    /// `-sf` and `-st`: processes to end once this one listens.
    pub old_pids: Vec<i32>,
    /// `-st`: end them at once rather than softly.
    pub terminate_old: bool,
    /// `-x`: a CLI socket of the old process that hands out its listeners.
    pub takeover: Option<PathBuf>,
    /// `--successor-of`: the worker that a master with a new program takes over from.
    pub successor_of: Option<i32>,
    /// `--state-dir`: where counters and states are kept over a restart.
    pub state_dir: Option<PathBuf>,
    /// `--run-dir`: where the always-there admin socket lies.
    pub run_dir: Option<PathBuf>,
    /// `--format json`: diagnostics for programs.
    pub json: bool,
    /// What is to be said of options that do less here than in HAProxy.
    pub remarks: Vec<String>,
}

impl Options {
    /// Reads the arguments behind the program's name.
    ///
    /// # Errors
    /// A sentence that names the argument that is not understood.
    pub fn parse<I: IntoIterator<Item = String>>(args: I) -> Result<Options, String> {
        let mut options = Options::default();
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            if arg == "--" {
                options.files.extend(args.by_ref().map(PathBuf::from));
            } else if arg == "-sf" || arg == "-st" {
                options.terminate_old = arg == "-st";
                while let Some(pid) = args.next_if(|next| !next.starts_with('-')) {
                    options.old_pids.push(pid_of(&arg, &pid)?);
                }
            } else if !options.switch(&arg) {
                let value = args.next_if(|_| takes_value(&arg));
                options.valued(&arg, value)?;
            }
        }
        Ok(options)
    }

    /// Takes an option without a value; `false` when it is none.
    fn switch(&mut self, arg: &str) -> bool {
        match arg {
            "-c" => self.check = true,
            "-v" => self.version = 1,
            "-vv" => self.version = 2,
            "-h" | "--help" => self.help = true,
            "-d" => {
                self.foreground = true;
                let trace = "'-d' stays in the foreground; `evenkeel lb trace` tells sessions.";
                self.remarks.push(trace.to_owned());
            }
            "-db" => self.foreground = true,
            "-D" => self.daemon = true,
            "-W" => self.master_worker = true,
            "-Ws" => {
                self.master_worker = true;
                self.notify = true;
            }
            "-q" => self.quiet = true,
            "-V" => self.verbose = true,
            "-dW" => self.zero_warning = true,
            "-dD" => self.diagnostics = true,
            "-dr" => self.ignore_resolution = true,
            "-dR" => self.no_reuseport = true,
            "-dS" => self.no_splice = true,
            "-dL" => self.list_objects = true,
            "-dI" | "-dV" | "-dG" | "-de" | "-dp" | "-dF" => self.passes_over(arg),
            _ if arg.starts_with("-dM") => self.passes_over(arg),
            _ if arg.starts_with("-dK") => self.list_keywords = Some(arg[3..].to_owned()),
            _ => return false,
        }
        true
    }

    fn passes_over(&mut self, arg: &str) {
        let remark = format!("'{arg}' is accepted, but has no effect here.");
        self.remarks.push(remark);
    }

    fn valued(&mut self, arg: &str, value: Option<String>) -> Result<(), String> {
        if !takes_value(arg) {
            return Err(unknown(arg));
        }
        let Some(value) = value else {
            return Err(format!("option '{arg}' needs a value"));
        };
        match arg {
            "-f" => self.files.push(value.into()),
            "-cc" => self.condition = Some(value),
            "-S" => self.master_cli = value.split(',').map(str::to_owned).collect(),
            "-p" => self.pidfile = Some(value.into()),
            "-C" => self.directory = Some(value.into()),
            "-L" => self.local_peer = Some(value),
            "-n" => self.maxconn = limit(arg, &value)?,
            "-N" => self.proxy_maxconn = limit(arg, &value)?,
            "-m" => self.memory_mib = limit(arg, &value)?,
            "-x" => self.takeover = Some(value.into()),
            "--state-dir" => self.state_dir = Some(value.into()),
            SUCCESSOR_OF => {
                let pid = pid_of(arg, &value)?;
                self.successor_of = Some(pid);
                self.old_pids = vec![pid];
            }
            "--run-dir" => self.run_dir = Some(value.into()),
            "--format" => self.json = json_wanted(&value)?,
            _ => return Err(unknown(arg)),
        }
        Ok(())
    }
}

/// What a master gives the program that takes its place.
pub const SUCCESSOR_OF: &str = "--successor-of";

static VALUED: &[&str] = &[
    "-f",
    "-cc",
    "-S",
    "-p",
    "-C",
    "-L",
    "-n",
    "-N",
    "-m",
    "-x",
    "--state-dir",
    SUCCESSOR_OF,
    "--run-dir",
    "--format",
];

fn takes_value(arg: &str) -> bool {
    VALUED.contains(&arg)
}

fn unknown(arg: &str) -> String {
    if !arg.starts_with('-') {
        return format!("'{arg}' is not an option; configuration files follow '-f' or '--'");
    }
    let valued = VALUED.iter().copied().filter(|o| *o != SUCCESSOR_OF);
    let known = valued.chain([
        "-c", "-v", "-vv", "-d", "-db", "-D", "-W", "-Ws", "-q", "-V", "-dW", "-dD", "-dr", "-dR",
        "-dS", "-dL", "-dI", "-dV", "-dG", "-de", "-dp", "-dM", "-dK", "-sf", "-st", "--help",
    ]);
    let hint = match conf::suggest::nearest(arg, known) {
        Some(near) if arg.len() > 2 => format!("; did you mean '{near}'?"),
        _ => String::new(),
    };
    format!("unknown option '{arg}'{hint}")
}

fn pid_of(arg: &str, text: &str) -> Result<i32, String> {
    match text.parse::<i32>() {
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err(format!("'{arg}' takes process ids, and '{text}' is none")),
    }
}

fn number<T: std::str::FromStr>(arg: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("option '{arg}' takes a number, and '{text}' is none"))
}

/// A limit, of which 0 means none.
fn limit<T: std::str::FromStr + Default + PartialEq>(
    arg: &str,
    text: &str,
) -> Result<Option<T>, String> {
    let number: T = number(arg, text)?;
    Ok((number != T::default()).then_some(number))
}

fn json_wanted(value: &str) -> Result<bool, String> {
    match value {
        "json" => Ok(true),
        "text" => Ok(false),
        _ => Err(format!(
            "option '--format' takes 'text' or 'json', not '{value}'"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn files_come_from_f_and_from_behind_the_double_dash() {
        let options = parse("-f a.cfg -D -f b -- c d").unwrap();
        let files: Vec<_> = options.files.iter().map(|f| f.to_str().unwrap()).collect();
        assert_eq!(files, ["a.cfg", "b", "c", "d"]);
        assert!(options.daemon);
    }

    #[test]
    fn old_pids_end_at_the_next_option() {
        let options = parse("-st 12 13 -f x -sf").unwrap();
        assert_eq!(options.old_pids, [12, 13]);
        assert!(parse("-sf abc").is_err());
    }

    #[test]
    fn a_limit_of_0_is_none() {
        let options = parse("-n 0 -N 0 -m 0").unwrap();
        assert_eq!(options.maxconn.or(options.proxy_maxconn), None);
        assert_eq!(options.memory_mib, None);
        assert_eq!(parse("-n 5 -N 6").unwrap().maxconn, Some(5));
    }

    #[test]
    fn glued_values_of_debug_options_are_taken() {
        let options = parse("-dKall -dM0x50 -dMhelp").unwrap();
        assert_eq!(options.list_keywords.as_deref(), Some("all"));
        assert!(options.remarks[0].starts_with("'-dM0x50' is accepted"));
        assert!(options.remarks[1].starts_with("'-dMhelp' is accepted"));
    }

    #[test]
    fn ws_means_w_and_notification() {
        let options = parse("-Ws -S /run/m.sock,mode,600").unwrap();
        assert!(options.master_worker && options.notify);
        assert_eq!(options.master_cli, ["/run/m.sock", "mode", "600"]);
    }

    #[test]
    fn a_missing_value_and_an_unknown_option_are_named() {
        assert!(parse("-f").unwrap_err().contains("'-f' needs a value"));
        assert!(parse("-dX").unwrap_err().contains("unknown option '-dX'"));
        assert!(parse("x.cfg").unwrap_err().contains("follow '-f'"));
    }

    #[test]
    fn every_documented_option_is_accepted() {
        let line = "-f f -c -d -db -D -p p -q -V -v -vv -L l -n 1 -N 2 -m 3 -C c -dM -dI -dW \
                    -dD -dr -dV -dR -dL -dK -x x -W -Ws -S s -cc c -sf 1 -st 2 --";
        assert!(parse(line).is_ok());
    }
}
