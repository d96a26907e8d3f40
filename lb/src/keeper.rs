//! A helper that stays outside the chroot and keeps its rights.
//!
//! Once the balancer lives in an empty directory as another user, it can
//! neither read its files nor look up names, and a reload needs both. This
//! small process, started before, does these two things and nothing else: it
//! takes no argument from the balancer, so it can be asked for nothing but
//! the files of the command line.

use crate::fork::{Side, split};
use crate::loading::{self, Loaded};
use crate::options::Options;
use crate::process::Nowhere;
use crate::reload::texts_of;
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Longest answer that is taken.
const ANSWER_LIMIT: usize = 64 << 20;

/// Longest wait for an answer; names may take their time.
const PATIENCE: Duration = Duration::from_secs(120);

/// The balancer's end.
pub struct Keeper {
    stream: Mutex<UnixStream>,
}

/// What the helper found.
#[derive(Default, Serialize, Deserialize)]
struct Answer {
    texts: Vec<(PathBuf, String)>,
    names: Vec<(String, IpAddr)>,
    /// Files that could not be read.
    problem: Option<String>,
}

impl Keeper {
    /// Starts the helper; while this process has one thread.
    ///
    /// # Errors
    /// The system refuses another process.
    pub fn start(options: &Options, admin_path: &Path) -> io::Result<Keeper> {
        let (ours, theirs) = UnixStream::pair()?;
        match split()? {
            Side::Parent(_) => {
                ours.set_read_timeout(Some(PATIENCE))?;
                Ok(Keeper {
                    stream: Mutex::new(ours),
                })
            }
            Side::Child => {
                drop(ours);
                serve(theirs, options);
                // the balancer is gone and could not reach the file itself
                let _ = std::fs::remove_file(admin_path);
                std::process::exit(0)
            }
        }
    }

    /// Loads the files of the command line with the helper's eyes.
    pub fn load(&self, options: &Options) -> Loaded {
        match self.ask() {
            Ok(answer) => match answer.problem {
                Some(problem) => loading::failed(problem),
                None => loading::load_texts(options, answer.texts, &answer.names),
            },
            Err(error) => {
                loading::failed(format!("the helper that reads the files is gone: {error}"))
            }
        }
    }

    fn ask(&self) -> io::Result<Answer> {
        let mut stream = self.stream.lock().unwrap_or_else(|e| e.into_inner());
        stream.write_all(b"l")?;
        let mut length = [0; 8];
        stream.read_exact(&mut length)?;
        let length = usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > ANSWER_LIMIT {
            return Err(io::Error::other("its answer is too long"));
        }
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }
}

/// The helper's whole life.
fn serve(mut stream: UnixStream, options: &Options) {
    if let Ok(nowhere) = Nowhere::open() {
        nowhere.replace_streams();
    }
    // a name for ps; nothing depends on it
    let _ = nix::sys::prctl::set_name(c"lb-keeper");
    let mut request = [0];
    while matches!(stream.read(&mut request), Ok(1)) {
        let bytes = serde_json::to_vec(&look(options)).unwrap_or_default();
        let length = (bytes.len() as u64).to_be_bytes();
        if stream
            .write_all(&length)
            .and_then(|()| stream.write_all(&bytes))
            .is_err()
        {
            return;
        }
    }
}

fn look(options: &Options) -> Answer {
    let (loaded, names) = loading::load_recording(options);
    let texts = texts_of(&loaded);
    let problem = texts.is_empty().then(|| loaded.report.human(false));
    Answer {
        texts,
        names,
        problem,
    }
}
