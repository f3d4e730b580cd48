//! Where a step and a value lie in the drawing.

/// The drawing, in its own units.
pub const VIEW: Size = Size {
    width: 360.0,
    height: 190.0,
};

/// Where lines are drawn: to the right of the values, above the steps.
pub const PLOT: Plot = Plot {
    left: 46.0,
    top: 8.0,
    width: 306.0,
    height: 158.0,
};

#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: f64,
    pub height: f64,
}

#[derive(Clone, Copy, Debug)]
pub struct Plot {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

/// Steps across, values up, in units of a plot's inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plane {
    pub steps: (f64, f64),
    pub values: (f64, f64),
    pub width: f64,
    pub height: f64,
}

impl Plane {
    /// From the left.
    pub fn across(&self, step: f64) -> f64 {
        share(self.steps, step) * self.width
    }

    /// From the top.
    pub fn down(&self, value: f64) -> f64 {
        (1.0 - share(self.values, value)) * self.height
    }

    /// An SVG path through the points.
    pub fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::with_capacity(points.len() * 12);
        for (at, (step, value)) in points.iter().enumerate() {
            let letter = if at == 0 { 'M' } else { 'L' };
            let (x, y) = (self.across(*step), self.down(*value));
            path.push_str(&format!("{letter}{x:.1} {y:.1}"));
        }
        path
    }

    /// An SVG path around `(step, low, high)`.
    pub fn area(&self, band: &[(f64, f64, f64)]) -> String {
        let there = band.iter().map(|(step, _, high)| (*step, *high));
        let back = band.iter().rev().map(|(step, low, _)| (*step, *low));
        let around: Vec<_> = there.chain(back).collect();
        match around.is_empty() {
            true => String::new(),
            false => format!("{}Z", self.path(&around)),
        }
    }
}

/// The whole step at a share of the drawing's width, within the extent.
pub fn step_under(share_of_width: f64, (from, to): (f64, f64)) -> f64 {
    let across = (share_of_width * VIEW.width - PLOT.left) / PLOT.width;
    (from + across.clamp(0.0, 1.0) * (to - from)).round()
}

/// An extent of `factor` times as many steps around `at`, within the whole;
/// nothing when it is the whole.
pub fn zoomed(
    (from, to): (f64, f64),
    at: f64,
    factor: f64,
    whole: (f64, f64),
) -> Option<(f64, f64)> {
    // Fewer than two steps are no extent.
    let span = ((to - from) * factor).round().max(2.0);
    if span >= whole.1 - whole.0 {
        return None;
    }
    let start = (at - span / 2.0).round();
    let start = start.max(whole.0).min(whole.1 - span);
    Some((start, start + span))
}

fn share((low, high): (f64, f64), value: f64) -> f64 {
    if high > low {
        (value - low) / (high - low)
    } else {
        0.5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANE: Plane = Plane {
        steps: (0.0, 10.0),
        values: (0.0, 1.0),
        width: 100.0,
        height: 50.0,
    };

    #[test]
    fn a_path_goes_through_its_points() {
        assert_eq!(PLANE.path(&[(0.0, 0.0), (5.0, 1.0)]), "M0.0 50.0L50.0 0.0");
        assert_eq!(PLANE.path(&[]), "");
    }

    #[test]
    fn an_area_goes_around_its_band() {
        let band = [(0.0, 0.0, 0.5), (10.0, 0.5, 1.0)];
        assert_eq!(
            PLANE.area(&band),
            "M0.0 25.0L100.0 0.0L100.0 25.0L0.0 50.0Z"
        );
        assert_eq!(PLANE.area(&[]), "");
    }

    #[test]
    fn a_pointer_is_over_a_step() {
        let middle = (PLOT.left + PLOT.width / 2.0) / VIEW.width;
        assert_eq!(step_under(middle, (0.0, 60.0)), 30.0);
        assert_eq!(step_under(0.0, (5.0, 60.0)), 5.0);
        assert_eq!(step_under(1.0, (5.0, 60.0)), 60.0);
    }

    #[test]
    fn a_zoom_stays_within_the_whole() {
        let whole = (0.0, 60.0);
        assert_eq!(zoomed(whole, 30.0, 0.5, whole), Some((15.0, 45.0)));
        assert_eq!(zoomed(whole, 60.0, 0.5, whole), Some((30.0, 60.0)));
        assert_eq!(zoomed((10.0, 12.0), 10.0, 0.5, whole), Some((9.0, 11.0)));
        assert_eq!(zoomed((15.0, 45.0), 30.0, 2.0, whole), None);
        assert_eq!(zoomed((0.0, 1.0), 0.0, 0.5, (0.0, 1.0)), None);
    }

    #[test]
    fn a_single_step_lies_in_the_middle() {
        let plane = Plane {
            steps: (3.0, 3.0),
            ..PLANE
        };
        assert_eq!(plane.across(3.0), 50.0);
    }
}
