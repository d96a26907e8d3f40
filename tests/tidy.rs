//! The project's rules that a test can hold: who may depend on whom, what the
//! pure cores may not touch, where `unsafe` may stand, how long a file may be,
//! that nothing names a place outside of the repository.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(under: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(under) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != ".git" && name != "node_modules" {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn shown(path: &Path) -> String {
    let short = path.strip_prefix(root()).unwrap_or(path);
    short.display().to_string()
}

#[test]
fn daemons_do_not_import_each_other_and_conf_imports_none() {
    let rules = [
        (
            "conf",
            &["lb", "vip", "broker", "sim", "tokio", "hyper", "socket2"][..],
        ),
        ("lb", &["vip", "broker"]),
        ("vip", &["lb", "broker"]),
        ("broker", &["lb", "vip"]),
        ("service", &["conf", "lb", "vip", "broker", "sim", "tokio"]),
        ("sim", &["conf", "lb", "vip", "broker", "service"]),
    ];
    for (package, forbidden) in rules {
        let manifest: toml::Table = text(&root().join(package).join("Cargo.toml"))
            .parse()
            .expect("a manifest is TOML");
        let dependencies = manifest.get("dependencies").and_then(|d| d.as_table());
        for name in dependencies.into_iter().flat_map(|d| d.keys()) {
            assert!(
                !forbidden.contains(&name.as_str()),
                "{package} depends on {name}"
            );
        }
    }
}

#[test]
fn the_cores_are_pure() {
    let forbidden = [
        "tokio::",
        "std::net::Tcp",
        "std::net::Udp",
        "std::fs",
        "std::env",
        "Instant::now",
        "SystemTime::now",
        "socket2",
        "std::thread",
        "Mutex",
        "RwLock",
    ];
    for daemon in ["lb", "vip", "broker"] {
        for path in files(&root().join(daemon).join("src/core"), "rs") {
            if shown(&path).contains("tests") {
                continue;
            }
            let whole = text(&path);
            let code = whole.split("#[cfg(test)]").next().unwrap_or_default();
            for line in code.lines().filter(|l| !l.trim_start().starts_with("//")) {
                for word in forbidden {
                    assert!(!line.contains(word), "{} uses {word}: {line}", shown(&path));
                }
            }
        }
    }
}

#[test]
fn unsafe_stands_in_modules_that_say_why() {
    let mut places = files(&root().join("src"), "rs");
    for package in ["conf", "lb", "vip", "broker", "service", "sim"] {
        places.extend(files(&root().join(package).join("src"), "rs"));
    }
    for path in places {
        let whole = text(&path);
        let uses = |l: &str| {
            let l = l.trim_start();
            !l.starts_with("//") && (l.contains("unsafe {") || l.contains("unsafe fn"))
        };
        let count = whole.lines().filter(|l| uses(l)).count();
        if count == 0 {
            continue;
        }
        let reasons = whole.matches("SAFETY:").count();
        assert!(
            reasons >= 1,
            "{} has unsafe without a SAFETY: line",
            shown(&path)
        );
        let lines = whole.lines().count();
        assert!(
            lines <= 250,
            "{} has unsafe in {lines} lines: move it out",
            shown(&path)
        );
    }
}

#[test]
fn files_are_small_enough_to_find_ones_way() {
    // written by a program from the protocol's specification
    let generated = ["broker/src/core/method.rs"];
    for path in files(&root(), "rs") {
        let (name, lines) = (shown(&path), text(&path).lines().count());
        assert!(
            lines <= 600 || generated.contains(&name.as_str()),
            "{name} has {lines} lines: it holds more than one subject"
        );
    }
}

#[test]
fn nothing_names_a_place_outside_of_the_repository() {
    // Written apart, so that this file does not find itself.
    let outside = [
        ["/work", "/"].concat(),
        ["../sha", "red"].concat(),
        ["shared/", "ref"].concat(),
    ];
    let mut places = Vec::new();
    for extension in ["rs", "md", "toml", "sh", "py", "js", "html", "cfg", "conf"] {
        places.extend(files(&root(), extension));
    }
    places.push(root().join("tests/run"));
    places.push(root().join("tests/peers"));
    places.push(root().join(".ci/run"));
    for path in places {
        let Ok(whole) = fs::read_to_string(&path) else {
            continue;
        };
        for (number, line) in whole.lines().enumerate() {
            for word in &outside {
                let place = format!("{}:{}", shown(&path), number + 1);
                assert!(!line.contains(word.as_str()), "{place}: {line}");
            }
        }
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    let mut missing = Vec::new();
    for package in [".", "conf", "lb", "vip", "broker", "service", "sim"] {
        for path in files(&root().join(package).join("src"), "rs") {
            let first = text(&path).lines().next().unwrap_or_default().to_owned();
            if !first.starts_with("//!") && !shown(&path).ends_with("tests.rs") {
                missing.push(shown(&path));
            }
        }
    }
    assert!(missing.is_empty(), "no //! at the top: {missing:#?}");
}

#[test]
fn an_ignored_test_says_what_it_needs() {
    let mut places = files(&root().join("tests"), "rs");
    for package in ["conf", "lb", "vip", "broker", "service", "sim"] {
        places.extend(files(&root().join(package), "rs"));
    }
    for path in places.iter().filter(|p| !p.ends_with("tidy.rs")) {
        for line in text(path).lines() {
            let bare = line.trim() == "#[ignore]";
            assert!(!bare, "{}: an #[ignore] without a reason", shown(path));
        }
    }
}

#[test]
fn each_decision_has_a_number_of_its_own() {
    let mut numbers: Vec<String> = files(&root().join("docs/adr"), "md")
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.get(..4)?.to_owned()))
        .filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let count = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "two decisions share a number");
}

#[test]
fn the_index_of_decisions_names_each_page_once() {
    let index = text(&root().join("docs/adr/README.md"));
    for path in files(&root().join("docs/adr"), "md") {
        let name = path.file_name().and_then(|n| n.to_str());
        let name = name.expect("names are UTF-8");
        if name != "README.md" {
            let links = index.matches(&format!("]({name})")).count();
            assert_eq!(links, 1, "docs/adr/README.md links {links} times to {name}");
        }
    }
}

/// A profile takes over what stands for single packages in the one that it inherits from, whatever it says for all.
#[test]
fn the_dist_profile_builds_every_package_at_full_optimisation() {
    let manifest: toml::Table = text(&root().join("Cargo.toml"))
        .parse()
        .expect("a manifest is TOML");
    let level = |profile: &str, package: &str| {
        let packages = manifest.get("profile")?.get(profile)?.get("package")?;
        packages.get(package)?.get("opt-level").cloned()
    };
    let release = manifest["profile"]["release"]["package"].as_table();
    for package in release.expect("packages have levels").keys() {
        if level("release", package).is_some() {
            let full = Some(toml::Value::Integer(3));
            assert_eq!(level("dist", package), full, "{package} in profile.dist");
        }
    }
}
