//! `--state-dir`: the state in a file, for the next start with the same
//! configuration files.
//!
//! One folder for each list of configuration files, opened before the process
//! gives up its rights and used by its descriptor from then on. A line that
//! names format and version, a line with length and checksum, then JSON.
//! Whatever does not look like that is told and ignored. The figures behind
//! the charts are many and change slowly: they have a file of their own.

use super::{Charts, Saved};
use crate::process::Identity;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::Mode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A file of the folder.
struct Form {
    name: &'static str,
    /// Its successor while it is written.
    fresh: &'static str,
    /// First line, behind it the version.
    magic: &'static str,
}

const STATE: Form = Form {
    name: "state",
    fresh: "state.new",
    magic: "evenkeel-lb-state",
};
const CHARTS: Form = Form {
    name: "charts",
    fresh: "charts.new",
    magic: "evenkeel-lb-charts",
};
/// Version of both formats.
const VERSION: u32 = 1;
/// Longest file that is read.
const LIMIT: u64 = 64 << 20;

/// The folder of one list of configuration files.
pub struct Store {
    folder: OwnedFd,
    path: PathBuf,
    files: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Content<T> {
    files: Vec<String>,
    state: T,
}

impl Store {
    /// Opens the folder below `directory`, for the user that the process will be.
    ///
    /// # Errors
    /// It is not there and cannot be made.
    pub fn open(directory: &Path, files: &[PathBuf], identity: &Identity) -> io::Result<Store> {
        let files: Vec<String> = files.iter().map(|file| absolute(file)).collect();
        let path = directory.join(folder_name(&files));
        std::fs::create_dir_all(&path)?;
        let (uid, gid) = (identity.uid, identity.gid);
        if uid.is_some() || gid.is_some() {
            let raw = (uid.map(|u| u.as_raw()), gid.map(|g| g.as_raw()));
            std::os::unix::fs::chown(&path, raw.0, raw.1)?;
        }
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_RDONLY;
        Ok(Store {
            folder: open(&path, flags, Mode::empty())?,
            path,
            files,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> PathBuf {
        self.path.join(STATE.name)
    }

    /// Where the file of the charts is.
    pub fn charts_path(&self) -> PathBuf {
        self.path.join(CHARTS.name)
    }

    /// What was kept, if anything was.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read(&self) -> Result<Option<Saved>, String> {
        self.read_as(&STATE)
    }

    /// The same for the charts.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn read_charts(&self) -> Result<Option<Charts>, String> {
        self.read_as(&CHARTS)
    }

    /// Keeps a state in place of what was kept before.
    ///
    /// # Errors
    /// The file cannot be written; the one before stays then.
    pub fn write(&self, state: Saved) -> io::Result<()> {
        self.write_as(&STATE, state)
    }

    /// The same for the charts.
    ///
    /// # Errors
    /// The file cannot be written; the one before stays then.
    pub fn write_charts(&self, charts: Charts) -> io::Result<()> {
        self.write_as(&CHARTS, charts)
    }

    fn read_as<T: DeserializeOwned>(&self, form: &Form) -> Result<Option<T>, String> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = match openat(&self.folder, form.name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(nix::Error::ENOENT) => return Ok(None),
            Err(error) => return Err(error.desc().to_owned()),
        };
        let about = file.metadata().map_err(|e| e.to_string())?;
        if !about.is_file() || about.len() > LIMIT {
            return Err("it is no file of reasonable length".to_owned());
        }
        let mut bytes = Vec::new();
        file.take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|e| e.to_string())?;
        let content: Content<T> = decode(&bytes, form)?;
        match content.files == self.files {
            true => Ok(Some(content.state)),
            false => Err(format!("it belongs to {}", content.files.join(", "))),
        }
    }

    fn write_as<T: Serialize>(&self, form: &Form, state: T) -> io::Result<()> {
        let content = Content {
            files: self.files.clone(),
            state,
        };
        let bytes = encode(&content, form)?;
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_TRUNC
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let mut file = File::from(openat(&self.folder, form.fresh, flags, mode)?);
        file.write_all(&bytes)?;
        file.sync_data()?;
        renameat(&self.folder, form.fresh, &self.folder, form.name)?;
        Ok(())
    }
}

fn absolute(file: &Path) -> String {
    let whole = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    whole.display().to_string()
}

/// A name that an operator recognizes, and that no other list has.
fn folder_name(files: &[String]) -> String {
    let first = files.first().map(Path::new).and_then(Path::file_stem);
    let stem: String = first
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .take(40)
        .collect();
    format!("{stem}-{:08x}", crc32c::crc32c(files.join("\n").as_bytes()))
}

