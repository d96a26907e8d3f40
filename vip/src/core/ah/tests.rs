use super::*;
use crate::core::advert::{Admission, Advert, Auth, Envelope, Outgoing, password_bytes};
use conf::vip::model::Version;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const FROM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const TO: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 50));
const KEY: Key = Key(*b"1111\0\0\0\0");

/// Captured from keepalived 2.2.7 in a network namespace: VRID 51, priority
/// 100, `auth_type AH`, `auth_pass 1111`, address 10.77.0.50.
const KEEPALIVED: [u8; 64] = [
    0x45, 0xc0, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00, 0xff, 0x33, 0xd0, 0x06, 0x0a, 0x4d, 0x00, 0x64,
    0xe0, 0x00, 0x00, 0x12, 0x70, 0x04, 0x00, 0x00, 0x0a, 0x4d, 0x00, 0x64, 0x00, 0x00, 0x13, 0x89,
    0xc6, 0x0f, 0xde, 0xfd, 0xe1, 0xe6, 0x7c, 0x59, 0x57, 0x90, 0x6c, 0x1f, 0x21, 0x33, 0x64, 0x01,
    0x02, 0x01, 0x6e, 0x4b, 0x0a, 0x4d, 0x00, 0x32, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

/// The same to the one peer 10.77.0.11, by priority 110.
const TO_A_PEER: [u8; 64] = [
    0x45, 0xc0, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00, 0xff, 0x33, 0xa5, 0xc1, 0x0a, 0x4d, 0x00, 0x64,
    0x0a, 0x4d, 0x00, 0x0b, 0x70, 0x04, 0x00, 0x00, 0x0a, 0x4d, 0x00, 0x64, 0x00, 0x00, 0x00, 0x01,
    0x2a, 0xc5, 0xad, 0x91, 0x2b, 0x1d, 0xa5, 0x19, 0x0c, 0x93, 0xca, 0x84, 0x21, 0x33, 0x6e, 0x01,
    0x02, 0x01, 0x64, 0x4b, 0x0a, 0x4d, 0x00, 0x32, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

fn message() -> Vec<u8> {
    message_of(100)
}

fn message_of(priority: u8) -> Vec<u8> {
    let out = Outgoing {
        version: Version::V2,
        vrid: 51,
        priority,
        interval: Duration::from_secs(1),
        auth: Auth::Header(KEY),
        addresses: &[ADDRESS],
        plain_checksum: false,
    };
    let mut bytes = Vec::new();
    out.build(FROM.into(), TO.into(), &mut bytes);
    bytes
}

fn sealed(ip: &[u8], sequence: u32) -> Vec<u8> {
    let mut packet = ip.to_vec();
    let seal = Seal { key: KEY, sequence };
    seal.append(&mut packet, &message());
    packet
}

fn check(packet: &[u8], key: Key) -> Result<u32, Refusal> {
    match unwrap(packet).0 {
        Wrap::Sealed(sealed) => sealed.check(key),
        Wrap::Bare | Wrap::Broken => Err(Refusal::Length),
    }
}

#[test]
fn the_golden_packet_of_the_peer_is_what_we_would_send() {
    let sequence = check(&KEEPALIVED, KEY).expect("made with this key");
    assert_eq!(sealed(&KEEPALIVED[..20], sequence), KEEPALIVED);
    let sequence = check(&TO_A_PEER, KEY).expect("made with this key");
    let mut packet = TO_A_PEER[..20].to_vec();
    let seal = Seal { key: KEY, sequence };
    seal.append(&mut packet, &message_of(110));
    assert_eq!(packet, TO_A_PEER);
}

#[test]
fn the_golden_packet_is_heard_by_who_has_its_password() {
    let admission = |auth| Admission {
        version: Version::V2,
        interval: Duration::from_secs(1),
        auth,
        peers: Vec::new(),
        check_sender: true,
        own: Vec::new(),
        addresses: vec![ADDRESS],
        any_list: false,
        trusted: Vec::new(),
    };
    let envelope = Envelope {
        source: FROM.into(),
        destination: TO.into(),
        hop_limit: 255,
    };
    let verdict = |auth, packet: &[u8]| {
        let admission = admission(auth);
        let (wrap, vrrp) = unwrap(packet);
        admission.open(&wrap)?;
        let advert = Advert::parse(vrrp, &envelope)?;
        admission.admit(&advert, &envelope).map(|h| h.priority)
    };
    let password = |word| password_bytes(word);
    assert_eq!(verdict(Auth::Header(KEY), &KEEPALIVED), Ok(100));
    for (auth, reason) in [
        (Auth::Header(Key(password("1112"))), Refusal::Icv),
        (Auth::Password(password("1111")), Refusal::AuthType),
        (Auth::None, Refusal::AuthType),
    ] {
        assert_eq!(verdict(auth, &KEEPALIVED), Err(reason), "{auth:?}");
    }
    let bare = admission(Auth::Header(KEY)).open(&Wrap::Bare);
    assert_eq!(bare, Err(Refusal::AuthType));
}

#[test]
fn what_routers_change_on_the_way_is_not_covered_and_everything_else_is() {
    for at in 0..KEEPALIVED.len() {
        let mut packet = KEEPALIVED;
        packet[at] ^= 1;
        let steady = !MUTABLE.iter().any(|changes| changes.contains(&at));
        assert_eq!(check(&packet, KEY).is_err(), steady, "byte {at}");
        let mut packet = TO_A_PEER;
        packet[at] ^= 1;
        let steady = steady && at != TTL;
        assert_eq!(check(&packet, KEY).is_err(), steady, "byte {at} to a peer");
    }
}

#[test]
fn another_sender_cannot_use_a_header_that_is_right() {
    let mut ip = KEEPALIVED[..20].to_vec();
    ip[15] = 99;
    let packet = sealed(&ip, 7);
    assert_eq!(check(&packet, KEY), Ok(7));
    let mut other = packet.clone();
    other[27] = 98;
    assert_eq!(check(&other, KEY), Err(Refusal::Icv));
}

#[test]
fn every_beginning_of_a_packet_is_refused() {
    for end in 0..KEEPALIVED.len() {
        assert!(check(&KEEPALIVED[..end], KEY).is_err(), "cut to {end}");
    }
    for end in 0..44 {
        assert!(matches!(unwrap(&KEEPALIVED[..end]), (Wrap::Broken, [])));
    }
}

#[test]
fn a_number_counts_once_and_who_takes_over_goes_on_behind_it() {
    let mut sequence = Sequence::default();
    assert_eq!((sequence.advance(), sequence.advance()), (1, 2));
    assert_eq!(sequence.hear(2, 3), Err(Refusal::Sequence));
    assert_eq!(sequence.hear(1, 3), Err(Refusal::Sequence));
    assert_eq!(sequence.hear(900, 3), Ok(()));
    assert_eq!(sequence.hear(900, 3), Err(Refusal::Sequence));
    assert!(sequence.is_copy(900, 4), "of a virtual interface");
    assert!(!sequence.is_copy(900, 3) && !sequence.is_copy(899, 4));
    assert_eq!(sequence.advance(), 901);
    assert_eq!(sequence.hear(u32::MAX, 3), Ok(()));
    assert_eq!((sequence.advance(), sequence.later()), (1, 1 << BLOCK));
}

#[test]
fn last_words_stay_ahead_of_the_adverts() {
    let mut sequence = Sequence::default();
    let mut later = sequence.later();
    let mut renewed = 0;
    for _ in 0..10_000 {
        let number = sequence.advance();
        if sequence.is_new_block() {
            later = sequence.later();
            renewed += 1;
        }
        assert!(number < later, "{number} and {later}");
    }
    assert_eq!(renewed, 2);
    sequence.hear(1 << 20, 3).expect("ahead");
    sequence.advance();
    assert!(sequence.is_new_block() && !sequence.is_new_block());
    sequence.hear(u32::MAX, 3).expect("ahead");
    assert_eq!(sequence.later(), 1);
}

fn fuzz_one(bytes: &[u8]) {
    let (wrap, vrrp) = unwrap(bytes);
    match wrap {
        Wrap::Sealed(sealed) => {
            assert_eq!(vrrp.len() + 44, bytes.len());
            let _ = sealed.check(KEY);
        }
        Wrap::Bare | Wrap::Broken => assert!(vrrp.is_empty()),
    }
}

proptest! {
    #[test]
    fn any_bytes_give_a_seal_or_a_broken_one(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz_one(&bytes);
        let mut right = bytes.clone();
        right.splice(0..right.len().min(22), KEEPALIVED[..22].iter().copied());
        fuzz_one(&right);
    }

    #[test]
    fn what_was_sealed_opens_by_its_key_alone(sequence in any::<u32>(), key in any::<[u8; 8]>(), other in any::<[u8; 8]>()) {
        let mut packet = KEEPALIVED[..20].to_vec();
        Seal { key: Key(key), sequence }.append(&mut packet, &message());
        prop_assert_eq!(check(&packet, Key(key)), Ok(sequence));
        prop_assert_eq!(check(&packet, Key(other)).is_ok(), key == other);
    }
}
