//! What the keyword tables of every section share: the draft under
//! construction, the block at hand, findings, and values in keepalived's forms.

use super::Options;
use super::lexer::Node;
use super::model::{Command, Place, ScriptUser, Weight};
use crate::diagnostic::{Diagnostic, Severity};
use crate::keyword::{self, Args, Keyword, Word};
use crate::source::Span;
use crate::suggest;
use std::net::IpAddr;
use std::time::Duration;

/// A section while its keywords are applied.
pub struct Section<T> {
    /// What is being built.
    pub draft: T,
    /// How to read.
    pub options: Options,
    /// Findings so far.
    pub findings: Vec<Diagnostic>,
    block: Option<Vec<Node>>,
    /// Keywords that had their words on one line, and where.
    seen: Vec<(&'static str, Span)>,
}

/// Keywords of which keepalived takes the first line and ignores others. Of those that are not
/// here and have no block, the last one counts.
const FIRST_COUNTS: &[&str] = &[
    "notify",
    "notify_master",
    "notify_backup",
    "notify_fault",
    "notify_stop",
    "notify_deleted",
    "notify_master_rx_lower_pri",
    "notify_fifo",
    "notify_fifo_script",
    "vrrp_notify_fifo",
    "vrrp_notify_fifo_script",
    "startup_script",
    "shutdown_script",
    "use_vmac",
    "process",
    "file",
];

/// A table of one section.
pub type Table<T> = &'static [Keyword<Section<T>>];

/// Keywords of keepalived that a section accepts without effect (E2008) or
/// refuses because they are not there yet (E0007).
pub struct Others {
    /// Accepted with a note; they may have a block.
    pub passive: &'static [&'static str],
    /// Refused by name.
    pub missing: &'static [&'static str],
}

impl<T> Section<T> {
    /// A section around an empty draft.
    pub fn new(draft: T, options: &Options) -> Section<T> {
        Section {
            draft,
            options: options.clone(),
            findings: Vec::new(),
            block: None,
            seen: Vec::new(),
        }
    }

    /// Tells a keyword that stands in the section for the second time. Whether it counts.
    fn repeated(&mut self, name: &'static str, place: &str, span: Span) -> bool {
        let Some((_, first)) = self.seen.iter_mut().find(|(seen, _)| *seen == name) else {
            self.seen.push((name, span));
            return true;
        };
        let first = std::mem::replace(first, span);
        let message = format!("`{name}` stands here a second time");
        let first_counts =
            FIRST_COUNTS.contains(&name) || (name == "weight" && place != "vrrp_script");
        if first_counts {
            let finding = replaced(&self.options, span, message, "the first one");
            self.findings.push(finding.also(first, "the first one"));
            return false;
        }
        let finding = Diagnostic::note("E2010", span, message).label("this one counts");
        self.findings.push(finding.also(first, "this one does not"));
        true
    }

    /// The block of the keyword at hand; an error when it has none.
    pub fn block(&mut self, args: &Args<'_>) -> Result<Vec<Node>, Diagnostic> {
        self.block.take().ok_or_else(|| {
            let text = format!("`{}` needs a block", args.keyword());
            Diagnostic::error("E0003", args.end(), text).label("`{` is missing here")
        })
    }

    /// A value that keepalived would replace in silence: an error, or a warning
    /// under `--lenient`, when the caller goes on with keepalived's value.
    pub fn replaced(&mut self, span: Span, message: String, instead: &str) {
        let finding = replaced(&self.options, span, message, instead);
        self.findings.push(finding);
    }

    /// A bad value counts in lenient mode as if its keyword were not there, as in keepalived.
    pub fn judged(&self, keyword: &str, finding: Diagnostic) -> Diagnostic {
        if !self.options.lenient || !matches!(finding.code, "E0004" | "E0005" | "E0006") {
            return finding;
        }
        let help = match finding.code {
            "E0004" => "keepalived ignores the rest of the line; so does this".to_owned(),
            _ => format!("keepalived would run as if `{keyword}` were not there; so does this"),
        };
        let severity = Severity::Warning;
        Diagnostic {
            severity,
            ..finding
        }
        .help(help)
    }

