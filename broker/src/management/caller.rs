//! Who asks, and what they may see and do.

use super::reply::Reply;
use super::state::Management;
use crate::core::access::{Login, Refusal};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeSet;

/// A user who has logged in.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The name.
    pub name: String,
    /// All tags.
    pub tags: Vec<String>,
    /// Virtual hosts in which the user has a permission.
    pub vhosts: BTreeSet<String>,
}

impl Caller {
    fn has(&self, tags: &[&str]) -> bool {
        self.tags.iter().any(|tag| tags.contains(&tag.as_str()))
    }

    /// May do everything.
    pub fn is_administrator(&self) -> bool {
        self.has(&["administrator"])
    }

    /// May see everything.
    pub fn is_monitor(&self) -> bool {
        self.has(&["administrator", "monitoring"])
    }

    /// Whether things of a virtual host are shown in lists.
    pub fn sees(&self, vhost: &str) -> bool {
        self.is_monitor() || self.vhosts.contains(vhost)
    }

    /// Refuses those who are not administrators.
    pub fn must_be_administrator(&self) -> Result<(), Reply> {
        match self.is_administrator() {
            true => Ok(()),
            false => Err(Reply::not_authorised("Not administrator user")),
        }
    }

    /// Refuses those who may not see everything.
    pub fn must_be_monitor(&self) -> Result<(), Reply> {
        match self.is_monitor() {
            true => Ok(()),
            false => Err(Reply::not_authorised("Not monitor user")),
        }
    }

    /// Refuses those without a permission in the virtual host.
    pub fn must_see(&self, vhost: &str) -> Result<(), Reply> {
        match self.sees(vhost) {
            true => Ok(()),
            false => Err(Reply::not_authorised(
                "User not authorised to access virtual host",
            )),
        }
    }

    /// Refuses those who may set policies nowhere.
    pub fn must_be_policymaker_somewhere(&self) -> Result<(), Reply> {
        match self.has(&["administrator", "policymaker"]) {
            true => Ok(()),
            false => Err(Reply::not_authorised(
                "User not authorised to access object",
            )),
        }
    }

    /// Refuses those who may not set policies in the virtual host.
    pub fn must_be_policymaker(&self, vhost: &str) -> Result<(), Reply> {
        let may = self.has(&["administrator", "policymaker"])
            && (self.is_administrator() || self.vhosts.contains(vhost));
        match may {
            true => Ok(()),
            false => Err(Reply::not_authorised(
                "User not authorised to access object",
            )),
        }
    }
}

/// Name and password of a Basic authorization.
pub fn credentials(header: Option<&str>) -> Option<(String, Vec<u8>)> {
    let encoded = header?.trim().strip_prefix("Basic ")?;
    let bytes = STANDARD.decode(encoded.trim()).ok()?;
    let colon = bytes.iter().position(|b| *b == b':')?;
    let name = String::from_utf8(bytes[..colon].to_vec()).ok()?;
    Some((name, bytes[colon + 1..].to_vec()))
}

impl Management {
    /// Logs in; the reply is what to answer when that fails.
    pub async fn login(&self, header: Option<&str>, loopback: bool) -> Result<Caller, Reply> {
        let Some(header) = header else {
            return Err(Reply::login_wanted());
        };
        let (name, password) = credentials(Some(header)).ok_or_else(Reply::login_failed)?;
        let verdict = self.check_password(&name, password, loopback).await?;
        self.count_login(verdict.is_ok());
        if let Err(refusal) = verdict {
            tracing::info!(user = name, ?refusal, "management login refused");
            return Err(Reply::login_failed());
        }
        let caller = self.caller(name).await?;
        let tags = ["administrator", "monitoring", "policymaker", "management"];
        match caller.has(&tags) {
            true => Ok(caller),
            false => Err(Reply::not_authorised("Not management user")),
        }
    }

    /// Checks name and password; slow hashes on a thread that may block.
    pub async fn check_password(
        &self,
        name: &str,
        password: Vec<u8>,
        loopback: bool,
    ) -> Result<Result<(), Refusal>, Reply> {
        let user = name.to_owned();
        let login = self
            .with(move |core| {
                core.metadata
                    .access
                    .login(&core.logins, &user, &password, loopback)
            })
            .await?;
        let check = match login {
            Login::Done(verdict) => return Ok(verdict),
            Login::Check(check) => check,
        };
        let copy = check.clone();
        let right = tokio::task::spawn_blocking(move || copy.run())
            .await
            .unwrap_or(false);
        if right {
            self.with(move |core| check.remember(&core.metadata.access, &mut core.logins))
                .await?;
        }
        Ok(right.then_some(()).ok_or(Refusal::InvalidCredentials))
    }

    /// What is known of a user by name.
    pub async fn caller(&self, name: String) -> Result<Caller, Reply> {
        self.with(move |core| {
            let access = &core.metadata.access;
            let vhosts = access.permissions.keys();
            Caller {
                tags: access
                    .users
                    .get(&name)
                    .map(|u| u.tags.clone())
                    .unwrap_or_default(),
                vhosts: vhosts
                    .filter(|(_, user)| *user == name)
                    .map(|(vhost, _)| vhost.clone())
                    .collect(),
                name,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_may_hold_colons_in_the_password() {
        let header = format!("Basic {}", STANDARD.encode("u:a:b"));
        assert_eq!(
            credentials(Some(&header)),
            Some(("u".into(), b"a:b".to_vec()))
        );
        assert_eq!(credentials(Some("Basic ???")), None);
        assert_eq!(credentials(Some("Bearer x")), None);
    }

    #[test]
    fn each_tag_opens_its_part() {
        let with = |tag: &str| Caller {
            tags: vec![tag.to_owned()],
            ..Caller::default()
        };
        assert!(with("monitoring").must_be_monitor().is_ok());
        assert!(with("monitoring").must_be_administrator().is_err());
        assert!(with("management").must_be_monitor().is_err());
        assert!(with("management").must_be_policymaker("/").is_err());
        assert!(with("administrator").must_be_policymaker("/").is_ok());
        let mut maker = with("policymaker");
        assert!(maker.must_be_policymaker("/").is_err());
        maker.vhosts.insert("/".into());
        assert!(maker.must_be_policymaker("/").is_ok());
    }
}
