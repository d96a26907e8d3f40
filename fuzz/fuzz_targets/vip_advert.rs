//! Any bytes as a VRRP message over IPv4 and IPv6, and as an IPv4 packet with an
//! authentication header: an advert or a reason, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use vip::core::advert::{Advert, Envelope};
use vip::core::ah::{Key, Wrap, unwrap};

fuzz_target!(|bytes: &[u8]| {
    let (wrap, vrrp) = unwrap(bytes);
    if let Wrap::Sealed(sealed) = wrap {
        let _ = sealed.check(Key(*b"1111\0\0\0\0"));
        assert_eq!(vrrp.len() + 44, bytes.len());
    }
    for (source, destination) in [("10.77.0.12", "224.0.0.18"), ("fe80::12", "ff02::12")] {
        let envelope = Envelope {
            source: source.parse::<IpAddr>().expect("an address"),
            destination: destination.parse::<IpAddr>().expect("an address"),
            hop_limit: 255,
        };
        if let Ok(advert) = Advert::parse(bytes, &envelope) {
            assert!(advert.addresses().count() <= 255);
        }
    }
});
