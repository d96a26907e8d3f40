//! Walks every row of the balancer's keyword tables.

use conf::keyword::Keyword;
use conf::lb::{
    self, acl, format, global, healthcheck, known, predicate, proxy, ring, sample, userlist,
};

/// A file in which the example stands where its section is.
fn proxy_file(section: &str, example: &str) -> String {
    let servers = match section {
        "frontend" => "",
        _ => " server s1 192.0.2.1:1\n",
    };
    let bind = match section {
        "backend" => "",
        _ => " bind :1\n",
    };
    let mode = if example.starts_with("stats ")
        || example.starts_with("http-re")
        || example.starts_with("monitor")
        || example.starts_with("option http")
    {
        " mode http\n"
    } else {
        ""
    };
    let program = match example {
        "option external-check" => " external-check command /bin/true\n",
        _ => "",
    };
    format!(
        "global\n external-check\nbackend other\n server s1 192.0.2.2:1\nbackend amqp\n \
         server s1 192.0.2.3:1\n{section} x\n{mode}{bind}{program} {example}\n{servers}"
    )
}

#[track_caller]
fn parses(text: &str, what: &str) {
    let (config, report) = lb::load_str(text);
    assert!(config.is_some(), "{what}\n{}", report.human(false));
}

fn documented<C>(row: &Keyword<C>) {
    assert!(row.doc.len() > 10, "{} has no doc", row.name);
    assert!(!row.doc.contains("  "), "{}: doc with a gap", row.name);
    assert!(!row.example.is_empty(), "{} has no example", row.name);
}

#[test]
fn every_example_of_a_proxy_keyword_parses() {
    for (side, _, rows) in proxy::TABLES {
        for row in *rows {
            documented(row);
            assert!(row.example.starts_with(row.name), "{}", row.name);
            let section = match side {
                proxy::Side::Front => "frontend",
                proxy::Side::Both | proxy::Side::Back => "backend",
            };
            let section = if row.name.starts_with("stats") || row.name == "monitor fail" {
                "listen"
            } else {
                section
            };
            parses(&proxy_file(section, row.example), row.name);
        }
    }
}

#[test]
fn every_example_of_a_global_keyword_parses() {
    for (_, rows) in global::TABLES {
        for row in *rows {
            documented(row);
            assert!(row.example.starts_with(row.name), "{}", row.name);
            parses(&format!("global\n {}\n", row.example), row.name);
        }
    }
}

#[test]
fn every_example_of_an_option_parses() {
    for row in proxy::server_options::OPTIONS {
        documented(row);
        assert!(row.example.contains(row.name), "{}", row.name);
        let text = format!(
            "healthcheck alarms\n type httpchk\nbackend other\n server s1 192.0.2.2:1 check\n\
             backend b\n {}\n",
            row.example
        );
        parses(&text, row.name);
    }
    for row in proxy::bind::OPTIONS {
        documented(row);
        assert!(row.example.contains(row.name), "{}", row.name);
        parses(&proxy_file("frontend", row.example), row.name);
    }
    for row in proxy::bind::CLI_OPTIONS {
        documented(row);
        parses(&format!("global\n {}\n", row.example), row.name);
    }
    for row in userlist::KEYWORDS {
        documented(row);
        parses(&format!("userlist u\n {}\n", row.example), row.name);
    }
}

#[test]
fn every_example_of_a_ring_and_of_a_healthcheck_section_parses() {
    for row in ring::KEYWORDS {
        documented(row);
        assert!(row.example.starts_with(row.name), "{}", row.name);
        parses(&format!("ring r\n {}\n", row.example), row.name);
    }
    for row in healthcheck::CHOICE {
        documented(row);
        assert!(row.example.starts_with(row.name), "{}", row.name);
        let text = format!(
            "healthcheck h\n {}\nbackend b\n server s 192.0.2.1:1 check healthcheck h\n",
            row.example
        );
        parses(&text, row.name);
    }
}

#[test]
fn no_keyword_stands_in_a_table_twice_or_is_both_there_and_not() {
    let mut names: Vec<&str> = proxy::TABLES
        .iter()
        .flat_map(|(_, _, rows)| rows.iter().map(|row| row.name))
        .collect();
    names.extend(known::PROXY);
    names.extend(known::HTTP_ONLY.iter().map(|(name, _)| *name));
    unique(names);
    let mut names: Vec<&str> = global::TABLES
        .iter()
        .flat_map(|(_, rows)| rows.iter().map(|row| row.name))
        .collect();
    names.extend(known::GLOBAL);
    unique(names);
    let rows = proxy::server_options::OPTIONS.iter().map(|row| row.name);
    unique(rows.chain(known::SERVER_OPTIONS.iter().copied()).collect());
    let rows = proxy::bind::OPTIONS.iter().map(|row| row.name);
    unique(rows.chain(known::BIND_OPTIONS.iter().copied()).collect());
    unique(sample::fetch::TABLE.iter().map(|row| row.name).collect());
    unique(sample::convert::TABLE.iter().map(|row| row.name).collect());
    unique(format::TAGS.iter().map(|(name, ..)| *name).collect());
    unique(
        predicate::PREDICATES
            .iter()
            .map(|(name, ..)| *name)
            .collect(),
    );
}

#[track_caller]
fn unique(mut names: Vec<&str>) {
    names.sort_unstable();
    let twice: Vec<_> = names.windows(2).filter(|w| w[0] == w[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

#[test]
fn every_predefined_acl_can_be_used() {
    for (name, _) in acl::PREDEFINED {
        let rule = match *name {
            "RDP_COOKIE" | "REQ_CONTENT" => "mode tcp\n bind :1\n tcp-request content reject",
            _ => "mode http\n bind :1\n http-request deny",
        };
        parses(&format!("listen l\n {rule} if {name}\n"), name);
    }
}

#[test]
fn every_format_tag_can_be_used() {
    for (name, ..) in format::TAGS {
        let text =
            format!("listen l\n mode http\n bind :1\n log-format \"%{name} %{{+Q}}{name}\"\n");
        parses(&text, name);
    }
}

#[test]
fn every_code_in_the_sources_is_explained() {
    let mut files = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut text = String::new();
    while let Some(path) = files.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).expect("a directory of sources");
            files.extend(entries.map(|e| e.expect("an entry").path()));
        } else {
            text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
    let mut used: Vec<&str> = text
        .match_indices("\"E1")
        .filter_map(|(at, _)| text.get(at + 1..at + 6))
        .filter(|code| code[1..].bytes().all(|b| b.is_ascii_digit()))
        .collect();
    used.sort_unstable();
    used.dedup();
    for code in used {
        assert!(conf::code::find(code).is_some(), "{code} is not explained");
    }
}
