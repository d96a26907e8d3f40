//! One `vrrp_script`: polled as written, or, when its line only asks whether a
//! process lives, watched by pidfd.

use super::process::{Herd, Wanted, others_are_hidden, unit_is_visible};
use super::recognise::{Question, recognise};
use crate::core::track::Level;
use conf::vip::model::Script;
use std::time::{Duration, Instant};

/// Between looks for a process that is not there, and for new ones beside living ones.
const SEEK: Duration = Duration::from_millis(200);
const REVIEW: Duration = Duration::from_secs(5);

/// A script at work.
#[derive(Debug)]
pub struct Watched {
    /// As configured.
    pub conf: Script,
    /// The processes it really asks for.
    pub herd: Option<Herd>,
    /// When it is looked at or run next.
    pub next_at: Instant,
    /// The order that is out with the helper.
    pub running: Option<u64>,
    /// What it said last.
    pub level: Option<Level>,
    good: Option<bool>,
    in_a_row: u32,
    found_at: Option<Instant>,
}

impl Watched {
    /// Starts with nothing known, or as failed with `init_fail`.
    pub fn new(conf: Script) -> Watched {
        let question = recognise(&conf.command.line);
        let visible = question.filter(|q| match q {
            Question::Unit(unit) => unit_is_visible(unit),
            // the helper, with root's eyes, sees what this process cannot
            Question::Name(_) | Question::PidFile(_) => !others_are_hidden(),
        });
        Watched {
            herd: visible.map(|q| Herd::new(Wanted::Script(q))),
            level: conf
                .init_fail
                .then(|| Level::Bad("has not succeeded yet (init_fail)".to_owned())),
            good: conf.init_fail.then_some(false),
            conf,
            next_at: Instant::now(),
            running: None,
            in_a_row: 0,
            found_at: None,
        }
    }

    /// One that a reload brings, or changed: as good as it was, whatever `init_fail` says, until its
    /// first result, which counts at once.
    pub fn of_reload(conf: Script, known: Option<Level>) -> Watched {
        Watched {
            level: known,
            good: None,
            ..Watched::new(conf)
        }
    }

    /// How long a run may take.
    pub fn timeout(&self) -> Duration {
        self.conf.timeout.unwrap_or(self.conf.interval)
    }

    /// A run ended; gives the level when it changed.
    pub fn ended(&mut self, failure: Option<String>) -> Option<Level> {
        let good = failure.is_none();
        let needed = if good { self.conf.rise } else { self.conf.fall };
        let first = self.good.is_none();
        if self.good == Some(good) {
            self.in_a_row = 0;
            return None;
        }
        self.in_a_row += 1;
        if !first && self.in_a_row < needed {
            return None;
        }
        self.in_a_row = 0;
        self.good = Some(good);
        self.says(failure.map_or(Level::Good, Level::Bad))
    }

    fn says(&mut self, level: Level) -> Option<Level> {
        self.level = Some(level.clone());
        Some(level)
    }

    /// Looks at the processes; gives the level when it changed. A death counts at once, a
    /// return after `rise` intervals in a row.
    pub fn look(&mut self, now: Instant) -> Option<Level> {
        let herd = self.herd.as_mut()?;
        herd.gather();
        if herd.count() == 0 {
            self.found_at = None;
            self.next_at = now + SEEK;
            if self.good == Some(false) {
                return None;
            }
            self.good = Some(false);
            return self.says(Level::Bad("lost its last process".to_owned()));
        }
        self.next_at = now + REVIEW;
        if self.good == Some(true) {
            return None;
        }
        let since = *self.found_at.get_or_insert(now);
        let wait = self.conf.interval * self.conf.rise.saturating_sub(1);
        if self.good.is_some() && now - since < wait {
            self.next_at = since + wait;
            return None;
        }
        self.good = Some(true);
        self.says(Level::Good)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conf::vip::model::Config;

    fn script(line: &str) -> Watched {
        let text =
            format!("vrrp_script chk {{\n script \"{line}\"\n interval 2\n fall 2\n rise 2\n}}\n");
        let options = conf::vip::Options::default();
        let (config, report) = conf::vip::load_str("test.conf", &text, &options);
        let config: Config = config.unwrap_or_else(|| panic!("{}", report.human(false)));
        Watched::new(config.scripts[0].clone())
    }

    #[test]
    fn the_first_result_counts_and_later_ones_after_fall_and_rise() {
        let mut script = script("/usr/local/bin/check.sh");
        let bad = || Some("ended with status 1".to_owned());
        assert_eq!(script.ended(None), Some(Level::Good));
        assert_eq!(script.ended(bad()), None);
        assert_eq!(script.ended(None), None);
        assert_eq!(script.ended(bad()), None);
        assert!(matches!(script.ended(bad()), Some(Level::Bad(_))));
        assert_eq!(script.ended(None), None);
        assert_eq!(script.ended(None), Some(Level::Good));
    }

    #[test]
    fn a_recognised_line_fails_at_once_whatever_fall_says() {
        let mut script = script("pidof no-such-process-anywhere");
        script.good = Some(true);
        let now = Instant::now();
        assert!(matches!(script.look(now), Some(Level::Bad(_))));
        assert_eq!(script.look(now), None);
    }
}
