//! Beside exact products.

use super::*;
use crate::qwen3::cpu::arbitrary::{halves, numbers};

#[test]
fn two_parts_are_nearly_the_number() {
    let few = numbers(WIDE * 31, 3);
    let extremes = [0.0, -0.0, 3e38, 1e-30, -1.0];
    let some: Vec<f32> = few.into_iter().chain(extremes).collect();
    for x in some {
        let parts = Parts::new(&[x; WIDE], WIDE).values;
        let (first, second) = (parts[0], parts[WIDE]);
        let sum = first.to_f64() + second.to_f64();
        assert!(
            (sum - f64::from(x)).abs() <= f64::from(x.abs()) / f64::from(1 << 17),
            "{x}: {first} {second}"
        );
        assert_eq!(first, bf16::from_f32(x));
    }
    for x in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(!Parts::new(&[x; WIDE], WIDE).values[0].is_finite());
    }
}

#[test]
fn products_are_near_and_the_same_in_company() {
    if !serves(WIDE) {
        // Nothing to test: the other code is used.
        return;
    }
    // Up to more rows and columns than are taken together.
    for (rows, columns) in [(5, 32), (16, 64), (70, 96), (150, 320), (850, 320)] {
        let weights = halves(rows * columns, 5);
        let mut panels = Panels::with_capacity(rows, columns);
        panels.push(&weights, bf16::from_f32);
        let inputs = numbers(53 * columns, 9);
        let stride = rows + 2;
        let mut alone = vec![f32::NAN; 53 * stride];
        for (n, input) in inputs.chunks(columns).enumerate() {
            let parts = Parts::new(input, columns);
            let outputs = Outputs::new(&mut alone[n * stride..], rows, stride);
            products(&panels, 0..rows, &parts, outputs);
        }
        for n in 0..53 {
            for r in 0..rows {
                let row = &weights[r * columns..][..columns];
                let input = &inputs[n * columns..][..columns];
                let terms = row.iter().zip(input);
                let terms: Vec<f64> = terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).collect();
                let exact: f64 = terms.iter().sum();
                let size: f64 = terms.iter().map(|term| term.abs()).sum();
                let got = f64::from(alone[n * stride + r]);
                assert!(
                    (got - exact).abs() <= size / f64::from(1 << 17),
                    "{rows}x{columns} row {r}: {got} {exact}"
                );
            }
        }
        for count in [2, 7, 16, 17, 32, 40, 53] {
            let mut all = vec![f32::NAN; count * stride];
            let parts = Parts::new(&inputs[..count * columns], columns);
            products(
                &panels,
                0..rows,
                &parts,
                Outputs::new(&mut all, rows, stride),
            );
            for n in 0..count {
                let places = n * stride..n * stride + rows;
                assert_eq!(
                    all[places.clone()],
                    alone[places],
                    "{rows}x{columns}, {count}"
                );
            }
        }
        if rows > PANEL {
            let mut part = vec![f32::NAN; rows - PANEL];
            let parts = Parts::new(&inputs[..columns], columns);
            let outputs = Outputs::new(&mut part, rows - PANEL, rows - PANEL);
            products(&panels, PANEL..rows, &parts, outputs);
            assert_eq!(part, alone[PANEL..rows]);
        }
    }
}
