use super::*;
use proptest::prelude::*;

fn v4(last: u8) -> IpAddr {
    IpAddr::from([10, 77, 0, last])
}

fn v6(last: u16) -> IpAddr {
    IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last])
}

fn envelope(source: IpAddr) -> Envelope {
    let group = if source.is_ipv4() {
        IpAddr::from([224, 0, 0, 18])
    } else {
        IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x12])
    };
    Envelope {
        source,
        destination: group,
        hop_limit: 255,
    }
}

fn auth(version: Version) -> Auth {
    match version {
        Version::V2 => Auth::Password(password_bytes("1111")),
        Version::V3 => Auth::None,
    }
}

fn outgoing(version: Version, addresses: &[IpAddr]) -> Outgoing<'_> {
    Outgoing {
        version,
        vrid: 51,
        priority: 101,
        interval: Duration::from_secs(1),
        auth: auth(version),
        addresses,
        plain_checksum: false,
    }
}

fn built(out: &Outgoing<'_>, source: IpAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    out.build(source, envelope(source).destination, &mut bytes);
    bytes
}

fn admission(version: Version) -> Admission {
    Admission {
        version,
        interval: Duration::from_secs(1),
        auth: auth(version),
        peers: Vec::new(),
        check_sender: true,
        own: vec![v4(11)],
        addresses: vec![v4(50)],
        any_list: false,
        trusted: Vec::new(),
    }
}

fn verdict(admission: &Admission, bytes: &[u8], envelope: &Envelope) -> Result<Heard, Refusal> {
    Advert::parse(bytes, envelope).and_then(|a| admission.admit(&a, envelope))
}

/// Captured from keepalived 2.2.7 in a network namespace: v2, VRID 51,
/// priority 110, PASS 1111, address 10.77.0.50.
const KEEPALIVED_V2: [u8; 20] = [
    0x21, 0x33, 0x6e, 0x01, 0x01, 0x01, 0x02, 0xe9, 0x0a, 0x4d, 0x00, 0x32, 0x31, 0x31, 0x31, 0x31,
    0, 0, 0, 0,
];

#[test]
fn a_v2_advert_has_its_bytes_in_place() {
    let bytes = built(&outgoing(Version::V2, &[v4(50)]), v4(11));
    assert_eq!(bytes.len(), 20);
    assert_eq!(bytes[..6], [0x21, 51, 101, 1, 1, 1]);
    assert_eq!(bytes[8..12], [10, 77, 0, 50]);
    assert_eq!(bytes[12..], *b"1111\0\0\0\0");
    assert_eq!(internet_checksum(&bytes), 0);
}

#[test]
fn a_v2_advert_without_password_ends_with_zeros() {
    let out = Outgoing {
        auth: Auth::None,
        ..outgoing(Version::V2, &[])
    };
    let bytes = built(&out, v4(11));
    assert_eq!(bytes[4], 0);
    assert_eq!(bytes[8..], [0; 8]);
}

#[test]
fn a_v3_advert_counts_centiseconds_in_twelve_bits_with_reserved_bits_zero() {
    let out = Outgoing {
        interval: Duration::from_millis(40_950),
        ..outgoing(Version::V3, &[])
    };
    assert_eq!(built(&out, v4(11))[4..6], [0x0f, 0xff]);
    let fast = Outgoing {
        interval: Duration::from_millis(10),
        ..outgoing(Version::V3, &[])
    };
    assert_eq!(built(&fast, v4(11))[..6], [0x31, 51, 101, 0, 0, 1]);
}

#[test]
fn the_golden_v2_packet_of_the_peer_is_what_we_would_send() {
    let addresses = [v4(50)];
    let out = Outgoing {
        priority: 110,
        ..outgoing(Version::V2, &addresses)
    };
    assert_eq!(built(&out, v4(11)), KEEPALIVED_V2);
}

#[test]
fn both_v3_checksums_are_accepted_over_ipv4_and_told_apart() {
    let addresses = [v4(50)];
    let mut out = outgoing(Version::V3, &addresses);
    for (plain, kind) in [(false, ChecksumKind::Pseudo), (true, ChecksumKind::Plain)] {
        out.plain_checksum = plain;
        let bytes = built(&out, v4(12));
        let advert = Advert::parse(&bytes, &envelope(v4(12))).expect("valid");
        assert_eq!(advert.checksum, kind);
    }
}

