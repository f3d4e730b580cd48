use super::*;
use crate::qwen3::cpu::arbitrary::numbers;

impl Int8Vectors {
    /// Copies vector `n` into `out`.
    fn copy(&self, n: usize, out: &mut [f32]) {
        let values = self.values[n * self.blocks * BLOCK..].chunks(BLOCK);
        let scales = &self.scales[n * self.blocks..];
        for ((out, values), scale) in out.chunks_mut(BLOCK).zip(values).zip(scales) {
            for (out, value) in out.iter_mut().zip(values) {
                *out = f32::from(*value) * scale;
            }
        }
    }
}

#[test]
fn rounding_is_within_half_a_step_and_extremes_are_kept() {
    let (rows, columns) = (5, 150);
    let mut source = numbers(rows * columns, 5);
    source[3] = -4.0;
    source[columns..2 * columns].fill(0.0);
    let quantised = Int8Rows::new(&source, columns);
    assert_eq!(quantised.bytes(), rows * 3 * (BLOCK + 4));
    let mut row = vec![f32::NAN; columns];
    for (number, exact) in source.chunks(columns).enumerate() {
        quantised.copy_row(number, &mut row);
        for (block, exact) in row.chunks(BLOCK).zip(exact.chunks(BLOCK)) {
            let largest = exact.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for (ours, exact) in block.iter().zip(exact) {
                assert!((ours - exact).abs() <= largest / 253.9);
            }
        }
    }
    quantised.copy_row(0, &mut row);
    assert_eq!(row[3], -4.0);
}

#[test]
fn every_instruction_set_gives_the_exact_product_of_the_rounded_numbers() {
    for isa in available() {
        for (rows, columns, vectors) in [
            (1, 1, 1),
            (7, 33, 2),
            (70, 64, 1),
            (33, 64, 5),
            (150, 130, 29),
        ] {
            let weights = numbers(rows * columns, 3);
            let inputs = numbers(vectors * columns, 7);
            let matrix = Int8Rows::new(&weights, columns);
            let quantised = Int8Vectors::new(&inputs, columns);
            let mut outputs = vec![f32::NAN; vectors * rows];
            let to = Outputs::new(&mut outputs, rows, rows);
            matrix.products_on(isa, 0..rows, &quantised, to);
            let (mut w, mut x) = (vec![0.0; columns], vec![0.0; columns]);
            for n in 0..vectors {
                for r in 0..rows {
                    matrix.copy_row(r, &mut w);
                    quantised.copy(n, &mut x);
                    let terms = w.iter().zip(&x);
                    let exact: f64 = terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    let got = f64::from(outputs[n * rows + r]);
                    assert!(
                        (got - exact).abs() < 1e-5,
                        "{isa:?} {rows}x{columns} by {vectors}: row {r}, vector {n}: {got} and {exact}"
                    );
                }
            }
            // A row's result is the same alone and among others.
            let alone = Int8Vectors::new(&inputs[..columns], columns);
            let mut first = vec![f32::NAN; rows];
            let to = Outputs::new(&mut first, rows, rows);
            matrix.products_on(isa, 0..rows, &alone, to);
            assert_eq!(first, outputs[..rows]);
        }
    }
}

#[test]
fn the_largest_values_do_not_overflow() {
    for isa in available() {
        let weights = Int8Rows::new(&[-1.0; 2 * BLOCK], 2 * BLOCK);
        let inputs = Int8Vectors::new(&[-1.0; 2 * BLOCK], 2 * BLOCK);
        let mut outputs = [0.0];
        weights.products_on(isa, 0..1, &inputs, Outputs::new(&mut outputs, 1, 1));
        assert!((outputs[0] - 128.0).abs() < 1e-3, "{isa:?}: {outputs:?}");
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut vector = numbers(70, 1);
        vector[2] = bad;
        let weights = Int8Rows::new(&numbers(70, 2), 70);
        for isa in available() {
            let mut outputs = [0.0];
            let inputs = Int8Vectors::new(&vector, 70);
            weights.products_on(isa, 0..1, &inputs, Outputs::new(&mut outputs, 1, 1));
            assert!(outputs[0].is_nan(), "{isa:?}");
        }
    }
}

#[test]
fn all_instruction_sets_agree_to_the_last_bit_over_several_blocks() {
    // More rows, vectors and columns than are taken together.
    let (rows, columns, vectors) = (460, 1200, 37);
    let weights = Int8Rows::new(&numbers(rows * columns, 3), columns);
    let inputs = Int8Vectors::new(&numbers(vectors * columns, 7), columns);
    let products = |isa| {
        let mut outputs = vec![f32::NAN; vectors * rows];
        let to = Outputs::new(&mut outputs, rows, rows);
        weights.products_on(isa, 0..rows, &inputs, to);
        outputs
    };
    let sets = available();
    let best = products(sets[0]);
    // Without FMA, what is added is rounded twice.
    for isa in sets.into_iter().filter(|isa| *isa != Isa::Portable) {
        assert_eq!(products(isa), best, "{isa:?}");
    }
}
