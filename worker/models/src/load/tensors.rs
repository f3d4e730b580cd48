//! Puts the files' values into the module's parameters.

use burn::module::Param;
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::Weights;
use crate::error::Result;
use crate::qwen3::weights::{Slot, weight_specs};
use crate::qwen3::{Qwen3, Qwen3Config};

/// A Qwen3 on `device` with the values of `weights`, as `dtype`.
pub(super) fn load_qwen3(
    config: &Qwen3Config,
    weights: &mut Weights,
    device: &Device,
    dtype: DType,
) -> Result<Qwen3> {
    // Parameters are made when first used: none is, before it is replaced.
    let options = (device, dtype);
    let mut model = Qwen3::init(config, device);
    for (spec, slot) in weight_specs(config).iter().zip(model.slots()) {
        let values = weights.read(&spec.name, &spec.shape)?;
        match slot {
            Slot::Projection(param) => {
                let [rows, columns] = [spec.shape[0], spec.shape[1]];
                let values = transpose(&values, rows, columns);
                *param = parameter(TensorData::new(values, [columns, rows]), options);
            }
            Slot::Embedding(param) => {
                *param = parameter(TensorData::new(values, spec.shape.clone()), options);
            }
            Slot::Scale(param) => {
                *param = parameter(TensorData::new(values, spec.shape.clone()), options);
            }
        }
    }
    Ok(model)
}

fn parameter<const D: usize>(data: TensorData, options: (&Device, DType)) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(data, options))
}

/// The transpose of a row-major `[rows, columns]` matrix, in tiles that fit the
/// first-level cache.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut transposed = vec![0.0; values.len()];
    for top in (0..rows).step_by(TILE) {
        for left in (0..columns).step_by(TILE) {
            for row in top..(top + TILE).min(rows) {
                for column in left..(left + TILE).min(columns) {
                    transposed[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    transposed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_twice_is_the_identity_across_tile_edges() {
        let (rows, columns) = (37, 65);
        let values: Vec<f32> = (0..rows * columns).map(|i| i as f32).collect();
        let once = transpose(&values, rows, columns);
        assert_eq!(once[rows], values[1], "column 1 starts with (0, 1)");
        assert_eq!(transpose(&once, columns, rows), values);
    }
}
