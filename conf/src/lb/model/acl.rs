//! ACLs and the conditions of rules.

use super::{Expr, Place, Regex};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A named ACL: true if any of its tests is.
#[derive(Clone, Debug, PartialEq)]
pub struct Acl {
    /// Name; empty for one written in place (`{ ... }`).
    pub name: String,
    /// Its tests; several lines of the same name add to one ACL.
    pub tests: Vec<AclTest>,
    /// Where the first line stands.
    pub place: Place,
}

/// One line of an ACL: true if the value matches any pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct AclTest {
    /// The value.
    pub expr: Expr,
    /// How it is compared.
    pub matcher: Matcher,
}

/// How a value is compared; none of the patterns given: false.
#[derive(Clone, Debug, PartialEq)]
pub enum Matcher {
    /// `found`: there is a value.
    Found,
    /// `bool`: the value is true (or not zero).
    Bool,
    /// `int`: in one of the ranges.
    Int(Vec<IntRange>),
    /// `len`: the length is in one of the ranges.
    Len(Vec<IntRange>),
    /// `ip`: in one of the networks.
    Ip(Vec<IpNet>),
    /// String comparisons.
    Text {
        /// How.
        how: TextMatch,
        /// `-i`.
        ignore_case: bool,
        /// What to find.
        patterns: Vec<String>,
    },
    /// `bin`: equal to one of these.
    Bin(Vec<Vec<u8>>),
    /// `reg`: matches one of these.
    Regex(Vec<Regex>),
}

/// Methods of string comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// `str`: equal.
    Equal,
    /// `beg`: starts with.
    Begin,
    /// `end`: ends with.
    End,
    /// `sub`: contains.
    Contains,
    /// `dir`: contains between slashes.
    Dir,
    /// `dom`: contains between dots.
    Dom,
}

/// Numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct IntRange {
    pub min: i64,
    pub max: i64,
}

impl IntRange {
    /// Whether the number is in the range.
    pub fn contains(self, value: i64) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

/// An address with the mask that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpNet {
    /// Address and mask.
    V4(Ipv4Addr, Ipv4Addr),
    /// Address and mask.
    V6(Ipv6Addr, Ipv6Addr),
}

impl IpNet {
    /// Whether the address lies in the network; an IPv4 address and its
    /// IPv6-mapped form are the same.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (IpNet::V4(net, mask), IpAddr::V4(a)) => {
                u32::from(a) & u32::from(mask) == u32::from(net) & u32::from(mask)
            }
            (IpNet::V6(net, mask), IpAddr::V6(a)) => {
                u128::from(a) & u128::from(mask) == u128::from(net) & u128::from(mask)
            }
            (IpNet::V4(..), IpAddr::V6(a)) => a
                .to_ipv4_mapped()
                .is_some_and(|a| self.contains(IpAddr::V4(a))),
            (IpNet::V6(..), IpAddr::V4(a)) => self.contains(IpAddr::V6(a.to_ipv6_mapped())),
        }
    }
}

/// `if` / `unless` of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// `unless`: the rule applies when the terms do not hold.
    pub unless: bool,
    /// Any of these, each of which is: all of these.
    pub any: Vec<Vec<Term>>,
}

/// An ACL, perhaps negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// `!`.
    pub negated: bool,
    /// Index into the `acls` of the proxy that the condition belongs to.
    pub acl: usize,
}
