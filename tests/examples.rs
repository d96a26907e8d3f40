//! What production starts from: the example files load without a warning, the
//! pair's files fit together, systemd accepts the units.

mod kit;

use std::path::PathBuf;

fn example(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("conf/examples")
        .join(name)
}

#[test]
fn the_pair_s_files_fit_together() {
    let load = |name: &str| {
        let (config, report) = conf::vip::load(&example(name), &Default::default());
        assert!(report.diagnostics.is_empty(), "{}", report.human(false));
        config.expect("no error")
    };
    let a = load("keepalived-production-a.conf");
    let b = load("keepalived-production-b.conf");
    assert_eq!(conf::vip::pair::compare(&a, &b), []);
}

#[test]
#[ignore = "needs systemd-analyze; tests/run installs it and runs this"]
fn systemd_accepts_the_units() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for unit in [
        "evenkeel-lb.service",
        "evenkeel-vip.service",
        "evenkeel-broker.service",
    ] {
        let text = std::fs::read_to_string(example("systemd").join(unit)).expect("readable");
        // The binary is not installed where the units say while this test runs.
        let binary = kit::binary().display().to_string();
        let text = text.replace("/usr/local/bin/evenkeel", &binary);
        let text = text.replace("User=evenkeel\nGroup=evenkeel\n", "");
        let path = dir.path().join(unit);
        std::fs::write(&path, text).expect("written");
        let output = std::process::Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&path)
            .output()
            .expect("systemd-analyze runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{unit}: {said}");
        assert!(!said.contains(unit), "{unit}: {said}");
    }
}
