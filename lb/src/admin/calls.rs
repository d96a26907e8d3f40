//! What the CLI and the page need of others: calls that whoever starts the process sets, once.

use crate::state::{Proxy, SessionView};
use conf::lb::model::Config;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// Changes a configuration, or says why not.
pub type Amendment<'a> = dyn FnMut(&mut Config) -> Result<(), String> + 'a;
/// Files of a configuration with their texts.
pub type Files = Arc<Vec<(PathBuf, String)>>;

type Reload = Box<dyn Fn() -> Result<String, String> + Send + Sync>;
type Amend = Box<dyn Fn(&mut Amendment<'_>) -> Result<(), String> + Send + Sync>;
type StopFrontend = Box<dyn Fn(&Arc<Proxy>) + Send + Sync>;

/// The calls; one that is not set cannot be made in this process.
#[derive(Default)]
pub struct Calls {
    /// Reads the configuration again and uses it; gives what to tell the operator.
    pub reload: OnceLock<Reload>,
    /// Changes the configuration at work without its files.
    pub amend: OnceLock<Amend>,
    /// The texts of the configuration at work (`show config`).
    pub running_texts: OnceLock<Box<dyn Fn() -> String + Send + Sync>>,
    /// The same, file by file.
    pub files: OnceLock<Box<dyn Fn() -> Files + Send + Sync>>,
    /// Closes a frontend's listeners for good.
    pub stop_frontend: OnceLock<StopFrontend>,
    /// Sessions of frontends that speak HTTP, which no data thread holds.
    pub http_sessions: OnceLock<Box<dyn Fn() -> Vec<SessionView> + Send + Sync>>,
}
