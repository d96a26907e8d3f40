//! Any bytes as a keepalived-style file: no panic, findings can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let options = conf::vip::Options::default();
    let (config, report) = conf::vip::load_str("fuzz.conf", &text, &options);
    assert_eq!(config.is_some(), !report.has_errors());
    let _ = report.human(false);
});
