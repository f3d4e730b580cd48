//! Where products are written: `[vectors, rows]`, of which each thread has some rows.

use std::marker::PhantomData;
use std::ops::Range;

/// Some rows of each of several vectors' outputs, which nothing else has.
#[derive(Debug)]
pub(super) struct Outputs<'o> {
    /// The first row's of the first vector.
    start: *mut f32,
    vectors: usize,
    rows: usize,
    /// Numbers from one vector to the next.
    stride: usize,
    numbers: PhantomData<&'o mut [f32]>,
}

// SAFETY: a part is a `&mut` of its numbers, and gives out no other reference to itself.
unsafe impl Send for Outputs<'_> {}
// SAFETY: shared, it gives out nothing but through `part`, whose caller sees to it.
unsafe impl Sync for Outputs<'_> {}

impl<'o> Outputs<'o> {
    /// `rows` numbers every `stride` of `numbers`, as often as they are there.
    pub(super) fn new(numbers: &'o mut [f32], rows: usize, stride: usize) -> Self {
        let vectors = match numbers.len().checked_sub(rows) {
            Some(rest) => 1 + rest.checked_div(stride).unwrap_or(0),
            None => 0,
        };
        assert!(vectors < 2 || rows <= stride, "outputs lie in each other");
        Self {
            start: numbers.as_mut_ptr(),
            vectors,
            rows,
            stride,
            numbers: PhantomData,
        }
    }

    /// The rows `rows` of it.
    ///
    /// # Panics
    /// When it has not so many.
    ///
    /// # Safety
    /// Nothing else may use those rows for as long as the part does.
    pub(super) unsafe fn part(&self, rows: Range<usize>) -> Outputs<'_> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        Outputs {
            start: self.start.wrapping_add(rows.start),
            rows: rows.len(),
            ..*self
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn vectors(&self) -> usize {
        self.vectors
    }

    /// The outputs of vector `vector` for `count` rows from `row` on.
    ///
    /// # Panics
    /// When there are not so many.
    #[inline(always)]
    pub(super) fn of(&mut self, vector: usize, row: usize, count: usize) -> &mut [f32] {
        assert!(vector < self.vectors && row + count <= self.rows);
        let start = self.start.wrapping_add(vector * self.stride + row);
        // SAFETY: `new` saw that the numbers are there, and they are this part's.
        unsafe { std::slice::from_raw_parts_mut(start, count) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_rows_of_every_vector() {
        let mut numbers = [0.0; 11];
        let mut all = Outputs::new(&mut numbers, 3, 4);
        assert_eq!((all.vectors(), all.rows()), (3, 3));
        // SAFETY: one part at a time.
        let mut part = unsafe { all.part(1..3) };
        part.of(2, 1, 1).fill(7.0);
        part.of(0, 0, 2).fill(5.0);
        all.of(1, 0, 3).fill(2.0);
        assert_eq!(
            numbers,
            [0.0, 5.0, 5.0, 0.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 7.0]
        );
        assert_eq!(Outputs::new(&mut numbers[..2], 3, 4).vectors(), 0);
    }

    #[test]
    #[should_panic(expected = "vector < self.vectors")]
    fn what_is_not_there_is_not_given() {
        Outputs::new(&mut [0.0; 10], 3, 4).of(2, 0, 1);
    }
}
