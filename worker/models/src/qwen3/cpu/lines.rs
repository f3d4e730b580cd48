//! Numbers in memory that begins a line of the cache. What `Vec` gets lies 16 bytes behind
//! one, so that every load of a register's width would touch two lines.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use half::bf16;

/// Bytes of a line.
pub(super) const LINE: usize = 64;

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// Numbers that fill a line without a gap.
///
/// # Safety
/// Any bits must be one, and the size must divide [`LINE`].
pub(crate) unsafe trait Number: Copy {}

// SAFETY: so it is for all four.
unsafe impl Number for f32 {}
// SAFETY: as above.
unsafe impl Number for bf16 {}
// SAFETY: as above.
unsafe impl Number for u8 {}
// SAFETY: as above.
unsafe impl Number for i8 {}

/// Whole lines of numbers, a slice of them.
#[derive(Clone, Debug)]
pub(super) struct Lines<T> {
    lines: Vec<Line>,
    numbers: PhantomData<T>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Self {
            lines: Vec::new(),
            numbers: PhantomData,
        }
    }
}

impl<T: Number> Lines<T> {
    /// None yet, and room for `count`.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            lines: Vec::with_capacity((count * size_of::<T>()).div_ceil(LINE)),
            numbers: PhantomData,
        }
    }

    /// Adds `count` numbers whose bits are zero, which must be whole lines, and gives them.
    pub(super) fn grow(&mut self, count: usize) -> &mut [T] {
        let before = self.len();
        debug_assert!((count * size_of::<T>()).is_multiple_of(LINE));
        let lines = (count * size_of::<T>()).div_ceil(LINE);
        self.lines.resize(self.lines.len() + lines, Line([0; LINE]));
        &mut self[before..]
    }
}

impl<T: Number> Deref for Lines<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        let count = self.lines.len() * (LINE / size_of::<T>());
        // SAFETY: lines are bytes one after the other, of which any are numbers.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), count) }
    }
}

impl<T: Number> DerefMut for Lines<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let count = self.lines.len() * (LINE / size_of::<T>());
        // SAFETY: as above; and any numbers are bytes.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_begin_a_line_and_grow_by_zeros() {
        let mut lines = Lines::<bf16>::with_capacity(96);
        lines.grow(32).fill(bf16::ONE);
        assert!(lines.grow(64).iter().all(|x| *x == bf16::ZERO));
        assert_eq!(lines.len(), 96);
        assert_eq!(lines[31], bf16::ONE);
        assert_eq!(lines.as_ptr() as usize % LINE, 0);
        let bytes = Lines::<u8>::with_capacity(1);
        assert!(bytes.is_empty());
    }
}
