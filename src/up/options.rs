//! The command line of `evenkeel up`.

use clap::{CommandFactory, Parser};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Brings up two proxy hosts with one virtual address and brokers behind them,
/// each host a set of namespaces on this machine.
#[derive(Parser, Clone, Debug)]
#[command(name = "evenkeel up", disable_version_flag = true)]
pub struct Options {
    /// A real three-node RabbitMQ cluster (Debian's rabbitmq-server; needs root) in place of our broker.
    #[arg(long)]
    pub with_rabbitmq: bool,

    /// Number of our brokers; each is a node of its own.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub brokers: u8,

    /// Run a numbered publisher and consumer with confirms and show the ledger.
    #[arg(long)]
    pub traffic: bool,

    /// Messages a second that --traffic publishes.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,

    /// Lines instead of the live view, for scripts.
    #[arg(long)]
    pub plain: bool,

    /// End by itself so long after being ready, such as 20s or 2m.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub run_for: Option<Duration>,

    /// Ask a running `up` to do something: kill-proxy A, kill-lb A, kill-vip A, hang-vip A,
    /// kill-node N, stop-node N, start-node N, hang N, cut N, heal [N], demote [A], reload [A], roll, status, quit.
    #[arg(long = "do", value_name = "ACTION", num_args = 1..)]
    pub action: Option<Vec<String>>,

    /// Perform an action by itself: TIME:ACTION, such as 5s:kill-proxy A; may be repeated.
    #[arg(long = "at", value_name = "TIME:ACTION")]
    pub at: Vec<String>,

    /// Run a command on the client host, where EVENKEEL_VIP is the virtual address; its output is shown.
    /// May be repeated; `up` ends when all have ended, and fails when one fails.
    #[arg(long = "client", value_name = "COMMAND")]
    pub clients: Vec<String>,

    /// One balancer and one broker on loopback, without namespaces and virtual address.
    #[arg(long)]
    pub no_vip: bool,

    /// haproxy and keepalived in place of our balancer and VRRP daemon (for comparison; needs root).
    #[arg(long)]
    pub peers: bool,

    /// Where it keeps its files; default a directory of its own below the system's temporary one.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Port on localhost that leads to the virtual address's 5672; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 5672)]
    pub amqp_port: u16,

    /// Port on localhost that leads to the statistics page.
    #[arg(long, value_name = "PORT", default_value_t = 8100)]
    pub stats_port: u16,

    /// Port on localhost that leads to the broker's management page.
    #[arg(long, value_name = "PORT", default_value_t = 15672)]
    pub management_port: u16,
}

/// Its options, for the manual.
pub fn parser() -> clap::Command {
    Options::command()
}

/// The options, or the exit status that bad ones (2) or `--help` (0) end with.
pub fn parse(args: Vec<String>) -> Result<Options, ExitCode> {
    let all = std::iter::once("evenkeel up".to_owned()).chain(args);
    Options::try_parse_from(all).map_err(|error| {
        let _ = error.print();
        ExitCode::from(error.exit_code() as u8)
    })
}

/// `500ms`, `20s`, `2m`, `1h`, or a bare number of seconds.
pub fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let value: f64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is not a time such as 20s"))?;
    let factor = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        unit => return Err(format!("`{unit}` is no unit; ms, s, m and h are")),
    };
    let seconds = value * factor;
    if !(0.0..=1e7).contains(&seconds) {
        return Err(format!("`{text}` is out of range"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_stand_behind_the_words_of_an_action() {
        let words = "--do kill-proxy A --state-dir /run/up";
        let options = parse(words.split(' ').map(str::to_owned).collect()).unwrap();
        assert_eq!(options.action.unwrap(), ["kill-proxy", "A"]);
        assert_eq!(options.state_dir, Some("/run/up".into()));
        assert!(parse(vec!["--do".into(), "--plain".into()]).is_err());
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert!(time("5x").is_err() && time("s").is_err() && time("-1").is_err());
    }
}
