//! The advert on the wire, VRRPv2 (RFC 3768) and VRRPv3 (RFC 9568): building,
//! parsing, and the checks that stand between a packet and the state machine.
//!
//! A packet that fails a check becomes a [`Refusal`] and nothing else: only a
//! [`Heard`] can reach a router, so a bad packet cannot even name a timer.

use crate::core::ah::{self, Wrap};
use conf::vip::model::{Family, Version};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// The protocol's number in the IP header.
pub const PROTOCOL: u8 = 112;
const HEADER: usize = 8;
const AUTH_DATA: usize = 8;
const ADVERTISEMENT: u8 = 1;
const AUTH_NONE: u8 = 0;
const AUTH_SIMPLE: u8 = 1;
const AUTH_HEADER: u8 = 2;

/// What the IP layer said about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Who sent it.
    pub source: IpAddr,
    /// To whom; needed for the pseudo-header.
    pub destination: IpAddr,
    /// TTL or hop limit on arrival.
    pub hop_limit: u8,
}

/// Why a packet was dropped. Each reason has its own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Shorter or longer than the header and its counted addresses.
    Length,
    /// Not a VRRP version that this instance speaks.
    Version,
    /// Not an advertisement.
    Type,
    /// The checksum is wrong in every accepted kind.
    Checksum,
    /// TTL or hop limit out of bounds (255 for multicast).
    HopLimit,
    /// No instance here has this VRID on this interface.
    UnknownVrid,
    /// Not IP protocol 112.
    Protocol,
    /// VRRPv2 authentication type differs.
    AuthType,
    /// VRRPv2 password differs.
    Password,
    /// The authentication header has another sender's address or a wrong ICV.
    Icv,
    /// The authentication header's sequence number was there before.
    Sequence,
    /// The advertised interval differs (v2) or is zero.
    Interval,
    /// The sender's address is ours: a reflected frame.
    OwnAddress,
    /// The address list differs.
    AddressList,
    /// The sender is not in `unicast_peer`.
    Sender,
}

impl Refusal {
    /// All reasons, in the order of their counters.
    pub const ALL: [Refusal; 15] = [
        Refusal::Length,
        Refusal::Version,
        Refusal::Type,
        Refusal::Checksum,
        Refusal::HopLimit,
        Refusal::UnknownVrid,
        Refusal::Protocol,
        Refusal::AuthType,
        Refusal::Password,
        Refusal::Icv,
        Refusal::Sequence,
        Refusal::Interval,
        Refusal::OwnAddress,
        Refusal::AddressList,
        Refusal::Sender,
    ];

    /// The reason as metrics and JSON spell it.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::Length => "length",
            Refusal::Version => "version",
            Refusal::Type => "type",
            Refusal::Checksum => "checksum",
            Refusal::HopLimit => "hop_limit",
            Refusal::UnknownVrid => "unknown_vrid",
            Refusal::Protocol => "protocol",
            Refusal::AuthType => "auth_type",
            Refusal::Password => "password",
            Refusal::Icv => "icv",
            Refusal::Sequence => "sequence",
            Refusal::Interval => "interval",
            Refusal::OwnAddress => "own_address",
            Refusal::AddressList => "address_list",
            Refusal::Sender => "sender",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Length => "its length does not fit its address count",
            Refusal::Version => "its version is not the configured one",
            Refusal::Type => "it is not an advertisement",
            Refusal::Checksum => "its checksum is wrong",
            Refusal::HopLimit => "its TTL or hop limit is not allowed",
            Refusal::UnknownVrid => "its virtual router is not configured on this interface",
            Refusal::Protocol => "it is not IP protocol 112",
            Refusal::AuthType => "its authentication type differs",
            Refusal::Password => "its password differs",
            Refusal::Icv => "its authentication header is not made with our password",
            Refusal::Sequence => "its sequence number was there before",
            Refusal::Interval => "its advertisement interval differs",
            Refusal::OwnAddress => "its sender has one of our own addresses",
            Refusal::AddressList => "its address list differs from ours",
            Refusal::Sender => "its sender is not in unicast_peer",
        })
    }
}

