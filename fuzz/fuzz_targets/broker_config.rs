//! Any bytes as a broker's configuration, the first says in which language: no panic, findings can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let name = if first % 2 == 0 { "rabbitmq.conf" } else { "broker.toml" };
    let text = String::from_utf8_lossy(rest).into_owned();
    let (config, report) = conf::broker::parse(Path::new(name), text);
    assert_eq!(config.is_some(), !report.has_errors());
    let _ = report.human(false);
    let _ = report.json();
});
