//! The alert rules and the dashboard fit what the daemons say of themselves.

mod kit;

use std::path::PathBuf;

fn example(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join("conf/examples/monitoring")
        .join(name)
        .display()
        .to_string()
}

#[test]
#[ignore = "needs promtool (package prometheus); tests/run installs it and runs this"]
fn promtool_accepts_the_rules_and_the_configuration() {
    kit::run("promtool", &["check", "rules", &example("alerts.yml")]);
    kit::run("promtool", &["check", "config", &example("prometheus.yml")]);
}

#[test]
#[ignore = "needs promtool (package prometheus); tests/run installs it and runs this"]
fn every_alert_fires_on_its_fault_and_is_silent_otherwise() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let cases = root.join("tests/monitoring/alerts.yml");
    let text = std::fs::read_to_string(&cases).expect("the cases");
    let rules = std::fs::read_to_string(example("alerts.yml")).expect("the rules");
    let names = rules
        .lines()
        .filter_map(|l| l.trim().strip_prefix("- alert: "));
    for name in names {
        let case = format!("alertname: {name}\n        exp_alerts: [{{");
        assert!(text.contains(&case), "{name} is not tried");
    }
    kit::run("promtool", &["test", "rules", &cases.display().to_string()]);
}

#[test]
#[ignore = "needs Prometheus and network namespaces; tests/run installs it and runs this"]
fn every_query_of_the_dashboard_and_the_alerts_returns_data() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let state = dir.path().join("up").display().to_string();
    let data = dir.path().join("prometheus");
    std::fs::create_dir(&data).expect("made");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/system/dashboard.py");
    let client = format!(
        "python3 {} {} {} {}",
        script.display(),
        example("dashboard.json"),
        example("alerts.yml"),
        data.display()
    );
    let said = kit::with_client(&state, &["--traffic"], &client);
    assert!(said.contains(" 0 without data"), "{said}");
}
