//! Names that this host gives to routing tables, in iproute2's files; and those that everybody
//! gives to the protocols that set routes.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Word, wrong};
use std::path::{Path, PathBuf};

/// Where iproute2 looks, the first mention first.
const FOLDERS: [&str; 3] = ["/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2"];

/// `rtm_protocol` as iproute2 names it.
const PROTOCOLS: [&str; 22] = [
    "unspec",
    "redirect",
    "kernel",
    "boot",
    "static",
    "gated",
    "ra",
    "mrt",
    "zebra",
    "bird",
    "dnrouted",
    "xorp",
    "ntk",
    "dhcp",
    "keepalived",
    "babel",
    "openr",
    "bgp",
    "isis",
    "ospf",
    "rip",
    "eigrp",
];

/// Accepts a protocol's name or number. It is not used: the daemon marks what it sets as its own.
pub fn protocol(word: &Word) -> Result<(), Diagnostic> {
    let known = PROTOCOLS.contains(&word.text.as_str()) || word.text.parse::<u8>().is_ok();
    let good = known.then_some(());
    good.ok_or_else(|| wrong(word, "a routing protocol's number or name, such as static"))
}

/// The number of the table of this name on this host.
pub fn table(name: &str) -> Option<u32> {
    FOLDERS
        .iter()
        .find_map(|folder| table_in(Path::new(folder), name))
}

fn table_in(folder: &Path, name: &str) -> Option<u32> {
    let mut files = vec![folder.join("rt_tables")];
    if let Ok(more) = std::fs::read_dir(folder.join("rt_tables.d")) {
        let more = more.flatten().map(|entry| entry.path());
        let mut more: Vec<PathBuf> = more
            .filter(|p| p.extension().is_some_and(|e| e == "conf"))
            .collect();
        more.sort();
        files.extend(more);
    }
    let texts = files
        .iter()
        .filter_map(|file| std::fs::read_to_string(file).ok());
    texts.into_iter().find_map(|text| table_of(&text, name))
}

/// Lines are `NUMBER NAME`, the number decimal or `0x`; `#` starts a comment.
fn table_of(text: &str, name: &str) -> Option<u32> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let (number, called) = (words.next()?, words.next()?);
        let number = match number.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        (called == name).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_name() {
        let text = "# reserved\n255\tlocal\n100 uplink # the second line\n0x1f4\tbackup\nx y\n";
        assert_eq!(table_of(text, "uplink"), Some(100));
        assert_eq!(table_of(text, "backup"), Some(500));
        assert_eq!(table_of(text, "reserved"), None);
        assert_eq!(table_of(text, "y"), None);
    }

    #[test]
    fn names_stand_in_the_file_and_in_the_folder_beside_it() {
        let folder = std::env::temp_dir().join(format!("evenkeel-tables-{}", std::process::id()));
        let more = folder.join("rt_tables.d");
        std::fs::create_dir_all(&more).expect("a folder");
        std::fs::write(folder.join("rt_tables"), "7 seven\n").expect("written");
        std::fs::write(more.join("b.conf"), "8 eight\n9 seven\n").expect("written");
        std::fs::write(more.join("b.txt"), "1 one\n").expect("written");
        let of = |name| table_in(&folder, name);
        let found = [of("seven"), of("eight"), of("one")];
        std::fs::remove_dir_all(&folder).expect("removed");
        assert_eq!(found, [Some(7), Some(8), None]);
    }
}
