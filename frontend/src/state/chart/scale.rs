//! Readable numbers on axes.

use crate::state::words::grouped;

/// Round numbers from `low` to `high`, about so many: 1, 2 or 5 times a power of ten.
pub fn ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 || about == 0 {
        return Vec::new();
    }
    let rough = span / about as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let stride = match rough / power {
        ..=1.5 => power,
        ..=3.5 => 2.0 * power,
        ..=7.5 => 5.0 * power,
        _ => 10.0 * power,
    };
    let first = (low / stride - 1e-9).ceil();
    let last = (high / stride + 1e-9).floor();
    // Never many, but a span of almost nothing must not loop for ever.
    let count = (last - first).clamp(-1.0, 100.0) as i32;
    (0..=count)
        .map(|n| (first + f64::from(n)) * stride)
        .collect()
}

/// Round whole numbers, for steps.
pub fn whole_ticks(low: f64, high: f64, about: usize) -> Vec<f64> {
    let mut all = ticks(low, high, about);
    all.retain(|tick| (tick - tick.round()).abs() < 1e-6);
    all
}

/// What stands beside each tick: as many decimals as tell them apart.
pub fn labels(ticks: &[f64]) -> Vec<String> {
    let largest = ticks
        .iter()
        .fold(0.0_f64, |most, tick| most.max(tick.abs()));
    let stride = match ticks {
        [first, second, ..] => second - first,
        _ => largest,
    };
    ticks
        .iter()
        .map(|tick| label(*tick, stride, largest))
        .collect()
}

fn label(tick: f64, stride: f64, largest: f64) -> String {
    if tick.abs() < stride.abs() * 1e-6 || tick == 0.0 {
        return "0".to_owned();
    }
    if largest < 1e-3 {
        return exponential(tick, 1);
    }
    for (size, letter) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] {
        if largest >= size * 10.0 || (largest >= size && stride >= size / 10.0) {
            return format!("{}{letter}", trimmed(tick / size, 2));
        }
    }
    let decimals = (-stride.abs().log10()).ceil().clamp(0.0, 6.0) as usize;
    format!("{tick:.decimals$}")
}

/// A measured value, with about four digits that matter.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "–".to_owned(),
        0.0 => "0".to_owned(),
        ..1e-3 => exponential(value, 2),
        ..1e4 => {
            let whole_digits = size.log10().floor().max(0.0) as usize;
            trimmed(value, 3_usize.saturating_sub(whole_digits))
        }
        ..1e15 => {
            let sign = if value < 0.0 { "−" } else { "" };
            format!("{sign}{}", grouped(size.round() as usize))
        }
        _ => exponential(value, 2),
    }
}

/// Without zeros at the end.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn exponential(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{power}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(low: f64, high: f64, about: usize) -> Vec<String> {
        labels(&ticks(low, high, about))
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            labelled(0.0, 1.0, 5),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labelled(-0.03, 0.11, 4), ["0", "0.05", "0.10"]);
        assert_eq!(
            labelled(0.0, 2e-5, 4),
            ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]
        );
        assert_eq!(
            labelled(0.0, 45_000.0, 4),
            ["0", "10k", "20k", "30k", "40k"]
        );
        assert_eq!(labelled(0.0, 300.0, 3), ["0", "100", "200", "300"]);
    }

    #[test]
    fn steps_are_whole() {
        assert_eq!(whole_ticks(1.0, 3.0, 6), [1.0, 2.0, 3.0]);
        assert_eq!(
            whole_ticks(0.0, 60.0, 5),
            [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
        );
    }

    #[test]
    fn an_empty_span_has_no_ticks() {
        assert!(ticks(1.0, 1.0, 5).is_empty());
        assert!(ticks(f64::NAN, 1.0, 5).is_empty());
        assert!(ticks(0.0, f64::INFINITY, 5).is_empty());
        assert!(ticks(1e16, 1e16 + 2.0, 5).len() <= 101);
    }

    #[test]
    fn values_read_well() {
        let cases = [
            (0.0, "0"),
            (0.734_56, "0.735"),
            (-1.5, "-1.5"),
            (12.345, "12.35"),
            (512.0, "512"),
            (1234.4, "1234"),
            (123_456.7, "123\u{202f}457"),
            (0.000_012_3, "1.23e-5"),
            (f64::NAN, "–"),
        ];
        for (value, words) in cases {
            assert_eq!(number(value), words);
        }
    }
}
