//! `evenkeel broker` and `rabbitmq-server`: options, the configuration file,
//! and the way into the background.

use crate::certificates::Files;
use crate::config::{NodeConfig, Overrides};
use crate::node;
use conf::broker::{Config, parse_address};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: evenkeel broker [options]

An AMQP 0-9-1 broker; runs without any file and any option.

  -c, --config FILE       broker.toml or rabbitmq.conf
  -n, --node NAME@HOST    the node's name (rabbit@ and this host's name)
      --listen ADDR       AMQP listener, may be repeated (*:5672)
      --tls ADDR          AMQP listener with TLS, may be repeated; needs [tls] in the file
      --management ADDR   HTTP API, page and metrics (*:15672); `none` for none
      --prometheus ADDR   metrics alone (*:15692); `none` for none
      --data-dir DIR      where messages and metadata are kept
      --run-dir DIR       where the control socket and the cookie are
      --check             check the configuration and end
      --reference         print the reference of the configuration file
  -h, --help
  -V, --version

Environment: RABBITMQ_NODENAME, RABBITMQ_NODE_PORT, RABBITMQ_NODE_IP_ADDRESS,
RABBITMQ_CONFIG_FILE, RABBITMQ_MNESIA_BASE stand for the options above;
RABBITMQ_PID_FILE names a file for the process identifier.
";

/// What a command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Options {
    config: Option<PathBuf>,
    over: Overrides,
    check: bool,
    detached: bool,
    print: Option<&'static str>,
    reference: bool,
}

/// `evenkeel broker`: serves until it is told to stop.
pub fn command(args: Vec<String>) -> ExitCode {
    match parse(args, environment) {
        Ok(options) => act(options),
        Err(error) => {
            eprintln!("evenkeel broker: {error}\n\n{USAGE}");
            ExitCode::from(64)
        }
    }
}

/// `rabbitmq-server [-detached]`: the same under RabbitMQ's name.
pub fn server(args: Vec<String>) -> ExitCode {
    command(args)
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

fn parse(args: Vec<String>, env: impl Fn(&str) -> Option<OsString>) -> Result<Options, String> {
    let mut options = from_environment(env)?;
    let mut listen = Vec::new();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (word, attached) = match arg.split_once('=') {
            Some((word, value)) if word.starts_with("--") => {
                (word.to_owned(), Some(value.to_owned()))
            }
            _ => (arg, None),
        };
        let mut value = || {
            let given = attached.clone().or_else(|| args.next());
            given.ok_or_else(|| format!("{word} needs a value"))
        };
        let over = &mut options.over;
        match word.as_str() {
            "-c" | "--config" => options.config = Some(value()?.into()),
            "-n" | "--node" => over.node = Some(value()?),
            "--listen" => listen.push(address(&value()?, 5672)?),
            "--tls" => over.tls.push(address(&value()?, 5671)?),
            "--management" => add(&mut over.management, &value()?, 15_672)?,
            "--prometheus" => add(&mut over.prometheus, &value()?, 15_692)?,
            "--data-dir" => over.data_dir = Some(value()?.into()),
            "--run-dir" => over.run_dir = Some(value()?.into()),
            "--check" => options.check = true,
            "-detached" | "--detached" => options.detached = true,
            "--reference" => options.reference = true,
            "-h" | "--help" => options.print = Some(USAGE),
            "-V" | "--version" => {
                options.print = Some(concat!("evenkeel ", env!("CARGO_PKG_VERSION"), "\n"))
            }
            _ => return Err(unknown(&word)),
        }
    }
    if !listen.is_empty() {
        options.over.listen = listen;
    }
    Ok(options)
}

fn unknown(word: &str) -> String {
    let known = [
        "--config",
        "--node",
        "--listen",
        "--tls",
        "--management",
        "--prometheus",
        "--data-dir",
        "--run-dir",
        "--check",
        "--reference",
        "--help",
        "--version",
        "-detached",
    ];
    match conf::suggest::nearest(word, known) {
        Some(near) => format!("there is no option {word}; did you mean {near}?"),
        None => format!("there is no option {word}"),
    }
}

fn address(text: &str, port: u16) -> Result<SocketAddr, String> {
    parse_address(text, port).ok_or_else(|| {
        format!("`{text}` is not an address such as 127.0.0.1:{port}, *:{port} or {port}")
    })
}

fn add(list: &mut Option<Vec<SocketAddr>>, text: &str, port: u16) -> Result<(), String> {
    let list = list.get_or_insert_default();
    if text != "none" {
        list.push(address(text, port)?);
    }
    Ok(())
}