    /// Applies the keywords of `nodes`.
    pub fn walk(&mut self, table: Table<T>, others: &Others, place: &str, nodes: Vec<Node>) {
        for node in nodes {
            let Node { words, block } = node;
            let Some((row, count)) = keyword::lookup(table, &words) else {
                let finding = unknown(&words[0], place, table, others);
                self.findings.push(passed_over(&self.options, finding));
                continue;
            };
            let had_block = block.as_ref().map(|_| words[0].span);
            self.block = block;
            let head = words[0].span.to(words[count - 1].span);
            let whole = head.to(words[words.len() - 1].span);
            if self.block.is_none() && !self.repeated(row.name, place, whole) {
                continue;
            }
            let mut args = Args::new(row.name, row.args, head, &words[count..]);
            let result = (row.apply)(self, &mut args).and_then(|()| {
                affirmed(row.args, &mut args);
                args.finish()
            });
            if let Err(finding) = result {
                let finding = self.judged(row.name, finding);
                self.findings.push(finding);
            } else if let (Some(span), Some(_)) = (had_block, self.block.take()) {
                let text = format!("`{}` takes no block", row.name);
                self.findings.push(Diagnostic::error("E0004", span, text));
            }
            self.block = None;
        }
    }
}

/// A keyword without a value may be followed by a word that says it once more; keepalived
/// reads none of them.
fn affirmed(form: &str, args: &mut Args<'_>) {
    if form.is_empty()
        && args
            .peek()
            .is_some_and(|w| matches!(w.text.as_str(), "on" | "true" | "yes"))
    {
        args.take();
    }
}

/// The finding for a value that keepalived replaces in silence.
pub fn replaced(options: &Options, span: Span, message: String, instead: &str) -> Diagnostic {
    let help = format!("keepalived would run with {instead}");
    if options.lenient {
        return Diagnostic::warning("E2002", span, message).help(format!("{help}; so does this"));
    }
    Diagnostic::error("E2002", span, message)
        .help(help)
        .help("`--lenient` does the same and warns")
}

/// keepalived goes on without a line whose keyword it does not know, and without its block.
pub fn passed_over(options: &Options, finding: Diagnostic) -> Diagnostic {
    if !options.lenient || finding.code != "E0002" {
        return finding;
    }
    let severity = Severity::Warning;
    Diagnostic {
        severity,
        ..finding
    }
    .help("keepalived passes over it; so does this")
}

fn unknown<T>(word: &Word, place: &str, table: Table<T>, others: &Others) -> Diagnostic {
    let name = word.text.as_str();
    if others.passive.contains(&name) {
        return Diagnostic::note("E2008", word.span, format!("`{name}` has no effect here"));
    }
    if others.missing.contains(&name) {
        return Diagnostic::error(
            "E0007",
            word.span,
            format!("`{name}` is keepalived's, but not supported here yet"),
        );
    }
    let known = table
        .iter()
        .map(|row| row.name)
        .chain(others.passive.iter().copied());
    keyword::unknown(word, place, known)
}

/// `on|off|true|false|yes|no`; nothing means on.
pub fn switch(args: &mut Args<'_>) -> Result<bool, Diagnostic> {
    if args.peek().is_none() {
        return Ok(true);
    }
    args.choose(
        "a switch",
        &[
            ("on", true),
            ("off", false),
            ("true", true),
            ("false", false),
            ("yes", true),
            ("no", false),
        ],
    )
}

