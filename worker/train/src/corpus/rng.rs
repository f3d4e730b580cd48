//! A small generator whose stream never changes between releases: the corpus
//! is a function of its seed for ever.

/// SplitMix64 (Steele, Lea, Flood 2014, *Fast splittable pseudorandom number
/// generators*, fig. 14).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream number `index` of `seed`: examples are drawn independently, so
    /// any one can be made without its predecessors.
    pub fn new(seed: u64, index: u64) -> Self {
        let mut rng = Self(seed ^ index.wrapping_mul(0xA076_1D64_78BD_642F));
        rng.bits();
        Self(rng.bits() ^ index)
    }

    /// Uniform over all 64-bit numbers.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform over `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// Uniform over `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high + 1 - low)
    }

    /// Uniform over 0 to 1, without 1.
    pub fn unit(&mut self) -> f32 {
        // As many bits as a float holds.
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Uniform over `low` to `high`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True in `percent` of a hundred draws.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`, which must not be empty.
    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A uniform permutation (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
