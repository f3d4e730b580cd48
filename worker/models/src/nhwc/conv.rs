//! A convolution and its derivatives over slices.

use rayon::prelude::*;

use super::kernel::{self, Packed};

/// How a window moves over a picture: its step, and the zeros around the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub stride: usize,
    pub above: usize,
    pub below: usize,
    pub left: usize,
    pub right: usize,
}

impl Window {
    /// A step of one, and `zeros` on each side.
    pub const fn around(zeros: usize) -> Self {
        Self {
            stride: 1,
            above: zeros,
            below: zeros,
            left: zeros,
            right: zeros,
        }
    }
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) batch: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) input: usize,
    pub(super) output: usize,
    pub(super) kernel_rows: usize,
    pub(super) kernel_columns: usize,
    pub(super) window: Window,
}

impl Shape {
    pub(super) const fn out_rows(&self) -> usize {
        let Window {
            above,
            below,
            stride,
            ..
        } = self.window;
        (self.rows + above + below - self.kernel_rows) / stride + 1
    }

    pub(super) const fn out_columns(&self) -> usize {
        let Window {
            left,
            right,
            stride,
            ..
        } = self.window;
        (self.columns + left + right - self.kernel_columns) / stride + 1
    }

    const fn padded_columns(&self) -> usize {
        self.columns + self.window.left + self.window.right
    }
}

/// Numbers of padded input that a band of rows takes: it stays in the second-level
/// cache.
const BAND: usize = 64 * 1024;
/// Parts that a derivative by the kernel is summed from, whatever the threads.
const PARTS: usize = 8;

/// `[batch, out rows, out columns, out]`.
pub(super) fn forward(shape: &Shape, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let taps = shape.kernel_rows * shape.kernel_columns;
    let packed = Packed::new(weights, taps, shape.input, shape.output);
    let (out_rows, out_columns) = (shape.out_rows(), shape.out_columns());
    let row_width = out_columns * shape.output;
    let mut out = vec![0.0; shape.batch * out_rows * row_width];
    let row_in = shape.padded_columns() * shape.input * shape.window.stride;
    let band = (BAND / row_in.max(1)).clamp(1, out_rows.div_ceil(4).max(1));
    let bands_a_picture = out_rows.div_ceil(band);
    let mut bands: Vec<(usize, &mut [f32])> = Vec::new();
    for (picture, rows) in out.chunks_mut(out_rows * row_width).enumerate() {
        for (number, rows) in rows.chunks_mut(band * row_width).enumerate() {
            bands.push((picture * bands_a_picture + number, rows));
        }
    }
    bands
        .into_par_iter()
        .for_each_init(Vec::new, |padded, (number, out)| {
            let (picture, first) = (number / bands_a_picture, number % bands_a_picture * band);
            let rows = out.len() / row_width;
            pad_rows(shape, x, picture, first, rows, padded);
            kernel::rows(shape, padded, &packed, bias, out);
        });
    out
}

/// Copies the input that `rows` rows of output from `first` on look at, with zeros
/// around the picture.
fn pad_rows(
    shape: &Shape,
    x: &[f32],
    picture: usize,
    first: usize,
    rows: usize,
    padded: &mut Vec<f32>,
) {
    let Window {
        stride,
        above,
        left,
        ..
    } = shape.window;
    let needed = (rows - 1) * stride + shape.kernel_rows;
    let width = shape.padded_columns() * shape.input;
    padded.clear();
    padded.resize(needed * width, 0.0);
    let row_in = shape.columns * shape.input;
    for (number, target) in padded.chunks_exact_mut(width).enumerate() {
        let Some(row) = (first * stride + number).checked_sub(above) else {
            continue;
        };
        if row < shape.rows {
            let source = &x[(picture * shape.rows + row) * row_in..][..row_in];
            target[left * shape.input..][..row_in].copy_from_slice(source);
        }
    }
}

