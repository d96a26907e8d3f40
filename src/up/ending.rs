//! The signals that end `up`, from its first step to its last: what it made is
//! taken away whenever they come.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens to SIGINT, SIGTERM and SIGHUP.
pub struct Ending {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// The terminal is gone: nothing can be printed any more.
    pub hung_up: bool,
}

impl Ending {
    /// From now on these signals do not kill the process.
    pub fn new() -> Result<Ending, String> {
        let of = |kind| signal(kind).map_err(|e| format!("cannot listen to signals: {e}"));
        Ok(Ending {
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            hangup: of(SignalKind::hangup())?,
            hung_up: false,
        })
    }

    /// Waits for one of them.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => self.hung_up = true,
        }
    }
}
