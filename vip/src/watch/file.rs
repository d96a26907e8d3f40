//! `vrrp_track_file`: the number in a file, read whenever the file changes.

use crate::core::track::Level;
use conf::vip::model::TrackedFile;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use tracing::warn;

/// Longest content that is looked at.
const LONGEST: u64 = 128;

/// Writes the initial value, if the configuration asks for it.
pub fn prepare(file: &TrackedFile) {
    let Some((value, overwrite)) = file.init else {
        return;
    };
    if (overwrite || !file.path.exists())
        && let Err(error) = fs::write(&file.path, format!("{value}\n"))
    {
        warn!(path = %file.path.display(), %error, "cannot write the initial value of a tracked file");
    }
}

/// The level that the file says now. A missing file counts as 0, as in keepalived.
pub fn level(path: &Path) -> Level {
    match read(path) {
        Ok(text) => match text.trim().parse::<i64>() {
            Ok(value) => Level::Value(value),
            Err(_) if text.trim().is_empty() => Level::Value(0),
            Err(_) => {
                warn!(path = %path.display(), "a tracked file holds no number: it counts as 0");
                Level::Value(0)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Level::Value(0),
        Err(error) => {
            warn!(path = %path.display(), %error, "cannot read a tracked file: it counts as 0");
            Level::Value(0)
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_its_number_and_a_missing_one_zero() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("health");
        assert_eq!(level(&path), Level::Value(0));
        for (text, value) in [("-20\n", -20), ("", 0), ("junk", 0), (" 7 ", 7)] {
            fs::write(&path, text).expect("writable");
            assert_eq!(level(&path), Level::Value(value), "{text:?}");
        }
    }
}
