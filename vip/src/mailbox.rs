//! A bounded queue between threads whose reader waits in `poll`.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Messages that may wait before senders are refused.
const BOUND: usize = 4096;

/// The writing end; clones share the queue.
#[derive(Debug)]
pub struct Post<T> {
    queue: SyncSender<T>,
    bell: Arc<UnixStream>,
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Post<T> {
        Post {
            queue: self.queue.clone(),
            bell: self.bell.clone(),
        }
    }
}

/// The reading end.
#[derive(Debug)]
pub struct Mailbox<T> {
    queue: Receiver<T>,
    bell: UnixStream,
}

/// A queue and its two ends.
pub fn mailbox<T>() -> io::Result<(Post<T>, Mailbox<T>)> {
    let (to, from) = sync_channel(BOUND);
    let (ring, bell) = UnixStream::pair()?;
    ring.set_nonblocking(true)?;
    bell.set_nonblocking(true)?;
    let post = Post {
        queue: to,
        bell: Arc::new(ring),
    };
    Ok((post, Mailbox { queue: from, bell }))
}

impl<T> Post<T> {
    /// Sends without waiting. False when the queue is full or its reader is gone:
    /// the message is dropped.
    pub fn send(&self, message: T) -> bool {
        match self.queue.try_send(message) {
            Ok(()) => {
                // a full bell is a rung bell
                let _ = (&*self.bell).write(&[1]);
                true
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}

impl<T> Mailbox<T> {
    /// Takes everything that waits.
    pub fn take(&mut self) -> Vec<T> {
        let mut rings = [0; 256];
        while matches!(self.bell.read(&mut rings), Ok(n) if n == rings.len()) {}
        self.queue.try_iter().collect()
    }
}

impl<T> AsFd for Mailbox<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_order_and_a_full_queue_refuses() {
        let (post, mut mailbox) = mailbox().expect("sockets");
        for i in 0..BOUND {
            assert!(post.send(i));
        }
        assert!(!post.send(0));
        let all: Vec<usize> = (0..BOUND).collect();
        assert_eq!(mailbox.take(), all);
        assert!(post.send(7));
        assert_eq!(mailbox.take(), [7]);
    }
}
