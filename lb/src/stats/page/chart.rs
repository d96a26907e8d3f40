//! Small charts as inline SVG: drawn here, so that they need no script.

use std::fmt::Write as _;

use super::markup::escaped;
use crate::admin::history::{Point, STEP};

const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 42.0;

/// The charts of a subject; those of checks only where there are any.
pub fn charts(key: &str, points: &[Point], checked: bool, out: &mut String) {
    let _ = write!(out, "<div class=side data-swap=\"{}\">", escaped(key));
    let mut one = |title: &str, value: fn(&Point) -> u32, unit: &str| {
        chart(title, points, value, unit, out);
    };
    one("Sessions", |point| point.sessions, "");
    one("New sessions", |point| point.session_rate, "/s");
    one("Bytes", |point| point.byte_rate, "B/s");
    one("Errors and retries", |point| point.errors, "");
    if checked {
        one("Check", |point| point.check_ms, "ms");
    }
    out.push_str("</div>\n");
}

fn chart(title: &str, points: &[Point], value: fn(&Point) -> u32, unit: &str, out: &mut String) {
    let last = points.last().map_or(0, value);
    let max = points.iter().map(value).max().unwrap_or(0);
    let seconds = points.len() as u64 * STEP.as_secs();
    let span = match seconds {
        0..60 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    };
    let _ = write!(
        out,
        "<div class=chart><b>{title}: {}{unit} <small>max {}{unit}, last {span}</small></b>\
         <svg width={WIDTH} height={HEIGHT} viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=img aria-label=\"{title}\">",
        short(last),
        short(max)
    );
    if points.len() > 1 {
        let line = line(points, value, max);
        let start = x(points.len(), 0);
        let _ = write!(
            out,
            "<path class=area d=\"M{start:.1} {HEIGHT}L{line}L{WIDTH} {HEIGHT}Z\"/><path d=\"M{line}\"/>"
        );
    }
    out.push_str("</svg></div>");
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
    fn the_newest_point_is_at_the_right_edge() {
        let points = [Point::default(); 100];
        assert_eq!(x(points.len(), 99), WIDTH);
        assert_eq!(x(points.len(), 0), 0.0);
        assert!(x(2, 0) > WIDTH * 0.9);
        let mut out = String::new();
        charts("k", &points, true, &mut out);
        assert_eq!(out.matches("<svg").count(), 5);
        assert_eq!(out.matches("<path").count(), 10);
    }
}
