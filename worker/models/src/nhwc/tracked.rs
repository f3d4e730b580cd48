//! The operations as the CPU backend's own, with and without derivatives.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::backend::{DispatchAutodiffContext, DispatchTensorKind};
use burn::tensor::{Tensor, TensorData};
use burn_flex::FlexTensor;

use super::conv::{self, Shape, Window};
use super::norm;

/// Where a tensor is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Cpu,
    CpuAutodiff,
    Elsewhere,
}

pub(crate) fn place<const D: usize>(x: &Tensor<D>) -> Place {
    // The code is for f32.
    if x.dtype() != burn::tensor::DType::F32 {
        return Place::Elsewhere;
    }
    let dispatch = x.clone().into_dispatch();
    match (&dispatch.kind, dispatch.autodiff) {
        (DispatchTensorKind::Flex(_), DispatchAutodiffContext::Disabled) => Place::Cpu,
        (DispatchTensorKind::Autodiff(inner), _)
            if matches!(**inner, DispatchTensorKind::Flex(_)) =>
        {
            Place::CpuAutodiff
        }
        _ => Place::Elsewhere,
    }
}

/// The numbers of a tensor, in order.
pub(crate) fn numbers(tensor: &FlexTensor) -> FlexTensor {
    match tensor.is_contiguous() {
        true => tensor.clone(),
        false => tensor.to_contiguous(),
    }
}

/// Reads a tensor made contiguous by [`numbers`].
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    let from = tensor.layout().start_offset();
    let count = tensor.layout().shape().num_elements();
    &tensor.storage::<f32>()[from..from + count]
}

/// Values as a tensor.
pub(crate) fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}

/// A tensor that lives on the CPU without derivatives: [`place`] said so.
pub(crate) fn plain<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    match tensor.try_into_primitive::<Flex>() {
        Ok(primitive) => numbers(&primitive),
        Err(error) => panic!("tensors of one operation live on different devices: {error:?}"),
    }
}

/// A tensor whose operations are recorded.
pub(crate) type Tracked = burn::backend::tensor::FloatTensor<Autodiff<Flex>>;

/// The same of a tensor with derivatives.
pub(crate) fn tracked<const D: usize>(tensor: Tensor<D>) -> Tracked {
    match tensor.try_into_primitive::<Autodiff<Flex>>() {
        Ok(primitive) => primitive,
        Err(error) => panic!("tensors of one operation live on different devices: {error:?}"),
    }
}

/// The outcome of `compute` on the numbers of `inputs`, recorded as `operation` with the
/// state that it needs on the way back.
pub(crate) fn recorded<const N: usize, const D: usize, B: Backward<Flex, N>>(
    operation: B,
    inputs: [Tracked; N],
    compute: impl FnOnce([FlexTensor; N]) -> (FlexTensor, B::State),
) -> Tensor<D> {
    let nodes = inputs.each_ref().map(|input| input.node());
    let (out, state) = compute(inputs.map(|input| numbers(&input.into_primitive())));
    let prepared = operation
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful();
    let out = match prepared {
        OpsKind::Tracked(prep) => prep.finish(state, out),
        OpsKind::UnTracked(prep) => prep.finish(out),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(out)
}

fn shape_of(x: [usize; 4], kernel: [usize; 4], window: Window) -> Shape {
    Shape {
        batch: x[0],
        rows: x[1],
        columns: x[2],
        input: x[3],
        output: kernel[3],
        kernel_rows: kernel[0],
        kernel_columns: kernel[1],
        window,
    }
}

fn convolve(shape: &Shape, x: &FlexTensor, kernel: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let out = conv::forward(shape, slice(x), slice(kernel), slice(bias));
    let sides = [
        shape.batch,
        shape.out_rows(),
        shape.out_columns(),
        shape.output,
    ];
    tensor(out, &sides)
}

pub(super) fn conv_cpu(
    x: Tensor<4>,
    kernel: Tensor<4>,
    bias: Tensor<1>,
    window: Window,
) -> Tensor<4> {
    let shape = shape_of(x.dims(), kernel.dims(), window);
    let out = convolve(&shape, &plain(x), &plain(kernel), &plain(bias));
    Tensor::from_primitive::<Flex>(out)
}

#[derive(Debug)]
struct Conv;

#[derive(Clone, Debug)]
struct ConvState {
    shape: Shape,
    x: FlexTensor,
    kernel: FlexTensor,
}

impl Backward<Flex, 3> for Conv {
    type State = ConvState;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_kernel, node_bias] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let ConvState { shape, x, kernel } = ops.state;
        if let Some(node) = node_x {
            let values = conv::backward_input(&shape, slice(&kernel), slice(&grad));
            let sides = [shape.batch, shape.rows, shape.columns, shape.input];
            grads.register::<Flex>(node.id, tensor(values, &sides));
        }
        if node_kernel.is_none() && node_bias.is_none() {
            return;
        }
        let (by_kernel, by_bias) = conv::backward_kernel(&shape, slice(&x), slice(&grad));
        if let Some(node) = node_kernel {
            let sides = [
                shape.kernel_rows,
                shape.kernel_columns,
                shape.input,
                shape.output,
            ];
            grads.register::<Flex>(node.id, tensor(by_kernel, &sides));
        }
        if let Some(node) = node_bias {
            grads.register::<Flex>(node.id, tensor(by_bias, &[shape.output]));
        }
    }
}

