//! From lines to paths, ticks and words.

use super::Series;
use super::plane::{PLOT, Plane};
use super::scale::{labels, ticks, whole_ticks};
use super::smooth::smooth;
use super::thin::thin;

/// More points than this across a plot could not be told apart.
const MOST_POINTS: usize = 600;
/// So few points are marked one by one.
const FEW_POINTS: usize = 24;

/// One measure of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub name: String,
    /// Which of the colours.
    pub colour: usize,
    pub dashed: bool,
    pub points: Series,
    /// Step, low and high around it.
    pub band: Vec<(f64, f64, f64)>,
}

/// A line as paths of an SVG.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawnLine {
    pub colour: usize,
    pub dashed: bool,
    pub path: String,
    /// As measured, behind what is smoothed.
    pub measured: Option<String>,
    pub band: Option<String>,
    pub dots: Vec<(f64, f64)>,
}

/// All that a chart shows. Ticks are places in the plot with their words.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    pub plane: Plane,
    pub lines: Vec<DrawnLine>,
    pub step_ticks: Vec<(f64, String)>,
    pub value_ticks: Vec<(f64, String)>,
}

/// Draws `lines` over an extent of steps.
pub fn draw(lines: &[Line], extent: (f64, f64), smoothing: f64) -> Drawing {
    let seen: Vec<Seen> = lines
        .iter()
        .map(|line| Seen::new(line, extent, smoothing))
        .collect();
    let plane = Plane {
        steps: extent,
        values: range(&seen, extent),
        width: PLOT.width,
        height: PLOT.height,
    };
    let step_ticks = whole_ticks(extent.0, extent.1, 6);
    let value_ticks = ticks(plane.values.0, plane.values.1, 4);
    Drawing {
        lines: seen.iter().map(|seen| seen.drawn(&plane)).collect(),
        step_ticks: placed(&step_ticks, |tick| plane.across(tick)),
        value_ticks: placed(&value_ticks, |tick| plane.down(tick)),
        plane,
    }
}

fn placed(ticks: &[f64], place: impl Fn(f64) -> f64) -> Vec<(f64, String)> {
    let places = ticks.iter().map(|tick| place(*tick));
    places.zip(labels(ticks)).collect()
}

/// The part of a line that can be seen.
struct Seen<'a> {
    line: &'a Line,
    measured: Series,
    smoothed: Option<Series>,
    band: Vec<(f64, f64, f64)>,
}

impl<'a> Seen<'a> {
    fn new(line: &'a Line, extent: (f64, f64), smoothing: f64) -> Self {
        // The average is of the whole run: zooming in must not change it.
        let smoothed = (smoothing > 0.0).then(|| smooth(&line.points, smoothing));
        let band = line.band.iter().copied();
        // Whose average is smoothed and whose deviation is not would mislead.
        let band = band.filter(|(step, ..)| smoothing == 0.0 && within(extent, *step));
        Self {
            line,
            measured: thin(part(&line.points, extent), MOST_POINTS),
            smoothed: smoothed.map(|all| thin(part(&all, extent), MOST_POINTS)),
            band: band.collect(),
        }
    }

    fn drawn(&self, plane: &Plane) -> DrawnLine {
        let points = self.smoothed.as_ref().unwrap_or(&self.measured);
        let few = points.len() <= FEW_POINTS;
        let dots = points.iter().filter(|_| few);
        DrawnLine {
            colour: self.line.colour,
            dashed: self.line.dashed,
            path: plane.path(points),
            measured: self.smoothed.as_ref().map(|_| plane.path(&self.measured)),
            band: (!self.band.is_empty()).then(|| plane.area(&self.band)),
            dots: dots
                .map(|(step, value)| (plane.across(*step), plane.down(*value)))
                .collect(),
        }
    }
}

fn within((from, to): (f64, f64), step: f64) -> bool {
    (from..=to).contains(&step)
}

/// Points in the extent, and one on each side, so that lines go on to the edge.
fn part(series: &[(f64, f64)], (from, to): (f64, f64)) -> &[(f64, f64)] {
    let start = series.partition_point(|(step, _)| *step < from);
    let end = series.partition_point(|(step, _)| *step <= to);
    let end = (end + 1).min(series.len());
    &series[start.saturating_sub(1).min(end)..end]
}

