//! `evenkeel lb convert FILE`: what of a configuration of HAProxy or of
//! nginx's `stream {}` works here, line by line, and the file that does.

mod haproxy;
mod nginx;
mod nginx_blocks;
mod nginx_words;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What became of a line of the original.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its number, from 1.
    pub line: u32,
    /// The line or directive.
    pub text: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a line or directive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands in the result as it is.
    Kept,
    /// It means this there.
    Became(String),
    /// Something similar, with this difference.
    Roughly(String),
    /// It has no counterpart and no effect that would be missed, for this reason.
    NotNeeded(String),
    /// It is left out, for this reason.
    LeftOut(String),
}

/// A translated file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The new file.
    pub text: String,
    /// What became of each line of the old one.
    pub findings: Vec<Finding>,
}

impl Converted {
    /// Lines that are missing in the result.
    pub fn left_out(&self) -> usize {
        let missing = |f: &&Finding| matches!(f.outcome, Outcome::LeftOut(_));
        self.findings.iter().filter(missing).count()
    }

    /// The account of it, a line for each.
    pub fn account(&self, file: &Path) -> String {
        let mut out = String::new();
        for Finding {
            line,
            text,
            outcome,
        } in &self.findings
        {
            let (word, more) = match outcome {
                Outcome::Kept => ("ok", String::new()),
                Outcome::Became(what) => ("ok", format!(" -> {what}")),
                Outcome::Roughly(what) => ("roughly", format!(" -> {what}")),
                Outcome::NotNeeded(why) => ("no need", format!(": {why}")),
                Outcome::LeftOut(why) => ("LEFT OUT", format!(": {why}")),
            };
            out.push_str(&format!(
                "{}:{line}: {word:<8} {text}{more}\n",
                file.display()
            ));
        }
        let all = self.findings.len();
        let missing = self.left_out();
        out.push_str(&format!(
            "{} of {all} lines work, {missing} left out\n",
            all - missing
        ));
        out
    }
}

/// Runs the command.
pub fn command(args: &[String]) -> ExitCode {
    let order = match Order::parse(args) {
        Ok(order) => order,
        Err(problem) => {
            eprintln!("evenkeel lb convert: {problem}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let text = match std::fs::read(&order.file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => {
            eprintln!("evenkeel lb convert: {}: {error}", order.file.display());
            return ExitCode::from(2);
        }
    };
    let is_nginx = order.nginx.unwrap_or_else(|| looks_like_nginx(&text));
    let converted = match is_nginx {
        true => nginx::convert(&text),
        false => haproxy::convert(&text, &order.file),
    };
    let converted = match converted {
        Ok(converted) => converted,
        Err(problem) => {
            eprintln!("evenkeel lb convert: {}: {problem}", order.file.display());
            return ExitCode::from(2);
        }
    };
    let account = converted.account(&order.file);
    match &order.output {
        Some(path) => {
            if let Err(error) = std::fs::write(path, &converted.text) {
                eprintln!("evenkeel lb convert: {}: {error}", path.display());
                return ExitCode::from(2);
            }
            print!("{account}");
        }
        None => {
            print!("{}", converted.text);
            eprint!("{account}");
        }
    }
    ExitCode::from(u8::from(converted.left_out() > 0))
}

const USAGE: &str = "Usage: evenkeel lb convert [--from haproxy|nginx] [-o FILE] FILE\n\n\
    Tells line by line what of FILE works here, and writes the translated file to -o FILE\n\
    (without it to standard output, the account to standard error).\n\
    Status: 0 everything works, 1 something is left out, 2 the file cannot be read.";

struct Order {
    file: PathBuf,
    output: Option<PathBuf>,
    nginx: Option<bool>,
}

impl Order {
    fn parse(args: &[String]) -> Result<Order, String> {
        let (mut file, mut output, mut nginx) = (None, None, None);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("'{arg}' needs a value"));
            match arg.as_str() {
                "-o" => output = Some(PathBuf::from(value()?)),
                "--from" => {
                    nginx = Some(match value()?.as_str() {
                        "nginx" => true,
                        "haproxy" => false,
                        other => return Err(format!("'{other}' is neither haproxy nor nginx")),
                    });
                }
                _ if arg.starts_with('-') => return Err(format!("unknown option '{arg}'")),
                _ if file.is_none() => file = Some(PathBuf::from(arg)),
                _ => return Err("one file at a time".to_owned()),
            }
        }
        Ok(Order {
            file: file.ok_or("which file?")?,
            output,
            nginx,
        })
    }
}

/// A block that HAProxy's language does not have.
fn looks_like_nginx(text: &str) -> bool {
    let words = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    text.lines().map(words).any(|line| {
        let Some((before, _)) = line.split_once('{') else {
            return false;
        };
        let before: Vec<&str> = before.split_whitespace().collect();
        matches!(
            before.as_slice(),
            ["stream" | "server" | "events"] | ["upstream", _]
        )
    })
}

#[cfg(test)]
mod tests;
