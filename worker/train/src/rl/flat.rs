//! All that is learnt of a model as one row of numbers, in which processes exchange it.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use illumine_models::Qwen3;
use illumine_models::qwen3::weights::Slot;

use crate::error::{Result, TrainError};
use crate::lora;
use crate::sft::optimizer::{GradientSum, replace};

/// Rows and columns of each parameter, in the order of [`lora::trained`]; a norm's scale is
/// one row.
pub fn shapes(model: &Qwen3) -> Vec<[usize; 2]> {
    let mut model = model.clone();
    let slots = lora::trained(&mut model).into_iter();
    slots
        .map(|slot| match slot {
            Slot::Projection(param) | Slot::Embedding(param) => param.val().dims(),
            Slot::Scale(param) => [1, param.val().dims()[0]],
        })
        .collect()
}

/// First one number a parameter, 1 where it has a gradient; then all gradients, zeros where
/// there is none.
///
/// # Errors
/// [`TrainError::Device`].
pub fn of_gradients(gradients: GradientSum, shapes: &[[usize; 2]]) -> Result<Vec<f32>> {
    let mut gradients = gradients.0;
    // Nothing was learnt from here.
    gradients.resize_with(shapes.len(), || None);
    let has = |gradient: &Option<Tensor<2>>| f32::from(u8::from(gradient.is_some()));
    let mut flat: Vec<f32> = gradients.iter().map(has).collect();
    for (gradient, [rows, columns]) in gradients.into_iter().zip(shapes) {
        match gradient {
            Some(gradient) => flat.extend(read(gradient)?),
            None => flat.extend(std::iter::repeat_n(0.0, rows * columns)),
        }
    }
    Ok(flat)
}

/// Gradients from [`of_gradients`] or a sum of several: a parameter has one where one of
/// these had.
pub fn to_gradients(flat: &[f32], shapes: &[[usize; 2]], device: &Device) -> GradientSum {
    let (has, mut rest) = flat.split_at(shapes.len().min(flat.len()));
    let mut take = |(shape, has): (&[usize; 2], &f32)| {
        let count = shape.iter().product::<usize>().min(rest.len());
        let (own, others) = rest.split_at(count);
        rest = others;
        let tensor = || Tensor::from_data(TensorData::new(own.to_vec(), *shape), device);
        (*has > 0.0).then(tensor)
    };
    GradientSum(shapes.iter().zip(has).map(&mut take).collect())
}

/// The values of everything that is learnt.
///
/// # Errors
/// [`TrainError::Device`].
pub fn of_weights(model: &Qwen3) -> Result<Vec<f32>> {
    let mut model = model.clone();
    let mut flat = Vec::new();
    for slot in lora::trained(&mut model) {
        flat.extend(match slot {
            Slot::Projection(param) | Slot::Embedding(param) => read(param.val().inner())?,
            Slot::Scale(param) => read(param.val().inner())?,
        });
    }
    Ok(flat)
}

/// Gives `model` the values that [`of_weights`] read from one of the same shapes.
pub fn set_weights(model: &mut Qwen3, mut flat: &[f32]) {
    for slot in lora::trained(model) {
        flat = match slot {
            Slot::Projection(param) | Slot::Embedding(param) => set(param, flat),
            Slot::Scale(param) => set(param, flat),
        };
    }
}

/// Sets `param` to the first of `flat`; returns the others.
fn set<'f, const D: usize>(param: &mut Param<Tensor<D>>, flat: &'f [f32]) -> &'f [f32] {
    let old = param.val().inner();
    let shape = old.dims();
    let (own, rest) = flat.split_at(shape.iter().product::<usize>().min(flat.len()));
    let data = TensorData::new(own.to_vec(), shape);
    replace(param, Tensor::from_data(data, &old.device()));
    rest
}

fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let data = tensor.into_data().convert::<f32>();
    data.try_into_vec::<f32>()
        .map_err(|error| TrainError::Device(format!("{error:?}")))
}
