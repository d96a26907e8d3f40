//! Listening sockets from process to process, as HAProxy's `_getsocks` sends
//! them over a CLI socket.
//!
//! A count (native integer), then batches of at most 252 descriptors
//! (SCM_RIGHTS), each with a record: length and name of the network namespace,
//! length and name of the interface, four bytes that mean nothing any more.
//! The receiver acknowledges each batch with four bytes.

use crate::listener::Offer;
use crate::sys;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
use socket2::Socket;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Descriptors in one message.
const BATCH: usize = 252;
/// Most sockets taken from another process.
const MOST: usize = 65_536;
/// Patience with each step of the other process.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes behind the names of a record.
const TAIL: usize = 4;

/// The command that asks for sockets. HAProxy does not look behind the first
/// word; we send all sockets of an address to who says `all` and one to others.
const COMMAND: &[u8] = b"_getsocks all\n";

/// A socket to be sent.
pub struct Sent {
    /// The socket.
    pub socket: Arc<Socket>,
    /// Its network namespace.
    pub namespace: Option<String>,
    /// Its interface.
    pub interface: Option<String>,
}

/// Sends them over a socket that may or may not block.
///
/// # Errors
/// The other side leaves or is too slow.
pub fn send(stream: &UnixStream, sockets: &[Sent]) -> io::Result<()> {
    let count = i32::try_from(sockets.len().min(MOST)).unwrap_or(i32::MAX);
    write_all(stream, &count.to_ne_bytes())?;
    let batches: Vec<_> = sockets[..count as usize].chunks(BATCH).collect();
    for (index, batch) in batches.iter().enumerate() {
        send_batch(stream, batch)?;
        if index + 1 < batches.len() {
            wait(stream, PollFlags::POLLIN)?;
            let mut acknowledged = [0; 4];
            (&*stream).read_exact(&mut acknowledged)?;
        }
    }
    Ok(())
}

fn send_batch(stream: &UnixStream, batch: &[Sent]) -> io::Result<()> {
    let mut records = Vec::new();
    for sent in batch {
        for name in [&sent.namespace, &sent.interface] {
            let name = name.as_deref().unwrap_or_default().as_bytes();
            let name = &name[..name.len().min(255)];
            records.push(name.len() as u8);
            records.extend_from_slice(name);
        }
        records.extend_from_slice(&[0; TAIL]);
    }
    let numbers: Vec<RawFd> = batch.iter().map(|s| s.socket.as_raw_fd()).collect();
    wait(stream, PollFlags::POLLOUT)?;
    let written = sendmsg::<UnixAddr>(
        stream.as_raw_fd(),
        &[IoSlice::new(&records)],
        &[ControlMessage::ScmRights(&numbers)],
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    write_all(stream, &records[written..])
}

/// Asks the process behind a CLI socket for what it listens on.
///
/// # Errors
/// Nobody answers there, or with something else.
pub fn receive(path: &Path) -> io::Result<Vec<Offer>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(COMMAND)?;
    let mut count = [0; 4];
    stream.read_exact(&mut count).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it hands out no listeners"),
        _ => e,
    })?;
    let count = usize::try_from(i32::from_ne_bytes(count)).unwrap_or(usize::MAX);
    if count > MOST {
        // what a text such as "Permission denied" looks like as a number
        return Err(io::Error::other("its answer is no list of sockets"));
    }
    let mut offers = Vec::new();
    let mut records = Vec::new();
    let mut descriptors = Vec::new();
    while offers.len() < count {
        let mut piece = [0; 16 * 1024];
        let (read, fresh) = sys::receive(&stream, &mut piece, BATCH + 1)?;
        if read == 0 {
            return Err(io::Error::other("it left in the middle"));
        }
        records.extend_from_slice(&piece[..read]);
        descriptors.extend(fresh);
        if offers.len() + descriptors.len() > count {
            return Err(io::Error::other("more sockets came than were announced"));
        }
        let complete = parse(&records, descriptors.len());
        if let Some(names) = complete.filter(|names| !names.is_empty()) {
            let sockets = descriptors.drain(..).map(Socket::from);
            offers.extend(sockets.zip(names).map(|(socket, names)| Offer {
                socket,
                namespace: names.0,
                interface: names.1,
            }));
            records.clear();
            // the last one may find nobody to read it
            let _ = stream.write_all(&(offers.len() as i32).to_ne_bytes());
        }
    }
    Ok(offers)
}

type Names = (Option<String>, Option<String>);

/// This many records, if they are all there.
fn parse(mut bytes: &[u8], count: usize) -> Option<Vec<Names>> {
    let mut names = Vec::new();
    for _ in 0..count {
        let [namespace, interface] =
            [name(&mut bytes)?, name(&mut bytes)?].map(|name| (!name.is_empty()).then_some(name));
        bytes = bytes.get(TAIL..)?;
        names.push((namespace, interface));
    }
    Some(names)
}

/// A name behind its length, if all of it is there; one of length 0 stands for none.
fn name(bytes: &mut &[u8]) -> Option<String> {
    let (length, rest) = bytes.split_first()?;
    let name = rest.get(..usize::from(*length))?;
    *bytes = &rest[usize::from(*length)..];
    Some(String::from_utf8_lossy(name).into_owned())
}

fn write_all(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        wait(stream, PollFlags::POLLOUT)?;
        match (&*stream).write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn wait(stream: &UnixStream, what: PollFlags) -> io::Result<()> {
    let patience = PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::MAX);
    let mut one = [PollFd::new(stream.as_fd(), what)];
    match poll(&mut one, patience)? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;

    fn ask_for(sockets: Vec<Sent>) -> io::Result<Vec<Offer>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let old = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line.split_whitespace().next(), Some("_getsocks"));
            stream.set_nonblocking(true).unwrap();
            send(&stream, &sockets).unwrap();
        });
        let offers = receive(&path);
        old.join().unwrap();
        offers
    }

    #[test]
    fn more_sockets_than_fit_into_one_message_arrive_in_order_with_their_scopes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = Arc::new(Socket::from(listener));
        let sockets = (0..600).map(|n| Sent {
            socket: socket.clone(),
            namespace: (n % 2 == 0).then(|| format!("ns{n}")),
            interface: (n % 3 == 0).then(|| format!("eth{n}")),
        });
        let offers = ask_for(sockets.collect()).unwrap();
        assert_eq!(offers.len(), 600);
        assert_eq!(offers[300].namespace.as_deref(), Some("ns300"));
        assert_eq!(offers[599].namespace, None);
        assert_eq!(offers[597].interface.as_deref(), Some("eth597"));
        let address = |s: &Socket| s.local_addr().unwrap().as_socket().unwrap();
        assert!(
            offers
                .iter()
                .all(|o| address(&o.socket) == address(&socket))
        );
    }

    #[test]
    fn nothing_to_hand_out_is_no_error() {
        assert!(ask_for(Vec::new()).unwrap().is_empty());
    }

    #[test]
    fn a_text_instead_of_sockets_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let old = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"Permission denied\n\n").unwrap();
        });
        let error = receive(&path).unwrap_err();
        old.join().unwrap();
        assert!(error.to_string().contains("no list of sockets"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_records_or_not_yet(bytes: Vec<u8>, count in 0usize..300) {
            if let Some(names) = parse(&bytes, count) {
                prop_assert_eq!(names.len(), count);
            }
        }
    }
}
