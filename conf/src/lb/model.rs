//! The balancer's configuration after everything was read, inherited and
//! checked: what the daemon runs from. Plain data; the daemon sees no words.
//!
//! Two configurations compare by value ([`PartialEq`]): a [`Place`] never
//! counts, so moving a line changes nothing. Times are [`Duration`]s; where
//! HAProxy takes 0 for "never", the field is an `Option` and holds `None`.

mod acl;
mod bind;
mod check;
mod converter;
mod expr;
mod fetch;
mod format;
mod global;
mod http;
mod proxy;
mod rebalance;
mod rule;
mod server;

pub use acl::*;
pub use bind::*;
pub use check::*;
pub use converter::*;
pub use expr::*;
pub use fetch::*;
pub use format::*;
pub use global::*;
pub use http::*;
pub use proxy::*;
pub use rebalance::*;
pub use rule::*;
pub use server::*;

use crate::source::Span;
use std::fmt;
use std::sync::Arc;

/// A whole configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What concerns the process.
    pub global: Global,
    /// `listen`, `frontend` and `backend` sections in the order of the files.
    pub proxies: Vec<Arc<Proxy>>,
    /// `userlist` sections.
    pub userlists: Vec<Arc<Userlist>>,
    /// `ring` sections.
    pub rings: Vec<Arc<Ring>>,
}

impl Config {
    /// The proxy with a frontend side that has this name.
    pub fn frontend(&self, name: &str) -> Option<&Arc<Proxy>> {
        self.proxies
            .iter()
            .find(|p| p.name == name && p.front.is_some())
    }

    /// The proxy with a backend side that has this name.
    pub fn backend(&self, name: &str) -> Option<&Arc<Proxy>> {
        self.proxies
            .iter()
            .find(|p| p.name == name && p.back.is_some())
    }
}

/// Where something stands in the files; equal to every other place, so that
/// values that hold one compare by what they mean.
#[derive(Clone, Copy, Default)]
pub struct Place(pub Span);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.0.start, self.0.end)
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// A `userlist` section: who may see the statistics page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Userlist {
    /// Its name.
    pub name: String,
    /// Where it starts.
    pub place: Place,
    /// Its users.
    pub users: Vec<User>,
    /// Names of its groups.
    pub groups: Vec<String>,
}

/// A user of a [`Userlist`].
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// Log-in name.
    pub name: String,
    /// How the password is kept.
    pub password: Password,
    /// Groups that the user belongs to, by either side's `groups` / `users`.
    pub groups: Vec<String>,
}

/// How a password is kept in the file.
#[derive(Clone, PartialEq)]
pub enum Password {
    /// `insecure-password`: the password itself.
    Plain(String),
    /// `password`: a crypt(3) string.
    Crypt(String),
}

impl fmt::Debug for Password {
    /// Never shows the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}
