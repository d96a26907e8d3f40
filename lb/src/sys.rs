//! The few calls that no safe wrapper has: options of listening sockets, and
//! adopting a descriptor that was inherited.
#![allow(unsafe_code)]

use conf::lb::model::TcpFact;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

fn set_tcp_option(
    socket: &impl AsRawFd,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and its length describe a live c_int; the descriptor
    // stays open while `socket` is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// `TCP_DEFER_ACCEPT`: connections appear once the client sent data, at most after this long.
pub fn set_defer_accept(socket: &impl AsRawFd, seconds: i32) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_DEFER_ACCEPT, seconds)
}

/// `TCP_FASTOPEN`: so many connections may wait whose SYN carried data.
pub fn set_fast_open(socket: &impl AsRawFd, waiting: i32) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_FASTOPEN, waiting)
}

/// `TCP_REPAIR`: closing tells the peer nothing.
pub fn set_repair(socket: &impl AsRawFd) -> io::Result<()> {
    set_tcp_option(socket, libc::TCP_REPAIR, 1)
}

/// What the system knows about a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    rtt_us: u32,
    rtt_variance_us: u32,
    unacked: u32,
    sacked: u32,
    lost: u32,
    retransmitted: u32,
    fackets: u32,
    reordering: u32,
}

impl TcpInfo {
    /// One of the facts.
    pub fn value(&self, fact: TcpFact) -> i64 {
        i64::from(match fact {
            TcpFact::RttMillis => self.rtt_us / 1000,
            TcpFact::RttMicros => self.rtt_us,
            TcpFact::RttVarMillis => self.rtt_variance_us / 1000,
            TcpFact::RttVarMicros => self.rtt_variance_us,
            TcpFact::Unacked => self.unacked,
            TcpFact::Sacked => self.sacked,
            TcpFact::Lost => self.lost,
            TcpFact::Retransmitted => self.retransmitted,
            TcpFact::Fackets => self.fackets,
            TcpFact::Reordering => self.reordering,
        })
    }
}

/// `TCP_INFO` of a connection.
pub fn tcp_info(socket: &impl AsRawFd) -> io::Result<TcpInfo> {
    // SAFETY: `tcp_info` is numbers only, for which all zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: pointer and length describe `info`, which outlives the call; the
    // descriptor stays open while `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut size,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(TcpInfo {
        rtt_us: info.tcpi_rtt,
        rtt_variance_us: info.tcpi_rttvar,
        unacked: info.tcpi_unacked,
        sacked: info.tcpi_sacked,
        lost: info.tcpi_lost,
        retransmitted: info.tcpi_retrans,
        fackets: info.tcpi_fackets,
        reordering: info.tcpi_reordering,
    })
}

/// A name in the abstract name space as HAProxy binds it: filled with zeros to
/// the end, so that both find each other there.
pub fn abstract_name(name: &str) -> Vec<u8> {
    const LENGTH: usize = 107;
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(LENGTH.max(bytes.len()), 0);
    bytes
}

/// The same as a path that begins with a zero.
pub fn abstract_path(name: &str) -> PathBuf {
    let bytes = [&[0], abstract_name(name).as_slice()].concat();
    PathBuf::from(OsString::from_vec(bytes))
}

/// A descriptor of our own for one that was inherited under this number; the
/// inherited one stays open.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: duplicating any number is sound; a number that is not open gives an error.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: fcntl gave a fresh descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}
