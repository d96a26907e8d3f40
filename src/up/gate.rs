//! The way from localhost into the laboratory: the outer half listens on TCP in
//! the caller's namespace and passes each connection through a unix socket to
//! the inner half, which connects to an address inside. Nothing of the host's
//! own addresses, routes or filters is touched.

use crate::holders;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Connections that one listener carries at a time; more wait in the backlog.
const MAX_CONNECTIONS: usize = 4096;

/// The inner half: serves `path` until the agent ends. The first line of each
/// connection is the address to connect to.
pub async fn inside(path: PathBuf) -> io::Result<()> {
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(async move {
                let _ = inner(stream).await;
            });
        }
    });
    Ok(())
}

async fn inner(stream: UnixStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let to: SocketAddr = line.trim().parse().map_err(io::Error::other)?;
    let limit = Duration::from_secs(5);
    let mut target = tokio::time::timeout(limit, TcpStream::connect(to)).await??;
    target.set_nodelay(true)?;
    copy_bidirectional(&mut stream, &mut target).await?;
    Ok(())
}

/// A connection to `to` as a process in the laboratory would have it.
pub async fn connect(gate: &Path, to: SocketAddr) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(gate).await?;
    stream.write_all(format!("{to}\n").as_bytes()).await?;
    Ok(stream)
}

/// Takes a port on 127.0.0.1, 0 for a free one; a taken one is an error that names its owner, and a
/// free port for `option`.
pub async fn listen(option: &str, port: u16) -> Result<TcpListener, String> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(at(port)).await {
        Ok(listener) => Ok(listener),
        Err(error) => {
            let free = TcpListener::bind(at(0)).await.and_then(|l| l.local_addr());
            let free = free.map_or(0, |a| a.port());
            Err(format!(
                "port {port} on localhost is not free ({error}){}; take another: {option} {free}",
                owner(port)
            ))
        }
    }
}

/// A port of localhost that leads to an address inside.
pub struct Door {
    /// The port that listens.
    pub port: u16,
    listener: TcpListener,
    /// The same port on ::1, for clients to whom localhost is that first.
    second: Option<TcpListener>,
    to: SocketAddr,
}

impl Door {
    /// Takes a port, as [`listen`] does.
    pub async fn open(option: &str, port: u16, to: SocketAddr) -> Result<Door, String> {
        let listener = listen(option, port).await?;
        let port = listener.local_addr().map_or(port, |a| a.port());
        let second = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await.ok();
        Ok(Door {
            port,
            listener,
            second,
            to,
        })
    }

    /// Passes connections on until the runtime ends.
    pub fn serve(self, gate: PathBuf) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for listener in std::iter::once(self.listener).chain(self.second) {
            tokio::spawn(pass(listener, room.clone(), gate.clone(), self.to));
        }
    }
}

/// Passes every connection of one listener on, as many at a time as there is room for.
async fn pass(listener: TcpListener, room: Arc<Semaphore>, gate: PathBuf, to: SocketAddr) {
    loop {
        let Ok(place) = room.clone().acquire_owned().await else {
            return;
        };
        let Ok((mut client, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let gate = gate.clone();
        tokio::spawn(async move {
            let _ = client.set_nodelay(true);
            if let Ok(mut inside) = connect(&gate, to).await {
                let _ = copy_bidirectional(&mut client, &mut inside).await;
            }
            drop(place);
        });
    }
}

/// `, held by NAME (pid N)` of the process that listens on a port, or has a connection from it, if
/// it can be seen.
fn owner(port: u16) -> String {
    let mut sockets = holders::sockets();
    sockets.retain(|s| s.local.port() == port);
    if sockets.iter().any(|s| s.listens) {
        sockets.retain(|s| s.listens);
    }
    if sockets.is_empty() {
        return String::new();
    }
    match holders::of(&sockets).first() {
        Some(process) => format!(", held by {} (pid {})", process.name, process.pid),
        None => ", held by another user's process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_port_is_named_whether_it_listens_or_is_connected() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let client = std::net::TcpStream::connect(address).expect("it listens");
        let from = client.local_addr().expect("connected").port();
        for port in [address.port(), from] {
            let pid = format!("(pid {})", std::process::id());
            assert!(owner(port).contains(&pid), "{}", owner(port));
        }
    }
}