pub(super) fn conv_autodiff(
    x: Tensor<4>,
    kernel: Tensor<4>,
    bias: Tensor<1>,
    window: Window,
) -> Tensor<4> {
    let shape = shape_of(x.dims(), kernel.dims(), window);
    let inputs = [tracked(x), tracked(kernel), tracked(bias)];
    recorded(Conv, inputs, |[x, kernel, bias]| {
        let out = convolve(&shape, &x, &kernel, &bias);
        (out, ConvState { shape, x, kernel })
    })
}

pub(super) fn norm_cpu(x: Tensor<4>, scale: Tensor<1>, activate: bool) -> Tensor<4> {
    let sides = x.dims();
    let (x, scale) = (plain(x), plain(scale));
    let out = norm::forward(slice(&x), slice(&scale), activate);
    Tensor::from_primitive::<Flex>(tensor(out, &sides))
}

#[derive(Debug)]
struct Norm;

#[derive(Clone, Debug)]
struct NormState {
    sides: [usize; 4],
    x: FlexTensor,
    scale: FlexTensor,
    activate: bool,
}

impl Backward<Flex, 2> for Norm {
    type State = NormState;

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [node_x, node_scale] = ops.parents;
        let grad = numbers(&grads.consume::<Flex>(&ops.node));
        let NormState {
            sides,
            x,
            scale,
            activate,
        } = ops.state;
        let (by_x, by_scale) = norm::backward(slice(&x), slice(&scale), activate, slice(&grad));
        if let Some(node) = node_x {
            grads.register::<Flex>(node.id, tensor(by_x, &sides));
        }
        if let Some(node) = node_scale {
            grads.register::<Flex>(node.id, tensor(by_scale, &[sides[3]]));
        }
    }
}

pub(super) fn norm_autodiff(x: Tensor<4>, scale: Tensor<1>, activate: bool) -> Tensor<4> {
    let sides = x.dims();
    recorded(Norm, [tracked(x), tracked(scale)], |[x, scale]| {
        let out = norm::forward(slice(&x), slice(&scale), activate);
        let state = NormState {
            sides,
            x,
            scale,
            activate,
        };
        (tensor(out, &sides), state)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    /// Values and derivatives by each input of two functions under random weights.
    pub(crate) fn same<const N: usize, const D: usize>(
        inputs: [(&[usize], f64); N],
        ours: impl Fn(&[Tensor<4>; N]) -> Tensor<D>,
        theirs: impl Fn(&[Tensor<4>; N]) -> Tensor<D>,
    ) {
        let device = Device::flex().autodiff();
        let random = |shape: &[usize], spread: f64| {
            let shape: [usize; 4] = shape.try_into().unwrap();
            Tensor::<4>::random(shape, Distribution::Normal(0.1, spread), &device).require_grad()
        };
        let inputs = inputs.map(|(shape, spread)| random(shape, spread));
        let run = |function: &dyn Fn(&[Tensor<4>; N]) -> Tensor<D>, weights: &Tensor<D>| {
            let out = function(&inputs);
            let gradients = (out.clone() * weights.clone()).sum().backward();
            let mut values = vec![out.into_data().try_into_vec::<f32>().unwrap()];
            for input in &inputs {
                let gradient = input.grad(&gradients).unwrap();
                values.push(gradient.into_data().try_into_vec::<f32>().unwrap());
            }
            values
        };
        let weights = ours(&inputs)
            .inner()
            .random_like(Distribution::Normal(0.0, 1.0));
        let weights = Tensor::from_inner(weights);
        let (ours, theirs) = (run(&ours, &weights), run(&theirs, &weights));
        for (number, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            assert_eq!(ours.len(), theirs.len());
            let most = theirs.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            for (a, b) in ours.iter().zip(theirs) {
                assert!((a - b).abs() < 2e-5 * (1.0 + most), "{number}: {a} {b}");
            }
        }
    }
}
