//! Products of matrices that lie within larger ones, on one thread.

use gemm::{Parallelism, gemm};

/// A matrix within a slice: its numbers from the first on, and how far apart rows and
/// columns lie.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows `stride` apart, each without gaps.
    pub fn rows(values: &'a [f32], stride: usize) -> Self {
        Self {
            values,
            row: stride,
            column: 1,
        }
    }

    pub fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
            ..self
        }
    }

    fn reaches(&self, rows: usize, columns: usize) -> bool {
        (rows - 1) * self.row + (columns - 1) * self.column < self.values.len()
    }
}

/// What becomes of what is in the place of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is overwritten.
    Fresh,
    /// The product is added to it.
    Sum,
}

/// `out = factor · left · right`, or added to `out`: `[rows, columns]` with rows `stride`
/// apart, of `[rows, inner]` and `[inner, columns]`.
///
/// # Panics
/// When a matrix does not lie within its slice.
pub(crate) fn product(
    (out, stride): (&mut [f32], usize),
    left: Matrix<'_>,
    right: Matrix<'_>,
    [rows, inner, columns]: [usize; 3],
    factor: f32,
    place: Place,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((rows - 1) * stride + columns <= out.len() && stride >= columns);
    assert!(inner > 0 && left.reaches(rows, inner) && right.reaches(inner, columns));
    // SAFETY: the last number of each matrix lies within its slice, as asserted, and
    // `out` is not shared.
    unsafe {
        gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            stride as isize,
            place == Place::Sum,
            left.values.as_ptr(),
            left.column as isize,
            left.row as isize,
            right.values.as_ptr(),
            right.column as isize,
            right.row as isize,
            1.0,
            factor,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
