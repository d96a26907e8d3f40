//! What the kernel tells about a TCP connection: one call, read only where a
//! log line or a rule shows it.
#![allow(unsafe_code)]

use conf::lb::model::TcpFigure;
use std::io;
use std::os::fd::AsRawFd;

/// What the kernel knows of a TCP connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpInfo {
    /// Smoothed round trip in microseconds.
    pub rtt_us: u32,
    /// Its variation in microseconds.
    pub rttvar_us: u32,
    /// Segments not acknowledged.
    pub unacked: u32,
    /// Segments acknowledged selectively.
    pub sacked: u32,
    /// Segments sent again and not acknowledged.
    pub retrans: u32,
    /// Segments sent again since the connection began.
    pub total_retrans: u32,
    /// Segments acknowledged forward.
    pub fackets: u32,
    /// Segments taken for lost.
    pub lost: u32,
    /// Reordering seen.
    pub reordering: u32,
}

impl TcpInfo {
    /// One figure; times in milliseconds unless `micros`.
    pub fn figure(&self, figure: TcpFigure, micros: bool) -> u32 {
        let time = |us: u32| if micros { us } else { us / 1000 };
        match figure {
            TcpFigure::Rtt => time(self.rtt_us),
            TcpFigure::RttVariation => time(self.rttvar_us),
            TcpFigure::Unacked => self.unacked,
            TcpFigure::Sacked => self.sacked,
            TcpFigure::Retransmitted => self.retrans,
            TcpFigure::AllRetransmitted => self.total_retrans,
            TcpFigure::Facked => self.fackets,
            TcpFigure::Lost => self.lost,
            TcpFigure::Reordering => self.reordering,
        }
    }
}

/// `TCP_INFO` of a connection.
///
/// # Errors
/// The socket is none of TCP.
pub fn of(socket: &impl AsRawFd) -> io::Result<TcpInfo> {
    // SAFETY: tcp_info is a struct of integers, for which zeros are valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the pointer and the length in `size` describe a live struct that
    // the kernel fills at most up to that length.
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
        rttvar_us: info.tcpi_rttvar,
        unacked: info.tcpi_unacked,
        sacked: info.tcpi_sacked,
        retrans: info.tcpi_retrans,
        total_retrans: info.tcpi_total_retrans,
        fackets: info.tcpi_fackets,
        lost: info.tcpi_lost,
        reordering: info.tcpi_reordering,
    })
}
