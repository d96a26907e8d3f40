//! Listening sockets with a port that are no frontend's: those of the CLI and
//! of the exporter. A successor takes them over, so that nobody finds them
//! closed.

use socket2::Socket;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard};

/// The sockets.
#[derive(Default)]
pub struct Ports {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    cli: Vec<Arc<Socket>>,
    exporter: Option<Arc<Socket>>,
}

impl Ports {
    /// All of them.
    pub fn all(&self) -> Vec<Arc<Socket>> {
        let inner = self.lock();
        inner.cli.iter().chain(&inner.exporter).cloned().collect()
    }

    /// The CLI listens here, too.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn add_cli(&self, listener: &TcpListener) -> io::Result<()> {
        let socket = Arc::new(Socket::from(listener.try_clone()?));
        self.lock().cli.push(socket);
        Ok(())
    }

    /// The CLI listens nowhere any more.
    pub fn forget_cli(&self) {
        self.lock().cli.clear();
    }

    /// The exporter listens here, or not at all.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn set_exporter(&self, listener: Option<&TcpListener>) -> io::Result<()> {
        let copy = listener.map(TcpListener::try_clone).transpose()?;
        self.lock().exporter = copy.map(|copy| Arc::new(Socket::from(copy)));
        Ok(())
    }

    /// None of them is listened on any more.
    pub fn forget(&self) {
        *self.lock() = Inner::default();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }
}