#[test]
fn an_ipv6_checksum_always_covers_the_pseudo_header() {
    let addresses = [v6(0x50)];
    let mut out = outgoing(Version::V3, &addresses);
    out.plain_checksum = true;
    let bytes = built(&out, v6(1));
    assert!(Advert::parse(&bytes, &envelope(v6(1))).is_ok());
    let elsewhere = Envelope {
        destination: v6(9),
        ..envelope(v6(1))
    };
    assert_eq!(Advert::parse(&bytes, &elsewhere), Err(Refusal::Checksum));
}

#[test]
fn every_wrong_packet_has_its_reason() {
    let addresses = [v4(50)];
    let good = built(&outgoing(Version::V2, &addresses), v4(12));
    let from = envelope(v4(12));
    let admission = admission(Version::V2);
    let heard = verdict(&admission, &good, &from).expect("a right packet is heard");
    assert_eq!((heard.priority, heard.same_addresses), (101, true));

    let mended = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        bytes[6..8].fill(0);
        let sum = internet_checksum(&bytes);
        bytes[6..8].copy_from_slice(&sum.to_be_bytes());
        verdict(&admission, &bytes, &from)
    };
    assert_eq!(mended(&|b| b[0] = 0x41), Err(Refusal::Version));
    assert_eq!(mended(&|b| b[0] = 0x22), Err(Refusal::Type));
    assert_eq!(mended(&|b| b[3] = 2), Err(Refusal::Length));
    assert_eq!(mended(&|b| b.push(0)), Err(Refusal::Length));
    assert_eq!(mended(&|b| b[4] = 0), Err(Refusal::AuthType));
    assert_eq!(mended(&|b| b[4] = 2), Err(Refusal::AuthType));
    assert_eq!(mended(&|b| b[12] = b'2'), Err(Refusal::Password));
    assert_eq!(mended(&|b| b[5] = 2), Err(Refusal::Interval));
    assert_eq!(mended(&|b| b[11] = 51), Err(Refusal::AddressList));
    let mut flipped = good.clone();
    flipped[6] ^= 1;
    assert_eq!(verdict(&admission, &flipped, &from), Err(Refusal::Checksum));
    let near = Envelope {
        hop_limit: 254,
        ..from
    };
    assert_eq!(verdict(&admission, &good, &near), Err(Refusal::HopLimit));
    assert_eq!(
        verdict(&admission, &good, &envelope(v4(11))),
        Err(Refusal::OwnAddress)
    );
}

#[test]
fn a_v3_packet_is_the_wrong_version_for_a_v2_instance_and_the_other_way_round() {
    let addresses = [v4(50)];
    for (speaks, sends) in [(Version::V2, Version::V3), (Version::V3, Version::V2)] {
        let bytes = built(&outgoing(sends, &addresses), v4(12));
        let verdict = verdict(&admission(speaks), &bytes, &envelope(v4(12)));
        assert_eq!(verdict, Err(Refusal::Version));
    }
}

#[test]
fn a_v3_interval_is_learnt_and_zero_is_refused() {
    let addresses = [v4(50)];
    let mut out = outgoing(Version::V3, &addresses);
    out.interval = Duration::from_millis(300);
    let heard = verdict(
        &admission(Version::V3),
        &built(&out, v4(12)),
        &envelope(v4(12)),
    );
    assert_eq!(heard.map(|h| h.interval), Ok(Duration::from_millis(300)));
    out.interval = Duration::ZERO;
    let heard = verdict(
        &admission(Version::V3),
        &built(&out, v4(12)),
        &envelope(v4(12)),
    );
    assert_eq!(heard, Err(Refusal::Interval));
}

#[test]
fn another_list_is_obeyed_from_the_owner_from_a_vouched_peer_and_on_request() {
    let other = [v4(51)];
    let bytes = built(&outgoing(Version::V3, &other), v4(12));
    let from = envelope(v4(12));
    let strict = admission(Version::V3);
    assert_eq!(verdict(&strict, &bytes, &from), Err(Refusal::AddressList));
    let lax = Admission {
        any_list: true,
        ..strict.clone()
    };
    assert_eq!(
        verdict(&lax, &bytes, &from).map(|h| h.same_addresses),
        Ok(false)
    );
    let vouched = Admission {
        trusted: vec![v4(12)],
        ..strict.clone()
    };
    assert!(verdict(&vouched, &bytes, &from).is_ok());
    let owner = Outgoing {
        priority: 255,
        ..outgoing(Version::V3, &other)
    };
    assert!(verdict(&strict, &built(&owner, v4(12)), &from).is_ok());
}

