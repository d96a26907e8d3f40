//! The node's end of the control socket. Who can read the cookie file (the
//! node's user) is an administrator; nobody else gets an answer.

use super::ops;
use super::wire::{Ask, Fault, FaultKind, LIMIT, Said, What};
use crate::config::{cookie_path, socket_path};
use crate::management::Management;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};

/// Requests served at a time.
const REQUESTS: usize = 64;
/// Time for a request to come in.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// An open control socket.
pub struct Control {
    listener: UnixListener,
    management: Arc<Management>,
    cookie: String,
    files: Files,
}

/// The socket and the cookie, which go with the node.
struct Files(Vec<PathBuf>);

impl Drop for Files {
    fn drop(&mut self) {
        for path in &self.0 {
            // what is gone already needs no removing
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens the socket of this node. Fails when another process holds it.
pub fn open(management: Arc<Management>) -> io::Result<Control> {
    let (dir, node) = (&management.facts.run_dir, &management.facts.name);
    let named = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .map_err(|e| named(dir, e))?;
    let (socket, cookie_file) = (socket_path(dir, node), cookie_path(dir, node));
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        let text = format!("node {node} is running already ({})", socket.display());
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    let _ = std::fs::remove_file(&socket);
    let cookie = write_cookie(&cookie_file).map_err(|e| named(&cookie_file, e))?;
    let pid = format!("{}\n", std::process::id());
    let pid_files = &management.facts.pid_files;
    for file in pid_files {
        std::fs::write(file, &pid).map_err(|e| named(file, e))?;
    }
    let listener = UnixListener::bind(&socket).map_err(|e| named(&socket, e))?;
    let mut files = vec![socket.clone(), cookie_file];
    files.extend(pid_files.iter().cloned());
    let files = Files(files);
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| named(&socket, e))?;
    Ok(Control {
        listener,
        management,
        cookie,
        files,
    })
}

fn write_cookie(path: &Path) -> io::Result<String> {
    use io::Write;
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
    let cookie: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
    // an old file may have another mode, and a link may lead elsewhere
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(cookie.as_bytes())?;
    Ok(cookie)
}

impl Control {
    /// Serves in the background; ready when an operator has asked to stop.
    pub fn serve(self) -> impl Future<Output = ()> {
        let stop = Arc::new(Notify::new());
        let told = stop.clone();
        tokio::spawn(async move {
            let (management, cookie) = (self.management, Arc::new(self.cookie));
            let slots = Arc::new(Semaphore::new(REQUESTS));
            let _files = self.files;
            while let Ok(slot) = slots.clone().acquire_owned().await {
                let Ok((stream, _)) = self.listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let (management, cookie, stop) = (management.clone(), cookie.clone(), stop.clone());
                tokio::spawn(async move {
                    let _slot = slot;
                    if let Err(error) = serve_one(&management, &cookie, stream, &stop).await {
                        tracing::debug!(%error, "control connection ended");
                    }
                });
            }
        });
        async move { told.notified().await }
    }
}

async fn serve_one(
    m: &Management,
    cookie: &str,
    mut stream: UnixStream,
    stop: &Notify,
) -> io::Result<()> {
    let mut text = Vec::new();
    let (read, mut write) = stream.split();
    let mut read = read.take(LIMIT);
    tokio::time::timeout(READ_TIMEOUT, read.read_to_end(&mut text))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let ask: Option<Ask> = serde_json::from_slice(&text).ok();
    let mut stops = false;
    let said = match ask {
        None => Said::Fault(Fault::new(FaultKind::Usage, "the request cannot be read")),
        Some(ask) if !is_same(&ask.cookie, cookie) => {
            tracing::warn!("control request with a wrong cookie");
            Said::Fault(Fault::new(
                FaultKind::Cookie,
                "the cookie is not this node's",
            ))
        }
        Some(ask) => {
            stops = matches!(&ask.what, What::Do { name, .. } if name == "stop");
            ops::answer(m, ask.what).await
        }
    };
    let bytes = serde_json::to_vec(&said).map_err(io::Error::other)?;
    write.write_all(&bytes).await?;
    write.shutdown().await?;
    if stops {
        stop.notify_one();
    }
    Ok(())
}

/// Compares without an early exit.
fn is_same(a: &str, b: &str) -> bool {
    let pairs = a.bytes().zip(b.bytes());
    a.len() == b.len() && pairs.fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
}
