//! The order of rows in an epoch, as a function of three numbers.

use crate::rng::mix;

/// Which of `len` rows stands at `index` of an epoch: for each seed and epoch a
/// permutation of `0..len`. It needs no state, so a place in the data is one number.
///
/// A Feistel network of `ROUNDS` rounds over the next even power of two, walked
/// until it lands inside (Black and Rogaway 2002, *Ciphers with arbitrary finite
/// domains*, cycle walking).
///
/// `index` is taken modulo `len`; 0 when `len` is 0.
#[must_use]
pub fn shuffled(seed: u64, epoch: u64, index: usize, len: usize) -> usize {
    if len < 2 {
        return 0;
    }
    let half_bits = half_bits(len);
    let key = mix(seed) ^ mix(epoch ^ 0xE90C_4A11);
    let mut place = (index % len) as u64;
    loop {
        place = feistel(place, half_bits, key);
        if place < len as u64 {
            return place as usize;
        }
    }
}

/// [`shuffled`] at a place counted over all epochs.
#[must_use]
pub fn at(seed: u64, position: u64, len: usize) -> usize {
    let count = len.max(1) as u64;
    shuffled(seed, position / count, (position % count) as usize, len)
}

const ROUNDS: u64 = 8;
/// Below, a network has too few functions to choose from to look random.
const MIN_HALF_BITS: u32 = 4;

fn half_bits(len: usize) -> u32 {
    let bits = usize::BITS - (len - 1).leading_zeros();
    bits.div_ceil(2).max(MIN_HALF_BITS)
}

fn feistel(place: u64, half_bits: u32, key: u64) -> u64 {
    let mask = (1_u64 << half_bits) - 1;
    let (mut left, mut right) = (place >> half_bits, place & mask);
    for round in 0..ROUNDS {
        let noise = mix(key ^ mix(right ^ (round << 48))) & mask;
        (left, right) = (right, left ^ noise);
    }
    (left << half_bits) | right
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(seed: u64, epoch: u64, len: usize) -> Vec<usize> {
        (0..len)
            .map(|index| shuffled(seed, epoch, index, len))
            .collect()
    }

    #[test]
    fn every_epoch_holds_each_row_once() {
        for len in [1, 2, 3, 7, 16, 17, 255, 256, 257, 1_000, 4_097] {
            for number in 0..3 {
                let mut rows = epoch(9, number, len);
                rows.sort_unstable();
                assert_eq!(rows, (0..len).collect::<Vec<_>>(), "{len} rows");
            }
        }
    }

    #[test]
    fn seeds_and_epochs_have_orders_of_their_own() {
        assert_ne!(epoch(1, 0, 50), epoch(2, 0, 50));
        assert_ne!(epoch(1, 0, 50), epoch(1, 1, 50));
        assert_eq!(epoch(1, 1, 50), epoch(1, 1, 50));
        assert_ne!(epoch(1, 0, 50), (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_row_is_as_likely_at_every_place() {
        for len in [3, 10] {
            let mut counts = vec![0_u32; len];
            for number in 0..6_000 {
                counts[shuffled(5, number, 0, len)] += 1;
            }
            let expected = 6_000 / len as u32;
            // Five standard deviations of a binomial, at most 37 here.
            assert!(
                counts.iter().all(|count| count.abs_diff(expected) < 185),
                "{counts:?}"
            );
        }
    }

    #[test]
    fn a_position_is_epoch_and_index_in_one_number() {
        let positions: Vec<usize> = (0..20).map(|position| at(3, position, 10)).collect();
        assert_eq!(positions[..10], epoch(3, 0, 10));
        assert_eq!(positions[10..], epoch(3, 1, 10));
        assert_eq!(at(3, 5, 0), 0);
    }
}
