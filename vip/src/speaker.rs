//! How a router's adverts leave: through a raw IP socket, or as whole frames
//! when they must carry the virtual link-layer address.

use crate::core::advert::{PROTOCOL, internet_checksum};
use crate::core::ah::Seal;
use crate::frame::Mac;
use crate::packet::Sender;
use crate::raw;
use std::io;
use std::net::IpAddr;

/// A way out for adverts.
#[derive(Debug)]
pub enum Speaker {
    /// The kernel makes the frame.
    Ip(raw::Speaker),
    /// We make the frame, from the virtual link-layer address.
    Frames {
        /// Packet socket on the macvlan interface.
        sender: Sender,
        /// The virtual link-layer address.
        mac: Mac,
    },
}

impl Speaker {
    /// Sends the last IPv4 packet once more; nothing where there is none.
    pub fn again(&mut self) -> Option<io::Result<()>> {
        match self {
            Speaker::Ip(socket) => socket.again(),
            Speaker::Frames { .. } => None,
        }
    }

    /// Sends a VRRP message, within a seal if there is one.
    pub fn send(
        &mut self,
        from: IpAddr,
        to: IpAddr,
        hop_limit: u8,
        vrrp: &[u8],
        seal: Option<Seal>,
    ) -> io::Result<()> {
        match self {
            Speaker::Ip(socket) => socket.send(from, to, hop_limit, vrrp, seal),
            Speaker::Frames { sender, mac } => match frame(*mac, from, to, hop_limit, vrrp, seal) {
                Some(frame) => sender.send(&frame),
                None => Err(io::ErrorKind::InvalidInput.into()),
            },
        }
    }
}

/// A multicast frame with an IP header; nothing when the families differ.
fn frame(
    mac: Mac,
    from: IpAddr,
    to: IpAddr,
    hop_limit: u8,
    vrrp: &[u8],
    seal: Option<Seal>,
) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(96 + vrrp.len());
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let [_, b, c, d] = to.octets();
            frame.extend([0x01, 0x00, 0x5e, b & 0x7f, c, d]);
            frame.extend(mac);
            frame.extend([0x08, 0x00]);
            let (protocol, around) = raw::around(seal);
            let [high, low] = ((around + vrrp.len()) as u16).to_be_bytes();
            let mut packet = vec![0x45, 0xc0, high, low, 0, 0, 0, 0, hop_limit, protocol, 0, 0];
            packet.extend(from.octets());
            packet.extend(to.octets());
            let sum = internet_checksum(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            match seal {
                None => packet.extend(vrrp),
                Some(seal) => seal.append(&mut packet, vrrp),
            }
            frame.extend(packet);
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let [.., a, b, c, d] = to.octets();
            frame.extend([0x33, 0x33, a, b, c, d]);
            frame.extend(mac);
            frame.extend([0x86, 0xdd, 0x6c, 0, 0, 0]);
            frame.extend((vrrp.len() as u16).to_be_bytes());
            frame.extend([PROTOCOL, hop_limit]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            frame.extend(vrrp);
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    }
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_goes_to_the_groups_link_layer_address_with_a_right_header() {
        let mac = [0, 0, 0x5e, 0, 1, 51];
        let from = IpAddr::from([10, 77, 0, 11]);
        let to = IpAddr::from([224, 0, 0, 18]);
        let frame = frame(mac, from, to, 255, &[0x31; 8], None).expect("same family");
        assert_eq!(frame[..6], [1, 0, 0x5e, 0, 0, 0x12]);
        assert_eq!(frame[6..12], mac);
        assert_eq!(internet_checksum(&frame[14..34]), 0);
        assert_eq!((frame[22], frame[23]), (255, 112));
    }
}