/// A whole number in a range.
pub fn number<N>(args: &mut Args<'_>, low: i64, high: i64) -> Result<N, Diagnostic>
where
    N: TryFrom<i64>,
{
    let word = args.expect("a number")?;
    let value: i64 = word
        .text
        .parse()
        .map_err(|_| keyword::wrong(word, "a whole number"))?;
    in_range(word, value, low, high)
}

/// Announcements in a burst: keepalived makes 1 of 0.
pub fn repeat<T>(s: &mut Section<T>, args: &mut Args<'_>) -> Result<u32, Diagnostic> {
    let Some(word) = args.peek().filter(|w| w.text == "0") else {
        return number(args, 1, 1000);
    };
    let mut finding = replaced(&s.options, word.span, "0 is out of range".to_owned(), "1");
    finding.code = "E0006";
    s.findings.push(finding.label("expected 1 to 1000"));
    args.take();
    Ok(1)
}

/// The value as the type wanted, if it lies in the range.
pub fn in_range<N: TryFrom<i64>>(
    word: &Word,
    value: i64,
    low: i64,
    high: i64,
) -> Result<N, Diagnostic> {
    let good = (low..=high).contains(&value);
    let converted = N::try_from(value).ok().filter(|_| good);
    converted.ok_or_else(|| {
        Diagnostic::error("E0006", word.span, format!("{value} is out of range"))
            .label(format!("expected {low} to {high}"))
    })
}

/// Seconds with a fraction, as keepalived's timers; resolution 1 us.
pub fn seconds(args: &mut Args<'_>, low: f64, high: f64) -> Result<Duration, Diagnostic> {
    let word = args.expect("a time in seconds")?;
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-');
    let value = word
        .text
        .parse::<f64>()
        .ok()
        .filter(|_| word.text.chars().all(plain))
        .ok_or_else(|| keyword::wrong(word, "a time in seconds, such as 1 or 0.5"))?;
    if !(low..=high).contains(&value) {
        return Err(
            Diagnostic::error("E0006", word.span, format!("{value} s is out of range"))
                .label(format!("expected {low} to {high} seconds")),
        );
    }
    Ok(Duration::from_micros((value * 1e6).round() as u64))
}

/// An IP address; a prefix length behind it is dropped.
pub fn address(word: &Word) -> Result<IpAddr, Diagnostic> {
    let (text, prefix) = word.text.split_once('/').unwrap_or((&word.text, "0"));
    let address: Option<IpAddr> = text.parse().ok();
    let fits = |a: &IpAddr| {
        prefix
            .parse()
            .is_ok_and(|p: u8| p <= if a.is_ipv4() { 32 } else { 128 })
    };
    let address = address.filter(fits);
    address.ok_or_else(|| keyword::wrong(word, "an IP address"))
}

/// Name of an interface, as long as the kernel's may be.
pub fn interface(word: &Word) -> Result<String, Diagnostic> {
    let name = &word.text;
    if name.is_empty() || name.len() > 15 || name.contains(['/', ':', ' ']) {
        return Err(keyword::wrong(
            word,
            "an interface's name, at most 15 bytes",
        ));
    }
    Ok(name.clone())
}

/// The largest weight of a script, an interface or a balancer: from 254 down to 1.
pub const MOST_WEIGHT: i16 = 253;
/// That of a process, and the largest factor of a file's number.
pub const MOST_FACTOR: i16 = 254;

/// `N [reverse|noreverse]` behind the word `weight`; `-most` to `most`.
pub fn weight(args: &mut Args<'_>, most: i16) -> Result<Weight, Diagnostic> {
    let value = number(args, -i64::from(most), i64::from(most))?;
    let reverse = args.take_if("reverse").is_some();
    if !reverse && args.take_if("noreverse").is_none() {
        let _ = args.take_if("no_reverse");
    }
    Ok(Weight { value, reverse })
}

/// A script with its user: `"COMMAND LINE" [user [group]]`.
pub fn command(args: &mut Args<'_>) -> Result<Command, Diagnostic> {
    let word = args.expect("a command")?;
    let user = args.take().map(|user| ScriptUser {
        user: user.text.clone(),
        group: args.take().map(|g| g.text.clone()),
    });
    command_of(word, user)
}

/// A command line in one word.
pub fn command_of(word: &Word, user: Option<ScriptUser>) -> Result<Command, Diagnostic> {
    let words = split(&word.text);
    if words.is_empty() {
        return Err(keyword::wrong(word, "a command"));
    }
    Ok(Command {
        place: Place(word.span),
        words,
        line: word.text.clone(),
        user,
    })
}

/// Splits a command line at spaces outside of quotes.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut current: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => current.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(current.take()),
            None => current.get_or_insert_default().push(c),
        }
    }
    words.extend(current);
    words
}

