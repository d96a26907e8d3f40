//! A master whose program on disk was replaced starts that one in its place:
//! the same process, another program, the worker taken over.
//!
//! The new program is asked first whether it takes the configuration; when it
//! does not, nothing changes.

use crate::options::SUCCESSOR_OF;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The program as it was called.
pub struct Program {
    path: PathBuf,
    called: OsString,
    args: Vec<String>,
    mark: Option<Mark>,
}

/// The directory in which the process was started, before `-C` led elsewhere.
static STARTED_IN: OnceLock<PathBuf> = OnceLock::new();

/// Remembers the present directory as the one that relative names of the command line mean.
pub fn remember_directory() {
    // one that was removed has no name: relative names mean nothing then
    let _ = STARTED_IN.set(std::env::current_dir().unwrap_or_default());
}

fn started_in() -> PathBuf {
    STARTED_IN.get().cloned().unwrap_or_default()
}

/// What differs when another file was put in the place of one.
type Mark = (u64, u64, u64, i64, i64);

impl Program {
    /// This process's program; to be asked for before it can have been replaced.
    pub fn running() -> Program {
        let mut args = std::env::args_os();
        let called = args.next().unwrap_or_default();
        let path = find(Path::new(&called)).or_else(|| std::env::current_exe().ok());
        let path = path.unwrap_or_default();
        Program {
            mark: mark(&path),
            path,
            called,
            args: from_anywhere(
                args.map(|a| a.to_string_lossy().into_owned()),
                &started_in(),
            ),
        }
    }

    /// Another file is in its place now.
    pub fn was_replaced(&self) -> bool {
        let now = mark(&self.path);
        now.is_some() && now != self.mark
    }

    /// Whether the new program takes the configuration.
    ///
    /// # Errors
    /// What it says, or why it does not run.
    pub fn check(&self) -> Result<(), String> {
        let mut args = without_takeover(&self.args);
        args.insert(
            usize::from(args.first().is_some_and(|a| a == "lb")),
            "-c".to_owned(),
        );
        let mut command = Command::new(&self.path);
        command.arg0(&self.called).args(args).stdin(Stdio::null());
        let output = command
            .output()
            .map_err(|e| format!("{} does not run: {e}", self.path.display()))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "{} refuses the configuration ({}):\n{}",
                self.path.display(),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )),
        }
    }

    /// Becomes the new program, which takes over from `worker`. Comes back
    /// only with an error.
    pub fn start(&self, worker: Pid) -> io::Error {
        let mut args = without_takeover(&self.args);
        let place = usize::from(args.first().is_some_and(|a| a == "lb"));
        args.splice(place..place, [SUCCESSOR_OF.to_owned(), worker.to_string()]);
        Command::new(&self.path)
            .arg0(&self.called)
            .args(args)
            .exec()
    }
}

/// The arguments without those that named processes to take over from.
fn without_takeover(args: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut args = args.iter().peekable();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-sf" | "-st" => while args.next_if(|a| !a.starts_with('-')).is_some() {},
            "-x" | SUCCESSOR_OF => drop(args.next()),
            "--" => {
                kept.push(arg.clone());
                kept.extend(args.by_ref().cloned());
            }
            _ => kept.push(arg.clone()),
        }
    }
    kept
}

/// The arguments with a directory of `-C` that holds wherever the process is now.
fn from_anywhere(args: impl Iterator<Item = String>, started_in: &Path) -> Vec<String> {
    let mut all: Vec<String> = args.collect();
    let options = all.iter().position(|arg| arg == "--").unwrap_or(all.len());
    for index in 1..options {
        if all[index - 1] == "-C" {
            let directory = started_in.join(&all[index]);
            all[index] = directory.to_string_lossy().into_owned();
        }
    }
    all
}

/// The file behind a name, as a shell finds it.
fn find(called: &Path) -> Option<PathBuf> {
    if called.components().count() > 1 {
        return std::path::absolute(started_in().join(called)).ok();
    }
    let path = std::env::var_os("PATH")?;
    let places = std::env::split_paths(&path).map(|folder| folder.join(called));
    places.into_iter().find(|file| file.is_file())
}

fn mark(path: &Path) -> Option<Mark> {
    let about = std::fs::metadata(path).ok()?;
    let times = (about.mtime(), about.mtime_nsec());
    Some((about.dev(), about.ino(), about.len(), times.0, times.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_named_old_processes_is_dropped_and_files_behind_the_dash_stay() {
        let args = "lb -W -sf 12 13 -x /a.sock -f b.cfg -st 4 -- -x c";
        let args: Vec<String> = args.split(' ').map(str::to_owned).collect();
        assert_eq!(without_takeover(&args).join(" "), "lb -W -f b.cfg -- -x c");
    }

    #[test]
    fn a_relative_directory_means_the_same_after_the_process_went_there() {
        let args = "lb -W -C etc/lb -f b.cfg -- -C x";
        let args = args.split(' ').map(str::to_owned);
        let told = from_anywhere(args, Path::new("/srv"));
        assert_eq!(told.join(" "), "lb -W -C /srv/etc/lb -f b.cfg -- -C x");
    }

    #[test]
    fn a_file_put_in_the_place_of_the_program_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, "one").unwrap();
        let program = Program {
            mark: mark(&path),
            path: path.clone(),
            called: "program".into(),
            args: Vec::new(),
        };
        assert!(!program.was_replaced());
        let fresh = folder.path().join("fresh");
        std::fs::write(&fresh, "two").unwrap();
        std::fs::rename(&fresh, &path).unwrap();
        assert!(program.was_replaced());
        std::fs::remove_file(&path).unwrap();
        assert!(!program.was_replaced(), "nothing there to start");
    }
}
