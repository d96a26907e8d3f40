//! Converters: what is done to a value.

use super::Kind;
use super::fetch::{bad_variable, variable};
use crate::diagnostic::Diagnostic;
use crate::lb::address::{mask4, mask6};
use crate::lb::call::Call;
use crate::lb::known;
use crate::lb::model::{ArithmeticOp, Converter, HashFunction, Operand, Regex};
use crate::lb::value;

/// One converter.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// The form of its arguments.
    pub args: &'static str,
    /// What it takes.
    pub takes: Kind,
    /// What it gives; `Any`: what it took.
    pub gives: Kind,
    /// What it does.
    pub doc: &'static str,
    /// Reads the arguments.
    pub make: fn(&Call<'_>) -> Result<Converter, Diagnostic>,
}

/// The row of a name.
pub fn find(name: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// Whether HAProxy has a converter of this name.
pub fn is_known(name: &str) -> bool {
    known::CONVERTERS.contains(&name) || name.starts_with("map") || name.starts_with("table_")
}

type Made = Result<Converter, Diagnostic>;

fn plain(call: &Call<'_>, converter: Converter) -> Made {
    if call.args.is_empty() {
        return Ok(converter);
    }
    Err(Diagnostic::error(
        "E0004",
        call.span,
        format!("`{}` takes no argument", call.name),
    ))
}

fn missing(call: &Call<'_>, what: &str) -> Diagnostic {
    Diagnostic::error("E0003", call.span, format!("`{}` needs {what}", call.name))
}

fn integer(call: &Call<'_>, index: usize, default: Option<i64>) -> Result<i64, Diagnostic> {
    match (call.word(index), default) {
        (Some(word), _) => value::number(&word, "a number", i64::MIN / 2, i64::MAX / 2),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(missing(call, "a number")),
    }
}

fn size(call: &Call<'_>, index: usize, default: Option<i64>) -> Result<usize, Diagnostic> {
    let number = integer(call, index, default)?;
    usize::try_from(number)
        .map_err(|_| Diagnostic::error("E0006", call.span, format!("`{number}` is below 0")))
}

fn arithmetic(call: &Call<'_>, op: ArithmeticOp) -> Made {
    let text = call.one("a number or a variable")?;
    let operand = match text.parse::<i64>() {
        Ok(0) if matches!(op, ArithmeticOp::Div | ArithmeticOp::Mod) => {
            return Err(Diagnostic::error("E0006", call.span, "division by 0"));
        }
        Ok(number) => Operand::Int(number),
        Err(_) if variable(&text) => Operand::Var(text),
        Err(_) => return Err(bad_variable(call.span, &text)),
    };
    Ok(Converter::Arithmetic(op, operand))
}

fn flag(call: &Call<'_>) -> Result<bool, Diagnostic> {
    Ok(integer(call, 0, Some(0))? != 0)
}

fn name(call: &Call<'_>) -> Result<String, Diagnostic> {
    let name = call.one("a variable's name")?;
    if variable(&name) {
        return Ok(name);
    }
    Err(bad_variable(call.span, &name))
}

fn text(call: &Call<'_>, index: usize) -> Result<String, Diagnostic> {
    call.args
        .get(index)
        .cloned()
        .ok_or_else(|| missing(call, "a text"))
}

fn fields(call: &Call<'_>, make: fn(i64, String, i64) -> Converter) -> Made {
    Ok(make(
        integer(call, 0, None)?,
        text(call, 1)?,
        integer(call, 2, Some(1))?,
    ))
}

fn ipmask(call: &Call<'_>) -> Made {
    let bad = || Diagnostic::error("E0005", call.span, "not a mask");
    let v4 = call.one("an IPv4 mask")?;
    let v4 = mask4(Some(&v4)).ok_or_else(bad)?;
    let v6 = match call.optional(1) {
        Some(mask) => Some(mask6(Some(mask)).ok_or_else(bad)?),
        None => None,
    };
    Ok(Converter::IpMask(v4, v6))
}

fn regsub(call: &Call<'_>) -> Made {
    let flags = call.optional(2).unwrap_or("");
    if let Some(c) = flags.chars().find(|c| !"ig".contains(*c)) {
        return Err(Diagnostic::error(
            "E0005",
            call.span,
            format!("`{c}` is not a flag of `regsub`"),
        )
        .label("expected `i`, `g` or both"));
    }
    let regex = Regex::new(&text(call, 0)?, flags.contains('i')).map_err(|e| {
        Diagnostic::error("E1021", call.span, format!("bad regular expression: {e}"))
    })?;
    Ok(Converter::Regsub {
        regex,
        with: text(call, 1)?,
        all: flags.contains('g'),
    })
}

fn concat(call: &Call<'_>) -> Made {
    let part = |index: usize| call.args.get(index).cloned().unwrap_or_default();
    let middle = part(1);
    if !middle.is_empty() && !variable(&middle) {
        return Err(bad_variable(call.span, &middle));
    }
    Ok(Converter::Concat(
        part(0),
        (!middle.is_empty()).then_some(middle),
        part(2),
    ))
}

fn bytes(call: &Call<'_>) -> Made {
    let length = match call.word(1) {
        Some(_) => Some(size(call, 1, None)?),
        None => None,
    };
    Ok(Converter::Bytes(size(call, 0, None)?, length))
}

macro_rules! rows {
    ($($name:literal $args:literal $takes:ident $gives:ident $doc:literal => $make:expr;)*) => {
        &[$(Row {
            name: $name,
            args: $args,
            takes: Kind::$takes,
            gives: Kind::$gives,
            doc: $doc,
            make: $make,
        }),*]
    };
}

/// Every converter that works.
pub static TABLE: &[Row] = rows! {
    "add" "<n or variable>" Int Int "adds" => |c| arithmetic(c, ArithmeticOp::Add);
    "sub" "<n or variable>" Int Int "subtracts" => |c| arithmetic(c, ArithmeticOp::Sub);
    "mul" "<n or variable>" Int Int "multiplies" => |c| arithmetic(c, ArithmeticOp::Mul);
    "div" "<n or variable>" Int Int "divides" => |c| arithmetic(c, ArithmeticOp::Div);
    "mod" "<n or variable>" Int Int "remainder" => |c| arithmetic(c, ArithmeticOp::Mod);
    "and" "<n or variable>" Int Int "bitwise and" => |c| arithmetic(c, ArithmeticOp::And);
    "or" "<n or variable>" Int Int "bitwise or" => |c| arithmetic(c, ArithmeticOp::Or);
    "xor" "<n or variable>" Int Int "bitwise exclusive or" => |c| arithmetic(c, ArithmeticOp::Xor);
    "neg" "" Int Int "the opposite" => |c| plain(c, Converter::Neg);
    "cpl" "" Int Int "all bits inverted" => |c| plain(c, Converter::Cpl);
    "not" "" Int Bool "true for 0" => |c| plain(c, Converter::Not);
    "bool" "" Int Bool "false for 0" => |c| plain(c, Converter::Bool);
    "even" "" Int Bool "true for even numbers" => |c| plain(c, Converter::Even);
    "odd" "" Int Bool "true for odd numbers" => |c| plain(c, Converter::Odd);
    "lower" "" Str Str "small letters" => |c| plain(c, Converter::Lower);
    "upper" "" Str Str "capital letters" => |c| plain(c, Converter::Upper);
    "length" "" Str Int "number of bytes" => |c| plain(c, Converter::Length);
    "bytes" "<offset>[,<length>]" Bin Bin "a part" => bytes;
    "field" "<n>,<delimiters>[,<count>]" Str Str "fields, from the end when negative" => |c| fields(c, Converter::Field);
    "word" "<n>,<delimiters>[,<count>]" Str Str "fields that are not empty" => |c| fields(c, Converter::Word);
    "hex" "" Bin Str "hexadecimal digits" => |c| plain(c, Converter::Hex);
    "hex2i" "" Str Int "number of hexadecimal digits" => |c| plain(c, Converter::Hex2i);
    "be2dec" "<separator>,<size>[,<truncate>]" Bin Str "chunks as decimal numbers" => |c| {
        Ok(Converter::Be2dec(text(c, 0)?, size(c, 1, Some(1))?, c.optional(2).is_some_and(|t| t != "0")))
    };
    "be2hex" "[<separator>[,<size>[,<truncate>]]]" Bin Str "chunks as hexadecimal numbers" => |c| {
        let separator = c.args.first().cloned().unwrap_or_default();
        Ok(Converter::Be2hex(separator, size(c, 1, Some(1))?, c.optional(2).is_some_and(|t| t != "0")))
    };
    "base64" "" Bin Str "base64" => |c| plain(c, Converter::Base64);
    "ub64enc" "" Bin Str "base64 for URLs" => |c| plain(c, Converter::UrlBase64);
    "b64dec" "" Str Bin "back from base64" => |c| plain(c, Converter::Base64Decode);
    "ub64dec" "" Str Bin "back from base64 for URLs" => |c| plain(c, Converter::UrlBase64Decode);
    "url_dec" "[<in_form>]" Str Str "percent signs decoded" => |c| plain(c, Converter::UrlDecode).or(Ok(Converter::UrlDecode));
    "url_enc" "[query]" Bin Str "percent signs encoded" => |_| Ok(Converter::UrlEncode);
    "ipmask" "<mask4>[,<mask6>]" Ip Ip "an address's network" => ipmask;
    "crc32" "[<avalanche>]" Bin Int "hash" => |c| Ok(Converter::Hash32(HashFunction::Crc32, flag(c)?));
    "crc32c" "[<avalanche>]" Bin Int "hash" => |c| Ok(Converter::Crc32c(flag(c)?));
    "djb2" "[<avalanche>]" Bin Int "hash" => |c| Ok(Converter::Hash32(HashFunction::Djb2, flag(c)?));
    "sdbm" "[<avalanche>]" Bin Int "hash" => |c| Ok(Converter::Hash32(HashFunction::Sdbm, flag(c)?));
    "wt6" "[<avalanche>]" Bin Int "hash" => |c| Ok(Converter::Hash32(HashFunction::Wt6, flag(c)?));
    "regsub" "<regex>,<text>[,<flags>]" Str Str "replaces (flags i, g)" => regsub;
    "concat" "[<start>][,<variable>[,<end>]]" Str Str "appends" => concat;
    "iif" "<true>,<false>" Bool Str "one of two texts" => |c| Ok(Converter::Iif(text(c, 0)?, text(c, 1)?));
    "ltime" "<format>[,<offset>]" Int Str "local time by strftime" => |c| Ok(Converter::Ltime(text(c, 0)?, integer(c, 1, Some(0))?));
    "utime" "<format>[,<offset>]" Int Str "UTC time by strftime" => |c| Ok(Converter::Utime(text(c, 0)?, integer(c, 1, Some(0))?));
    "strcmp" "<variable>" Str Int "0 when equal to the variable" => |c| Ok(Converter::Strcmp(name(c)?));
    "json" "[<encoding>]" Str Str "escaped for JSON" => |_| Ok(Converter::Json);
    "set-var" "<name>" Any Any "stores the value and passes it on" => |c| Ok(Converter::SetVar(name(c)?));
    "unset-var" "<name>" Any Any "forgets a variable, passes the value on" => |c| Ok(Converter::UnsetVar(name(c)?));
    "nbsrv" "" Str Int "usable servers of the backend of that name" => |c| plain(c, Converter::Nbsrv);
    "srv_queue" "" Str Int "queue of the server of that name" => |c| plain(c, Converter::SrvQueue);
    "htonl" "" Int Bin "four bytes, big-endian" => |c| plain(c, Converter::Htonl);
    "debug" "[<prefix>[,<target>]]" Any Any "passes on" => |_| Ok(Converter::Debug);
    "ltrim" "<characters>" Str Str "without these at the start" => |c| Ok(Converter::Ltrim(text(c, 0)?));
    "rtrim" "<characters>" Str Str "without these at the end" => |c| Ok(Converter::Rtrim(text(c, 0)?));
};
