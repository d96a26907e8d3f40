//! Actions asked for by a key, by `--at`, or from another shell.

use super::action;
use super::run::Up;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// A request by a key, by `--at`, or from another shell, and where its answer goes.
pub struct Request {
    /// What to do.
    pub words: Vec<String>,
    /// Where the answer goes.
    pub answer: oneshot::Sender<String>,
}

impl Up {
    /// Requests from other shells.
    pub(super) fn listen(&self, requests: mpsc::Sender<Request>) -> Result<(), String> {
        let path = self.plan.gate.with_file_name("up.sock");
        let listener = UnixListener::bind(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(one_request(stream, requests.clone()));
            }
        });
        Ok(())
    }

    /// Requests by `--at`.
    pub(super) fn timetable(&self, requests: &mpsc::Sender<Request>) -> Result<(), String> {
        for entry in &self.options.at {
            let (time, words) = action::timed(entry)?;
            let requests = requests.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(time).await;
                let (answer, _ignored) = oneshot::channel();
                let _ = requests.send(Request { words, answer }).await;
            });
        }
        Ok(())
    }
}

async fn one_request(stream: UnixStream, requests: mpsc::Sender<Request>) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    if stream.read_line(&mut line).await.is_err() {
        return;
    }
    let words = line.split_whitespace().map(str::to_owned).collect();
    let (answer, answered) = oneshot::channel();
    if requests.send(Request { words, answer }).await.is_err() {
        return;
    }
    if let Ok(text) = answered.await {
        let _ = stream.write_all(text.as_bytes()).await;
    }
}
