//! The operator's reference page, written from the tables.

use super::rabbitmq_conf::{Fate, KEYS};
use super::settings::{SECTIONS, SETTINGS};
use std::fmt::Write;

/// The page in Markdown.
pub fn page() -> String {
    let mut out = String::from(
        "# Reference: the broker's configuration\n\n\
         <!-- written from the tables in conf/src/broker by `evenkeel broker --reference`; do not edit -->\n\n\
         `evenkeel broker` runs without any file. `--config FILE` reads `broker.toml` (below) or a `rabbitmq.conf`\n\
         (at the end). Sizes are bytes or have a unit (`64KiB`, `2GB`), times have a unit (`500ms`, `10s`, `30m`),\n\
         addresses are `host:port`, `*:port` or a port.\n",
    );
    for (section, heading) in SECTIONS {
        // writing to a String cannot fail
        let _ = write!(
            out,
            "\n## [{section}]\n\n{heading}\n\n| key | value | default | what it does |\n|---|---|---|---|\n"
        );
        for s in SETTINGS.iter().filter(|s| s.section == *section) {
            let form = s.form.replace('|', "\\|");
            let default = s.default.replace('|', "\\|");
            let _ = writeln!(out, "| `{}` | {form} | {default} | {} |", s.key, s.doc);
        }
        let _ = write!(out, "\nFor example:\n\n```toml\n[{section}]\n");
        for s in SETTINGS.iter().filter(|s| s.section == *section) {
            let _ = writeln!(out, "{}", s.example);
        }
        out.push_str("```\n");
    }
    rabbitmq_conf(&mut out);
    out
}

fn rabbitmq_conf(out: &mut String) {
    out.push_str(
        "\n## rabbitmq.conf\n\nA `*` stands for one word. Other keys are unknown and refused.\n\n\
         | key | here |\n|---|---|\n",
    );
    for row in KEYS {
        let fate = match &row.fate {
            Fate::Applied(_) => "has its effect".to_owned(),
            Fate::NoEffect(why) => format!("accepted without effect: {why}"),
            Fate::Refused(why) => format!("**refused** (E0007): {why}"),
        };
        let _ = writeln!(out, "| `{}` | {fate} |", row.pattern);
    }
}
