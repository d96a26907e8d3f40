//! Any bytes as a VRRP message over IPv4 and IPv6: an advert or a reason, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::net::IpAddr;
use vip::core::advert::{Advert, Envelope};

fuzz_target!(|bytes: &[u8]| {
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
