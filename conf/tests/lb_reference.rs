//! docs/reference-lb.md is what the tables say; `REWRITE=1` writes it.

use std::path::PathBuf;

#[test]
fn the_reference_page_is_up_to_date() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/reference-lb.md");
    let wanted = conf::lb::reference::page();
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, &wanted).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/reference-lb.md is not what the tables say; REWRITE=1 cargo test -p evenkeel-conf --test lb_reference"
    );
}
