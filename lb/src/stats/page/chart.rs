//! Small charts as inline SVG: drawn here, so that they need no script.

use std::fmt::Write as _;

use super::markup::escaped;
use crate::admin::history::{Point, STEP};

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 42.0;

/// What a chart's numbers are.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    /// Things in ten seconds, shown as so many a second.
    TenthsPerSecond,
    /// Things in a step of the history.
    PerStep,
    BytesPerSecond,
    Milliseconds,
}

impl Unit {
    fn shown(self, number: u32) -> String {
        match self {
            Unit::Count => short(number),
            Unit::TenthsPerSecond if number == 0 => "0/s".to_owned(),
            Unit::TenthsPerSecond if number < 100 => format!("{}.{}/s", number / 10, number % 10),
            Unit::TenthsPerSecond => format!("{}/s", short(number / 10)),
            Unit::PerStep => format!("{} in {} s", short(number), STEP.as_secs()),
            Unit::BytesPerSecond => match number {
                0..1000 => format!("{number} B/s"),
                _ => {
                    let text = short(number);
                    let (value, unit) = text.split_at(text.len() - 1);
                    format!("{value} {unit}B/s")
                }
            },
            Unit::Milliseconds if number >= 1000 => {
                format!("{:.1} s", f64::from(number) / 1000.0)
            }
            Unit::Milliseconds => format!("{number} ms"),
        }
    }
}

/// The charts of a subject; those of checks only where there are any.
pub fn charts(key: &str, points: &[Point], checked: bool, out: &mut String) {
    let _ = write!(out, "<div class=side data-swap=\"{}\">", escaped(key));
    if points.is_empty() {
        out.push_str("<p>No history yet: the first point comes within ten seconds.</p>");
    }
    let mut one = |title: &str, value: fn(&Point) -> u32, unit: Unit| {
        if !points.is_empty() {
            chart(title, points, value, unit, out);
        }
    };
    one("Sessions", |point| point.sessions, Unit::Count);
    one(
        "New sessions",
        |point| point.session_rate,
        Unit::TenthsPerSecond,
    );
    one("Traffic", |point| point.byte_rate, Unit::BytesPerSecond);
    one("Errors and retries", |point| point.errors, Unit::PerStep);
    if checked {
        one("Check", |point| point.check_ms, Unit::Milliseconds);
    }
    out.push_str("</div>\n");
}

fn chart(title: &str, points: &[Point], value: fn(&Point) -> u32, unit: Unit, out: &mut String) {
    let last = unit.shown(points.last().map_or(0, value));
    let max = points.iter().map(value).max().unwrap_or(0);
    let _ = write!(
        out,
        "<div class=chart><b>{title} <span>{last}</span></b><small>max {}</small>\
         <svg width={WIDTH} height={HEIGHT} viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=none role=img \
         aria-label=\"{title}: {last} now\">",
        unit.shown(max)
    );
    grid(points.len(), out);
    if points.len() > 1 {
        let line = line(points, value, max);
        let start = x(points.len(), 0);
        let _ = write!(
            out,
            "<path class=area d=\"M{start:.1} {HEIGHT}L{line}L{WIDTH} {HEIGHT}Z\"/><path d=\"M{line}\"/>"
        );
    }
    let _ = write!(
        out,
        "</svg><small class=axis><span>{} ago</span><span>now</span></small></div>",
        span(points.len().max(POINTS_MIN))
    );
}

/// The time that so many points take.
fn span(points: usize) -> String {
    let seconds = points as u64 * STEP.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}

/// A line at every ten minutes, or at every minute of a young history.
fn grid(count: usize, out: &mut String) {
    let minute = (60 / STEP.as_secs()) as usize;
    let step = if count > 15 * minute {
        10 * minute
    } else {
        minute
    };
    let width = count.max(POINTS_MIN);
    for back in (step..width).step_by(step) {
        let place = WIDTH - back as f64 * WIDTH / (width - 1) as f64;
        let _ = write!(out, "<path class=grid d=\"M{place:.1} 0V{HEIGHT}\"/>");
    }
}

/// Points that fill the width at least, so that a young history does not look like an old one.
const POINTS_MIN: usize = 30;

/// The newest point stands at the right edge.
fn x(count: usize, index: usize) -> f64 {
    let from_right = (count - 1 - index) as f64;
    WIDTH - from_right * WIDTH / (count.max(POINTS_MIN) - 1) as f64
}

fn line(points: &[Point], value: fn(&Point) -> u32, max: u32) -> String {
    let mut out = String::with_capacity(points.len() * 12);
    for (index, point) in points.iter().enumerate() {
        let height = f64::from(value(point)) / f64::from(max.max(1)) * (HEIGHT - 3.0);
        let y = HEIGHT - 1.0 - height;
        let _ = write!(out, "{:.1} {y:.1} ", x(points.len(), index));
    }
    out.truncate(out.trim_end().len());
    out
}

/// A figure in few letters: `1.5k`.
pub fn short(number: u32) -> String {
    const UNITS: [&str; 4] = ["", "k", "M", "G"];
    let mut value = f64::from(number);
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => number.to_string(),
        _ => format!("{value:.1}{}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(short(999), "999");
        assert_eq!(short(1500), "1.5k");
        assert_eq!(short(4_000_000_000), "4.0G");
    }

    #[test]
    fn every_figure_has_its_unit() {
        assert_eq!(Unit::TenthsPerSecond.shown(7), "0.7/s");
        assert_eq!(Unit::TenthsPerSecond.shown(15_000), "1.5k/s");
        assert_eq!(Unit::BytesPerSecond.shown(1500), "1.5 kB/s");
        assert_eq!(Unit::Milliseconds.shown(1500), "1.5 s");
        assert_eq!(Unit::PerStep.shown(3), "3 in 10 s");
    }

    #[test]
    fn the_newest_point_is_at_the_right_edge() {
        let points = [Point::default(); 100];
        assert_eq!(x(points.len(), 99), WIDTH);
        assert_eq!(x(points.len(), 0), 0.0);
        assert!(x(2, 0) > WIDTH * 0.9);
        let mut out = String::new();
        charts("k", &points, true, &mut out);
        assert_eq!(out.matches("<svg").count(), 5);
        assert_eq!(out.matches("<path d=").count(), 5);
        assert!(out.contains("<span>16 min ago</span>"), "{out}");
    }
}
