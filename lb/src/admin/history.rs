//! An hour of history of each frontend, backend and server, in bounded memory: a few figures
//! every ten seconds, kept by the control thread. The data path knows nothing of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::counters::Totals;
use crate::saved::SavedHistory;
use crate::state::{Proxy, Runtime, Server};

/// Time between points.
pub const STEP: Duration = Duration::from_secs(10);
/// Points kept: an hour.
pub const POINTS: usize = 360;
/// Subjects kept; beyond that, further ones have no history. 20 000 take about 150 MB: 20 bytes a
/// point, 7.2 kB and some names a subject.
const SUBJECTS: usize = 20_000;
/// Subjects whose history outlives the process: at most 20 kB each as text.
const SAVED: usize = 3000;

/// What one moment looked like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Point {
    pub sessions: u32,
    /// New sessions in ten seconds: long-lived ones come more rarely than one a second.
    pub session_rate: u32,
    /// Per second.
    pub byte_rate: u32,
    /// Failed connections, failed answers and retries since the point before.
    pub errors: u32,
    /// Duration of the last check in milliseconds; of a backend, the slowest of its servers.
    pub check_ms: u32,
}

impl Point {
    fn numbers(&self) -> [u32; 5] {
        [
            self.sessions,
            self.session_rate,
            self.byte_rate,
            self.errors,
            self.check_ms,
        ]
    }

    fn of_numbers(numbers: &[u32; 5]) -> Point {
        let [sessions, session_rate, byte_rate, errors, check_ms] = *numbers;
        Point {
            sessions,
            session_rate,
            byte_rate,
            errors,
            check_ms,
        }
    }
}

/// Who has a history.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Frontend(String),
    Backend(String),
    Server(String, String),
}

struct Track {
    points: VecDeque<Point>,
    /// Counters at the last point; not known of a process before this one.
    last: Option<Totals>,
    seen: u64,
}

/// The histories.
#[derive(Default)]
pub struct History {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    tracks: HashMap<Subject, Track>,
    round: u64,
    last: Option<Instant>,
}

impl History {
    /// Takes a point of everything if it is time for one.
    pub fn take(&self, runtime: &Runtime, now: Instant) {
        let mut inner = self.lock();
        let elapsed = inner.last.map(|last| now.duration_since(last));
        if elapsed.is_some_and(|elapsed| elapsed < STEP) {
            return;
        }
        inner.last = Some(now);
        inner.round += 1;
        let seconds = elapsed.unwrap_or(STEP).as_secs().max(1);
        for proxy in &runtime.generation().proxies {
            inner.proxy(proxy, seconds);
        }
        // what a reload removed is forgotten
        let round = inner.round;
        inner.tracks.retain(|_, track| track.seen == round);
    }

    /// The points of a subject, oldest first.
    pub fn of(&self, subject: &Subject) -> Vec<Point> {
        let inner = self.lock();
        let track = inner.tracks.get(subject);
        track.map_or_else(Vec::new, |track| track.points.iter().copied().collect())
    }

    /// The histories for a later process; proxies come first when there are too many.
    pub fn keep(&self) -> Vec<SavedHistory> {
        let inner = self.lock();
        let mut subjects: Vec<_> = inner.tracks.iter().collect();
        subjects.sort_unstable_by_key(|(subject, _)| *subject);
        subjects.truncate(SAVED);
        let one = |(subject, track): (&Subject, &Track)| {
            let (kind, proxy, server) = match subject {
                Subject::Frontend(proxy) => ('f', proxy, ""),
                Subject::Backend(proxy) => ('b', proxy, ""),
                Subject::Server(proxy, server) => ('s', proxy, server.as_str()),
            };
            SavedHistory {
                kind,
                proxy: proxy.clone(),
                server: server.to_owned(),
                points: track.points.iter().map(Point::numbers).collect(),
            }
        };
        subjects.into_iter().map(one).collect()
    }

