//! A moving average, so that a trend is seen through the noise of steps.

use super::Series;

/// Exponential moving average: `factor` is what remains of the past, from 0 (as
/// measured) to below 1. Weights are made whole at the beginning (as in Adam,
/// arXiv:1412.6980, section 3), so that the first value does not rule the rest.
pub fn smooth(series: &[(f64, f64)], factor: f64) -> Series {
    let factor = factor.clamp(0.0, 0.999);
    let (mut sum, mut weight) = (0.0, 0.0);
    let average = |(step, value): &(f64, f64)| {
        sum = factor * sum + (1.0 - factor) * value;
        weight = factor * weight + (1.0 - factor);
        (*step, sum / weight)
    };
    series.iter().map(average).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_smoothed_by_nothing() {
        let series = [(1.0, 3.0), (2.0, -1.0)];
        assert_eq!(smooth(&series, 0.0), series);
    }

    #[test]
    fn a_constant_stays_one() {
        let series: Series = (0..50).map(|n| (f64::from(n), 0.4)).collect();
        for (_, value) in smooth(&series, 0.9) {
            assert!((value - 0.4).abs() < 1e-12);
        }
    }

    #[test]
    fn the_past_weighs_what_it_should() {
        let smoothed = smooth(&[(0.0, 0.0), (1.0, 1.0)], 0.5);
        assert!((smoothed[1].1 - 2.0 / 3.0).abs() < 1e-12);
    }
}