/// RabbitMQ's variables that mean something here.
fn from_environment(env: impl Fn(&str) -> Option<OsString>) -> Result<Options, String> {
    let text = |name: &str| env(name).and_then(|v| v.into_string().ok());
    let mut options = Options {
        config: env("RABBITMQ_CONFIG_FILE").map(PathBuf::from),
        ..Options::default()
    };
    // its scripts allow the name without the ending
    if let Some(path) = &mut options.config
        && !path.exists()
    {
        let named = path.with_extension("conf");
        if named.exists() {
            *path = named;
        }
    }
    options.over.node = text("RABBITMQ_NODENAME");
    let ip = text("RABBITMQ_NODE_IP_ADDRESS").unwrap_or_else(|| "*".to_owned());
    if let Some(port) = text("RABBITMQ_NODE_PORT") {
        options.over.listen = vec![address(&format!("{ip}:{port}"), 5672)?];
    } else if ip != "*" {
        options.over.listen = vec![address(&ip, 5672)?];
    }
    options.over.data_dir = env("RABBITMQ_MNESIA_BASE").map(PathBuf::from);
    options.over.pid_file = env("RABBITMQ_PID_FILE").map(PathBuf::from);
    Ok(options)
}

fn act(options: Options) -> ExitCode {
    if let Some(text) = options.print {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    if options.reference {
        print!("{}", conf::broker::reference_page());
        return ExitCode::SUCCESS;
    }
    let mut config = Config::default();
    if let Some(path) = &options.config {
        let (loaded, report) = conf::broker::load(path);
        let color = std::io::IsTerminal::is_terminal(&std::io::stderr());
        eprint!("{}", report.human(color));
        match loaded {
            Some(loaded) => config = loaded,
            None => return ExitCode::from(78),
        }
    }
    if options.check {
        return check(&config);
    }
    let config = NodeConfig::new(config, options.over, options.config);
    if options.detached {
        return detach();
    }
    node::run(config)
}

/// Ends a check of a configuration that can be read with what is in the files that it names.
fn check(config: &Config) -> ExitCode {
    if let Some(Err(error)) = config.tls.as_ref().map(Files::open) {
        eprintln!("evenkeel broker: {error}");
        return ExitCode::from(78);
    }
    println!("the configuration is valid");
    ExitCode::SUCCESS
}

/// Starts this program again in the background, in a process group of its own: the terminal's keys do not reach it.
fn detach() -> ExitCode {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    let args = std::env::args_os().skip(1);
    let args = args.filter(|arg| arg != "-detached" && arg != "--detached");
    let program = std::env::args_os()
        .next()
        .unwrap_or_else(|| "evenkeel".into());
    let spawned = std::env::current_exe().and_then(|exe| {
        Command::new(exe)
            .arg0(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
    });
    match spawned {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("evenkeel broker: cannot start in the background: {error}");
            ExitCode::from(71)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str], env: &[(&str, &str)]) -> Result<Options, String> {
        let env: Vec<_> = env
            .iter()
            .map(|(k, v)| (k.to_string(), OsString::from(v)))
            .collect();
        parse(args.iter().map(|a| a.to_string()).collect(), move |name| {
            env.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())
        })
    }

    #[test]
    fn options_may_be_attached_or_apart() {
        let options = parsed(
            &["--listen=127.0.0.1:1", "--listen", ":2", "-n", "a@b"],
            &[],
        )
        .expect("sound");
        assert_eq!(options.over.listen.len(), 2);
        assert_eq!(options.over.node.as_deref(), Some("a@b"));
        let options = parsed(&["--management", "none"], &[]).expect("sound");
        assert_eq!(options.over.management, Some(Vec::new()));
    }

    #[test]
    fn the_environment_of_rabbitmq_counts_and_options_win() {
        let env = [("RABBITMQ_NODENAME", "r@h"), ("RABBITMQ_NODE_PORT", "5999")];
        let options = parsed(&["-detached"], &env).expect("sound");
        assert!(options.detached);
        assert_eq!(options.over.node.as_deref(), Some("r@h"));
        assert_eq!(options.over.listen[0].port(), 5999);
        let options = parsed(&["--listen", ":1"], &env).expect("sound");
        assert_eq!(options.over.listen.len(), 1);
        assert_eq!(options.over.listen[0].port(), 1);
    }

    #[test]
    fn slips_are_answered_with_the_right_option() {
        let error = parsed(&["--lisen", ":1"], &[]).expect_err("refused");
        assert!(error.contains("did you mean --listen?"), "{error}");
        assert!(parsed(&["--listen"], &[]).is_err());
        assert!(parsed(&["--listen", "x:y"], &[]).is_err());
    }
}
