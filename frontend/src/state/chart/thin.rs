//! Fewer points where more could not be seen.

use super::Series;

/// At most about `most` points: of each stretch its lowest and its highest, so
/// that no peak is lost.
pub fn thin(series: &[(f64, f64)], most: usize) -> Series {
    if series.len() <= most || most < 4 {
        return series.to_vec();
    }
    let stretch = series.len().div_ceil(most / 2);
    let mut thinned = Vec::with_capacity(most + 2);
    for points in series.chunks(stretch) {
        let low = points.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = points.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let (Some(low), Some(high)) = (low, high) else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 {
            (low, high)
        } else {
            (high, low)
        };
        thinned.push(*first);
        if second != first {
            thinned.push(*second);
        }
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_kept() {
        let mut series: Series = (0..10_000).map(|n| (f64::from(n), 0.5)).collect();
        series[4321].1 = 9.0;
        series[8765].1 = -9.0;
        let thinned = thin(&series, 400);
        assert!(thinned.len() <= 402, "{}", thinned.len());
        assert!(thinned.contains(&(4321.0, 9.0)) && thinned.contains(&(8765.0, -9.0)));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        let series = [(0.0, 1.0), (1.0, 2.0)];
        assert_eq!(thin(&series, 400), series);
    }
}
