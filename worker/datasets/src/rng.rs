//! Random numbers whose stream never changes between releases.

/// SplitMix64 (Steele, Lea, Flood 2014, *Fast splittable pseudorandom number
/// generators*, fig. 14).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream number `index` of `seed`, independent of its neighbours.
    #[must_use]
    pub fn new(seed: u64, index: u64) -> Self {
        Self(mix(seed) ^ mix(index.wrapping_add(0x51_7C_C1_B7)))
    }

    /// Uniform over all 64-bit numbers.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        finish(self.0)
    }

    /// Uniform over `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// True in `percent` of a hundred draws.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`; none when there are none.
    pub fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> Option<&'a T> {
        items.get(self.below(items.len())).copied()
    }

    /// A uniform permutation (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// One step of the stream that starts at `value`: a hash of it.
pub(crate) fn mix(value: u64) -> u64 {
    finish(value.wrapping_add(0x9E37_79B9_7F4A_7C15))
}

fn finish(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_splitmix64s() {
        // Its first outputs from state 0, as in the authors' C code.
        let mut rng = Rng(0);
        assert_eq!(rng.bits(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(rng.bits(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn streams_of_neighbours_differ() {
        let first: Vec<u64> = (0..100).map(|index| Rng::new(1, index).bits()).collect();
        let mut distinct = first.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 100);
        assert_ne!(first[0], Rng::new(2, 0).bits());
    }
}
