//! A projection that can carry an adapter.

use burn::module::{LoraAdapter, Module, Param};
use burn::tensor::{Tensor, module::linear};

/// `y = x W + b`, and with an adapter `y + scale · (x A) B`.
///
/// As `burn::nn::Linear`, whose parameter can only carry an adapter by composing
/// `W + scale · A B` anew at every call: for one token that would cost three
/// times the memory traffic of the product itself.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`
    pub weight: Param<Tensor<2>>,
    /// `[out]`
    pub bias: Option<Param<Tensor<1>>>,
    /// `a` `[in, rank]` and `b` `[rank, out]`.
    pub lora: Option<LoraAdapter>,
}

impl Linear {
    /// A projection without adapter.
    pub fn new(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Self {
        Self {
            weight,
            bias,
            lora: None,
        }
    }

    /// `[.., in]` → `[.., out]`.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let bias = self.bias.as_ref().map(Param::val);
        let Some(lora) = &self.lora else {
            return linear(x, self.weight.val(), bias);
        };
        let inner = linear(x.clone(), lora.a.val(), None);
        let change = linear(inner, lora.b.val(), None);
        linear(x, self.weight.val(), bias) + change * lora.scale
    }
}

impl From<burn::nn::Linear> for Linear {
    fn from(plain: burn::nn::Linear) -> Self {
        Self::new(plain.weight, plain.bias)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn parameter<const D: usize>(values: &[f32], shape: [usize; D]) -> Param<Tensor<D>> {
        let data = TensorData::new(values.to_vec(), shape);
        Param::from_tensor(Tensor::from_data(data, &Device::flex().autodiff()))
    }

    #[test]
    fn an_adapter_adds_its_product_and_gets_gradients() {
        let mut linear = Linear::new(
            parameter(&[1.0, 0.0, 0.0, 1.0], [2, 2]),
            Some(parameter(&[0.5, -0.5], [2])),
        );
        let x = parameter(&[2.0, 3.0], [1, 2]).val();
        let values = |y: Tensor<2>| y.into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(values(linear.forward(x.clone())), [2.5, 2.5]);
        linear.lora = Some(LoraAdapter {
            a: parameter(&[1.0, -1.0], [2, 1]),
            b: parameter(&[10.0, 20.0], [1, 2]),
            scale: 0.5,
        });
        let y = linear.forward(x);
        assert_eq!(values(y.clone()), [-2.5, -7.5]);
        let gradients = y.sum().backward();
        let lora = linear.lora.unwrap();
        for factor in [lora.a, lora.b] {
            assert!(factor.val().grad(&gradients).is_some());
        }
    }
}
