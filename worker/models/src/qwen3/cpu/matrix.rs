//! A weight matrix in one of three kinds of numbers, and its product with vectors.

use std::ops::Range;

use burn::tensor::DType;
use half::bf16;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use super::amx;
use super::int8::{Int8Rows, Int8Vectors};
use super::outputs::Outputs;
use super::panels::{PANEL, Panels};
use super::team;

/// Multiplications below which one thread is faster than two.
pub(super) const PARALLEL_WORK: usize = 512 * 1024;

/// The numbers in which a decoder keeps its projections.
///
/// What bf16 weights are multiplied with is f32, but on a processor with AMX the sum of two
/// bf16 that is nearest to it (`amx::bf16`), which has 16 bits and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As loaded: f32, or bf16 where that loses nothing.
    #[default]
    Exact,
    /// Rounded to bf16: half the memory traffic of f32.
    Bf16,
    /// Eight bits and a scale for every 64: a quarter, see
    /// `illumine models precision` for the error.
    Int8,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Exact, Self::Bf16, Self::Int8];

    /// The one called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == name)
    }

    /// Its name: `exact`, `bf16` or `int8`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// The numbers of a module on another device than `flex`, which has no eight-bit
    /// weights: [`crate::device::parse_device_and_precision`] refuses them there.
    pub fn module_dtype(self) -> DType {
        match self {
            Self::Exact | Self::Int8 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// `[rows, columns]`.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    rows: usize,
    columns: usize,
    values: Values,
}

#[derive(Clone, Debug)]
enum Values {
    F32(Panels<f32>),
    Bf16(Panels<bf16>),
    Int8(Int8Rows),
}

/// Takes a matrix's rows as they come.
pub(super) struct MatrixBuilder {
    rows: usize,
    columns: usize,
    precision: Precision,
    values: Values,
}

impl MatrixBuilder {
    /// For `rows` rows of `columns`.
    pub(super) fn new(rows: usize, columns: usize, precision: Precision) -> Self {
        let values = match precision {
            Precision::Int8 => Values::Int8(Int8Rows::with_capacity(rows, columns)),
            Precision::Exact | Precision::Bf16 => {
                Values::Bf16(Panels::with_capacity(rows, columns))
            }
        };
        Self {
            rows,
            columns,
            precision,
            values,
        }
    }

    /// Takes the next rows. Exact ones are kept as bf16 while every value is one
    /// already, as in a bf16 checkpoint: half the memory traffic for the same
    /// result.
    pub(super) fn push(&mut self, rows: &[f32]) {
        let is_bf16 = |value: &f32| bf16::from_f32(*value).to_f32().to_bits() == value.to_bits();
        if let Values::Bf16(halves) = &self.values
            && self.precision == Precision::Exact
            && !rows.iter().all(is_bf16)
        {
            self.values = Values::F32(halves.to_f32(self.rows));
        }
        match &mut self.values {
            Values::F32(values) => values.push(rows, |x| x),
            Values::Bf16(values) => values.push(rows, bf16::from_f32),
            Values::Int8(values) => values.push(rows),
        }
    }

    pub(super) fn finish(self) -> Matrix {
        let rows = match &self.values {
            Values::F32(values) => values.rows(),
            Values::Bf16(values) => values.rows(),
            Values::Int8(values) => values.rows(),
        };
        Matrix {
            rows,
            columns: self.columns,
            values: self.values,
        }
    }
}

impl Matrix {
    /// A matrix of `columns` from its rows.
    pub(super) fn of(rows: &[f32], columns: usize, precision: Precision) -> Self {
        let mut matrix = MatrixBuilder::new(rows.len() / columns, columns, precision);
        matrix.push(rows);
        matrix.finish()
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes of the stored weights.
    pub(super) fn bytes(&self) -> usize {
        match &self.values {
            Values::F32(values) => values.bytes(),
            Values::Bf16(values) => values.bytes(),
            Values::Int8(values) => values.bytes(),
        }
    }

    /// Copies row `row` into `out`.
    pub(super) fn copy_row(&self, row: usize, out: &mut [f32]) {
        match &self.values {
            Values::F32(values) => values.copy_row(row, out),
            Values::Bf16(values) => values.copy_row(row, out),
            Values::Int8(values) => values.copy_row(row, out),
        }
    }

    /// `outputs[n] = self · inputs[n]`: `inputs` is `[vectors, columns]`,
    /// `outputs` `[vectors, rows]`.
    pub(super) fn apply(&self, inputs: &[f32], outputs: &mut [f32]) {
        let (rows, columns) = (self.rows, self.columns);
        let vectors = inputs.len() / columns;
        if vectors == 0 {
            return;
        }
        match &self.values {
            Values::F32(values) => {
                share_rows(rows, columns, vectors, outputs, |rows, out| {
                    values.products(rows, inputs, out);
                });
            }
            #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
            Values::Bf16(values) if amx::bf16::serves(columns) => {
                let inputs = amx::bf16::Parts::new(inputs, columns);
                share_rows(rows, columns, vectors, outputs, |rows, out| {
                    amx::bf16::products(values, rows, &inputs, out);
                });
            }
            Values::Bf16(values) => {
                share_rows(rows, columns, vectors, outputs, |rows, out| {
                    values.products(rows, inputs, out);
                });
            }
            Values::Int8(values) => {
                let inputs = Int8Vectors::new(inputs, columns);
                share_rows(rows, columns, vectors, outputs, |rows, out| {
                    values.products(rows, &inputs, out);
                });
            }
        }
    }
}

/// Calls `run(range, outputs)` for ranges that cover `rows` and begin a panel, on several
/// threads where that is worth while; it writes the products of the range's rows with all
/// vectors.
fn share_rows(
    rows: usize,
    columns: usize,
    vectors: usize,
    outputs: &mut [f32],
    run: impl Fn(Range<usize>, Outputs<'_>) + Sync,
) {
    let outputs = Outputs::new(outputs, rows, rows);
    let threads = team::threads();
    if threads < 2 || rows * columns * vectors < team::worth_while(PARALLEL_WORK) {
        run(0..rows, outputs);
        return;
    }
    // Two shares a thread, so that a thread that starts late is waited for less.
    let share = rows.div_ceil(threads * 2).next_multiple_of(PANEL);
    team::each(rows.div_ceil(share), |number| {
        let range = number * share..((number + 1) * share).min(rows);
        // SAFETY: shares have no row in common.
        let part = unsafe { outputs.part(range.clone()) };
        run(range, part);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 37 % 101) as f32) / 101.0)
            .collect()
    }

    #[test]
    fn threads_and_one_thread_agree() {
        let (rows, columns) = (1030, 516);
        for vectors in [1, 3] {
            let weights = ramp(rows * columns);
            let inputs = ramp(vectors * columns);
            let mut alone = vec![0.0; vectors * rows];
            let mut panels = Panels::with_capacity(rows, columns);
            panels.push(&weights, |x| x);
            panels.products(0..rows, &inputs, Outputs::new(&mut alone, rows, rows));
            let mut shared = vec![0.0; vectors * rows];
            let matrix = Matrix::of(&weights, columns, Precision::Exact);
            assert!(rows * columns > PARALLEL_WORK);
            matrix.apply(&inputs, &mut shared);
            assert_eq!(alone, shared);
        }
    }

    #[test]
    fn no_vectors_have_no_products() {
        for precision in Precision::ALL {
            Matrix::of(&ramp(40 * 64), 64, precision).apply(&[], &mut []);
        }
    }

    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    #[test]
    fn bf16_weights_go_to_the_matrix_unit_where_it_is() {
        // No sum of two bf16.
        let x = 1.0 + 1.0 / 512.0 + 1.0 / 1_048_576.0;
        for columns in [32, 33] {
            let mut one = vec![0.0; columns];
            one[0] = 1.0;
            let mut product = [0.0];
            let vector: Vec<f32> = one.iter().map(|one| one * x).collect();
            Matrix::of(&one, columns, Precision::Bf16).apply(&vector, &mut product);
            let by_unit = amx::is_there() && columns.is_multiple_of(32);
            assert_eq!(product[0] != x, by_unit, "{columns} columns: {product:?}");
        }
    }

    #[test]
    fn half_width_is_kept_only_when_exact() {
        let exact = Matrix::of(&[0.5, -1.25, 3.0, 0.0], 2, Precision::Exact);
        assert_eq!((exact.rows(), exact.bytes()), (2, 8));
        let mut late = MatrixBuilder::new(2, 2, Precision::Exact);
        late.push(&[3.0, 0.25]);
        late.push(&[0.5, 0.1]);
        let inexact = late.finish();
        assert_eq!((inexact.rows(), inexact.bytes()), (2, 16));
        let mut row = [0.0; 2];
        for (number, expected) in [[3.0, 0.25], [0.5, 0.1]].iter().enumerate() {
            inexact.copy_row(number, &mut row);
            assert_eq!(row, *expected);
        }
        let rounded = Matrix::of(&[0.5, 0.1], 2, Precision::Bf16);
        assert_eq!(rounded.bytes(), 4);
    }

    #[test]
    fn int8_on_threads_and_on_one_agree_and_are_near() {
        let (rows, columns) = (1030, 516);
        let weights = ramp(rows * columns);
        let exact = Matrix::of(&weights, columns, Precision::Exact);
        let rounded = Matrix::of(&weights, columns, Precision::Int8);
        assert!(rounded.bytes() * 3 < exact.bytes());
        for vectors in [1, 3] {
            let inputs = ramp(vectors * columns);
            let (mut near, mut far) = (vec![0.0; vectors * rows], vec![0.0; vectors * rows]);
            exact.apply(&inputs, &mut near);
            rounded.apply(&inputs, &mut far);
            let rows_alone = Int8Rows::new(&weights, columns);
            let mut alone = vec![0.0; vectors * rows];
            let quantised = Int8Vectors::new(&inputs, columns);
            let outputs = Outputs::new(&mut alone, rows, rows);
            rows_alone.products(0..rows, &quantised, outputs);
            assert_eq!(alone, far);
            for (near, far) in near.iter().zip(&far) {
                assert!((near - far).abs() < 0.005 * near.abs(), "{near} {far}");
            }
        }
    }
}
