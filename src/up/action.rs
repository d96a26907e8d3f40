//! What a person can do to the running picture, and asking for it from another
//! shell (`evenkeel up --do ...`).

use super::plan::{Host, Plan};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// One thing to do. Hosts are names of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The proxy host dies: its port goes silent, its processes are killed.
    KillProxy(String),
    /// SIGKILL of the balancer.
    KillBalancer(String),
    /// SIGKILL of every process of the VRRP daemon.
    KillVip(String),
    /// SIGSTOP of the VRRP daemon.
    HangVip(String),
    /// SIGSTOP of the balancer.
    HangBalancer(String),
    /// The proxy hosts do not hear each other; everybody else hears both.
    Partition,
    /// SIGKILL of the broker.
    KillNode(String),
    /// SIGTERM to the broker.
    StopNode(String),
    /// SIGSTOP of everything on a host.
    Hang(String),
    /// The host's port goes silent.
    Cut(String),
    /// Ports back, hung processes on, ended ones started again; one host or all.
    Heal(Option<String>),
    /// The master gives the address away.
    Demote(Option<String>),
    /// Both daemons of a proxy host (or both hosts') read their files again.
    Reload(Option<String>),
    /// The brokers are stopped and started one after the other.
    Roll,
    /// Say how it stands.
    Status,
    /// End.
    Quit,
}

/// The words that [`parse`] knows, with what they do.
pub const WORDS: &[(&str, &str)] = &[
    ("kill-proxy", "the proxy host dies"),
    ("kill-lb", "its balancer is killed"),
    ("kill-vip", "its VRRP daemon is killed"),
    ("hang-vip", "its VRRP daemon hangs"),
    ("hang-lb", "its balancer hangs"),
    ("partition", "the proxy hosts do not hear each other"),
    ("kill-node", "the broker is killed"),
    ("stop-node", "the broker is stopped"),
    ("start-node", "the broker is started again"),
    ("hang", "everything on a host hangs"),
    ("cut", "a host's link goes silent"),
    ("heal", "everything works again"),
    ("demote", "the master gives the address away"),
    ("reload", "the proxies read their files again"),
    ("roll", "the brokers are restarted one after the other"),
    ("status", "how it stands"),
    ("quit", "end"),
];

/// Reads `kill-proxy A`, `heal`, ...; hosts are those of the plan, brokers by their number, too.
pub fn parse(words: &[String], plan: &Plan) -> Result<Action, String> {
    let word = words.first().map_or("", String::as_str);
    let host = match words.get(1) {
        None => None,
        Some(name) => Some(named(word, name, plan)?),
    };
    if let Some(extra) = words.get(2) {
        return Err(format!("`{word}` takes no `{extra}`"));
    }
    let need = |host: Option<String>| {
        let example = hosts_for(word, plan)
            .first()
            .map_or("A".to_owned(), |h| h.name.to_uppercase());
        host.ok_or_else(|| format!("`{word}` needs a host, such as {example}"))
    };
    Ok(match word {
        "kill-proxy" => Action::KillProxy(need(host)?),
        "kill-lb" => Action::KillBalancer(need(host)?),
        "kill-vip" => Action::KillVip(need(host)?),
        "hang-vip" => Action::HangVip(need(host)?),
        "hang-lb" => Action::HangBalancer(need(host)?),
        "partition" if host.is_some() => {
            return Err("`partition` takes no host: it is between the proxy hosts".to_owned());
        }
        "partition" => Action::Partition,
        "roll" if host.is_some() => {
            return Err("`roll` takes no host: it restarts every broker in turn".to_owned());
        }
        "kill-node" => Action::KillNode(need(host)?),
        "stop-node" => Action::StopNode(need(host)?),
        "start-node" => Action::Heal(Some(need(host)?)),
        "hang" => Action::Hang(need(host)?),
        "cut" => Action::Cut(need(host)?),
        "heal" => Action::Heal(host),
        "demote" => Action::Demote(host),
        "reload" => Action::Reload(host),
        "roll" => Action::Roll,
        "status" => Action::Status,
        "quit" => Action::Quit,
        _ => {
            let names = WORDS.iter().map(|(name, _)| *name);
            let near = conf::suggest::nearest(word, names.clone());
            let hint = near.map_or_else(
                || format!("known are: {}", names.collect::<Vec<_>>().join(", ")),
                |n| format!("did you mean `{n}`?"),
            );
            return Err(format!("there is no action `{word}`; {hint}"));
        }
    })
}