/// Lowest and highest value that is seen, with some room.
fn range(seen: &[Seen], extent: (f64, f64)) -> (f64, f64) {
    let measured = seen.iter().flat_map(|seen| &seen.measured);
    let measured = measured.filter(|(step, _)| within(extent, *step));
    let bands = seen.iter().flat_map(|seen| &seen.band);
    let edges = bands.flat_map(|(_, low, high)| [*low, *high]);
    let values = measured.map(|(_, value)| *value).chain(edges);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if low > high {
        return (0.0, 1.0);
    }
    if high - low < low.abs().max(high.abs()) * 1e-9 || high == low {
        let room = if high == 0.0 { 1.0 } else { high.abs() / 2.0 };
        return (low - room, high + room);
    }
    let room = (high - low) * 0.06;
    // Measures that are almost at nothing are read against nothing.
    let from_zero = low >= 0.0 && low < high * 0.35;
    (if from_zero { 0.0 } else { low - room }, high + room)
}

/// A small curve without axes, in a box of `width` by `height`.
pub fn spark(curve: &[f64], width: f64, height: f64) -> String {
    let finite = curve.iter().copied().filter(|value| value.is_finite());
    let points: Series = finite
        .enumerate()
        .map(|(at, value)| (at as f64, value))
        .collect();
    if points.len() < 2 {
        return String::new();
    }
    let fold = |pick: fn(f64, f64) -> f64, from| points.iter().map(|at| at.1).fold(from, pick);
    let plane = Plane {
        steps: (0.0, (points.len() - 1) as f64),
        values: (
            fold(f64::min, f64::INFINITY),
            fold(f64::max, f64::NEG_INFINITY),
        ),
        width,
        height,
    };
    plane.path(&points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Line {
        let points = values.iter().enumerate();
        Line {
            name: "reward".into(),
            points: points.map(|(at, value)| (at as f64, *value)).collect(),
            ..Line::default()
        }
    }

    #[test]
    fn a_chart_has_lines_and_ticks() {
        let drawing = draw(&[line(&[0.0, 0.5, 1.0])], (0.0, 2.0), 0.0);
        let words: Vec<_> = drawing
            .value_ticks
            .iter()
            .map(|tick| tick.1.as_str())
            .collect();
        assert_eq!(words, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(drawing.step_ticks.len(), 3);
        assert!(drawing.lines[0].path.starts_with("M0.0 158.0L153.0"));
        assert_eq!(drawing.lines[0].dots.len(), 3);
        assert_eq!(drawing.lines[0].measured, None);
    }

    #[test]
    fn smoothing_keeps_what_was_measured_behind_it() {
        let mut noisy = line(&[0.0, 1.0, 0.0, 1.0]);
        noisy.band = vec![(0.0, -1.0, 1.0)];
        let drawing = draw(&[noisy], (0.0, 3.0), 0.8);
        let drawn = &drawing.lines[0];
        assert!(drawn.measured.is_some() && drawn.measured.as_deref() != Some(&drawn.path));
        assert_eq!(drawn.band, None);
    }

    #[test]
    fn zooming_in_reads_the_values_there() {
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let drawing = draw(&[line(&values)], (50.0, 60.0), 0.0);
        let (low, high) = drawing.plane.values;
        assert!((49.0..50.0).contains(&low) && (60.0..61.0).contains(&high));
        // One neighbour on each side.
        assert_eq!(drawing.lines[0].dots.len(), 13);
    }

    #[test]
    fn nothing_and_constants_have_a_range() {
        assert_eq!(draw(&[], (0.0, 1.0), 0.0).plane.values, (0.0, 1.0));
        assert_eq!(draw(&[line(&[])], (0.0, 0.0), 0.5).plane.values, (0.0, 1.0));
        assert_eq!(
            draw(&[line(&[2.0, 2.0])], (0.0, 1.0), 0.0).plane.values,
            (1.0, 3.0)
        );
        assert_eq!(
            draw(&[line(&[0.0])], (0.0, 0.0), 0.0).plane.values,
            (-1.0, 1.0)
        );
    }

    #[test]
    fn a_spark_fills_its_box() {
        assert_eq!(spark(&[0.0, 1.0], 10.0, 4.0), "M0.0 4.0L10.0 0.0");
        assert_eq!(spark(&[0.5, f64::NAN], 10.0, 4.0), "");
        assert_eq!(spark(&[], 10.0, 4.0), "");
    }
}
