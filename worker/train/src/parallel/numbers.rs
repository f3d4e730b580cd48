//! Numbers as bytes, and their sums.

use std::ops::AddAssign;

use crate::error::{Result, TrainError};

/// A number that processes add up.
pub trait Number: Copy + AddAssign {
    /// Its bytes.
    const SIZE: usize;
    /// Writes it, the lowest byte first.
    fn put(self, to: &mut Vec<u8>);
    /// Reads it from [`Self::SIZE`] bytes; none where there are others.
    fn get(from: &[u8]) -> Option<Self>;
}

impl Number for f32 {
    const SIZE: usize = 4;
    fn put(self, to: &mut Vec<u8>) {
        to.extend(self.to_le_bytes());
    }
    fn get(from: &[u8]) -> Option<Self> {
        from.try_into().ok().map(Self::from_le_bytes)
    }
}

impl Number for f64 {
    const SIZE: usize = 8;
    fn put(self, to: &mut Vec<u8>) {
        to.extend(self.to_le_bytes());
    }
    fn get(from: &[u8]) -> Option<Self> {
        from.try_into().ok().map(Self::from_le_bytes)
    }
}

pub fn bytes<N: Number>(values: &[N]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * N::SIZE);
    values.iter().for_each(|value| value.put(&mut bytes));
    bytes
}

/// Reads `bytes` into `values`; whether there are as many.
pub fn read<N: Number>(bytes: &[u8], values: &mut [N]) -> bool {
    let fits = bytes.len() == values.len() * N::SIZE;
    for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(N::SIZE)) {
        *value = N::get(bytes).unwrap_or(*value);
    }
    fits
}

/// Sums of as many numbers of each process, in the order of the processes.
pub fn sum<N: Number>(all: Vec<Vec<u8>>) -> Result<Vec<u8>> {
    let mut parts = all.iter();
    let first = parts.next().map(Vec::as_slice).unwrap_or_default();
    let numbers = first.chunks_exact(N::SIZE).filter_map(N::get);
    let mut sums: Vec<N> = numbers.collect();
    for (rank, part) in (1..).zip(parts) {
        if part.len() != first.len() {
            let (own, due) = (part.len() / N::SIZE, sums.len());
            let words = format!("sent {own} numbers to add up, and {due} are due");
            return Err(TrainError::peer(rank, words));
        }
        let numbers = part.chunks_exact(N::SIZE).filter_map(N::get);
        for (sum, number) in sums.iter_mut().zip(numbers) {
            *sum += number;
        }
    }
    Ok(bytes(&sums))
}
