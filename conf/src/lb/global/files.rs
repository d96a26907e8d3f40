//! Where files are, and what unix sockets start from.

use super::{DefaultPath, GlobalDraft};
use crate::diagnostic::Diagnostic;
use crate::keyword::{Args, Keyword};
use crate::lb::model::Account;
use crate::lb::value;

type Applied = Result<(), Diagnostic>;

fn default_path(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let span = a.head();
    d.default_path = match a.choose("where relative paths start", &STARTS.map(|n| (n, n)))? {
        "current" => DefaultPath::Current,
        "config" => DefaultPath::Config,
        "parent" => DefaultPath::Parent,
        _ => DefaultPath::Origin(a.expect("a directory")?.text.clone().into()),
    };
    a.finish()?;
    let Some(base) = d.base().filter(|base| !base.as_os_str().is_empty()) else {
        return Ok(());
    };
    match base.is_dir() {
        true => Ok(()),
        false => Err(Diagnostic::error(
            "E0001",
            span,
            format!("`{}` is not a directory", base.display()),
        )
        .label("relative paths would start there")),
    }
}

fn unix_bind(d: &mut GlobalDraft, a: &mut Args<'_>) -> Applied {
    let octal = |text: &str| u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777);
    let id = |a: &mut Args<'_>| value::take_number(a, "an id", 0, i64::from(u32::MAX));
    let set = &mut d.unix_bind;
    while a.peek().is_some() {
        match a.choose("a setting", &SETTINGS.map(|name| (name, name)))? {
            "prefix" => set.prefix.clone_from(&a.expect("a prefix")?.text),
            "mode" => set.access.mode = Some(a.parse("an octal mode", octal)?),
            "user" => {
                let name = a.expect("a user's name")?.text.clone();
                set.access.user = Some(Account::Name(name));
            }
            "uid" => set.access.user = Some(Account::Id(id(a)? as u32)),
            "group" => {
                let name = a.expect("a group's name")?.text.clone();
                set.access.group = Some(Account::Name(name));
            }
            _ => set.access.group = Some(Account::Id(id(a)? as u32)),
        }
    }
    Ok(())
}

const STARTS: [&str; 4] = ["current", "config", "parent", "origin"];

const SETTINGS: [&str; 6] = ["prefix", "mode", "user", "uid", "group", "gid"];

/// The lines.
pub static KEYWORDS: &[Keyword<GlobalDraft>] = &[
    Keyword {
        name: "default-path",
        args: "{ current | config | parent | origin <directory> }",
        doc: "What relative paths of files that are read (`acl -f`, `errorfile` ...) start from: \
              the working directory (the default), the directory of the configuration file, the \
              one above it, or a given one.",
        example: "default-path config",
        apply: default_path,
    },
    Keyword {
        name: "unix-bind",
        args: "[prefix <prefix>] [mode <mode>] [user <user> | uid <n>] [group <group> | gid <n>]",
        doc: "What the unix sockets of `bind` lines that follow start from: something ahead of \
              their paths, permissions and owner unless they say otherwise. Not for `stats socket`.",
        example: "unix-bind prefix /run/ mode 660",
        apply: unix_bind,
    },
];
