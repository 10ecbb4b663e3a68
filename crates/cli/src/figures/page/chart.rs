//! What all charts share: scales, axes, and a frame whose words are text of the page. The drawing is stretched to the
//! window, the words are not: they can be read on a telephone.

use std::fmt::Write as _;
use std::time::Duration;

use crate::figures::units;

/// The drawing is so many units wide and high, whatever its size in the window.
pub(super) const SIZE: f64 = 1000.0;

/// Latencies, each ten times as far from zero as the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Log {
    low: f64,
    high: f64,
}

impl Log {
    /// From the shortest to the longest, with a little room.
    pub(super) fn new(low: Duration, high: Duration) -> Self {
        let low = low.as_secs_f64().max(1e-7);
        let high = high.as_secs_f64().max(low * 1.2);
        Self { low: (low * 0.9).log10(), high: (high * 1.1).log10() }
    }

    /// Where a time lies: 0 is the low end, 1 the high one.
    pub(super) fn at(self, time: Duration) -> f64 {
        ((time.as_secs_f64().max(1e-9).log10() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The time at a place.
    pub(super) fn time(self, at: f64) -> Duration {
        Duration::try_from_secs_f64(10_f64.powf(self.low + at * (self.high - self.low))).unwrap_or_default()
    }

    /// Round times, with at least so much between each and the next.
    #[allow(clippy::cast_possible_truncation, reason = "exponents are small")]
    pub(super) fn ticks(self, apart: f64) -> Vec<Duration> {
        let steps: [&[f64]; 4] = [
            &[1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
            &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0],
            &[1.0, 2.0, 5.0],
            &[1.0],
        ];
        let mut ticks = Vec::new();
        for digits in steps {
            ticks = (self.low.floor() as i32..=self.high.ceil() as i32)
                .flat_map(|exponent| digits.iter().map(move |digit| digit * 10_f64.powi(exponent)))
                .filter(|time| (self.low..=self.high).contains(&time.log10()))
                .filter_map(|time| Duration::try_from_secs_f64(time).ok())
                .collect();
            let nearest = ticks.windows(2).map(|pair| self.at(pair[1]) - self.at(pair[0])).fold(1.0, f64::min);
            if nearest >= apart {
                return ticks;
            }
        }
        // More decades than there is room for.
        let mut last = -apart;
        ticks.retain(|&time| {
            let is_far = self.at(time) - last >= apart;
            last = if is_far { self.at(time) } else { last };
            is_far
        });
        ticks
    }
}

/// A round number that is at least this large: where an axis ends.
pub(super) fn round_up(number: f64) -> f64 {
    if number <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(number.log10().floor());
    [1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
        .into_iter()
        .map(|digit| digit * decade)
        .find(|&end| end >= number)
        .unwrap_or(decade * 10.0)
}

/// A time as an axis names it: `200 µs`, not `200.0 µs`.
pub(super) fn tick(time: Duration) -> String {
    let text = units::time(time);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A frame: words around a drawing.
#[derive(Debug, Default)]
pub(super) struct Plot {
    /// Its height, a class of the style sheet.
    pub(super) class: &'static str,
    drawing: String,
    words: String,
}

impl Plot {
    pub(super) fn new(class: &'static str) -> Self {
        Self { class, ..Self::default() }
    }

    /// A line across, and its name at the left. Places are from the lower left corner, from 0 to 1.
    pub(super) fn level(&mut self, at: f64, name: &str) {
        let y = SIZE * (1.0 - at);
        let _ = write!(self.drawing, "<line class=\"grid\" x1=\"0\" x2=\"1000\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        let _ = write!(self.words, "<span class=\"y\" style=\"top:{:.2}%\">{name}</span>", 100.0 * (1.0 - at));
    }

    /// A name under the drawing.
    pub(super) fn mark(&mut self, at: f64, name: &str, minor: bool) {
        let edge = match at {
            ..0.03 => " first",
            0.97.. => " last",
            _ => "",
        };
        let minor = if minor { " minor" } else { "" };
        let _ = write!(self.words, "<span class=\"x{edge}{minor}\" style=\"left:{:.2}%\">{name}</span>", 100.0 * at);
    }

    /// A line upwards, and its name at its foot.
    pub(super) fn upright(&mut self, at: f64, name: &str, minor: bool) {
        let x = SIZE * at;
        let _ = write!(self.drawing, "<line class=\"grid\" y1=\"0\" y2=\"1000\" x1=\"{x:.1}\" x2=\"{x:.1}\"/>");
        self.mark(at, name, minor);
    }

    /// The name of a line, at its right end. Two that would overlap are moved apart.
    pub(super) fn ends(&mut self, mut names: Vec<(&'static str, f64, &'static str)>) {
        names.sort_by(|a, b| a.1.total_cmp(&b.1));
        let apart = 0.07;
        for index in 1..names.len() {
            names[index].1 = names[index].1.max(names[index - 1].1 + apart);
        }
        for (class, at, name) in names {
            let _ = write!(
                self.words,
                "<span class=\"end {class}\" style=\"top:{:.2}%\">{name}</span>",
                100.0 * (1.0 - at)
            );
        }
    }

    /// A line upwards with a name on top.
    pub(super) fn flag(&mut self, class: &str, at: f64, name: &str) {
        let x = SIZE * at;
        let _ = write!(self.drawing, "<line class=\"{class}\" y1=\"0\" y2=\"1000\" x1=\"{x:.1}\" x2=\"{x:.1}\"/>");
        let _ = write!(self.words, "<span class=\"flag {class}\" style=\"left:{:.2}%\">{name}</span>", 100.0 * at);
    }

    /// A line through points; where there is none, it is broken.
    pub(super) fn path(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        let path = path(points);
        if !path.is_empty() {
            let _ = write!(self.drawing, "<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    /// The space under a line.
    pub(super) fn area(&mut self, points: &[(f64, f64)]) {
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
        let around: Vec<_> =
            [(first.0, 0.0)].into_iter().chain(points.iter().copied()).chain([(last.0, 0.0)]).map(Some).collect();
        let _ = write!(self.drawing, "<path class=\"area\" d=\"{}Z\"/>", path(&around));
    }

    /// A box with words that are shown where a pointer rests.
    pub(super) fn cell(&mut self, class: &str, (left, right): (f64, f64), (low, high): (f64, f64), words: &str) {
        let (x, y) = (SIZE * left, SIZE * (1.0 - high));
        let (width, height) = (SIZE * (right - left), SIZE * (high - low));
        let _ = write!(
            self.drawing,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{words}</title></rect>"
        );
    }

    /// The whole, with words for who cannot see it.
    pub(super) fn finish(self, said: &str) -> String {
        let Self { class, drawing, words } = self;
        format!(
            "<div class=\"plot {class}\"><svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{said}\">{drawing}<line class=\"axis\" x1=\"0\" x2=\"1000\" y1=\"1000\" y2=\"1000\"/></svg>{words}</div>\n"
        )
    }
}

fn path(points: &[Option<(f64, f64)>]) -> String {
    let mut path = String::new();
    let mut pen_is_down = false;
    for point in points {
        match point {
            Some((x, y)) => {
                let letter = if pen_is_down { 'L' } else { 'M' };
                let _ = write!(path, "{letter}{:.1} {:.1}", SIZE * x, SIZE * (1.0 - y));
                pen_is_down = true;
            }
            None => pen_is_down = false,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_round_times_and_never_too_many() {
        let names = |low: u64, high: u64, apart: f64| {
            let scale = Log::new(Duration::from_nanos(low), Duration::from_nanos(high));
            let ticks = scale.ticks(apart);
            let far = ticks.windows(2).all(|pair| scale.at(pair[1]) - scale.at(pair[0]) >= apart);
            assert!(far && ticks.len() <= 40, "{low} {high}: {ticks:?}");
            ticks.into_iter().map(tick).collect::<Vec<_>>()
        };
        assert_eq!(names(100_000, 1_000_000, 0.2), ["100 µs", "200 µs", "500 µs", "1 ms"]);
        assert_eq!(names(90_000, 95_000_000, 0.2), ["100 µs", "1 ms", "10 ms", "100 ms"]);
        for (low, high) in [(1, 2), (1, 1 << 50), (500, 501), (1_000_000_000, 1_000_000_000), (7_000, 12_000)] {
            for apart in [0.07, 0.2] {
                assert!(!names(low, high, apart).is_empty(), "{low} {high}");
            }
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!([0.0, 1.0, 1.01, 97.0, 123_456.0].map(round_up), [1.0, 1.0, 1.2, 100.0, 150_000.0]);
    }

    #[test]
    fn a_line_is_broken_where_there_is_no_value() {
        assert_eq!(
            path(&[Some((0.0, 0.0)), Some((0.5, 1.0)), None, Some((1.0, 0.5))]),
            "M0.0 1000.0L500.0 0.0M1000.0 500.0"
        );
    }
}
