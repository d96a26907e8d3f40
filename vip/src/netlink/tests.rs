use super::*;

#[test]
fn the_loopback_link_and_its_address_are_found() {
    let mut netlink = Netlink::new().expect("netlink sockets need no privilege");
    let links = netlink.links().expect("dump");
    let lo = links.iter().find(|l| l.name == "lo").expect("lo exists");
    let addresses = netlink.addresses().expect("dump");
    if lo.up {
        assert!(addresses.iter().any(|a| a.index == lo.index));
    }
}

#[test]
fn malformed_messages_end_the_reading() {
    assert_eq!(messages(&[0; 15]).count(), 0);
    assert_eq!(messages(&[0xff; 40]).count(), 0);
    assert_eq!(attributes(&[2, 0, 1, 0, 9]).count(), 0);
    assert_eq!(link(&[0; 3]), None);
    assert_eq!(address(&[0; 8]), None);
}

/// Filters read a datagram of any socket alike.
#[test]
fn a_monitor_overlooks_renewals_of_one_socket_only() {
    let (to, from) = std::os::unix::net::UnixDatagram::pair().expect("sockets");
    from.set_nonblocking(true).expect("a socket");
    let filter = no_renewals(0x1234_5678);
    SockRef::from(&from)
        .attach_filter(&filter)
        .expect("a filter");
    let passes = |kind: u16, sequence: u32, port: u32| {
        let mut message = Message::new(kind, 0);
        message.finish(sequence);
        message.bytes[12..16].copy_from_slice(&port.to_ne_bytes());
        to.send(&message.bytes).expect("sent");
        from.recv(&mut [0; 64]).is_ok()
    };
    assert!(!passes(20, RENEWAL | 7, 0x1234_5678));
    assert!(passes(20, 7, 0x1234_5678), "a new one of the same socket");
    assert!(passes(20, RENEWAL | 7, 0x1234_5679), "another process");
    assert!(passes(21, RENEWAL | 7, 0x1234_5678), "an address went");
}
