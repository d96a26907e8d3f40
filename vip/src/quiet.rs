//! A process that has been quiet for a while lets the pages of its program go
//! once more: what woke it before the last time has left some in memory.
//! Not here: how (see `sys`).

use crate::sys;
use nix::poll::PollTimeout;
use std::time::{Duration, Instant};

/// Quiet for so long.
const AFTER: Duration = Duration::from_secs(5);

/// When the pages are let go next.
#[derive(Debug)]
pub struct Quiet {
    at: Option<Instant>,
}

impl Quiet {
    /// Something happened just now.
    pub fn stirred() -> Quiet {
        Quiet {
            at: Some(Instant::now() + AFTER),
        }
    }

    /// How long to wait for something to happen.
    pub fn patience(&self) -> PollTimeout {
        match self.at {
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
            }
            None => PollTimeout::NONE,
        }
    }

    /// A wait is over: something happened, or it was quiet for long enough.
    pub fn waited(&mut self, happened: bool) {
        if happened {
            *self = Quiet::stirred();
        } else if self.at.take_if(|at| Instant::now() >= *at).is_some() {
            let _ = sys::let_go_of_startup_pages();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_let_go_once_per_quiet_time() {
        let mut quiet = Quiet::stirred();
        let left = quiet.patience().as_millis().expect("it waits");
        assert!((1..=5_001).contains(&left), "{left}");
        quiet.waited(false);
        assert_ne!(quiet.patience(), PollTimeout::NONE, "too early");
        quiet.at = Some(Instant::now());
        quiet.waited(false);
        assert_eq!(quiet.patience(), PollTimeout::NONE, "once is enough");
        quiet.waited(true);
        assert_ne!(quiet.patience(), PollTimeout::NONE, "and once more");
    }
}
