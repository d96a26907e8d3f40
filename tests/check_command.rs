//! `evenkeel check` and `evenkeel explain` as people and editors use them.

mod kit;

use std::path::PathBuf;

fn example(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.join(name).display().to_string()
}

#[test]
fn the_classic_file_is_valid_with_notes_only() {
    let file = example("conf/examples/haproxy-rabbitmq.cfg");
    let (code, _, err) = kit::evenkeel(&["check", "--strict", &file]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("note[E1101]"), "{err}");
    assert!(!err.contains("warning["), "{err}");
    let (code, _, err) = kit::evenkeel(&["check", "--no-notes", &file]);
    assert_eq!((code, err.lines().count()), (0, 1), "{err}");
}

#[test]
fn a_bad_file_is_refused_with_a_place_and_a_mend() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("lb.cfg");
    std::fs::write(&file, "listen a\n bind :1\n balence leastconn\n").expect("a file");
    let path = file.display().to_string();
    let (code, out, err) = kit::evenkeel(&["check", &path]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("lb.cfg:3:2"), "{err}");
    assert!(err.contains("did you mean `balance`?"), "{err}");
    let (code, out, _) = kit::evenkeel(&["check", "--format", "json", &path]);
    let first: serde_json::Value =
        serde_json::from_str(out.lines().next().expect("a line")).expect("a JSON object");
    assert_eq!(code, 1);
    assert_eq!(first["suggestion"]["replacement"], "balance");
    assert_eq!(first["place"]["range"]["start"]["line"], 3);
}

#[test]
fn a_code_is_explained_in_either_case() {
    let (code, out, _) = kit::evenkeel(&["explain", "e1106"]);
    assert_eq!(code, 0);
    assert!(out.contains("redispatch"), "{out}");
    let (code, out, _) = kit::evenkeel(&["explain"]);
    assert_eq!(code, 0);
    assert!(out.lines().count() > 50, "{out}");
    let (code, _, err) = kit::evenkeel(&["explain", "E9999"]);
    assert_eq!(code, 1);
    assert!(err.contains("no code"), "{err}");
}

#[test]
fn the_brokers_check_reads_the_certificates() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = directory.path().display();
    let file = directory.path().join("broker.toml");
    let path = file.display().to_string();
    let text = format!("[tls]\ncertificate = \"{place}/c.pem\"\nkey = \"{place}/k.pem\"\n");
    std::fs::write(
        &file,
        "[listen]\ntls = \"127.0.0.1:0\"\n".to_owned() + &text,
    )
    .expect("a file");
    let check = || kit::evenkeel(&["broker", "--config", &path, "--check"]);
    let (code, out, err) = check();
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains("c.pem: I/O error"), "{err}");
    std::fs::write(&file, "[listen]\namqp = \"127.0.0.1:0\"\n").expect("a file");
    let (code, out, err) = check();
    assert_eq!(
        (code, out.as_str()),
        (0, "the configuration is valid\n"),
        "{err}"
    );
}
