//! The laboratory as the process in front sees it: orders in, answers and ends
//! of processes out.

use super::order::{Order, Report};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{Mutex, mpsc, oneshot};

type Answer = Result<String, String>;
type Waiting = Rc<RefCell<HashMap<u64, oneshot::Sender<Answer>>>>;

const ENDED: &str = "the laboratory has ended";

/// A process that ended: host, name, how.
pub type End = (String, String, String);

/// How long the end of everything in it may take.
const END: Duration = Duration::from_secs(10);

/// The running laboratory; everything in it is killed when this is dropped.
pub struct Lab {
    /// Where orders go until it ends, and the number of the next one.
    stdin: Mutex<(Option<ChildStdin>, u64)>,
    waiting: Waiting,
    child: Mutex<Child>,
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
            stdin: Mutex::new((Some(stdin), 0)),
            waiting,
            child: Mutex::new(child),
        };
        Ok((lab, ends))
    }

    /// Gives an order and waits for its answer.
    pub async fn order(&self, order: Order) -> Answer {
        let (sender, answer) = oneshot::channel();
        {
            let mut stdin = self.stdin.lock().await;
            let (Some(pipe), number) = &mut *stdin else {
                return Err(ENDED.to_owned());
            };
            self.waiting.borrow_mut().insert(*number, sender);
            *number += 1;
            let mut line = serde_json::to_vec(&order).map_err(|e| e.to_string())?;
            line.push(b'\n');
            pipe.write_all(&line).await.map_err(|e| e.to_string())?;
        }
        answer.await.map_err(|_| ENDED.to_owned())?
    }

    /// Ends everything in it, and waits until the last process is gone: its first process waits
    /// for the first one of the process namespace, which the kernel lets go after all others.
    pub async fn end(&self) {
        drop(self.stdin.lock().await.0.take());
        let mut child = self.child.lock().await;
        if tokio::time::timeout(END, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
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
