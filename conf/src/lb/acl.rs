//! ACLs: `acl <name> <criterion> [flags] [operator] [<values>]`, and the same
//! in place as `{ ... }`.

use super::draft::Draft;
use super::model::{Acl, AclTest, Fetch, IntRange, Matcher, Place, Regex, TextMatch};
use super::sample::{self, Kind, Parsed};
use super::{address, value};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Word, wrong};
use crate::source::Span;
use crate::suggest;

/// Methods of `-m`.
const METHODS: &[&str] = &[
    "found", "bool", "int", "ip", "bin", "len", "str", "sub", "reg", "beg", "end", "dir", "dom",
];

/// Suffixes of criteria that stand for a method: `path_beg`, `hdr_reg(name)`.
const SUFFIXES: &[&str] = &["beg", "dir", "dom", "end", "len", "reg", "sub"];

/// Criteria that take such suffixes.
const BASES: &[&str] = &[
    "base", "cook", "hdr", "path", "scook", "shdr", "url", "urlp", "req.hdr", "req.fhdr", "res.hdr",
];

/// Criteria with a method in their name: name, fetch, method.
pub fn suffixed() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    let all = BASES
        .iter()
        .flat_map(|base| SUFFIXES.iter().map(move |s| (*base, *s)));
    all.map(|(base, suffix)| (format!("{base}_{suffix}"), base, suffix))
}

/// ACLs that need no definition: name and criterion.
pub static PREDEFINED: &[(&str, &[&str])] = &[
    ("FALSE", &["always_false"]),
    ("HTTP", &["req.proto_http"]),
    ("HTTP_1.0", &["req.ver", "1.0"]),
    ("HTTP_1.1", &["req.ver", "1.1"]),
    ("HTTP_2.0", &["req.ver", "2.0"]),
    ("HTTP_URL_ABS", &["url", "-m", "reg", "^[^/:]*://"]),
    ("HTTP_URL_SLASH", &["url", "-m", "beg", "/"]),
    ("HTTP_URL_STAR", &["url", "*"]),
    ("LOCALHOST", &["src", "127.0.0.1/8", "::1"]),
    ("METH_CONNECT", &["method", "CONNECT"]),
    ("METH_DELETE", &["method", "DELETE"]),
    ("METH_GET", &["method", "GET", "HEAD"]),
    ("METH_HEAD", &["method", "HEAD"]),
    ("METH_OPTIONS", &["method", "OPTIONS"]),
    ("METH_POST", &["method", "POST"]),
    ("METH_PUT", &["method", "PUT"]),
    ("METH_TRACE", &["method", "TRACE"]),
    ("RDP_COOKIE", &["req.rdp_cookie_cnt", "gt", "0"]),
    ("REQ_CONTENT", &["req.len", "gt", "0"]),
    ("TRUE", &["always_true"]),
    ("WAIT_END", &["wait_end"]),
];

/// The index of a named ACL, a predefined one included.
pub fn named(d: &mut Draft, word: &Word, name: &str) -> Result<usize, Diagnostic> {
    if let Some(index) = d.proxy.acls.iter().position(|acl| acl.name == name) {
        return Ok(index);
    }
    if let Some((_, words)) = PREDEFINED.iter().find(|(known, _)| *known == name) {
        let words: Vec<_> = words
            .iter()
            .map(|text| Word {
                text: (*text).to_owned(),
                span: word.span,
            })
            .collect();
        let test = test(d, &words, word.span)?;
        return Ok(add(d, name, Some(test), word.span));
    }
    let names = d.proxy.acls.iter().map(|acl| acl.name.as_str());
    let predefined = PREDEFINED.iter().map(|(name, _)| *name);
    let near = suggest::nearest(name, names.chain(predefined).filter(|n| !n.is_empty()));
    let error =
        Diagnostic::error("E1010", word.span, format!("no such ACL: `{name}`")).label(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "not defined ahead of this line".to_owned(),
        });
    Err(match near {
        Some(near) if word.text == name => error.suggest(word.span, near.to_owned()),
        _ if name.starts_with('{') => error
            .label("a brace and a word in one")
            .help("the braces are words of their own: put spaces around them"),
        _ => error,
    })
}

/// Adds a test to the ACL of this name, which may be there already; without one the ACL is
/// only known, because its test was refused.
pub fn add(d: &mut Draft, name: &str, test: Option<AclTest>, span: Span) -> usize {
    let acls = &mut d.proxy.acls;
    let found = acls
        .iter()
        .position(|acl| acl.name == name && !name.is_empty());
    if let Some(index) = found {
        acls[index].tests.extend(test);
        return index;
    }
    acls.push(Acl {
        name: name.to_owned(),
        tests: Vec::from_iter(test),
        place: Place(span),
    });
    acls.len() - 1
}