/// Which checksum an accepted packet carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumKind {
    /// Over the VRRP part only: v2, and v3 over IPv4 by RFC 9568.
    Plain,
    /// With the pseudo-header: IPv6, and IPv4 as keepalived reads RFC 5798.
    Pseudo,
}

/// A parsed advert that borrows the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advert<'a> {
    /// 2 or 3.
    pub version: Version,
    /// Virtual router identifier.
    pub vrid: u8,
    /// 0 resigns, 255 owns.
    pub priority: u8,
    /// Advertisement interval.
    pub interval: Duration,
    /// VRRPv2 authentication: type and data.
    pub auth: Option<(u8, &'a [u8])>,
    /// Which checksum it carried.
    pub checksum: ChecksumKind,
    addresses: &'a [u8],
    family: Family,
}

impl<'a> Advert<'a> {
    /// Parses the VRRP part of a packet. Total: any bytes give an advert or a reason.
    pub fn parse(bytes: &'a [u8], envelope: &Envelope) -> Result<Advert<'a>, Refusal> {
        let family = match envelope.source {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        };
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or(Refusal::Length)?;
        let [first, vrid, priority, count, fifth, sixth, _, _] = *header;
        let version = match first >> 4 {
            2 if family == Family::V4 => Version::V2,
            3 => Version::V3,
            _ => return Err(Refusal::Version),
        };
        if first & 0x0f != ADVERTISEMENT {
            return Err(Refusal::Type);
        }
        let list = usize::from(count) * address_size(family);
        let tail = if version == Version::V2 { AUTH_DATA } else { 0 };
        // only VRRPv3 asks for an address; a keepalived of VRRPv2 without one counts none
        let lacks = count == 0 && version == Version::V3;
        if bytes.len() != HEADER + list + tail || lacks {
            return Err(Refusal::Length);
        }
        let checksum = checksum_kind(bytes, envelope, version)?;
        let (addresses, auth_data) = bytes[HEADER..].split_at(list);
        let (interval, auth) = match version {
            Version::V2 => (
                Duration::from_secs(u64::from(sixth)),
                Some((fifth, auth_data)),
            ),
            Version::V3 => {
                let centis = u64::from(u16::from_be_bytes([fifth, sixth]) & 0x0fff);
                (Duration::from_millis(centis * 10), None)
            }
        };
        Ok(Advert {
            version,
            vrid,
            priority,
            interval,
            auth,
            checksum,
            addresses,
            family,
        })
    }

    /// The advertised addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let size = address_size(self.family);
        self.addresses.chunks_exact(size).filter_map(read_address)
    }
}

fn read_address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn address_size(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

/// The VRID a packet claims, for picking the instance before anything is checked.
pub fn peek_vrid(bytes: &[u8]) -> Option<u8> {
    bytes.get(1).copied()
}

/// Authentication of VRRPv2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// `auth_type PASS`: padded with zeros.
    Password([u8; 8]),
    /// `auth_type AH`: a header around the message.
    Header(ah::Key),
}

/// What an instance accepts.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The version it speaks.
    pub version: Version,
    /// Own advert interval, which v2 peers must share.
    pub interval: Duration,
    /// How it authenticates.
    pub auth: Auth,
    /// `unicast_peer` with the TTL bounds; empty means multicast.
    pub peers: Vec<(IpAddr, u8, u8)>,
    /// Whether senders outside `peers` are refused.
    pub check_sender: bool,
    /// Addresses of this host.
    pub own: Vec<IpAddr>,
    /// The addresses that the instance advertises.
    pub addresses: Vec<IpAddr>,
    /// `skip_check_adv_addr`: other lists are obeyed, yet reported.
    pub any_list: bool,
    /// Senders whose other list is obeyed because the pair channel vouches for them.
    pub trusted: Vec<IpAddr>,
}

/// An advert that passed every check: the only form in which a packet reaches a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Who sent it.
    pub sender: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Its interval.
    pub interval: Duration,
    /// Whether it advertises the same addresses.
    pub same_addresses: bool,
}

