//! Who may do what: users, their tags, permissions per virtual host and per
//! topic, and which users come from loopback only.
//!
//! Pure. A login whose stored hash is slow to check is handed out as a
//! [`PasswordCheck`] for a thread that may block; the rest is decided at once.

mod cache;
mod password;
mod pattern;

pub use cache::LoginCache;
pub use password::{DigestKind, Password, PasswordError};
pub use pattern::{Pattern, PatternError};

use super::limits::UserLimits;
use std::collections::{BTreeMap, BTreeSet};

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The stored password.
    pub password: Password,
    /// Tags in the order in which they were given.
    pub tags: Vec<String>,
    /// Connections and channels at most.
    pub limits: UserLimits,
}

impl User {
    /// A user with a password and tags, without limits.
    pub fn new(password: Password, tags: Vec<String>) -> User {
        let limits = UserLimits::default();
        User {
            password,
            tags,
            limits,
        }
    }

    /// Whether the user has this tag.
    pub fn is(&self, tag: &str) -> bool {
        self.tags.iter().any(|t| t == tag)
    }
}

/// The three rights of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Create and delete.
    Configure,
    /// Publish, bind a queue (to the queue).
    Write,
    /// Consume, get, purge, bind (from the exchange).
    Read,
}

/// What a user may do in one virtual host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Names that may be created and deleted.
    pub configure: Pattern,
    /// Names that may be written to.
    pub write: Pattern,
    /// Names that may be read from.
    pub read: Pattern,
}

impl Permission {
    /// Compiles the three patterns; names the first that cannot be.
    pub fn new(configure: &str, write: &str, read: &str) -> Result<Permission, PatternRefused> {
        let compile = |text: &str| Pattern::permission(text).map_err(|e| refused(text, e));
        Ok(Permission {
            configure: compile(configure)?,
            write: compile(write)?,
            read: compile(read)?,
        })
    }

    /// Whether `name` may be used so.
    pub fn allows(&self, right: Right, name: &str) -> bool {
        match right {
            Right::Configure => self.configure.matches(name),
            Right::Write => self.write.matches(name),
            Right::Read => self.read.matches(name),
        }
    }
}

/// What a user may do with routing keys of one topic exchange. The patterns
/// may hold `{username}` and `{vhost}`, so they are kept as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPermission {
    /// Routing keys that may be published with.
    pub write: String,
    /// Binding keys that may be bound with.
    pub read: String,
}

impl TopicPermission {
    /// Checks both patterns (with the variables replaced by a letter).
    pub fn new(write: &str, read: &str) -> Result<TopicPermission, PatternRefused> {
        for text in [write, read] {
            let plain = text.replace("{username}", "u").replace("{vhost}", "v");
            Pattern::permission(&plain).map_err(|e| refused(text, e))?;
        }
        Ok(TopicPermission {
            write: write.to_owned(),
            read: read.to_owned(),
        })
    }
}

/// A permission's pattern that does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternRefused {
    /// The pattern.
    pub text: String,
    /// Why.
    pub error: PatternError,
}

impl std::fmt::Display for PatternRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Invalid regular expression <<\"{}\">>: {}",
            self.text, self.error
        )
    }
}

fn refused(text: &str, error: PatternError) -> PatternRefused {
    let text = text.to_owned();
    PatternRefused { text, error }
}

/// All users and what they may do.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Users by name.
    pub users: BTreeMap<String, User>,
    /// Permissions by (virtual host, user).
    pub permissions: BTreeMap<(String, String), Permission>,
    /// Topic permissions by (virtual host, user, exchange).
    pub topic_permissions: BTreeMap<(String, String, String), TopicPermission>,
    /// Users that may come from loopback addresses only.
    pub loopback_users: BTreeSet<String>,
}

/// Why a login is refused; clients are told the same for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such user, or a wrong password.
    InvalidCredentials,
    /// The user may come from loopback only.
    LoopbackOnly,
}

/// What a login attempt comes to.
#[derive(Debug)]
pub enum Login {
    /// Decided.
    Done(Result<(), Refusal>),
    /// To be decided by running this where blocking is allowed.
    Check(PasswordCheck),
}