/// What the flags say.
#[derive(Default)]
struct Flags {
    ignore_case: bool,
    method: Option<Word>,
    files: Vec<Word>,
}

/// Reads a criterion, its flags and its values.
pub fn test(d: &mut Draft, words: &[Word], place: Span) -> Result<AclTest, Diagnostic> {
    let Some(criterion) = words.first() else {
        return Err(
            Diagnostic::error("E0003", place.after(), "a criterion is missing")
                .label("expected a fetch such as `src`"),
        );
    };
    let (parsed, suffix) = criterion_of(d, criterion)?;
    if words.len() == 1 && parsed.kind != Kind::Bool && suffix.is_none() {
        d.diagnostics.push(never_matches(criterion));
    }
    let mut flags = Flags::default();
    let values = take_flags(&words[1..], &mut flags)?;
    let mut all = Vec::new();
    for file in &flags.files {
        all.extend(values_of(d, file)?);
    }
    all.extend(values.iter().cloned());
    let matcher = matcher(&parsed, suffix, &flags, &all, criterion)?;
    Ok(AclTest {
        expr: parsed.expr,
        matcher,
    })
}

/// A criterion with nothing to compare with.
fn never_matches(criterion: &Word) -> Diagnostic {
    let text = format!(
        "`{}` has no value to match: this ACL never matches",
        criterion.text
    );
    Diagnostic::warning("E1035", criterion.span, text)
        .label("a value is missing behind this")
        .help("`--` behind it says that this is meant")
        .help("`-m found` asks whether there is a value, `-m bool` whether it is not 0")
}

/// Parses the criterion; a suffix such as `_beg` gives the method.
fn criterion_of(d: &mut Draft, word: &Word) -> Result<(Parsed, Option<&'static str>), Diagnostic> {
    let end = word.text.find(['(', ',']).unwrap_or(word.text.len());
    let (name, rest) = word.text.split_at(end);
    if let Some((base, suffix)) = name.rsplit_once('_')
        && let Some(suffix) = SUFFIXES.iter().find(|s| **s == suffix)
        && BASES.contains(&base)
    {
        let plain = Word {
            text: format!("{base}{rest}"),
            span: word.span,
        };
        return Ok((sample::parse(d, &plain)?, Some(suffix)));
    }
    Ok((sample::parse(d, word)?, None))
}

fn take_flags<'w>(words: &'w [Word], flags: &mut Flags) -> Result<&'w [Word], Diagnostic> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let argument = || {
            words.get(at + 1).ok_or_else(|| {
                Diagnostic::error(
                    "E0003",
                    word.span.after(),
                    format!("`{}` needs an argument", word.text),
                )
            })
        };
        match word.text.as_str() {
            "-i" => flags.ignore_case = true,
            "-n" => {}
            "-m" => {
                flags.method = Some(argument()?.clone());
                at += 1;
            }
            "-f" => {
                flags.files.push(argument()?.clone());
                at += 1;
            }
            "-u" => {
                argument()?;
                at += 1;
            }
            "-M" => return Err(super::known::not_yet(word.span, "ACL flag `-M`")),
            "--" => return Ok(&words[at + 1..]),
            text if text.starts_with('-') => {
                let help = "write `--` ahead of values that begin with `-`";
                return Err(wrong(word, "a flag of an ACL").help(help));
            }
            _ => break,
        }
        at += 1;
    }
    Ok(&words[at..])
}

/// The lines of a pattern file, without comments and empty ones.
fn values_of(d: &Draft, file: &Word) -> Result<Vec<Word>, Diagnostic> {
    let bytes = std::fs::read(d.around.path(&file.text)).map_err(|e| {
        Diagnostic::error("E0001", file.span, format!("cannot read `{}`", file.text))
            .label(e.to_string())
    })?;
    let text = super::load::text_of(bytes);
    Ok(text
        .lines()
        .map(str::trim_start)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| Word {
            text: line.trim_end_matches('\r').to_owned(),
            span: file.span,
        })
        .collect())
}

fn method<'a>(
    parsed: &Parsed,
    suffix: Option<&'a str>,
    flags: &'a Flags,
    criterion: &Word,
) -> Result<&'a str, Diagnostic> {
    if let Some(word) = &flags.method {
        if METHODS.contains(&word.text.as_str()) {
            return Ok(&word.text);
        }
        let near = suggest::nearest(&word.text, METHODS.iter().copied());
        return Err(wrong(word, "a matching method")
            .help(format!("accepted are: `{}`", METHODS.join("`, `")))
            .maybe_suggest(word.span, near));
    }
    if let Some(suffix) = suffix {
        return Ok(suffix);
    }
    match parsed.kind {
        Kind::Bool => Ok("bool"),
        Kind::Int => Ok("int"),
        Kind::Ip => Ok("ip"),
        Kind::Str | Kind::Method => Ok("str"),
        // only the older names bring their method
        Kind::Bin if criterion.text.starts_with("payload") => Ok("bin"),
        Kind::Bin | Kind::Any => Err(Diagnostic::error(
            "E1022",
            criterion.span,
            format!("`{}` needs a matching method", criterion.text),
        )
        .label("its type does not tell how to compare")
        .help("add `-m str`, `-m int`, `-m bin` or another method")),
    }
}

