//! The keepalived-style language of the VRRP daemon.
//!
//! [`load`] reads a file with what it includes and gives a [`model::Config`]
//! or diagnostics. Not here: interfaces, users and files of the host; the
//! daemon checks those when it starts.

pub mod codes;
pub mod lexer;
pub mod model;
pub mod pair;
pub mod reference;
pub mod statics;

mod address;
mod announce;
mod check;
mod global;
mod group;
mod instance;
mod names;
mod passive;
mod rule;
mod section;
mod sync;
mod track;
mod tracks;
mod twice;
mod unicast;

pub use codes::CODES;
pub use model::Config;

use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::keyword::{self, Word};
use crate::source::Span;
use lexer::Node;
use section::Section;
use std::path::Path;

/// How a file is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Runs with the values that keepalived puts in place of bad ones.
    pub lenient: bool,
    /// Skips `virtual_server` blocks instead of refusing them.
    pub skip_lvs: bool,
    /// What `@id` lines must say to count; nobody's when empty.
    pub config_id: String,
}

/// Reads a file. There is a configuration only when no finding is an error.
pub fn load(path: &Path, options: &Options) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let nodes = lexer::read(path, &options.config_id, &mut report);
    build(nodes, options, report)
}

/// Reads a text as if it were the file `path`.
pub fn load_str(path: &str, text: &str, options: &Options) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let nodes = lexer::read_text(Path::new(path), text, &options.config_id, &mut report);
    build(nodes, options, report)
}

/// Top-level blocks without effect here.
const PASSIVE: &[&str] = &[
    "linkbeat_interfaces",
    "linkbeat_use_polling",
    "net_namespace_ipvs",
    "namespace_with_ipsets",
    "instance",
    "use_pid_dir",
    "child_wait_time",
    "interface_up_down_delays",
    "process_names",
];
/// Top-level blocks that are not there yet.
const MISSING: &[&str] = &["bfd_instance"];
/// Top-level blocks of the kernel's balancer.
const LVS: &[&str] = &["virtual_server", "virtual_server_group", "SSL"];
/// Top-level blocks that are read.
const BLOCKS: &[&str] = &[
    "global_defs",
    "vrrp_script",
    "vrrp_track_process",
    "vrrp_track_file",
    "track_file",
    "track_lb",
    "garp_group",
    "vrrp_instance",
    "vrrp_sync_group",
    "static_ipaddress",
    "static_routes",
    "static_rules",
    "track_group",
];
/// Those that have no name.
const STATICS: &[&str] = &["static_ipaddress", "static_routes", "static_rules"];

/// Whether a file of this language may have a line that begins so outside of its blocks, and none of the others does:
/// with a block's keyword, an `include`, a definition (`$X=`), an `@id`, a repetition (`~SEQ`).
pub fn begins_line(word: &str) -> bool {
    let blocks = [BLOCKS, PASSIVE, MISSING, LVS];
    blocks.iter().any(|names| names.contains(&word))
        || matches!(word, "net_namespace" | "include")
        || word.starts_with(['$', '@', '~'])
}

struct Builder<'o> {
    options: &'o Options,
    config: Config,
    drafts: Vec<instance::Draft>,
    findings: Vec<Diagnostic>,
}

fn build(nodes: Vec<Node>, options: &Options, mut report: Report) -> (Option<Config>, Report) {
    let mut builder = Builder {
        options,
        config: Config::default(),
        drafts: Vec::new(),
        findings: Vec::new(),
    };
    for node in nodes {
        builder.top(node);
    }
    builder.finish_instances();
    let mut findings = builder.findings;
    let mut config = builder.config;
    check::whole(&mut config, options, &mut findings);
    sort(&mut findings);
    let findings = findings.into_iter().map(undefined);
    report.diagnostics.extend(findings);
    if options.lenient {
        report.diagnostics.iter_mut().for_each(missing_include);
    }
    let good = !report.has_errors();
    (good.then_some(config), report)
}

/// keepalived goes on without files that an `include` does not find.
fn missing_include(finding: &mut Diagnostic) {
    if finding.code == "E0001" && finding.primary.is_some() {
        finding.severity = Severity::Warning;
    }
}

/// A word that is wrong because nobody defined it.
fn undefined(finding: Diagnostic) -> Diagnostic {
    let wrong = matches!(finding.code, "E0005" | "E2002");
    let word = finding.message.split('`').nth(1).unwrap_or_default();
    let name = word.split_once('$').map(|(_, rest)| {
        let rest = rest.trim_start_matches('{');
        let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        rest[..end.unwrap_or(rest.len())].to_owned()
    });
    match name.filter(|name| wrong && !name.is_empty()) {
        Some(name) => finding.help(format!(
            "no line defines it: `${name}=VALUE` ahead of it does"
        )),
        None => finding,
    }
}

/// In the order of the text.
fn sort(findings: &mut [Diagnostic]) {
    findings.sort_by_key(|d| d.primary.as_ref().map(|p| (p.span.file, p.span.start)));
}

