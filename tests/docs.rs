//! Every fenced block marked `run` in the documentation runs.

mod kit;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Blocks of a page that start with "```sh run", in order.
fn blocks(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "```sh run" {
            let block: Vec<&str> = lines.by_ref().take_while(|l| l.trim() != "```").collect();
            found.push(block.join("\n"));
        }
    }
    found
}

fn pages() -> Vec<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_dir(root.join("docs")).expect("docs/ is there");
    let mut pages: Vec<PathBuf> = docs
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .collect();
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// Runs the blocks of one page one after the other in one directory.
fn run(page: &Path) -> usize {
    let text = std::fs::read_to_string(page).expect("a page is readable");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let binary = kit::binary();
    let bin = binary.parent().expect("the binary is in a directory");
    let path = format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let all = blocks(&text);
    for block in &all {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", block])
            .current_dir(dir.path())
            .env("PATH", &path)
            .output()
            .expect("bash runs");
        assert!(
            output.status.success(),
            "{}: {}\n--- block:\n{block}\n--- printed:\n{}{}",
            page.display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    all.len()
}

#[test]
#[ignore = "needs network namespaces; tests/run runs it"]
fn every_block_marked_run_in_the_docs_runs() {
    kit::sandboxed(|| {
        let count: usize = pages().iter().map(|page| run(page)).sum();
        assert!(count >= 5, "the docs have {count} such blocks");
    });
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page is readable");
        let base = page.parent().unwrap_or(&root);
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(
                base.join(file).exists(),
                "{} links to {file}",
                page.display()
            );
        }
    }
}

/// Options that a help text names, at the beginning of its lines: `-f`, `--use-file`.
fn options(help: &str) -> Vec<String> {
    let lines = help.lines().map(str::trim).filter(|l| l.starts_with('-'));
    let forms = lines.filter_map(|line| line.split("  ").next());
    let names = forms.flat_map(|form| form.split(", "));
    let names = names.filter_map(|name| name.split([' ', '=', '[']).next());
    let names = names.filter(|name| name.starts_with('-'));
    names.map(str::to_owned).collect()
}

#[test]
fn the_manual_and_the_completions_have_every_option_that_the_help_names() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().display().to_string();
    let (status, _, stderr) = kit::evenkeel(&["manual", "man", &path]);
    assert_eq!(status, 0, "{stderr}");
    let (_, bash, _) = kit::evenkeel(&["manual", "completions", "bash"]);
    for file in std::fs::read_dir(dir.path()).expect("pages").flatten() {
        let page = std::fs::read_to_string(file.path()).expect("text");
        let page = page.replace("\\-", "-");
        let name = file.file_name().to_string_lossy().into_owned();
        let name = name.rsplit_once('.').expect("a section").0.to_owned();
        let words: Vec<&str> = name.split('-').skip(1).collect();
        let asked: Vec<&str> = words.iter().copied().chain(["--help"]).collect();
        let (_, stdout, stderr) = kit::evenkeel(&asked);
        let case = format!("    \"{} \"*", words.join(" "));
        let completed = bash.lines().find(|line| line.starts_with(&case));
        for option in options(&(stdout + &stderr)) {
            // `- ` begins a list in a help text
            if matches!(option.as_str(), "-" | "-h" | "--help") {
                continue;
            }
            let known = |text: &str| text.split([' ', ',', '"', '\n', '[']).any(|w| w == option);
            assert!(known(&page), "{name}: {option} is not in its page");
            let completed = completed.is_some_and(known);
            assert!(
                completed || words.is_empty(),
                "{name}: {option} is not completed"
            );
        }
    }
}