fn matcher(
    parsed: &Parsed,
    suffix: Option<&str>,
    flags: &Flags,
    values: &[Word],
    criterion: &Word,
) -> Result<Matcher, Diagnostic> {
    let text = |how| {
        Ok(Matcher::Text {
            how,
            ignore_case: flags.ignore_case,
            patterns: values.iter().map(|w| w.text.clone()).collect(),
        })
    };
    match method(parsed, suffix, flags, criterion)? {
        "found" => Ok(Matcher::Found),
        "bool" => Ok(Matcher::Bool),
        "int" => {
            let dotted = matches!(parsed.expr.fetch, Fetch::ReqSslVer);
            integers(values, dotted).map(Matcher::Int)
        }
        "len" => integers(values, false).map(Matcher::Len),
        "ip" => values
            .iter()
            .map(|word| {
                address::network(&word.text).ok_or_else(|| wrong(word, "an address or a network"))
            })
            .collect::<Result<_, _>>()
            .map(Matcher::Ip),
        "bin" => values
            .iter()
            .map(|word| {
                value::hex(&word.text).ok_or_else(|| wrong(word, "hexadecimal digits, two a byte"))
            })
            .collect::<Result<_, _>>()
            .map(Matcher::Bin),
        "reg" => values
            .iter()
            .map(|word| regex(word, flags.ignore_case))
            .collect::<Result<_, _>>()
            .map(Matcher::Regex),
        "beg" => text(TextMatch::Begin),
        "end" => text(TextMatch::End),
        "sub" => text(TextMatch::Contains),
        "dir" => text(TextMatch::Dir),
        "dom" => text(TextMatch::Dom),
        _ => text(TextMatch::Equal),
    }
}

/// Compiles a regular expression (E1021).
pub fn regex(word: &Word, ignore_case: bool) -> Result<Regex, Diagnostic> {
    Regex::new(&word.text, ignore_case).map_err(|e| {
        Diagnostic::error("E1021", word.span, format!("bad regular expression: {e}")).help(
            "look-around and back references are not available: the engine runs in linear time",
        )
    })
}

/// `80`, `1024:65535`, `gt 5`, `ge 3 lt 5` does not exist: one operator holds
/// for the values that follow it.
fn integers(values: &[Word], dotted: bool) -> Result<Vec<IntRange>, Diagnostic> {
    let mut ranges = Vec::new();
    let mut operator = "eq";
    for word in values {
        if let Some(found) = ["eq", "ge", "gt", "le", "lt"]
            .into_iter()
            .find(|o| *o == word.text)
        {
            operator = found;
            continue;
        }
        ranges.push(range(word, operator, dotted)?);
    }
    Ok(ranges)
}

fn range(word: &Word, operator: &str, dotted: bool) -> Result<IntRange, Diagnostic> {
    let bad = || wrong(word, "a number or a range such as `10:20`");
    let number = |text: &str| -> Result<i64, Diagnostic> {
        if dotted && let Some((major, minor)) = text.split_once('.') {
            let major: i64 = major.parse().map_err(|_| bad())?;
            let minor: i64 = minor.parse().map_err(|_| bad())?;
            return Ok((major << 16) + minor);
        }
        if dotted {
            return text.parse::<i64>().map(|n| n << 16).map_err(|_| bad());
        }
        text.parse().map_err(|_| bad())
    };
    let (min, max) = match word.text.split_once(':') {
        Some((low, high)) if operator == "eq" => {
            let min = if low.is_empty() {
                i64::MIN
            } else {
                number(low)?
            };
            let max = if high.is_empty() {
                i64::MAX
            } else {
                number(high)?
            };
            (min, max)
        }
        Some(_) => return Err(bad().label("a range goes with no operator but `eq`")),
        None => {
            let n = number(&word.text)?;
            match operator {
                "ge" => (n, i64::MAX),
                "gt" => (n.saturating_add(1), i64::MAX),
                "le" => (i64::MIN, n),
                "lt" => (i64::MIN, n.saturating_sub(1)),
                _ => (n, n),
            }
        }
    };
    if min > max {
        return Err(bad().label("the lower number stands first"));
    }
    Ok(IntRange { min, max })
}