/// The derivative by the input, `[batch, rows, columns, in]`: a convolution of `grad`
/// with the kernel turned round, zeros between its pixels where the window stepped.
pub(super) fn backward_input(shape: &Shape, weights: &[f32], grad: &[f32]) -> Vec<f32> {
    let (input, output) = (shape.input, shape.output);
    let taps = shape.kernel_rows * shape.kernel_columns;
    let mut turned = vec![0.0; weights.len()];
    for tap in 0..taps {
        for i in 0..input {
            for o in 0..output {
                turned[((taps - 1 - tap) * output + o) * input + i] =
                    weights[(tap * input + i) * output + o];
            }
        }
    }
    let Window {
        stride,
        above,
        left,
        ..
    } = shape.window;
    let (out_rows, out_columns) = (shape.out_rows(), shape.out_columns());
    let spread_rows = (out_rows - 1) * stride + 1;
    let spread_columns = (out_columns - 1) * stride + 1;
    let spread;
    let grad = match stride {
        1 => grad,
        _ => {
            let mut wide = vec![0.0; shape.batch * spread_rows * spread_columns * output];
            for (pixel, values) in grad.chunks_exact(output).enumerate() {
                let (line, column) = (pixel / out_columns, pixel % out_columns);
                let (picture, row) = (line / out_rows, line % out_rows);
                let place = (picture * spread_rows + row * stride) * spread_columns;
                wide[(place + column * stride) * output..][..output].copy_from_slice(values);
            }
            spread = wide;
            &spread
        }
    };
    let (kernel_rows, kernel_columns) = (shape.kernel_rows, shape.kernel_columns);
    let (before, aside) = (kernel_rows - 1 - above, kernel_columns - 1 - left);
    let back = Shape {
        batch: shape.batch,
        rows: spread_rows,
        columns: spread_columns,
        input: output,
        output: input,
        kernel_rows,
        kernel_columns,
        window: Window {
            stride: 1,
            above: before,
            below: shape.rows + kernel_rows - 1 - before - spread_rows,
            left: aside,
            right: shape.columns + kernel_columns - 1 - aside - spread_columns,
        },
    };
    forward(&back, grad, &turned, &vec![0.0; input])
}

