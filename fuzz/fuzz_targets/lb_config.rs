//! Any bytes as a balancer's configuration: no panic, findings can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = conf::lb::text_of(bytes.to_vec());
    let (config, report) = conf::lb::load_str(&text);
    assert_eq!(config.is_some(), !report.has_errors());
    let _ = report.human(false);
    let _ = report.json();
});
