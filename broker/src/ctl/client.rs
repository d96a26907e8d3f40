//! The operator's end of the control socket.

use super::wire::{Ask, Fault, FaultKind, LIMIT, Said, What};
use crate::config::{cookie_path, default_data_dir, default_run_dir, socket_path};
use serde_json::{Map, Value};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// A node, by its name and run directory.
#[derive(Clone, Debug)]
pub struct Node {
    /// `rabbit@host`.
    pub name: String,
    run_dir: PathBuf,
    timeout: Option<Duration>,
}

/// Why a node gave no answer.
#[derive(Debug)]
pub enum Unreachable {
    /// Nobody listens at the socket.
    NotRunning(PathBuf),
    /// The cookie or the socket cannot be opened.
    NotAllowed(PathBuf, std::io::Error),
    /// Somebody listens, and the cookie is not there.
    NoCookie(PathBuf),
    /// The cookie is another node's.
    WrongCookie(PathBuf),
    /// The answer did not come in time, or broke off.
    Broken(std::io::Error),
}

impl Node {
    /// A node; the run directory is found by what is in it.
    pub fn new(name: String, run_dir: Option<&str>, timeout: Option<Duration>) -> Node {
        let run_dir = match run_dir {
            Some(dir) => dir.into(),
            None => find(&name),
        };
        Node {
            name,
            run_dir,
            timeout,
        }
    }

    /// Asks; the outer error is about reaching it.
    pub fn ask(&self, what: What) -> Result<Result<Value, Fault>, Unreachable> {
        let (socket, cookie) = (
            socket_path(&self.run_dir, &self.name),
            cookie_path(&self.run_dir, &self.name),
        );
        let mut stream = UnixStream::connect(&socket).map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Unreachable::NotRunning(socket),
            _ => Unreachable::NotAllowed(socket, error),
        })?;
        let secret = match std::fs::read_to_string(&cookie) {
            Ok(secret) => secret,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Unreachable::NoCookie(cookie));
            }
            Err(error) => return Err(Unreachable::NotAllowed(cookie, error)),
        };
        let said = self
            .exchange(&mut stream, secret, what)
            .map_err(Unreachable::Broken)?;
        match said {
            Said::Ok(value) => Ok(Ok(value)),
            Said::Fault(fault) if fault.kind == FaultKind::Cookie => {
                Err(Unreachable::WrongCookie(cookie))
            }
            Said::Fault(fault) => Ok(Err(fault)),
        }
    }

    fn exchange(
        &self,
        stream: &mut UnixStream,
        cookie: String,
        what: What,
    ) -> std::io::Result<Said> {
        stream.set_read_timeout(self.timeout)?;
        let ask = serde_json::to_vec(&Ask { cookie, what })?;
        stream.write_all(&ask)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut text = Vec::new();
        stream.take(LIMIT).read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// A GET of the HTTP API.
    pub fn get(&self, path: &str) -> Result<Result<Value, Fault>, Unreachable> {
        self.ask(What::Api {
            method: "GET".to_owned(),
            path: path.to_owned(),
            body: Value::Null,
        })
    }

    /// An operation.
    pub fn perform(
        &self,
        name: &str,
        with: Map<String, Value>,
    ) -> Result<Result<Value, Fault>, Unreachable> {
        let name = name.to_owned();
        self.ask(What::Do { name, with })
    }

    /// What to tell an operator whose node does not answer.
    pub fn explain(&self, why: &Unreachable) -> String {
        let (reason, suggestion) = match why {
            Unreachable::NotRunning(path) => (
                format!("nobody listens at {}", path.display()),
                "start the node, or give its run directory with --run-dir".to_owned(),
            ),
            Unreachable::NotAllowed(path, error) => (
                format!("cannot open {}: {error}", path.display()),
                "run this as the user of the node, or as root".to_owned(),
            ),
            Unreachable::NoCookie(path) => (
                format!("the node runs, but its cookie {} is gone", path.display()),
                "restart the node, which writes it anew".to_owned(),
            ),
            Unreachable::WrongCookie(path) => (
                format!("the node does not accept the cookie in {}", path.display()),
                "restart the node, which writes it anew".to_owned(),
            ),
            Unreachable::Broken(error) => (
                format!("the node gave no answer: {error}"),
                "look into the node's log; a longer --timeout may help".to_owned(),
            ),
        };
        let name = &self.name;
        format!(
            "Error: unable to perform an operation on node '{name}'. Please see diagnostics information and suggestions below.\n\n\
             Most common reasons for this are:\n\n \
             * Target node is not running\n \
             * CLI tool fails to authenticate with the server (it reads the node's cookie file, mode 0600)\n \
             * The node's run directory is another one\n\n\
             DIAGNOSTICS\n===========\n\n\
             attempted to contact: [{name}]\n\n\
             {name}:\n  * {reason}\n  * suggestion: {suggestion}\n"
        )
    }
}

/// The run directory that has a socket of this node: the usual ones in turn.
fn find(node: &str) -> PathBuf {
    let set = std::env::var_os("EVENKEEL_RUN_DIR").map(PathBuf::from);
    let places = [
        set,
        Some(default_run_dir()),
        Some(default_data_dir().join("run")),
        Some("/run/evenkeel/broker".into()),
    ];
    let mut places = places.into_iter().flatten();
    let has = |dir: &PathBuf| socket_path(dir, node).exists();
    places.find(has).unwrap_or_else(default_run_dir)
}