#[test]
fn unicast_takes_listed_senders_only_and_checks_their_ttl_by_configuration() {
    let addresses = [v4(50)];
    let bytes = built(&outgoing(Version::V3, &addresses), v4(12));
    let mut unicast = admission(Version::V3);
    unicast.peers = vec![(v4(12), 0, 255)];
    let mut from = envelope(v4(12));
    from.hop_limit = 3;
    assert!(verdict(&unicast, &bytes, &from).is_ok());
    unicast.peers = vec![(v4(12), 254, 255)];
    assert_eq!(verdict(&unicast, &bytes, &from), Err(Refusal::HopLimit));
    unicast.peers = vec![(v4(13), 0, 255)];
    assert_eq!(verdict(&unicast, &bytes, &from), Err(Refusal::Sender));
    unicast.check_sender = false;
    assert!(verdict(&unicast, &bytes, &from).is_ok());
}

#[test]
fn every_length_of_a_good_packet_but_the_whole_is_refused() {
    for version in [Version::V2, Version::V3] {
        let bytes = built(&outgoing(version, &[v4(50), v4(51)]), v4(12));
        for end in 0..bytes.len() {
            let verdict = Advert::parse(&bytes[..end], &envelope(v4(12)));
            assert_eq!(verdict, Err(Refusal::Length), "{version:?} cut to {end}");
        }
    }
}

#[test]
fn a_v2_advert_may_list_nothing_and_then_fits_who_lists_nothing() {
    let from = envelope(v4(12));
    let bytes = built(&outgoing(Version::V2, &[]), v4(12));
    let listing = admission(Version::V2);
    assert_eq!(verdict(&listing, &bytes, &from), Err(Refusal::AddressList));
    let bare = Admission {
        addresses: Vec::new(),
        ..listing
    };
    assert!(verdict(&bare, &bytes, &from).is_ok());
    let bytes = built(&outgoing(Version::V3, &[]), v4(12));
    assert_eq!(Advert::parse(&bytes, &from), Err(Refusal::Length));
}

#[test]
fn virtual_macs_carry_family_and_vrid() {
    assert_eq!(virtual_mac(Family::V4, 51), [0, 0, 0x5e, 0, 1, 51]);
    assert_eq!(virtual_mac(Family::V6, 51), [0, 0, 0x5e, 0, 2, 51]);
}

#[test]
fn the_fuzz_corpus_gives_verdicts_and_never_panics() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/vip_advert");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the corpus is in the repository") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        fuzz_one(&bytes);
        count += 1;
    }
    assert!(count > 5);
}

fn fuzz_one(bytes: &[u8]) {
    for source in [v4(12), v6(12)] {
        if let Ok(advert) = Advert::parse(bytes, &envelope(source)) {
            let _ = admission(advert.version).admit(&advert, &envelope(source));
            assert!(advert.addresses().count() <= 255);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_advert_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_one(&bytes);
    }

    #[test]
    fn what_was_built_is_parsed_again(
        vrid in 1u8..=255, priority in 0u8..=255, centis in 1u64..4096,
        lasts in proptest::collection::vec(any::<u8>(), 1..20), plain in any::<bool>(),
    ) {
        let addresses: Vec<IpAddr> = lasts.iter().map(|l| v4(*l)).collect();
        let out = Outgoing {
            version: Version::V3,
            vrid,
            priority,
            interval: Duration::from_millis(centis * 10),
            auth: Auth::None,
            addresses: &addresses,
            plain_checksum: plain,
        };
        let bytes = built(&out, v4(1));
        let advert = Advert::parse(&bytes, &envelope(v4(1))).expect("what we send is valid");
        prop_assert_eq!((advert.vrid, advert.priority), (vrid, priority));
        prop_assert_eq!(advert.interval, out.interval);
        prop_assert_eq!(advert.addresses().collect::<Vec<_>>(), addresses);
    }
}