fn encode<T: Serialize>(content: &Content<T>, form: &Form) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(content)?;
    let checksum = crc32c::crc32c(&body);
    let mut bytes =
        format!("{} {VERSION}\n{} {checksum:08x}\n", form.magic, body.len()).into_bytes();
    bytes.extend_from_slice(&body);
    bytes.push(b'\n');
    Ok(bytes)
}

fn decode<T: DeserializeOwned>(bytes: &[u8], form: &Form) -> Result<Content<T>, String> {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut line = || std::str::from_utf8(parts.next().unwrap_or_default()).unwrap_or_default();
    let (first, second) = (line(), line());
    let version = first.strip_prefix(form.magic).map(str::trim);
    let Some(version) = version else {
        return Err("it is no state file of this program".to_owned());
    };
    if version != VERSION.to_string() {
        return Err(format!("its format has version {version}, not {VERSION}"));
    }
    let damaged = || "it is damaged or cut short".to_owned();
    let (length, checksum) = second.split_once(' ').ok_or_else(damaged)?;
    let length: usize = length.parse().map_err(|_| damaged())?;
    let body = parts.next().unwrap_or_default();
    let body = body.get(..length).ok_or_else(damaged)?;
    if format!("{:08x}", crc32c::crc32c(body)) != checksum {
        return Err(damaged());
    }
    serde_json::from_slice(body).map_err(|e| format!("it cannot be understood: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn store(directory: &Path, file: &str) -> Store {
        Store::open(directory, &[file.into()], &Identity::default()).unwrap()
    }

    fn state() -> Saved {
        Saved {
            at_ms: 4711,
            ..Saved::default()
        }
    }

    #[test]
    fn what_was_kept_is_read_by_the_same_files_only() {
        let folder = tempfile::tempdir().unwrap();
        let ours = store(folder.path(), "/etc/a.cfg");
        assert_eq!(ours.read(), Ok(None));
        ours.write(state()).unwrap();
        assert_eq!(ours.read(), Ok(Some(state())));
        assert_eq!(store(folder.path(), "/etc/b.cfg").read(), Ok(None));
        let other = store(folder.path(), "/srv/a.cfg");
        assert_ne!(other.path(), ours.path());
        std::fs::copy(ours.path(), other.path()).unwrap();
        assert!(other.read().unwrap_err().contains("belongs to /etc/a.cfg"));
    }

    #[test]
    fn charts_are_a_file_of_their_own_with_the_same_care() {
        let folder = tempfile::tempdir().unwrap();
        let ours = store(folder.path(), "/etc/a.cfg");
        let charts = Charts {
            at_ms: 5,
            subjects: vec![Default::default()],
        };
        ours.write_charts(charts.clone()).unwrap();
        assert_eq!(ours.read(), Ok(None));
        assert_eq!(ours.read_charts(), Ok(Some(charts)));
        let good = std::fs::read(ours.charts_path()).unwrap();
        std::fs::write(ours.charts_path(), &good[..good.len() - 9]).unwrap();
        assert!(ours.read_charts().unwrap_err().contains("cut short"));
        ours.write(state()).unwrap();
        std::fs::copy(ours.path(), ours.charts_path()).unwrap();
        assert!(ours.read_charts().unwrap_err().contains("no state file"));
    }

    #[test]
    fn a_file_that_is_cut_short_damaged_foreign_or_of_another_version_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let ours = store(folder.path(), "/etc/a.cfg");
        ours.write(state()).unwrap();
        let good = std::fs::read(ours.path()).unwrap();
        let with = |bytes: &[u8]| {
            std::fs::write(ours.path(), bytes).unwrap();
            ours.read().unwrap_err()
        };
        for length in 1..good.len() - 1 {
            with(&good[..length]);
        }
        let mut damaged = good.clone();
        *damaged.last_mut().unwrap() = b'\n';
        damaged[60] ^= 1;
        assert!(with(&damaged).contains("damaged"));
        assert!(with(b"1\n# be_id be_name\n").contains("no state file"));
        let text = String::from_utf8(good).unwrap();
        let newer = text.replacen(" 1\n", " 7\n", 1);
        assert!(with(newer.as_bytes()).contains("version 7, not 1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = decode::<Saved>(&bytes, &STATE);
            let _ = decode::<Charts>(&bytes, &CHARTS);
        }
    }
}
