//! What expressions do to a value.

use super::Regex;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What is done to a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Converter {
    /// `add(n)` and others with a number or a variable.
    Arithmetic(ArithmeticOp, Operand),
    /// `neg`.
    Neg,
    /// `cpl`: all bits inverted.
    Cpl,
    /// `not`.
    Not,
    /// `bool`.
    Bool,
    /// `even`.
    Even,
    /// `odd`.
    Odd,
    /// `lower`.
    Lower,
    /// `upper`.
    Upper,
    /// `length`.
    Length,
    /// `bytes(offset[,length])`.
    Bytes(usize, Option<usize>),
    /// `field(index,delimiters[,count])`; count 0: the rest.
    Field(i64, String, i64),
    /// `word(index,delimiters[,count])`.
    Word(i64, String, i64),
    /// `hex`: bytes to hexadecimal.
    Hex,
    /// `hex2i`: hexadecimal text to an integer.
    Hex2i,
    /// `be2dec(separator,chunk[,truncate])`.
    Be2dec(String, usize, bool),
    /// `be2hex([separator[,chunk[,truncate]]])`.
    Be2hex(String, usize, bool),
    /// `base64`.
    Base64,
    /// `ub64enc`.
    UrlBase64,
    /// `b64dec`.
    Base64Decode,
    /// `ub64dec`.
    UrlBase64Decode,
    /// `url_dec([in_form])`.
    UrlDecode,
    /// `url_enc`.
    UrlEncode,
    /// `ipmask(v4[,v6])`.
    IpMask(Ipv4Addr, Option<Ipv6Addr>),
    /// `crc32([avalanche])` and the other 32 bit hashes.
    Hash32(HashFunction, bool),
    /// `crc32c([avalanche])`.
    Crc32c(bool),
    /// `regsub(regex,subst[,flags])`.
    Regsub {
        /// What to find.
        regex: Regex,
        /// What to put there (`\1` for groups).
        with: String,
        /// `g`: every place.
        all: bool,
    },
    /// `concat([start][,var[,end]])`.
    Concat(String, Option<String>, String),
    /// `iif(true,false)`.
    Iif(String, String),
    /// `ltime(format[,offset])`: local time by strftime.
    Ltime(String, i64),
    /// `utime(format[,offset])`.
    Utime(String, i64),
    /// `strcmp(var)`.
    Strcmp(String),
    /// `json([encoding])`.
    Json,
    /// `set-var(name)`.
    SetVar(String),
    /// `unset-var(name)`.
    UnsetVar(String),
    /// `nbsrv`: usable servers of the backend of this name.
    Nbsrv,
    /// `srv_queue`: queue of the server `be/srv`.
    SrvQueue,
    /// `htonl`: an integer as four bytes, big-endian.
    Htonl,
    /// `debug`: passes on.
    Debug,
    /// `ltrim(chars)`.
    Ltrim(String),
    /// `rtrim(chars)`.
    Rtrim(String),
}

/// Operators of the arithmetic converters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ArithmeticOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
}

/// A number or a variable's name.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// The number.
    Int(i64),
    /// `txn.x` and others.
    Var(String),
}

/// Hash functions that balancing and converters share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HashFunction {
    /// `sdbm` (the default of balancing).
    #[default]
    Sdbm,
    /// `djb2`.
    Djb2,
    /// `wt6`.
    Wt6,
    /// `crc32`.
    Crc32,
    /// `none` (balancing only): the key itself is the number.
    None,
}