    /// Goes on from the histories of a process that ended `ago` ago; that time is shown as empty.
    pub fn restore(&self, kept: &[SavedHistory], ago: Duration) {
        let gap = (ago.as_secs() / STEP.as_secs()) as usize;
        if gap >= POINTS {
            return;
        }
        let mut inner = self.lock();
        let round = inner.round;
        for one in kept.iter().take(SUBJECTS) {
            let (proxy, server) = (one.proxy.clone(), one.server.clone());
            let subject = match one.kind {
                'f' => Subject::Frontend(proxy),
                'b' => Subject::Backend(proxy),
                's' => Subject::Server(proxy, server),
                _ => continue,
            };
            let mut points = VecDeque::with_capacity(POINTS);
            let old = one.points.len().min(POINTS - gap);
            let latest = &one.points[one.points.len() - old..];
            points.extend(latest.iter().map(Point::of_numbers));
            points.extend(std::iter::repeat_n(Point::default(), gap));
            let track = Track {
                points,
                last: None,
                seen: round,
            };
            inner.tracks.insert(subject, track);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Inner {
    fn proxy(&mut self, proxy: &Proxy, seconds: u64) {
        let name = || proxy.name().to_owned();
        if let Some(front) = &proxy.front {
            let totals = front.counters.totals();
            self.point(
                Subject::Frontend(name()),
                totals,
                front.connections.get(),
                0,
                seconds,
            );
        }
        if let Some(back) = &proxy.back {
            let totals = back.counters.totals();
            self.point(
                Subject::Backend(name()),
                totals,
                back.sessions.get(),
                proxy.servers.iter().map(|s| check_ms(s)).max().unwrap_or(0),
                seconds,
            );
        }
        for server in &proxy.servers {
            let subject = Subject::Server(name(), server.name().to_owned());
            let sessions = server.sessions.get();
            self.point(
                subject,
                server.counters.totals(),
                sessions,
                check_ms(server),
                seconds,
            );
        }
    }

    fn point(&mut self, subject: Subject, now: Totals, sessions: u32, check_ms: u32, seconds: u64) {
        let round = self.round;
        if self.tracks.len() >= SUBJECTS && !self.tracks.contains_key(&subject) {
            return;
        }
        let track = self.tracks.entry(subject).or_insert_with(|| Track {
            // exactly, because growing by doubling would take half as much again
            points: VecDeque::with_capacity(POINTS),
            last: None,
            seen: round,
        });
        track.seen = round;
        let last = track.last.take().unwrap_or_else(|| now.clone());
        let since = |now: u64, before: u64| now.saturating_sub(before);
        let per_second = |count: u64| u32::try_from(count / seconds).unwrap_or(u32::MAX);
        let bytes = |totals: &Totals| totals.bytes_in + totals.bytes_out;
        let errors = |totals: &Totals| {
            totals.failed_connects + totals.failed_responses + totals.retries + totals.bad_requests
        };
        let point = Point {
            sessions,
            session_rate: per_second(since(now.sessions, last.sessions) * 10),
            byte_rate: per_second(since(bytes(&now), bytes(&last))),
            errors: u32::try_from(since(errors(&now), errors(&last))).unwrap_or(u32::MAX),
            check_ms,
        };
        if track.points.len() == POINTS {
            track.points.pop_front();
        }
        track.points.push_back(point);
        track.last = Some(now);
    }
}

fn check_ms(server: &Server) -> u32 {
    let health = server.health.lock().unwrap_or_else(|e| e.into_inner());
    let duration = health.duration().map(|duration| duration.as_millis());
    duration.map_or(0, |ms| u32::try_from(ms).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(sessions: u64, bytes: u64) -> Totals {
        Totals {
            sessions,
            bytes_in: bytes,
            ..Totals::default()
        }
    }

    #[test]
    fn points_hold_rates_and_the_oldest_make_room() {
        let history = History::default();
        let subject = Subject::Backend("b".into());
        for round in 0..POINTS as u64 + 5 {
            let mut inner = history.lock();
            inner.round = round;
            inner.point(subject.clone(), totals(round * 20, round * 1000), 7, 3, 10);
        }
        let points = history.of(&subject);
        assert_eq!(points.len(), POINTS);
        assert_eq!(
            points[0],
            Point {
                sessions: 7,
                session_rate: 20,
                byte_rate: 100,
                errors: 0,
                check_ms: 3
            }
        );
    }

    #[test]
    fn memory_is_bounded_in_points_and_in_subjects() {
        let history = History::default();
        let mut inner = history.lock();
        for number in 0..SUBJECTS + 50 {
            let subject = Subject::Backend(number.to_string());
            for round in 0..3 {
                inner.point(subject.clone(), totals(round, round), 1, 1, 10);
            }
        }
        assert_eq!(inner.tracks.len(), SUBJECTS);
        assert_eq!(size_of::<Point>(), 20);
        let subject = Subject::Backend("7".into());
        for round in 0..10 * POINTS as u64 {
            inner.point(subject.clone(), totals(round, round), 1, 1, 10);
        }
        let points = &inner.tracks[&subject].points;
        assert_eq!((points.len(), points.capacity()), (POINTS, POINTS));
    }

    #[test]
    fn a_later_process_goes_on_after_a_gap_and_bounds_hold_there_too() {
        let before = History::default();
        let subject = Subject::Server("b".into(), "s".into());
        let mut inner = before.lock();
        for round in 0..POINTS as u64 {
            inner.point(subject.clone(), totals(round * 10, 0), round as u32, 0, 10);
        }
        drop(inner);
        let after = History::default();
        after.restore(&before.keep(), STEP * 3);
        let points = after.of(&subject);
        assert_eq!(points.len(), POINTS);
        assert_eq!(points[POINTS - 4].sessions, POINTS as u32 - 1);
        assert_eq!(points[POINTS - 1], Point::default());
        // counters of before do not look like a burst
        after
            .lock()
            .point(subject.clone(), totals(9999, 0), 1, 0, 10);
        assert_eq!(after.of(&subject)[POINTS - 1].session_rate, 0);
        let late = History::default();
        late.restore(&before.keep(), STEP * POINTS as u32);
        assert!(late.of(&subject).is_empty());
        let strange = SavedHistory {
            points: vec![[1; 5]; 10 * POINTS],
            kind: 'b',
            ..SavedHistory::default()
        };
        late.restore(&[strange, SavedHistory::default()], Duration::ZERO);
        assert_eq!(late.of(&Subject::Backend(String::new())).len(), POINTS);
    }

    #[test]
    fn counters_that_were_cleared_do_not_make_rates_explode() {
        let history = History::default();
        let subject = Subject::Frontend("f".into());
        let mut inner = history.lock();
        inner.point(subject.clone(), totals(100, 100), 0, 0, 10);
        inner.point(subject.clone(), totals(0, 0), 0, 0, 10);
        drop(inner);
        assert_eq!(history.of(&subject)[1].session_rate, 0);
    }
}
