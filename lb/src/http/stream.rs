//! One side of an HTTP connection: a socket with time-outs, what was read and not yet used, and
//! how many bytes went each way.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::time::timeout;

/// A connected stream of any kind.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Why a transfer stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The peer closed in good order.
    Closed,
    /// The peer closed hard, or the connection failed.
    Broken,
    /// Nothing moved for the time-out.
    TimedOut,
}

impl From<io::Error> for Stop {
    fn from(_: io::Error) -> Self {
        Stop::Broken
    }
}

/// Hears how many bytes have passed.
pub type Tap = Box<dyn Fn(usize) + Send + Sync>;

/// The side that reads.
pub struct Source {
    half: ReadHalf<Box<dyn Duplex>>,
    /// Read and not yet used.
    pub buffer: BytesMut,
    read: u64,
    /// Whether the peer has ended its side.
    pub ended: bool,
    pub tap: Option<Tap>,
}

/// The side that writes.
pub struct Sink {
    half: WriteHalf<Box<dyn Duplex>>,
    written: u64,
    pub tap: Option<Tap>,
}

/// Bytes asked for at once.
const READ: usize = 16 * 1024;

/// Splits a stream into its sides.
pub fn split(stream: Box<dyn Duplex>) -> (Source, Sink) {
    let (read, write) = tokio::io::split(stream);
    (
        Source {
            half: read,
            buffer: BytesMut::new(),
            read: 0,
            ended: false,
            tap: None,
        },
        Sink {
            half: write,
            written: 0,
            tap: None,
        },
    )
}

/// Waits for a time or, without one, for ever.
pub async fn within<F: Future>(limit: Option<Duration>, future: F) -> Result<F::Output, Stop> {
    match limit {
        Some(limit) => timeout(limit, future).await.map_err(|_| Stop::TimedOut),
        None => Ok(future.await),
    }
}

impl Source {
    /// Reads more into the buffer.
    pub async fn fill(&mut self, limit: Option<Duration>) -> Result<usize, Stop> {
        if self.ended {
            return Err(Stop::Closed);
        }
        self.buffer.reserve(READ);
        let read = within(limit, self.half.read_buf(&mut self.buffer)).await??;
        self.took(read)
    }

    /// Reads more of what may be long in coming: while nothing is there, no memory is held for it.
    pub async fn fill_patiently(&mut self, limit: Option<Duration>) -> Result<usize, Stop> {
        if self.ended {
            return Err(Stop::Closed);
        }
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        let (half, buffer) = (&mut self.half, &mut self.buffer);
        let taken = poll_fn(|cx| {
            let mut space = [const { MaybeUninit::uninit() }; READ];
            let mut read = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *half).poll_read(cx, &mut read))?;
            buffer.extend_from_slice(read.filled());
            Poll::Ready(io::Result::Ok(read.filled().len()))
        });
        let read = within(limit, taken).await??;
        self.took(read)
    }

    /// Accounts for what a read gave; nothing means the end.
    fn took(&mut self, read: usize) -> Result<usize, Stop> {
        if read == 0 {
            self.ended = true;
            return Err(Stop::Closed);
        }
        self.read += read as u64;
        if let Some(tap) = &self.tap {
            tap(read);
        }
        Ok(read)
    }

    /// Bytes read since this was last asked, those still in the buffer left out.
    pub fn take_count(&mut self) -> u64 {
        let waiting = self.buffer.len() as u64;
        let count = self.read.saturating_sub(waiting);
        self.read = waiting;
        count
    }
}

impl Sink {
    /// Writes all of it; each piece has the time-out for itself.
    pub async fn write(&mut self, bytes: &[u8], limit: Option<Duration>) -> Result<(), Stop> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = within(limit, self.half.write(rest)).await??;
            if written == 0 {
                return Err(Stop::Broken);
            }
            self.written += written as u64;
            if let Some(tap) = &self.tap {
                tap(written);
            }
            rest = &rest[written..];
        }
        Ok(())
    }

    /// Tells the peer that nothing follows.
    pub async fn end(&mut self) {
        // a peer that is gone needs not be told
        let _ = timeout(Duration::from_secs(1), self.half.shutdown()).await;
    }

    /// Bytes written since this was last asked.
    pub fn take_count(&mut self) -> u64 {
        std::mem::take(&mut self.written)
    }
}

/// Process clock of the last byte, shared with who looks at live sessions.
#[derive(Debug, Default)]
pub struct LastByte(AtomicU64);

impl LastByte {
    pub fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_for_a_request_holds_no_memory() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let (mut source, _sink) = split(Box::new(ours));
        let short = Some(Duration::from_millis(1));
        assert_eq!(source.fill_patiently(short).await, Err(Stop::TimedOut));
        assert_eq!(source.buffer.capacity(), 0);
        theirs.write_all(b"GET").await.unwrap();
        assert_eq!(source.fill_patiently(None).await, Ok(3));
        assert_eq!(source.fill_patiently(short).await, Err(Stop::TimedOut));
        assert!(source.buffer.capacity() < 1024);
        theirs.write_all(b" /").await.unwrap();
        assert_eq!(source.fill_patiently(None).await, Ok(2));
        assert_eq!(source.buffer, &b"GET /"[..]);
        assert_eq!(source.take_count(), 0);
        drop(theirs);
        assert_eq!(source.fill_patiently(None).await, Err(Stop::Closed));
        assert!(source.ended);
    }
}
