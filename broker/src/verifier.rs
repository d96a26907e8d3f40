//! Password checks that take milliseconds, away from the core thread.

use crate::core::access::{LoginCache, PasswordCheck};
use crate::handle::Handle;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Checks that may wait; a login beyond is refused.
const CAPACITY: usize = 1024;

type Request = (u32, u64, Box<PasswordCheck>);

/// The way to the thread that checks passwords.
pub struct Verifier {
    requests: SyncSender<Request>,
}

impl Verifier {
    /// Starts the thread; it ends when the verifier is dropped. Clients that come at once with one password cost one
    /// check: `seen` is where the thread remembers it.
    pub fn start(handle: Handle, seen: LoginCache) -> Verifier {
        let (requests, receiver) = sync_channel(CAPACITY);
        let spawned = std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || serve(&receiver, &handle, seen));
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread for password checks: slow hashes will be refused");
        }
        Verifier { requests }
    }

    /// Hands a check over; gives it back when too many wait.
    pub fn submit(
        &self,
        connection: u32,
        serial: u64,
        check: Box<PasswordCheck>,
    ) -> Result<(), Box<PasswordCheck>> {
        self.requests
            .try_send((connection, serial, check))
            .map_err(|error| match error {
                std::sync::mpsc::TrySendError::Full((_, _, check))
                | std::sync::mpsc::TrySendError::Disconnected((_, _, check)) => check,
            })
    }
}

fn serve(requests: &Receiver<Request>, handle: &Handle, mut seen: LoginCache) {
    while let Ok((connection, serial, check)) = requests.recv() {
        let right = check.run_once(&mut seen);
        if handle
            .start(move |core| core.verified(connection, serial, &check, right))
            .is_err()
        {
            tracing::warn!("a password check came too late");
        }
    }
}
