//! Dates of log lines, worked out once a second per thread.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment: seconds and microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Seconds.
    pub seconds: i64,
    /// Microseconds behind them.
    pub micros: u32,
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Moment {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment {
            seconds: since.as_secs() as i64,
            micros: since.subsec_micros(),
        }
    }
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        Moment::from(SystemTime::now())
    }

    /// Milliseconds of the second.
    pub fn millis(self) -> u32 {
        self.micros / 1000
    }
}

/// The texts of one second in one zone.
#[derive(Clone, Debug, Default)]
struct Texts {
    seconds: Option<i64>,
    /// `20/Nov/2026:09:39:36`
    plain: String,
    /// ` +0100`
    offset: String,
    /// `Nov 20 09:39:36`
    syslog: String,
    /// `2026-11-20T09:39:36`
    iso: String,
    /// `+01:00`
    iso_offset: String,
}

thread_local! {
    static LOCAL: RefCell<Texts> = RefCell::default();
    static GMT: RefCell<Texts> = RefCell::default();
}

/// Loads the time zone, which is out of reach after a chroot.
pub fn prepare() {
    drop(local(Moment::now()));
}

fn with_local<R>(moment: Moment, use_it: impl FnOnce(&Texts) -> R) -> R {
    LOCAL.with_borrow_mut(|texts| {
        texts.refresh(moment.seconds, TimeZone::system);
        use_it(texts)
    })
}

impl Texts {
    fn refresh(&mut self, seconds: i64, zone: impl FnOnce() -> TimeZone) {
        if self.seconds == Some(seconds) {
            return;
        }
        let stamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
        let date = stamp.to_zoned(zone());
        self.seconds = Some(seconds);
        self.fill(&date);
    }

    fn fill(&mut self, date: &Zoned) {
        let month = MONTHS[usize::from(date.month().unsigned_abs()).clamp(1, 12) - 1];
        let (day, year) = (date.day(), date.year());
        let time = format!(
            "{:02}:{:02}:{:02}",
            date.hour(),
            date.minute(),
            date.second()
        );
        let minutes = date.offset().seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, rest) = (minutes.abs() / 60, minutes.abs() % 60);
        self.plain = format!("{day:02}/{month}/{year}:{time}");
        self.offset = format!(" {sign}{hours:02}{rest:02}");
        self.syslog = format!("{month} {day:2} {time}");
        self.iso = format!("{year}-{:02}-{day:02}T{time}", date.month());
        self.iso_offset = format!("{sign}{hours:02}:{rest:02}");
    }
}

/// `20/Nov/2026:09:39:36.763`, local time.
pub fn with_millis(moment: Moment) -> String {
    with_local(moment, |texts| {
        format!("{}.{:03}", texts.plain, moment.millis())
    })
}

/// `20/Nov/2026:09:39:36 +0100`, local time.
pub fn local(moment: Moment) -> String {
    with_local(moment, |texts| format!("{}{}", texts.plain, texts.offset))
}

/// `20/Nov/2026:08:39:36 +0000`.
pub fn gmt(moment: Moment) -> String {
    GMT.with_borrow_mut(|texts| {
        texts.refresh(moment.seconds, || TimeZone::UTC);
        format!("{}{}", texts.plain, texts.offset)
    })
}

/// `Nov 20 09:39:36`, local time, appended.
pub fn push_syslog(out: &mut String, moment: Moment) {
    with_local(moment, |texts| out.push_str(&texts.syslog));
}

/// `2026-11-20T09:39:36.763000+01:00`, local time, appended.
pub fn push_iso(out: &mut String, moment: Moment) {
    with_local(moment, |texts| {
        out.push_str(&texts.iso);
        out.push_str(&format!(".{:06}", moment.micros));
        out.push_str(&texts.iso_offset);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_forms_of_log_lines() {
        let moment = Moment {
            seconds: 1_795_224_863,
            micros: 193_456,
        };
        assert_eq!(gmt(moment), "21/Nov/2026:01:34:23 +0000");
        let mut texts = Texts::default();
        texts.refresh(moment.seconds, || TimeZone::fixed(jiff::tz::offset(-3)));
        assert_eq!(texts.plain, "20/Nov/2026:22:34:23");
        assert_eq!(texts.offset, " -0300");
        assert_eq!(texts.syslog, "Nov 20 22:34:23");
        assert_eq!(
            format!("{}{}", texts.iso, texts.iso_offset),
            "2026-11-20T22:34:23-03:00"
        );
    }

    #[test]
    fn a_day_below_ten_is_padded_as_syslog_wants_it() {
        let mut texts = Texts::default();
        texts.refresh(0, || TimeZone::UTC);
        assert_eq!(texts.syslog, "Jan  1 00:00:00");
    }
}