/// The derivative by the kernel, `[window rows, window columns, in, out]`, and by the
/// bias, `[out]`.
pub(super) fn backward_kernel(shape: &Shape, x: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let output = shape.output;
    let taps = shape.kernel_rows * shape.kernel_columns;
    let out_rows = shape.out_rows();
    let row_out = shape.out_columns() * output;
    let lines = shape.batch * out_rows;
    let part = lines.div_ceil(PARTS);
    let width = kernel::padded(output);
    let sums: Vec<(Vec<f32>, Vec<f32>)> = (0..lines.div_ceil(part))
        .into_par_iter()
        .map(|number| {
            let mut sums = vec![0.0; taps * shape.input * width];
            let mut bias = vec![0.0; output];
            let (mut padded, mut wide) = (Vec::new(), Vec::new());
            for line in number * part..lines.min((number + 1) * part) {
                let grad = &grad[line * row_out..][..row_out];
                for pixel in grad.chunks_exact(output) {
                    bias.iter_mut().zip(pixel).for_each(|(sum, g)| *sum += g);
                }
                kernel::widen(grad, output, &mut wide);
                pad_rows(shape, x, line / out_rows, line % out_rows, 1, &mut padded);
                kernel::outer(shape, &padded, &wide, &mut sums);
            }
            (sums, bias)
        })
        .collect();
    let mut kernel_sum = vec![0.0; taps * shape.input * output];
    let mut bias_sum = vec![0.0; output];
    for (sums, bias) in sums {
        for (total, sum) in kernel_sum
            .chunks_exact_mut(output)
            .zip(sums.chunks_exact(width))
        {
            total
                .iter_mut()
                .zip(sum)
                .for_each(|(total, sum)| *total += sum);
        }
        bias_sum
            .iter_mut()
            .zip(bias)
            .for_each(|(total, sum)| *total += sum);
    }
    (kernel_sum, bias_sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, salt: usize) -> Vec<f32> {
        let number = |i: usize| ((i * 37 + salt * 11) % 23) as f32 / 11.5 - 1.0;
        (0..count).map(number).collect()
    }

    fn shapes() -> Vec<Shape> {
        let base = Shape {
            batch: 2,
            rows: 7,
            columns: 21,
            input: 5,
            output: 19,
            kernel_rows: 3,
            kernel_columns: 3,
            window: Window::around(1),
        };
        let down = Window {
            stride: 2,
            above: 0,
            below: 1,
            left: 0,
            right: 1,
        };
        vec![
            base,
            Shape {
                input: 3,
                output: 40,
                ..base
            },
            Shape {
                rows: 8,
                columns: 10,
                output: 3,
                window: down,
                ..base
            },
            Shape {
                kernel_rows: 1,
                kernel_columns: 1,
                window: Window::around(0),
                ..base
            },
            Shape {
                rows: 1,
                columns: 1,
                ..base
            },
        ]
    }

    /// Sums as they are defined, in f64.
    fn slow(shape: &Shape, x: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        let Window {
            stride,
            above,
            left,
            ..
        } = shape.window;
        for b in 0..shape.batch {
            for r in 0..shape.out_rows() {
                for c in 0..shape.out_columns() {
                    for o in 0..shape.output {
                        let mut sum = f64::from(bias[o]);
                        for kr in 0..shape.kernel_rows {
                            for kc in 0..shape.kernel_columns {
                                let (Some(row), Some(column)) = (
                                    (r * stride + kr).checked_sub(above),
                                    (c * stride + kc).checked_sub(left),
                                ) else {
                                    continue;
                                };
                                if row >= shape.rows || column >= shape.columns {
                                    continue;
                                }
                                let tap = kr * shape.kernel_columns + kc;
                                for i in 0..shape.input {
                                    let pixel = (b * shape.rows + row) * shape.columns + column;
                                    sum += f64::from(x[pixel * shape.input + i])
                                        * f64::from(
                                            weights[(tap * shape.input + i) * shape.output + o],
                                        );
                                }
                            }
                        }
                        out.push(sum as f32);
                    }
                }
            }
        }
        out
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    }

    #[test]
    fn a_convolution_is_its_definition() {
        for shape in shapes() {
            let taps = shape.kernel_rows * shape.kernel_columns;
            let x = numbers(shape.batch * shape.rows * shape.columns * shape.input, 1);
            let weights = numbers(taps * shape.input * shape.output, 2);
            let bias = numbers(shape.output, 3);
            let ours = forward(&shape, &x, &weights, &bias);
            let theirs = slow(&shape, &x, &weights, &bias);
            assert_eq!(ours.len(), theirs.len());
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() < 1e-4, "{shape:?}: {a} {b}");
            }
        }
    }

    /// A convolution is linear in each of its arguments: its derivatives are the
    /// transposed maps.
    #[test]
    fn derivatives_are_the_transposed_maps() {
        for shape in shapes() {
            let taps = shape.kernel_rows * shape.kernel_columns;
            let x = numbers(shape.batch * shape.rows * shape.columns * shape.input, 1);
            let weights = numbers(taps * shape.input * shape.output, 2);
            let pixels = shape.batch * shape.out_rows() * shape.out_columns();
            let grad = numbers(pixels * shape.output, 4);
            let out = forward(&shape, &x, &weights, &vec![0.0; shape.output]);
            let expected = dot(&out, &grad);
            let by_input = backward_input(&shape, &weights, &grad);
            assert_eq!(by_input.len(), x.len(), "{shape:?}");
            let (by_kernel, by_bias) = backward_kernel(&shape, &x, &grad);
            for found in [dot(&by_input, &x), dot(&by_kernel, &weights)] {
                assert!(
                    (found - expected).abs() < 1e-2,
                    "{shape:?}: {found} {expected}"
                );
            }
            let sums = grad
                .chunks(shape.output)
                .fold(vec![0.0; shape.output], |sum, pixel| {
                    sum.iter().zip(pixel).map(|(a, b)| a + b).collect()
                });
            assert!(
                by_bias
                    .iter()
                    .zip(sums)
                    .all(|(a, b): (_, f32)| (a - b).abs() < 1e-3)
            );
            // Entry by entry, at a few places.
            for place in [0, x.len() / 2, x.len() - 1] {
                let mut unit = vec![0.0; x.len()];
                unit[place] = 1.0;
                let out = forward(&shape, &unit, &weights, &vec![0.0; shape.output]);
                let found = by_input[place];
                assert!(
                    (dot(&out, &grad) - f64::from(found)).abs() < 1e-3,
                    "{shape:?}"
                );
            }
            for place in [0, weights.len() / 2, weights.len() - 1] {
                let mut unit = vec![0.0; weights.len()];
                unit[place] = 1.0;
                let out = forward(&shape, &x, &unit, &vec![0.0; shape.output]);
                let found = by_kernel[place];
                assert!(
                    (dot(&out, &grad) - f64::from(found)).abs() < 1e-3,
                    "{shape:?}"
                );
            }
        }
    }
}