/// The host of this name, if the action is for hosts of its kind.
fn named(word: &str, name: &str, plan: &Plan) -> Result<String, String> {
    let found = plan.host(name).or_else(|| plan.host(&format!("n{name}")));
    let host = found.ok_or_else(|| format!("there is no host `{name}`"))?;
    let fitting = hosts_for(word, plan);
    if fitting.iter().any(|h| h.name == host.name) {
        return Ok(host.name.clone());
    }
    let names: Vec<_> = fitting.iter().map(|h| h.name.to_uppercase()).collect();
    let names = names.join(", ");
    Err(format!(
        "`{word}` is not for host {}; it is for {names}",
        name.to_uppercase()
    ))
}

/// The hosts that an action can be done to.
fn hosts_for<'a>(word: &str, plan: &'a Plan) -> Vec<&'a Host> {
    match word {
        "kill-proxy" | "kill-lb" | "kill-vip" | "hang-vip" | "hang-lb" | "demote" | "reload" => {
            plan.proxies.iter().collect()
        }
        "kill-node" | "stop-node" | "start-node" => plan.brokers.iter().collect(),
        _ => plan.hosts().collect(),
    }
}

/// `5s:kill-proxy A` from `--at`.
pub fn timed(text: &str) -> Result<(Duration, Vec<String>), String> {
    let (time, words) = text
        .split_once(':')
        .ok_or_else(|| format!("`{text}` is not TIME:ACTION, such as 5s:kill-proxy A"))?;
    let words = words.split_whitespace().map(str::to_owned).collect();
    Ok((super::options::time(time)?, words))
}

/// Asks the `up` that runs in `dir`; prints its answer.
pub fn ask(dir: &Path, words: &[String]) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let answer = match runtime {
        Ok(runtime) => runtime.block_on(exchange(dir, words)),
        Err(error) => Err(error),
    };
    match answer {
        Ok(text) => {
            print!("{text}");
            ExitCode::from(u8::from(text.starts_with("error")))
        }
        Err(error) => {
            let place = dir.display();
            eprintln!(
                "evenkeel up: nothing answers in {place} ({error}); is `evenkeel up` running? \
                 (with --no-vip it takes no actions)"
            );
            ExitCode::from(2)
        }
    }
}

async fn exchange(dir: &Path, words: &[String]) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(dir.join("up.sock")).await?;
    stream
        .write_all((words.join(" ") + "\n").as_bytes())
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    match text.is_empty() {
        true => Err(std::io::Error::other("it ended before it answered")),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Action, String> {
        let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
        let options = super::super::options::parse(Vec::new());
        let options = options.unwrap_or_else(|_| panic!("defaults"));
        parse(&words, &Plan::new(&options, Path::new("/nowhere")))
    }

    #[test]
    fn an_end_without_an_answer_is_no_success() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let socket = std::os::unix::net::UnixListener::bind(dir.path().join("up.sock"));
        let socket = socket.expect("a free name");
        let ended = std::thread::spawn(move || drop(socket.accept()));
        assert_eq!(ask(dir.path(), &["heal".to_owned()]), ExitCode::from(2));
        ended.join().expect("it only closes");
    }

    #[test]
    fn an_action_is_done_to_hosts_of_its_kind() {
        assert_eq!(read("kill-node 1"), Ok(Action::KillNode("n1".to_owned())));
        assert_eq!(read("cut c"), Ok(Action::Cut("c".to_owned())));
        let refused = read("kill-proxy N1").unwrap_err();
        assert!(refused.contains("it is for A, B"), "{refused}");
        let refused = read("kill-node a").unwrap_err();
        assert!(refused.contains("it is for N1"), "{refused}");
        assert!(read("stop-node").unwrap_err().contains("such as N1"));
    }

    #[test]
    fn actions_name_known_hosts_and_slips_get_a_suggestion() {
        assert_eq!(read("kill-proxy A"), Ok(Action::KillProxy("a".to_owned())));
        assert_eq!(read("heal"), Ok(Action::Heal(None)));
        assert!(read("kill-prxy A").unwrap_err().contains("kill-proxy"));
        assert_eq!(read("partition"), Ok(Action::Partition));
        assert!(read("partition A").unwrap_err().contains("no host"));
        assert!(read("cut Z").unwrap_err().contains("no host"));
        assert!(read("cut").unwrap_err().contains("needs a host"));
        let timed = timed("250ms:cut A").expect("a time and an action");
        assert_eq!(timed.0, Duration::from_millis(250));
    }
}
