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
    let filter = news(0x1234_5678);
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

#[test]
fn a_monitor_hears_of_routes_that_went_if_a_vrrp_daemon_set_them() {
    let (to, from) = std::os::unix::net::UnixDatagram::pair().expect("sockets");
    from.set_nonblocking(true).expect("a socket");
    SockRef::from(&from)
        .attach_filter(&news(1))
        .expect("a filter");
    let passes = |kind: u16, protocol: u8| {
        let mut message = Message::new(kind, 0);
        message
            .bytes
            .extend([2, 24, 0, 0, 254, protocol, 0, 1, 0, 0, 0, 0]);
        message.finish(7);
        to.send(&message.bytes).expect("sent");
        from.recv(&mut [0; 64]).is_ok()
    };
    assert!(passes(25, PROTO_VRRP) && passes(33, 0), "a route, a rule");
    assert!(!passes(25, 4) && !passes(24, PROTO_VRRP) && !passes(32, 0));
    assert!(passes(16, 0), "a link");
}

#[test]
fn a_route_with_several_ways_has_them_side_by_side() {
    let hop = |via: Option<&str>, index, weight, onlink| Hop {
        via: via.map(|v| v.parse().expect("an address")),
        index,
        weight,
        onlink,
    };
    let route = NewRoute {
        to: Some((IpAddr::from([10, 9, 0, 0]), 16)),
        kind: 1,
        hops: vec![hop(Some("10.0.0.1"), 3, 2, false), hop(None, 4, 1, true)],
        ..NewRoute::default()
    };
    let mut message = Message::new(24, REQUEST);
    message.route(&route);
    let (_, ways) = attributes(&message.bytes[28..])
        .find(|(kind, _)| *kind == 9)
        .expect("ways");
    assert_eq!(ways[..8], [16, 0, 0, 1, 3, 0, 0, 0]);
    assert_eq!(ways[8..16], [8, 0, 5, 0, 10, 0, 0, 1]);
    assert_eq!(ways[16..], [8, 0, 4, 0, 4, 0, 0, 0]);
    assert_eq!(message.bytes[22], 0, "scope: somebody forwards");
}