/// Finds a thing by name or says what is near.
pub fn missing_name<'n>(
    word_span: Span,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'n str>,
) -> Diagnostic {
    let near = suggest::nearest(name, known);
    Diagnostic::error("E2004", word_span, format!("there is no {kind} `{name}`"))
        .label(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not defined".to_owned(),
        })
        .maybe_suggest(word_span, near)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Severity;
    use crate::vip::{Config, Options, load_str};

    fn instance(lines: &str) -> String {
        format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n {lines}\n \
             virtual_ipaddress {{ 192.0.2.100 }}\n}}\n"
        )
    }

    fn read(text: &str, lenient: bool) -> (Option<Config>, Vec<&'static str>) {
        let options = Options {
            lenient,
            ..Options::default()
        };
        let (config, report) = load_str("k.conf", text, &options);
        let told = report.diagnostics.iter();
        let told = told.filter(|d| d.severity != Severity::Note);
        (config, told.map(|d| d.code).collect())
    }

    #[test]
    fn command_lines_split_like_keepalived_s() {
        assert_eq!(
            split("/bin/a  -x 'b c' \"d e\"f"),
            ["/bin/a", "-x", "b c", "d ef"]
        );
        assert_eq!(split("  "), Vec::<String>::new());
    }

    #[test]
    fn a_word_that_affirms_a_keyword_without_a_value_is_no_mistake() {
        for word in ["on", "true", "yes"] {
            let (config, told) = read(&instance(&format!("nopreempt {word}\n priority 90")), false);
            assert!(told.is_empty(), "{word}: {told:?}");
            assert!(!config.expect("no error").instances[0].preempt);
        }
        for word in ["off", "no", "1", "on on"] {
            let (_, told) = read(&instance(&format!("nopreempt {word}")), false);
            assert_eq!(told, ["E0004"], "{word}");
        }
    }

    #[test]
    fn the_first_weight_of_a_file_or_process_counts() {
        for block in [
            "vrrp_track_process p {\n process x",
            "vrrp_track_file f {\n file /x",
        ] {
            let text = format!("{block}\n weight 3\n weight 4\n}}\n");
            assert_eq!(read(&text, false).1, ["E2002"], "{block}");
            let config = read(&text, true).0.expect("a warning only");
            let weights = config.processes.iter().map(|p| p.weight.value);
            let weights = weights.chain(config.files.iter().map(|f| f.weight.value));
            assert_eq!(weights.collect::<Vec<_>>(), [3], "{block}");
        }
        let text = "vrrp_script s {\n script /bin/true\n weight 3\n weight 4\n}\n";
        let (config, told) = read(text, false);
        assert!(told.is_empty());
        assert_eq!(config.expect("no error").scripts[0].weight.value, 4);
    }

    #[test]
    fn a_prefix_length_behind_an_address_is_dropped_but_must_be_one() {
        for (address, good) in [
            ("10.0.0.2/24", true),
            ("10.0.0.2/33", false),
            ("10.0.0.2/", false),
        ] {
            let (_, told) = read(&instance(&format!("unicast_src_ip {address}")), false);
            assert_eq!(!told.contains(&"E0005"), good, "{address}: {told:?}");
        }
    }

    #[test]
    fn times_are_plain_numbers() {
        for (time, good) in [
            ("1", true),
            ("0.25", true),
            (".5", true),
            ("1e3", false),
            ("inf", false),
        ] {
            let (_, told) = read(
                &format!("global_defs {{\n vrrp_startup_delay {time}\n}}\n"),
                false,
            );
            assert_eq!(told.is_empty(), good, "{time}: {told:?}");
        }
    }

    #[test]
    fn a_master_without_a_priority_owns_its_addresses_and_a_backup_does_not() {
        for (lines, priority) in [
            ("state MASTER", 255),
            ("state BACKUP", 100),
            ("", 100),
            ("state MASTER\n priority 90", 90),
        ] {
            let config = read(&instance(lines), false).0.expect("no error");
            assert_eq!(config.instances[0].priority.0, priority, "{lines}");
        }
    }

    #[test]
    fn what_keepalived_sets_for_the_operator_is_set_in_lenient_mode() {
        let lines = "use_vmac\n unicast_peer {\n 192.0.2.12\n }\n garp_master_repeat 0";
        let (config, told) = read(&instance(lines), false);
        assert!(config.is_none());
        assert_eq!(told, ["E2005", "E0006"]);
        let (config, told) = read(&instance(lines), true);
        assert_eq!(told, ["E2005", "E0006"]);
        let config = config.expect("warnings only");
        let instance = &config.instances[0];
        assert!(instance.vmac.as_ref().is_some_and(|v| v.xmit_base));
        assert_eq!(instance.announce.repeat, 1);
    }

    #[test]
    fn lenient_strict_mode_goes_on_without_what_it_does_not_allow() {
        let lines = "strict_mode on\n use_vmac\n vmac_xmit_base\n preempt_delay 5\n version 2\n \
                     authentication {\n auth_type PASS\n auth_pass 1111\n }";
        let (config, told) = read(&instance(lines), false);
        assert!(config.is_none());
        assert_eq!(told, ["E2005"; 3]);
        let (config, told) = read(&instance(lines), true);
        assert_eq!(told, ["E2005"; 3]);
        let config = config.expect("warnings only");
        let instance = &config.instances[0];
        assert_eq!(instance.auth, None);
        assert!(instance.preempt_delay.is_zero());
        assert!(instance.vmac.as_ref().is_some_and(|v| !v.xmit_base));
    }
}