/// A password to be checked against a slow hash.
#[derive(Clone)]
pub struct PasswordCheck {
    /// The user.
    pub user: String,
    stored: Password,
    password: Vec<u8>,
}

impl PasswordCheck {
    /// Checks; takes some ten milliseconds of CPU.
    pub fn run(&self) -> bool {
        self.stored.verify(&self.password)
    }

    /// The same, and at once when it was found right before; `seen` is the checking thread's own.
    pub fn run_once(&self, seen: &mut LoginCache) -> bool {
        if seen.knows(&self.user, &self.stored, &self.password) {
            return true;
        }
        let right = self.run();
        if right {
            seen.remember(&self.user, &self.stored, &self.password);
        }
        right
    }

    /// Enters the verified login, unless the password was changed meanwhile.
    pub fn remember(&self, access: &Access, cache: &mut LoginCache) {
        let unchanged = access.users.get(&self.user).map(|u| &u.password) == Some(&self.stored);
        if unchanged {
            cache.remember(&self.user, &self.stored, &self.password);
        }
    }
}

impl std::fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PasswordCheck({})", self.user)
    }
}

impl Access {
    /// Begins a login by name and password.
    pub fn login(&self, cache: &LoginCache, name: &str, password: &[u8], loopback: bool) -> Login {
        let Some(user) = self.users.get(name) else {
            return Login::Done(Err(Refusal::InvalidCredentials));
        };
        if let Err(refusal) = self.may_come_from(name, loopback) {
            return Login::Done(Err(refusal));
        }
        if cache.knows(name, &user.password, password) {
            return Login::Done(Ok(()));
        }
        if user.password.is_slow() {
            return Login::Check(PasswordCheck {
                user: name.to_owned(),
                stored: user.password.clone(),
                password: password.to_vec(),
            });
        }
        let right = user.password.verify(password);
        Login::Done(right.then_some(()).ok_or(Refusal::InvalidCredentials))
    }

    /// A login proven by other means than a password (EXTERNAL).
    pub fn login_external(&self, name: &str, loopback: bool) -> Result<(), Refusal> {
        if !self.users.contains_key(name) {
            return Err(Refusal::InvalidCredentials);
        }
        self.may_come_from(name, loopback)
    }

    fn may_come_from(&self, name: &str, loopback: bool) -> Result<(), Refusal> {
        if !loopback && self.loopback_users.contains(name) {
            return Err(Refusal::LoopbackOnly);
        }
        Ok(())
    }

    /// The user's permission in a virtual host; none means no access at all.
    pub fn permission(&self, user: &str, vhost: &str) -> Option<&Permission> {
        self.permissions.get(&(vhost.to_owned(), user.to_owned()))
    }

    /// Whether the user may use a queue or exchange so. The default exchange
    /// goes by the name `amq.default`.
    pub fn allows(&self, user: &str, vhost: &str, right: Right, name: &str) -> bool {
        let name = if name.is_empty() { "amq.default" } else { name };
        self.permission(user, vhost)
            .is_some_and(|p| p.allows(right, name))
    }

    /// Whether the user may use a routing key with a topic exchange; yes where
    /// no topic permission is set.
    pub fn allows_topic(
        &self,
        user: &str,
        vhost: &str,
        exchange: &str,
        right: Right,
        key: &str,
    ) -> bool {
        let id = (vhost.to_owned(), user.to_owned(), exchange.to_owned());
        let Some(permission) = self.topic_permissions.get(&id) else {
            return true;
        };
        let text = match right {
            Right::Write => &permission.write,
            Right::Read => &permission.read,
            Right::Configure => return true,
        };
        let text = text.replace("{username}", user).replace("{vhost}", vhost);
        Pattern::permission(&text).is_ok_and(|p| p.matches(key))
    }

    /// Whether any topic permission exists for this user and exchange.
    pub fn has_topic_rule(&self, user: &str, vhost: &str, exchange: &str) -> bool {
        let id = (vhost.to_owned(), user.to_owned(), exchange.to_owned());
        !self.topic_permissions.is_empty() && self.topic_permissions.contains_key(&id)
    }

