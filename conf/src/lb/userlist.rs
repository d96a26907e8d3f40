//! `userlist` sections.

use super::model::{Password, Place, User, Userlist};
use crate::diagnostic::{Diagnostic, Report};
use crate::keyword::{Args, Keyword, Word, lookup, unknown};
use crate::suggest;

/// A list in the making.
pub struct UserlistDraft {
    list: Userlist,
    /// Groups with the words that name their users, and users with those that name their groups:
    /// the lines may stand in any order.
    users_of: Vec<(String, Word)>,
    groups_of: Vec<(String, Word)>,
}

impl UserlistDraft {
    /// A list without users yet.
    pub fn new(name: String, place: Place) -> UserlistDraft {
        UserlistDraft {
            list: Userlist {
                name,
                place,
                ..Userlist::default()
            },
            users_of: Vec::new(),
            groups_of: Vec::new(),
        }
    }

    /// Brings users and groups together.
    pub fn finish(mut self, report: &mut Report) -> Userlist {
        for (user, groups) in &self.groups_of {
            for group in groups.text.split(',') {
                let known = self.list.groups.iter().map(String::as_str);
                match self.list.users.iter_mut().find(|u| u.name == *user) {
                    Some(user) if known.clone().any(|name| name == group) => {
                        user.groups.push(group.to_owned());
                    }
                    _ => report.push(nobody(groups, "group", group, known)),
                }
            }
        }
        for (group, users) in &self.users_of {
            for member in users.text.split(',') {
                match self.list.users.iter_mut().find(|u| u.name == member) {
                    Some(user) => user.groups.push(group.clone()),
                    None => {
                        let names = self.list.users.iter().map(|u| u.name.as_str());
                        report.push(nobody(users, "user", member, names));
                    }
                }
            }
        }
        self.list
    }
}

fn nobody<'n>(
    word: &Word,
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'n str>,
) -> Diagnostic {
    let text = format!("there is no {what} `{name}` in this list");
    let error = Diagnostic::error("E1010", word.span, text);
    match suggest::nearest(name, names) {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error,
    }
}

fn user(draft: &mut UserlistDraft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let list = &mut draft.list;
    let name = a.expect("a name")?;
    if list.users.iter().any(|u| u.name == name.text) {
        return Err(Diagnostic::error(
            "E1012",
            name.span,
            format!("user `{}` is there twice in this list", name.text),
        ));
    }
    let mut user = User {
        name: name.text.clone(),
        password: Password::Crypt("*".to_owned()),
        groups: Vec::new(),
    };
    loop {
        if a.take_if("password").is_some() {
            user.password = Password::Crypt(a.expect("a crypt(3) string")?.text.clone());
        } else if a.take_if("insecure-password").is_some() {
            user.password = Password::Plain(a.expect("a password")?.text.clone());
        } else if a.take_if("groups").is_some() {
            let groups = a.expect("names of groups")?;
            draft.groups_of.push((user.name.clone(), groups.clone()));
        } else {
            break;
        }
    }
    a.finish()?;
    list.users.push(user);
    Ok(())
}

fn group(draft: &mut UserlistDraft, a: &mut Args<'_>) -> Result<(), Diagnostic> {
    let list = &mut draft.list;
    let name = a.expect("a name")?;
    if list.groups.contains(&name.text) {
        return Err(Diagnostic::error(
            "E1012",
            name.span,
            format!("group `{}` is there twice in this list", name.text),
        ));
    }
    list.groups.push(name.text.clone());
    if a.take_if("users").is_some() {
        let users = a.expect("names of users")?;
        draft.users_of.push((name.text.clone(), users.clone()));
    }
    a.finish()
}

/// The lines.
pub static KEYWORDS: &[Keyword<UserlistDraft>] = &[
    Keyword {
        name: "user",
        args: "<name> [password <crypt> | insecure-password <password>] [groups <name>,...]",
        doc: "A user with a password as crypt(3) keeps it, or in plain text.",
        example: "user admin insecure-password secret",
        apply: user,
    },
    Keyword {
        name: "group",
        args: "<name> [users <name>,...]",
        doc: "A group and its users.",
        example: "group operators",
        apply: group,
    },
];

/// Reads a line of the section.
pub fn line(draft: &mut UserlistDraft, words: &[Word]) -> Result<(), Diagnostic> {
    let Some((row, count)) = lookup(KEYWORDS, words) else {
        let names = KEYWORDS.iter().map(|row| row.name);
        return Err(unknown(&words[0], "a `userlist` section", names));
    };
    row.run(draft, words, count)
}
