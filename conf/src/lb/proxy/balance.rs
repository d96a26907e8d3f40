//! How a server is chosen.

use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, wrong};
use crate::lb::call::Call;
use crate::lb::draft::Draft;
use crate::lb::model::{Balance, BalanceUri, HashFunction, HashType};
use crate::lb::value;
use crate::suggest;

type Applied = Result<(), Diagnostic>;

/// The names of the algorithms, for "did you mean".
const ALGORITHMS: &[&str] = &[
    "roundrobin",
    "static-rr",
    "leastconn",
    "first",
    "source",
    "random",
    "hash",
    "uri",
    "url_param",
    "hdr",
    "rdp-cookie",
];

fn balance(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let span = a.head();
    let word = match a.take() {
        Some(word) => word,
        None => {
            d.back().balance = Balance::RoundRobin;
            return Ok(());
        }
    };
    let call = Call::of(word)?;
    let chosen = algorithm(d, a, word, &call)?;
    a.finish()?;
    d.once("balance", span);
    d.marks.balance = Some(word.span);
    if matches!(
        chosen,
        Balance::Uri(_) | Balance::UrlParam(_) | Balance::Header(..)
    ) {
        d.marks.http_only.push(("balance", word.span));
    }
    d.back().balance = chosen;
    Ok(())
}

fn algorithm(
    d: &mut Draft,
    a: &mut Args<'_>,
    word: &Word,
    call: &Call<'_>,
) -> Result<Balance, Diagnostic> {
    if !matches!(call.name, "random" | "hdr" | "rdp-cookie") && call.has_parentheses {
        return Err(unknown(word));
    }
    Ok(match call.name {
        "roundrobin" => Balance::RoundRobin,
        "static-rr" => Balance::StaticRr,
        "leastconn" => Balance::LeastConn,
        "first" => Balance::First,
        "source" => Balance::Source,
        "random" => Balance::Random(draws(call)?),
        "hash" => Balance::Hash(Box::new(crate::lb::sample::take(
            d,
            a,
            crate::lb::sample::When::Content,
        )?)),
        "uri" => Balance::Uri(uri(a)?),
        "url_param" => {
            let name = a.expect("a parameter's name")?.text.clone();
            if let Some(word) = a.peek().filter(|w| w.text == "check_post") {
                return Err(not_yet(word, "balance url_param check_post"));
            }
            Balance::UrlParam(name)
        }
        "hdr" => {
            let name = call.one("a header's name")?;
            Balance::Header(name, a.take_if("use_domain_only").is_some())
        }
        "rdp-cookie" => Balance::RdpCookie(call.optional(0).unwrap_or("mstshash").to_owned()),
        _ => return Err(unknown(word)),
    })
}

fn not_yet(word: &Word, what: &str) -> Diagnostic {
    Diagnostic::error(
        "E0007",
        word.span,
        format!("`{what}` is known, but not there yet"),
    )
}

fn unknown(word: &Word) -> Diagnostic {
    let near = suggest::nearest(&word.text, ALGORITHMS.iter().copied());
    wrong(word, "a balancing algorithm")
        .label(match near {
            Some(name) => format!("did you mean `{name}`?"),
            None => "expected an algorithm".to_owned(),
        })
        .help(format!("accepted are: `{}`", ALGORITHMS.join("`, `")))
        .maybe_suggest(word.span, near)
}

fn draws(call: &Call<'_>) -> Result<u32, Diagnostic> {
    match call.word(0) {
        None => Ok(2),
        Some(word) => Ok(value::number(&word, "a number of draws", 1, 1000)? as u32),
    }
}

fn uri(a: &mut Args<'_>) -> Result<BalanceUri, Diagnostic> {
    let mut uri = BalanceUri::default();
    loop {
        if a.take_if("whole").is_some() {
            uri.whole = true;
        } else if a.take_if("path-only").is_some() {
            uri.path_only = true;
        } else if a.take_if("len").is_some() {
            uri.len = value::take_u32(a, "a length")?;
        } else if a.take_if("depth").is_some() {
            uri.depth = value::take_u32(a, "a number of directories")?;
        } else {
            return Ok(uri);
        }
    }
}

fn hash_type(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let consistent = a.choose(
        "a hash method",
        &[("map-based", false), ("consistent", true)],
    )?;
    let mut hash = HashType {
        consistent,
        ..HashType::default()
    };
    // A ring needs well spread keys; who names a function decides for himself.
    let spread = consistent && a.peek().is_none();
    if a.peek().is_some() {
        hash.function = a.choose(
            "a hash function",
            &[
                ("sdbm", HashFunction::Sdbm),
                ("djb2", HashFunction::Djb2),
                ("wt6", HashFunction::Wt6),
                ("crc32", HashFunction::Crc32),
                ("none", HashFunction::None),
            ],
        )?;
    }
    hash.avalanche = a.take_if("avalanche").is_some() || spread;
    a.finish()?;
    d.back().hash = hash;
    Ok(())
}

fn factor(d: &mut Draft, a: &mut Args<'_>) -> Applied {
    let word = a.expect("a percentage")?;
    let factor = value::number(word, "a hash-balance-factor", 0, 65535)? as u32;
    a.finish()?;
    if factor != 0 && factor <= 100 {
        return Err(Diagnostic::error(
            "E0006",
            word.span,
            "a hash-balance-factor is 0 or above 100",
        )
        .label("percent of the average load that a server may carry"));
    }
    d.back().hash_balance_factor = factor;
    Ok(())
}

/// Of the side of the servers.
pub static BACK: &[Keyword<Draft>] = &[
    Keyword {
        name: "balance",
        args: "<algorithm> [<arguments>]",
        doc: "How a server is chosen for a new session. `roundrobin` (default): in turn, by \
              weight, smooth. `static-rr`: the same without changes at run time. `leastconn`: \
              the least loaded, for long sessions. `first`: fills servers in the order of their \
              ids. `source`: by the client's address. `random[(draws)]`: the least loaded of \
              some drawn ones. `hash <expression>`: by any value. In `mode http` also `uri`, \
              `url_param <name>`, `hdr(<name>)`.",
        example: "balance leastconn",
        apply: balance,
    },
    Keyword {
        name: "hash-type",
        args: "{ map-based | consistent } [{ sdbm | djb2 | wt6 | crc32 | none } [avalanche]]",
        doc: "How `balance source`, `hash` and their kin map a key to a server. `map-based` \
              (default) reshuffles when a server goes, `consistent` moves only its share.",
        example: "hash-type consistent djb2 avalanche",
        apply: hash_type,
    },
    Keyword {
        name: "hash-balance-factor",
        args: "<percent>",
        doc: "With `hash-type consistent`: a server may carry at most this percentage of the \
              average load, the next one takes the rest. 0: no bound; otherwise above 100.",
        example: "hash-balance-factor 150",
        apply: factor,
    },
];
