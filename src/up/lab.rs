//! The laboratory as the process in front sees it: orders in, answers and ends
//! of processes out.

use super::order::{Order, Report};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex, mpsc, oneshot};

type Answer = Result<String, String>;
type Waiting = Rc<RefCell<HashMap<u64, oneshot::Sender<Answer>>>>;

/// A process that ended: host, name, how.
pub type End = (String, String, String);

/// The running laboratory; everything in it ends when this is dropped.
pub struct Lab {
    stdin: Mutex<(ChildStdin, u64)>,
    waiting: Waiting,
    _child: Child,
}

impl Lab {
    /// Starts it; ends of processes arrive by the receiver.
    pub async fn start(gate: &Path) -> io::Result<(Lab, mpsc::Receiver<End>)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["up", "--role=lab"])
            .arg(gate)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .process_group(0)
            .spawn()?;
        let lost = || io::Error::other("the laboratory did not start");
        let stdin = child.stdin.take().ok_or_else(lost)?;
        let stdout = child.stdout.take().ok_or_else(lost)?;
        let waiting = Waiting::default();
        let (ready, is_ready) = oneshot::channel();
        let (ended, ends) = mpsc::channel(256);
        tokio::task::spawn_local(read(stdout, waiting.clone(), ready, ended));
        is_ready.await.map_err(|_| lost())?;
        let lab = Lab {
            stdin: Mutex::new((stdin, 0)),
            waiting,
            _child: child,
        };
        Ok((lab, ends))
    }

    /// Gives an order and waits for its answer.
    pub async fn order(&self, order: Order) -> Answer {
        let (sender, answer) = oneshot::channel();
        {
            let mut stdin = self.stdin.lock().await;
            let number = stdin.1;
            stdin.1 += 1;
            self.waiting.borrow_mut().insert(number, sender);
            let mut line = serde_json::to_vec(&order).map_err(|e| e.to_string())?;
            line.push(b'\n');
            stdin.0.write_all(&line).await.map_err(|e| e.to_string())?;
        }
        answer
            .await
            .map_err(|_| "the laboratory has ended".to_owned())?
    }
}

async fn read(
    stdout: tokio::process::ChildStdout,
    waiting: Waiting,
    ready: oneshot::Sender<()>,
    ended: mpsc::Sender<End>,
) {
    let mut ready = Some(ready);
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(report) = serde_json::from_str(&line) else {
            continue;
        };
        let (order, answer) = match report {
            Report::Ready => {
                let _ = ready.take().map(|r| r.send(()));
                continue;
            }
            Report::Exit { host, name, how } => {
                let _ = ended.send((host, name, how)).await;
                continue;
            }
            Report::Done { order, answer } => (order, Ok(answer)),
            Report::Failed { order, reason } => (order, Err(reason)),
        };
        let sender = waiting.borrow_mut().remove(&order);
        if let Some(sender) = sender {
            let _ = sender.send(answer);
        }
    }
    waiting.borrow_mut().clear();
}
