//! `userlist` sections.

use super::model::{Password, User, Userlist};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword, Word, lookup, unknown};
use crate::suggest;

fn user(list: &mut Userlist, a: &mut Args<'_>) -> Result<(), Diagnostic> {
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
            user.groups = groups.text.split(',').map(str::to_owned).collect();
        } else {
            break;
        }
    }
    a.finish()?;
    list.users.push(user);
    Ok(())
}

fn group(list: &mut Userlist, a: &mut Args<'_>) -> Result<(), Diagnostic> {
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
        for member in users.text.split(',') {
            let Some(user) = list.users.iter_mut().find(|u| u.name == member) else {
                let names = list.users.iter().map(|u| u.name.as_str());
                let near = suggest::nearest(member, names);
                let error = Diagnostic::error(
                    "E1010",
                    users.span,
                    format!("there is no user `{member}` ahead of this line"),
                );
                return Err(match near {
                    Some(near) => error.label(format!("did you mean `{near}`?")),
                    None => error,
                });
            };
            user.groups.push(name.text.clone());
        }
    }
    a.finish()
}

/// The lines.
pub static KEYWORDS: &[Keyword<Userlist>] = &[
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
pub fn line(list: &mut Userlist, words: &[Word]) -> Result<(), Diagnostic> {
    let Some((row, count)) = lookup(KEYWORDS, words) else {
        let names = KEYWORDS.iter().map(|row| row.name);
        return Err(unknown(&words[0], "a `userlist` section", names));
    };
    let mut args = Args::new(row.name, row.args, words[0].span, &words[count..]);
    (row.apply)(list, &mut args)
}