impl Admission {
    /// Checks a parsed advert against the instance; the first reason found wins.
    pub fn admit(&self, advert: &Advert<'_>, envelope: &Envelope) -> Result<Heard, Refusal> {
        if self.own.contains(&envelope.source) {
            return Err(Refusal::OwnAddress);
        }
        if advert.version != self.version {
            return Err(Refusal::Version);
        }
        self.check_path(envelope)?;
        self.check_auth(advert)?;
        if advert.interval.is_zero()
            || (self.version == Version::V2 && advert.interval != self.interval)
        {
            return Err(Refusal::Interval);
        }
        let same_addresses = self.same_list(advert);
        let obeyed =
            self.any_list || advert.priority == 255 || self.trusted.contains(&envelope.source);
        if !same_addresses && !obeyed {
            return Err(Refusal::AddressList);
        }
        Ok(Heard {
            sender: envelope.source,
            priority: advert.priority,
            interval: advert.interval,
            same_addresses,
        })
    }

    /// Checks what is around a message; the sequence number of a header that is right.
    pub fn open(&self, wrap: &Wrap<'_>) -> Result<Option<u32>, Refusal> {
        match (self.auth, wrap) {
            (Auth::Header(key), Wrap::Sealed(sealed)) => sealed.check(key).map(Some),
            (Auth::Header(_), Wrap::Broken) => Err(Refusal::Length),
            (Auth::None | Auth::Password(_), Wrap::Bare) => Ok(None),
            (Auth::Header(_), Wrap::Bare)
            | (Auth::None | Auth::Password(_), Wrap::Sealed(_) | Wrap::Broken) => {
                Err(Refusal::AuthType)
            }
        }
    }

    fn check_path(&self, envelope: &Envelope) -> Result<(), Refusal> {
        if self.peers.is_empty() {
            return match envelope.hop_limit {
                255 => Ok(()),
                _ => Err(Refusal::HopLimit),
            };
        }
        match self.peers.iter().find(|p| p.0 == envelope.source) {
            Some((_, min, max)) if (*min..=*max).contains(&envelope.hop_limit) => Ok(()),
            Some(_) => Err(Refusal::HopLimit),
            None if self.check_sender => Err(Refusal::Sender),
            None => Ok(()),
        }
    }

    fn check_auth(&self, advert: &Advert<'_>) -> Result<(), Refusal> {
        let Some((kind, data)) = advert.auth else {
            return Ok(());
        };
        match (&self.auth, kind) {
            (Auth::None, AUTH_NONE) | (Auth::Header(_), AUTH_HEADER) => Ok(()),
            (Auth::Password(password), AUTH_SIMPLE) if same_secret(password, data) => Ok(()),
            (Auth::Password(_), AUTH_SIMPLE) => Err(Refusal::Password),
            (Auth::None | Auth::Password(_) | Auth::Header(_), _) => Err(Refusal::AuthType),
        }
    }

    fn same_list(&self, advert: &Advert<'_>) -> bool {
        let mut count = 0;
        for address in advert.addresses() {
            if !self.addresses.contains(&address) {
                return false;
            }
            count += 1;
        }
        count == self.addresses.len()
    }
}

/// Compares without an early exit.
fn same_secret(own: &[u8], other: &[u8]) -> bool {
    own.len() == other.len() && own.iter().zip(other).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
}

/// A password as the wire carries it: 8 bytes, padded with zeros.
pub fn password_bytes(password: &str) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(password.bytes()) {
        *to = from;
    }
    bytes
}

/// What an instance advertises.
#[derive(Clone, Debug)]
pub struct Outgoing<'a> {
    /// 2 or 3.
    pub version: Version,
    /// Virtual router identifier.
    pub vrid: u8,
    /// 0 to resign.
    pub priority: u8,
    /// Advertisement interval: whole seconds in v2, centiseconds in v3.
    pub interval: Duration,
    /// Authentication of v2; the header around the message is not made here.
    pub auth: Auth,
    /// The addresses, at most 255.
    pub addresses: &'a [IpAddr],
    /// v3 over IPv4 without the pseudo-header (RFC 9568).
    pub plain_checksum: bool,
}

