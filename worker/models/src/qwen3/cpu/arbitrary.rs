//! Numbers for tests.

use half::bf16;

/// `count` numbers from -1 to 1, others for another `seed`.
pub(super) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// The same, each exactly a bf16.
pub(super) fn halves(count: usize, seed: u32) -> Vec<f32> {
    let nearest = |x| bf16::from_f32(x).to_f32();
    numbers(count, seed).into_iter().map(nearest).collect()
}