impl Builder<'_> {
    fn top(&mut self, node: Node) {
        let head = node.keyword().clone();
        let word = head.text.as_str();
        if LVS.contains(&word) {
            return self.lvs(head.span);
        }
        if PASSIVE.contains(&word) {
            let text = format!("`{word}` has no effect here");
            return self
                .findings
                .push(Diagnostic::note("E2008", head.span, text));
        }
        if word == "net_namespace" {
            return self.namespace(&node);
        }
        if MISSING.contains(&word) {
            let text = format!("`{word}` is keepalived's, but not supported here yet");
            return self
                .findings
                .push(Diagnostic::error("E0007", head.span, text));
        }
        if !BLOCKS.contains(&word) {
            let names = BLOCKS.iter().chain(LVS).copied().chain(["net_namespace"]);
            let finding = keyword::unknown(&head, "the file", names);
            return self
                .findings
                .push(section::passed_over(self.options, finding));
        }
        let Some(block) = node.block else {
            let text = format!("`{word}` needs a block");
            let at = node.words.last().map_or(head.span, |w| w.span).after();
            let finding = Diagnostic::error("E0003", at, text).label("`{` is missing here");
            return self.findings.push(finding);
        };
        if word == "global_defs" {
            return self.global(block);
        }
        if word == "garp_group" {
            return self.garp_group(block);
        }
        if STATICS.contains(&word) {
            return statics::read(word, block, &mut self.config.statics, &mut self.findings);
        }
        if let Some(second) = node.words.get(2) {
            let text = format!("`{word}` has one name");
            let finding = Diagnostic::error("E0004", second.span, text);
            self.findings
                .push(finding.help("a name with a space stands in quotes"));
        }
        match node.words.get(1) {
            Some(name) => self.named(word, name, block),
            None => {
                let text = format!("`{word}` needs a name");
                let finding = Diagnostic::error("E0003", head.span.after(), text);
                self.findings
                    .push(finding.label("the name is missing here"));
            }
        }
    }

    /// `net_namespace NAME`.
    fn namespace(&mut self, node: &Node) {
        let head = node.keyword();
        let form = "<namespace>";
        let mut args = keyword::Args::new(&head.text, form, head.span, &node.words[1..]);
        let name = args.expect("the name of a network namespace");
        match name.and_then(|name| args.finish().map(|()| name)) {
            Ok(name) if name.text.contains('/') => {
                let finding = keyword::wrong(name, "a name as `ip netns` lists it");
                self.findings.push(finding);
            }
            Ok(name) => self.config.net_namespace = Some(name.text.clone()),
            Err(finding) => self.findings.push(finding),
        }
    }

    fn lvs(&mut self, span: Span) {
        if self.options.skip_lvs {
            return;
        }
        if self.findings.iter().any(|d| d.code == "E2006") {
            return;
        }
        self.findings.push(
            Diagnostic::error("E2006", span, "LVS is not part of this daemon")
                .help("balance with `evenkeel lb`, or start with `--skip-lvs`"),
        );
    }

    fn global(&mut self, block: Vec<Node>) {
        let mut section = Section::new(std::mem::take(&mut self.config.global), self.options);
        section.walk(global::TABLE, &passive::GLOBAL, "global_defs", block);
        self.findings.append(&mut section.findings);
        self.config.global = section.draft;
    }

    fn garp_group(&mut self, block: Vec<Node>) {
        let draft = model::GarpGroup::default();
        let group = self.walk(
            draft,
            announce::TABLE,
            &announce::OTHERS,
            "garp_group",
            block,
        );
        self.config.global.garp_groups.push(group);
    }

    fn named(&mut self, word: &str, name: &Word, block: Vec<Node>) {
        match word {
            "vrrp_script" => {
                let draft = track::ScriptDraft::new(name);
                let draft = self.walk(draft, track::SCRIPT, &track::NONE, word, block);
                match draft.finish() {
                    Ok(script) => self.config.scripts.push(script),
                    Err(finding) => self.findings.push(finding),
                }
            }
            "vrrp_track_process" => {
                let draft = track::new_process(name);
                let mut draft = self.walk(draft, track::PROCESS, &track::NONE, word, block);
                self.required(draft.program.is_empty(), name, word, "process");
                self.findings.extend(draft.check(self.options));
                self.config.processes.push(draft);
            }
            "vrrp_track_file" | "track_file" => {
                let draft = track::new_file(name);
                let draft = self.walk(draft, track::FILE, &track::NONE, word, block);
                self.required(draft.path.as_os_str().is_empty(), name, word, "file");
                self.config.files.push(draft);
            }
            "track_lb" => {
                let draft = track::new_balancer(name);
                let draft = self.walk(draft, track::BALANCER, &track::NONE, word, block);
                self.config.balancers.push(draft);
            }
            "track_group" => {
                let group = statics::track_group(name, block, &mut self.findings);
                self.config.track_groups.push(group);
            }
            "vrrp_sync_group" => {
                let draft = group::new(name);
                let draft = self.walk(draft, group::TABLE, &group::OTHERS, word, block);
                self.config.groups.push(draft);
            }
            _ => {
                let draft = instance::Draft::new(name);
                let draft = self.walk(draft, instance::TABLE, &instance::OTHERS, word, block);
                self.drafts.push(draft);
            }
        }
    }

    fn walk<T>(
        &mut self,
        draft: T,
        table: section::Table<T>,
        others: &section::Others,
        place: &str,
        block: Vec<Node>,
    ) -> T {
        let mut section = Section::new(draft, self.options);
        section.walk(table, others, place, block);
        self.findings.append(&mut section.findings);
        section.draft
    }

    fn required(&mut self, missing: bool, name: &Word, block: &str, what: &str) {
        if missing {
            let text = format!("{block} `{}` has no `{what}`", name.text);
            self.findings
                .push(Diagnostic::error("E2001", name.span, text));
        }
    }

    fn finish_instances(&mut self) {
        for draft in std::mem::take(&mut self.drafts) {
            let made = check::instance(draft, &self.config, self.options, &mut self.findings);
            self.config.instances.push(made);
        }
    }
}

#[cfg(test)]
mod tests;