impl Outgoing<'_> {
    /// Writes the VRRP part of the packet into `out`, checksum included.
    pub fn build(&self, source: IpAddr, destination: IpAddr, out: &mut Vec<u8>) {
        out.clear();
        let count = u8::try_from(self.addresses.len()).unwrap_or(u8::MAX);
        let (first, fifth, sixth) = match self.version {
            Version::V2 => {
                let seconds = u8::try_from(self.interval.as_secs()).unwrap_or(u8::MAX);
                let kind = match self.auth {
                    Auth::None => AUTH_NONE,
                    Auth::Password(_) => AUTH_SIMPLE,
                    Auth::Header(_) => AUTH_HEADER,
                };
                (0x21, kind, seconds)
            }
            Version::V3 => {
                let centis = u16::try_from(self.interval.as_millis() / 10).unwrap_or(0x0fff);
                let [high, low] = centis.min(0x0fff).to_be_bytes();
                (0x31, high, low)
            }
        };
        out.extend([first, self.vrid, self.priority, count, fifth, sixth, 0, 0]);
        for address in self.addresses.iter().take(usize::from(count)) {
            match address {
                IpAddr::V4(a) => out.extend(a.octets()),
                IpAddr::V6(a) => out.extend(a.octets()),
            }
        }
        if self.version == Version::V2 {
            out.extend(match self.auth {
                Auth::Password(password) => password,
                Auth::None | Auth::Header(_) => [0; AUTH_DATA],
            });
        }
        let plain = match source {
            IpAddr::V4(_) => self.version == Version::V2 || self.plain_checksum,
            IpAddr::V6(_) => false,
        };
        let start = if plain {
            0
        } else {
            pseudo_sum(source, destination, out.len())
        };
        let sum = fold(sum_words(out, start));
        out[6..8].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Ones' complement sum of 16-bit words, not yet folded.
fn sum_words(bytes: &[u8], start: u64) -> u64 {
    let mut chunks = bytes.chunks_exact(2);
    let mut sum = start;
    for pair in &mut chunks {
        sum += u64::from(u16::from_be_bytes([pair[0], pair[1]]));
    }
    match chunks.remainder() {
        [last] => sum + (u64::from(*last) << 8),
        _ => sum,
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The Internet checksum of `bytes`.
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    fold(sum_words(bytes, 0))
}

/// The sum of the pseudo-header, for a checksum that covers it.
pub fn pseudo_sum_for(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u64 {
    let octets = |a: IpAddr| match a {
        IpAddr::V4(a) => sum_words(&a.octets(), 0),
        IpAddr::V6(a) => sum_words(&a.octets(), 0),
    };
    octets(source) + octets(destination) + u64::from(protocol) + length as u64
}

/// The Internet checksum of `bytes` that starts from a pseudo-header's sum.
pub fn checksum_from(start: u64, bytes: &[u8]) -> u16 {
    fold(sum_words(bytes, start))
}

fn pseudo_sum(source: IpAddr, destination: IpAddr, length: usize) -> u64 {
    pseudo_sum_for(source, destination, PROTOCOL, length)
}

/// The kind of a right checksum: over a packet with its checksum the folded sum is zero.
fn checksum_kind(
    bytes: &[u8],
    envelope: &Envelope,
    version: Version,
) -> Result<ChecksumKind, Refusal> {
    let plain = || fold(sum_words(bytes, 0)) == 0;
    let pseudo = || {
        let start = pseudo_sum(envelope.source, envelope.destination, bytes.len());
        fold(sum_words(bytes, start)) == 0
    };
    match (version, envelope.source) {
        (Version::V2, _) if plain() => Ok(ChecksumKind::Plain),
        (Version::V3, _) if pseudo() => Ok(ChecksumKind::Pseudo),
        (Version::V3, IpAddr::V4(_)) if plain() => Ok(ChecksumKind::Plain),
        (Version::V2 | Version::V3, _) => Err(Refusal::Checksum),
    }
}

/// The link-layer address of a virtual router (RFC 9568 §7.3).
pub fn virtual_mac(family: Family, vrid: u8) -> [u8; 6] {
    match family {
        Family::V4 => [0, 0, 0x5e, 0, 1, vrid],
        Family::V6 => [0, 0, 0x5e, 0, 2, vrid],
    }
}

#[cfg(test)]
mod tests;
