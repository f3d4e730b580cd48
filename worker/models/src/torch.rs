//! Operations that LibTorch does in one or a few kernels where Burn composes many.
//!
//! On a GPU a decode step is limited by the number of kernels that are launched: a norm is
//! one in place of eight, attention about two in place of ten, a rotation five in place of
//! nine. Each function answers `None` elsewhere than on LibTorch's GPUs, where alone this was
//! compared with the reference, and where derivatives are recorded; the caller then composes. Results are never views of what was given: Burn may
//! write into a tensor that it believes to have alone.
#![expect(
    deprecated,
    reason = "users asked for LibTorch; burn has it until version 0.23"
)]

use burn::backend::{DispatchAutodiffContext, DispatchTensorKind, LibTorch};
use burn::module::Param;
use burn::nn::RmsNorm;
use burn::tensor::Tensor;
use burn_tch::TchTensor;

use crate::qwen3::Qwen3;
use crate::qwen3::weights::Slot;

/// [`RmsNorm`], summed in f32 whatever the numbers of `x`.
pub(crate) fn rms_norm<const D: usize>(norm: &RmsNorm, x: &Tensor<D>) -> Option<Tensor<D>> {
    let (x, gamma) = (on_gpu(x)?, on_gpu(&norm.gamma.val())?);
    let (normed, _) = x.internal_fused_rms_norm(gamma.size(), Some(&gamma), norm.epsilon);
    Some(tensor(normed))
}

/// Turns heads `[batch, heads, tokens, head_dim]`, in f32, by `cos` and `sin`
/// `[batch, 1, tokens, head_dim]`, the sines of the first half negated.
pub(crate) fn turn_halves(x: &Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Option<Tensor<4>> {
    let half = (x.dims()[3] / 2) as i64;
    let (x, cos, sin) = (on_gpu(x)?, on_gpu(cos)?, on_gpu(sin)?);
    let turned = &x * cos + x.roll(half, 3) * sin;
    Some(tensor(turned.to_kind(x.kind())))
}

/// Turns neighbours of heads `[batch, tokens, heads, head_dim]`, in f32, by `turns`
/// `[1, tokens, 1, head_dim/2, 2]`: a cosine and a sine for each pair.
pub(crate) fn turn_pairs(x: &Tensor<4>, turns: &Tensor<5>) -> Option<Tensor<4>> {
    let [batch, tokens, heads, head_dim] = x.dims().map(|size| size as i64);
    let (x, turns) = (on_gpu(x)?, on_gpu(turns)?);
    let pairs = x.to_kind(tch::Kind::Float).contiguous();
    let pairs = pairs.view([batch, tokens, heads, head_dim / 2, 2]);
    let turned = (pairs.view_as_complex() * turns.view_as_complex()).view_as_real();
    let turned = turned.view([batch, tokens, heads, head_dim]);
    Some(tensor(turned.to_kind(x.kind())))
}

/// [`crate::qwen3::attention::grouped_attention`].
pub(crate) fn attention(
    query: &Tensor<4>,
    key: &Tensor<4>,
    value: &Tensor<4>,
    bias: Option<&Tensor<5>>,
) -> Option<Tensor<3>> {
    let [batch, heads, tokens, head_dim] = query.dims().map(|size| size as i64);
    let [_, kv_heads, keys, _] = key.dims().map(|size| size as i64);
    let (query, key, value) = (on_gpu(query)?, on_gpu(key)?, on_gpu(value)?);
    let bias = match bias {
        Some(bias) => Some(on_gpu(bias)?.to_kind(query.kind())),
        None => None,
    };
    // Not LibTorch's own attention: on new GPUs it plans anew for every number of keys, which
    // a decode step always has one more of (50 ms on an H200 with LibTorch 2.11).
    let rows = heads / kv_heads * tokens;
    let query = (query * (head_dim as f64).powf(-0.5)).reshape([batch, kv_heads, rows, head_dim]);
    let mut scores = query.matmul(&key.transpose(2, 3));
    if let Some(bias) = bias {
        let by_head = scores.view([batch, kv_heads, heads / kv_heads, tokens, keys]);
        scores = (by_head + bias).view([batch, kv_heads, rows, keys]);
    }
    // Adds up in f32 within.
    let attended = scores.softmax(-1, None::<tch::Kind>).matmul(&value);
    let attended = attended.view([batch, heads, tokens, head_dim]);
    let side_by_side = attended.transpose(1, 2).contiguous();
    Some(tensor(side_by_side.view([batch, tokens, heads * head_dim])))
}

/// What LibTorch holds of `x` on a GPU; none elsewhere.
pub(crate) fn on_gpu<const D: usize>(x: &Tensor<D>) -> Option<tch::Tensor> {
    let dispatch = x.clone().into_dispatch();
    match (&dispatch.kind, dispatch.autodiff) {
        (DispatchTensorKind::LibTorch(_), DispatchAutodiffContext::Disabled) => {}
        _ => return None,
    }
    let primitive = x.clone().try_into_primitive::<LibTorch>().ok()?;
    primitive
        .tensor
        .device()
        .is_cuda()
        .then_some(primitive.tensor)
}

/// The projections of `model` by rows, `[out, in]` one after the other, where LibTorch has
/// them on a GPU in bf16: what [`crate::qwen3::gpu`] reads. Their values and shapes stay, and
/// one of them at a time takes up memory twice.
pub fn by_rows(mut model: Qwen3) -> Qwen3 {
    for slot in model.slots() {
        let Slot::Projection(param) = slot else {
            continue;
        };
        let Some(weight) = on_gpu(&param.val()) else {
            continue;
        };
        if weight.kind() == tch::Kind::BFloat16 && !weight.tr().is_contiguous() {
            let rows = weight.tr().contiguous();
            *param = Param::from_tensor(tensor(rows.tr()));
        }
    }
    model
}

fn tensor<const D: usize>(made: tch::Tensor) -> Tensor<D> {
    Tensor::from_primitive::<LibTorch>(TchTensor::new(made))
}
