//! From tracked things to a priority: weights, reverse weights, faults.

use super::router::Health;
use conf::vip::model::Weight;

/// What a tracked thing says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Level {
    /// Not known yet.
    Unknown,
    /// Good.
    Good,
    /// Bad, and why.
    Bad(String),
    /// A number that moves the priority by itself (`track_file`).
    Value(i64),
}

/// A tracked thing as one router sees it.
#[derive(Clone, Debug)]
pub struct Tracked {
    /// Its kind and name, such as `script chk_haproxy`.
    pub name: String,
    /// How it moves the priority.
    pub weight: Weight,
    /// What it says now.
    pub level: Level,
    /// Added to a running router: no fault before its first answer.
    pub trusted: bool,
}

/// Lowest and highest priority that weights can give; 255 is the owner's.
const BOUNDS: (i64, i64) = (1, 254);

/// The health of a router with this configured priority and these tracked things.
pub fn assess(priority: u8, tracked: &[Tracked], because: &str) -> Health {
    let mut sum = i64::from(priority);
    for item in tracked {
        match effect(item) {
            Ok(change) => sum += change,
            Err(why) => return Health::Fault(why),
        }
    }
    let priority = if priority == 255 {
        255
    } else {
        sum.clamp(BOUNDS.0, BOUNDS.1) as u8
    };
    Health::Fit {
        priority,
        because: because.to_owned(),
    }
}

/// How one tracked thing moves the priority, or the fault that it is.
fn effect(item: &Tracked) -> Result<i64, String> {
    let weight = i64::from(item.weight.value);
    let fault = |why: &str| Err(format!("{} {why}", item.name));
    let bad = match (&item.level, item.weight.reverse) {
        (Level::Unknown, _) if weight == 0 && !item.trusted => {
            return fault("has not answered yet");
        }
        (Level::Unknown, _) => return Ok(0),
        (Level::Value(value), reverse) => return file_effect(item, *value, reverse),
        (Level::Good, false) | (Level::Bad(_), true) => None,
        (Level::Good, true) => Some("is good, and counts in reverse"),
        (Level::Bad(why), false) => Some(why.as_str()),
    };
    if weight == 0 {
        return bad.map_or(Ok(0), fault);
    }
    // in reverse the priority goes down while good and up while bad
    let counts = (weight > 0) == (item.level == Level::Good);
    let sign = if item.weight.reverse { -1 } else { 1 };
    Ok(if counts { sign * weight } else { 0 })
}

/// A file's number times its weight; -254 and below, and any number with weight 0, are a fault.
fn file_effect(item: &Tracked, value: i64, reverse: bool) -> Result<i64, String> {
    let weight = i64::from(item.weight.value);
    let value = if reverse { -value } else { value };
    if weight == 0 {
        return if value == 0 {
            Ok(0)
        } else {
            Err(format!("{} holds {value}", item.name))
        };
    }
    let change = value.saturating_mul(weight);
    if change <= -254 {
        return Err(format!("{} holds {value} (weight {weight})", item.name));
    }
    Ok(change.min(253))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(weight: i16, reverse: bool, level: Level) -> Tracked {
        Tracked {
            name: "script chk".to_owned(),
            weight: Weight {
                value: weight,
                reverse,
            },
            level,
            trusted: false,
        }
    }

    fn priority(base: u8, items: &[Tracked]) -> Option<u8> {
        match assess(base, items, "") {
            Health::Fit { priority, .. } => Some(priority),
            Health::Fault(_) => None,
        }
    }

    #[test]
    fn a_positive_weight_counts_while_good_a_negative_one_while_bad_and_reverse_turns_the_sign() {
        let bad = || Level::Bad("exit status 1".to_owned());
        assert_eq!(priority(100, &[item(2, false, Level::Good)]), Some(102));
        assert_eq!(priority(100, &[item(2, false, bad())]), Some(100));
        assert_eq!(priority(100, &[item(-20, false, Level::Good)]), Some(100));
        assert_eq!(priority(100, &[item(-20, false, bad())]), Some(80));
        assert_eq!(priority(100, &[item(20, true, Level::Good)]), Some(80));
        assert_eq!(priority(100, &[item(20, true, bad())]), Some(100));
        assert_eq!(priority(100, &[item(-20, true, Level::Good)]), Some(100));
        assert_eq!(priority(100, &[item(-20, true, bad())]), Some(120));
        assert_eq!(priority(100, &[item(0, true, Level::Good)]), None);
        assert_eq!(priority(100, &[item(0, true, bad())]), Some(100));
    }

    #[test]
    fn weight_zero_is_a_fault_while_bad_or_unknown() {
        assert_eq!(
            priority(100, &[item(0, false, Level::Bad(String::new()))]),
            None
        );
        assert_eq!(priority(100, &[item(0, false, Level::Unknown)]), None);
        assert_eq!(priority(100, &[item(0, false, Level::Good)]), Some(100));
        assert_eq!(priority(100, &[item(-5, false, Level::Unknown)]), Some(100));
    }

    #[test]
    fn what_a_reload_adds_is_no_fault_before_its_first_answer() {
        let added = |level| Tracked {
            trusted: true,
            ..item(0, false, level)
        };
        assert_eq!(priority(100, &[added(Level::Unknown)]), Some(100));
        assert_eq!(priority(100, &[added(Level::Bad(String::new()))]), None);
    }

    #[test]
    fn weights_add_up_within_1_and_254_and_never_move_an_owner() {
        let bad = || Level::Bad(String::new());
        assert_eq!(priority(10, &[item(-20, false, bad())]), Some(1));
        let good = [item(200, false, Level::Good), item(2, false, Level::Good)];
        assert_eq!(priority(100, &good), Some(254));
        assert_eq!(priority(255, &[item(-20, false, bad())]), Some(255));
    }

    #[test]
    fn a_file_gives_its_number_times_the_weight() {
        assert_eq!(
            priority(100, &[item(2, false, Level::Value(-10))]),
            Some(80)
        );
        assert_eq!(
            priority(100, &[item(1, true, Level::Value(-10))]),
            Some(110)
        );
        assert_eq!(priority(100, &[item(1, false, Level::Value(-254))]), None);
        assert_eq!(priority(100, &[item(0, false, Level::Value(1))]), None);
        assert_eq!(priority(100, &[item(0, false, Level::Value(0))]), Some(100));
    }
}
