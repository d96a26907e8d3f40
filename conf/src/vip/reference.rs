//! The reference page of the language, written from its tables.

use super::section::Table;
use super::{BLOCKS, MISSING, PASSIVE, announce, global, group, instance, passive, track};

/// One row of a table, without its type.
pub struct Row {
    /// The keyword.
    pub name: &'static str,
    /// Its form.
    pub args: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// A line that parses.
    pub example: &'static str,
}

/// A section with its rows and what it accepts without effect or refuses.
pub struct Chapter {
    /// The block's keyword.
    pub block: &'static str,
    /// Its keywords.
    pub rows: Vec<Row>,
    /// Accepted, without effect.
    pub passive: &'static [&'static str],
    /// Refused: not there yet.
    pub missing: &'static [&'static str],
}

/// All sections in the order of the page.
pub fn chapters() -> Vec<Chapter> {
    let chapter = |block, rows, others: &'static super::section::Others| Chapter {
        block,
        rows,
        passive: others.passive,
        missing: others.missing,
    };
    vec![
        chapter("global_defs", rows(global::TABLE), &passive::GLOBAL),
        chapter("vrrp_instance", rows(instance::TABLE), &instance::OTHERS),
        chapter("vrrp_sync_group", rows(group::TABLE), &group::OTHERS),
        chapter("vrrp_script", rows(track::SCRIPT), &track::NONE),
        chapter("vrrp_track_process", rows(track::PROCESS), &track::NONE),
        chapter("vrrp_track_file", rows(track::FILE), &track::NONE),
        chapter("track_lb", rows(track::BALANCER), &track::NONE),
        chapter("garp_group", rows(announce::TABLE), &announce::OTHERS),
    ]
}

fn rows<T>(table: Table<T>) -> Vec<Row> {
    let row = |k: &crate::keyword::Keyword<_>| Row {
        name: k.name,
        args: k.args,
        doc: k.doc,
        example: k.example,
    };
    table.iter().map(row).collect()
}

/// The page in Markdown.
pub fn page() -> String {
    let mut out = String::from(
        "# Keywords of the VRRP daemon\n\n\
         Written from the tables in `conf/src/vip`; a test keeps it true \
         (`EVENKEEL_BLESS=1 cargo test -p evenkeel-conf` rewrites it).\n\n",
    );
    out.push_str(&format!("Blocks: {}.\n", code(BLOCKS)));
    out.push_str("\nA line beside them: `net_namespace <name>`: the daemon runs in this network namespace (`ip netns`).\n");
    out.push_str(&format!("\nAccepted without effect: {}.\n", code(PASSIVE)));
    out.push_str(&format!("\nRefused, not there yet: {}.\n", code(MISSING)));
    for chapter in chapters() {
        out.push_str(&format!("\n## {}\n\n", chapter.block));
        for row in &chapter.rows {
            let form = format!("{} {}", row.name, row.args);
            out.push_str(&format!("**`{}`**  \n{}  \n", form.trim_end(), row.doc));
            out.push_str(&format!("Example: `{}`\n\n", row.example));
        }
        if !chapter.passive.is_empty() {
            out.push_str(&format!(
                "Accepted without effect: {}.\n",
                code(chapter.passive)
            ));
        }
        if !chapter.missing.is_empty() {
            let list = code(chapter.missing);
            out.push_str(&format!("\nRefused, not there yet: {list}.\n"));
        }
    }
    out
}

fn code(words: &[&str]) -> String {
    let list: Vec<_> = words.iter().map(|w| format!("`{w}`")).collect();
    list.join(", ")
}
