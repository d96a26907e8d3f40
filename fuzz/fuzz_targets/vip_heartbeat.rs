//! Any bytes as a message of the pair channel: read or refused, no panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vip::core::heartbeat::{Heartbeat, Secret};

fuzz_target!(|bytes: &[u8]| {
    let secret = Secret::new([9; 32]);
    if let Some(heartbeat) = Heartbeat::decode(bytes, &secret) {
        assert_eq!(Heartbeat::decode(&heartbeat.encode(&secret), &secret), Some(heartbeat));
    }
});
