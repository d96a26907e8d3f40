//! Each `tests/lb/NAME.cfg` gives the findings in `NAME.txt`; `REWRITE=1`
//! writes them.

use conf::lb::{self, Env};
use std::path::PathBuf;

fn inputs() -> Vec<PathBuf> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/lb");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory of inputs")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "cfg"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_input_gives_its_findings() {
    let env: Env = [("SET", "value"), ("TWO", "one two")].into_iter().collect();
    let mut wrong = Vec::new();
    for input in inputs() {
        let (config, report) = lb::load(std::slice::from_ref(&input), env.clone());
        assert_eq!(config.is_some(), !report.has_errors());
        let directory = input.parent().expect("a directory").display().to_string();
        let found = report.human(false).replace(&format!("{directory}/"), "");
        let path = input.with_extension("txt");
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, &found).expect("the findings can be written");
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", input.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
