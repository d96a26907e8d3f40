//! Any bytes as a message of the pair channel: read or refused, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vip::core::connections::{Part, pack, unpack};
use vip::core::heartbeat::{Heartbeat, Secret};

fuzz_target!(|bytes: &[u8]| {
    let secret = Secret::new([9; 32]);
    if let Some(heartbeat) = Heartbeat::decode(bytes, &secret) {
        assert_eq!(Heartbeat::decode(&heartbeat.encode(&secret), &secret), Some(heartbeat));
    }
    assert!(Part::decode(bytes, &[1; 16], &secret).is_none());
    let mut list = Vec::new();
    unpack(bytes, |connection| list.push(connection));
    list.sort_unstable();
    list.dedup();
    let mut again = Vec::new();
    for part in pack(1, list.clone()) {
        unpack(&part.packed, |connection| again.push(connection));
    }
    assert_eq!(again, list);
});