    /// Removes a user with all that belongs to it; says whether it was there.
    pub fn remove_user(&mut self, name: &str) -> bool {
        self.permissions.retain(|(_, user), _| user != name);
        self.topic_permissions
            .retain(|(_, user, _), _| user != name);
        self.users.remove(name).is_some()
    }

    /// Removes what was allowed in a virtual host that is gone.
    pub fn remove_vhost(&mut self, vhost: &str) {
        self.permissions.retain(|(v, _), _| v != vhost);
        self.topic_permissions.retain(|(v, _, _), _| v != vhost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        let mut access = Access::default();
        let user = |p: Password| User::new(p, vec!["management".to_owned()]);
        let salted = Password::hash_salted(b"pw", [1; 4]);
        access.users.insert("guest".into(), user(salted.clone()));
        access.users.insert("u".into(), user(salted));
        let slow = Password::hash(b"pw", [1; 16]);
        access.users.insert("slow".into(), user(slow));
        access.loopback_users.insert("guest".into());
        let permission = Permission::new("^a", "", ".*").expect("compiles");
        access
            .permissions
            .insert(("/".into(), "u".into()), permission);
        access
    }

    fn decided(login: Login) -> Result<(), Refusal> {
        match login {
            Login::Done(result) => result,
            Login::Check(check) => panic!("{check:?} should have been decided at once"),
        }
    }

    #[test]
    fn guest_comes_from_loopback_only() {
        let (access, cache) = (access(), LoginCache::new([0; 32]));
        assert_eq!(decided(access.login(&cache, "guest", b"pw", true)), Ok(()));
        assert_eq!(
            decided(access.login(&cache, "guest", b"pw", false)),
            Err(Refusal::LoopbackOnly)
        );
        assert_eq!(decided(access.login(&cache, "u", b"pw", false)), Ok(()));
        assert_eq!(
            decided(access.login(&cache, "nobody", b"", true)),
            Err(Refusal::InvalidCredentials)
        );
    }

    #[test]
    fn a_slow_hash_is_checked_once_and_then_known() {
        let (mut access, mut cache) = (access(), LoginCache::new([0; 32]));
        let Login::Check(check) = access.login(&cache, "slow", b"pw", true) else {
            panic!("an argon2 hash must not be checked on the spot");
        };
        assert!(check.run());
        check.remember(&access, &mut cache);
        assert_eq!(decided(access.login(&cache, "slow", b"pw", true)), Ok(()));
        let changed = Password::hash_salted(b"other", [1; 4]);
        access.users.get_mut("slow").expect("exists").password = changed;
        assert!(decided(access.login(&cache, "slow", b"pw", true)).is_err());
    }

    #[test]
    fn the_three_rights_are_apart_and_no_permission_means_no_access() {
        let access = access();
        assert!(access.allows("u", "/", Right::Configure, "abc"));
        assert!(!access.allows("u", "/", Right::Configure, "bc"));
        assert!(!access.allows("u", "/", Right::Write, ""));
        assert!(access.allows("u", "/", Right::Read, "x"));
        assert!(!access.allows("guest", "/", Right::Read, "x"));
    }

    #[test]
    fn topic_permissions_know_the_users_name() {
        let mut access = access();
        assert!(access.allows_topic("u", "/", "amq.topic", Right::Write, "any"));
        let rule = TopicPermission::new("^{username}\\.", ".*").expect("compiles");
        let id = ("/".into(), "u".into(), "amq.topic".into());
        access.topic_permissions.insert(id, rule);
        assert!(access.allows_topic("u", "/", "amq.topic", Right::Write, "u.x"));
        assert!(!access.allows_topic("u", "/", "amq.topic", Right::Write, "v.x"));
        assert!(access.allows_topic("u", "/", "other", Right::Write, "v.x"));
    }

    #[test]
    fn a_removed_user_leaves_nothing_behind() {
        let mut access = access();
        assert!(access.remove_user("u"));
        assert!(access.permissions.is_empty());
        assert!(!access.remove_user("u"));
    }
}
