//! The exponential over slices, and what is made of it.
//!
//! One call of the library's `exp` a number is as slow as a hundred
//! multiplications; this one has no branch, so that the compiler computes a whole
//! register at once. Source: Moshier, *Cephes* (`single/expf.c`), relative error
//! below 2e-7.

use crate::rows::{fold, on_best, sum};

on_best! {
    /// `softmax(scale · scores)` in place. Not a number when a score is none.
    pub(super) fn softmax(scores: &mut [f32], scale: f32) {
        let largest = largest(scores);
        for score in scores.iter_mut() {
            *score = exp((*score - largest) * scale);
        }
        let inverse = 1.0 / sum(scores, |x| x);
        for score in scores {
            *score *= inverse;
        }
    }
}

on_best! {
    /// `out = silu(gate) · up`, with `silu(x) = x / (1 + e⁻ˣ)`.
    pub(crate) fn swiglu(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
            *out = gate / (1.0 + exp(-gate)) * up;
        }
    }
}

/// The largest, of those that are numbers.
#[inline(always)]
fn largest(scores: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let (lanes, rest) = scores.as_chunks::<16>();
    let mut most = [f32::NEG_INFINITY; 16];
    for scores in lanes {
        for (most, score) in most.iter_mut().zip(scores) {
            *most = larger(*most, *score);
        }
    }
    rest.iter()
        .fold(fold(most, larger), |most, score| larger(most, *score))
}

on_best! {
    /// `silu(x)` in place.
    pub(crate) fn silu(values: &mut [f32]) {
        for value in values {
            *value /= 1.0 + exp(-*value);
        }
    }
}

on_best! {
    /// `grad · silu′(x)` in place of `grad`.
    pub(crate) fn silu_derivative(x: &[f32], grad: &mut [f32]) {
        for (x, grad) in x.iter().zip(grad) {
            let sigmoid = 1.0 / (1.0 + exp(-x));
            *grad *= sigmoid * (1.0 + x * (1.0 - sigmoid));
        }
    }
}

/// `eˣ`; what would be below or above the normal numbers is the nearest of them.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, the first short enough for an exact product.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    // Adding it leaves a small number's nearest integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const POLYNOMIAL: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    // Comparisons in place of `clamp` and `max`: they keep what is not a number.
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x * LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    let mut sum = POLYNOMIAL[0];
    for coefficient in &POLYNOMIAL[1..] {
        sum = sum * rest + coefficient;
    }
    let sum = sum * rest * rest + rest + 1.0;
    // The integer goes to the exponent.
    f32::from_bits(sum.to_bits().wrapping_add(rounded.to_bits() << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_the_exact_exponential_over_its_range() {
        for step in -8700..=8800 {
            let x = step as f32 / 100.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exp(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "{x}: {error:e}");
        }
        assert!(exp(-1e9) < 2e-38);
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(f32::INFINITY) > 1e38);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_of_any_number_of_scores_wherever_the_largest_is() {
        // Less than the lanes, as many, and more with a rest.
        for count in [1, 15, 16, 17, 32, 50] {
            for largest in [0, count / 2, count - 1] {
                let mut scores: Vec<f32> = (0..count).map(|i| (i * 7 % 13) as f32 - 90.0).collect();
                scores[largest] = 14.0;
                let of = |x: &f32| (f64::from(*x) * 0.5).exp();
                let total: f64 = scores.iter().map(of).sum();
                let expected: Vec<f64> = scores.iter().map(|x| of(x) / total).collect();
                softmax(&mut scores, 0.5);
                for (got, expected) in scores.iter().zip(expected) {
                    assert!(
                        (f64::from(*got) - expected).abs() < 1e-6 * expected,
                        "{count}"
                    );
                }
            }
        }
        // Also where numbers would be beyond what an exponential can be.
        let mut large = vec![3e4; 20];
        softmax(&mut large, 1.0);
        assert_eq!(large, [0.05; 20]);
        let mut broken = vec![1.0, f32::NAN, 2.0];
        softmax(&mut broken, 1.0);
        assert!(broken.iter().all(|x| x.is_nan()));
    }

    #[test]
    fn swiglu_of_small_large_and_negative() {
        let gate = [-100.0, -3.0, 0.0, 0.5, 40.0];
        let mut out = [0.0; 5];
        swiglu(&gate, &[2.0; 5], &mut out);
        for (gate, out) in gate.iter().zip(out) {
            let x = f64::from(*gate);
            let exact = x / (1.0 + (-x).exp()) * 2.0;
            assert!((f64::from(out) - exact).abs() < 1e-6 * (1.0 + exact.abs()));
        }
    }
}
