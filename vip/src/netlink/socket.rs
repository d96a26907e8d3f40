//! Netlink sockets of every family: opening one, and reading what a dump says.

use super::message::{Message, NLMSG_DONE, NLMSG_ERROR, error_of, messages};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    socket,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Flag of a request for everything that there is.
pub const DUMP: u16 = 0x300;

/// Opens a socket that also hears of these groups' changes.
pub fn open(protocol: SockProtocol, groups: u32, flags: SockFlag) -> io::Result<OwnedFd> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(fd)
}

/// Asks for everything and gives kind and body of each answer to `each`.
pub fn dump(
    fd: &OwnedFd,
    mut message: Message,
    sequence: u32,
    mut each: impl FnMut(u16, &[u8]),
) -> io::Result<()> {
    message.finish(sequence);
    send(fd.as_raw_fd(), &message.bytes, MsgFlags::empty())?;
    let mut buffer = vec![0; 65_536];
    loop {
        let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for (kind, number, body) in messages(&buffer[..length]) {
            match kind {
                _ if number != sequence => {}
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => error_of(body)?,
                kind => each(kind, body),
            }
        }
    }
}
