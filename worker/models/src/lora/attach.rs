//! Puts an adapter's factors beside a module's weights.

use std::path::Path;

use burn::module::{LoraAdapter, Param};
use burn::tensor::{DType, Tensor, TensorData};

use super::adapter::{Adapter, Factors, Site};
use super::linear::Linear;
use crate::device::Device;
use crate::error::Result;
use crate::load::transpose;
use crate::qwen3::layer::FeedForward;
use crate::qwen3::mlp::Mlp;
use crate::qwen3::weights::{WeightSpec, weight_specs};
use crate::qwen3::{Qwen3, Qwen3Config};
use crate::qwen25_vl::Qwen25Vl;
use crate::qwen25_vl::vision::VisionTower;

/// A model whose projections can carry an adapter.
pub trait Adaptable: Clone {
    /// Those projections, by their modules' names in the reference.
    fn projections(&mut self) -> Vec<(String, &mut Linear)>;

    /// The name that earlier releases of the reference gave to a projection.
    fn old_name(_name: &str) -> Option<String> {
        None
    }
}

/// Reads the adapter in `dir` for the base `model`.
///
/// # Errors
/// Those of [`Adapter::open`].
pub fn open<M: Adaptable>(dir: &Path, model: &M) -> Result<Adapter> {
    Adapter::open(dir, &sites_of(model))
}

/// The projections of a module.
pub(crate) fn sites_of<M: Adaptable>(model: &M) -> Vec<Site> {
    // Cheap: the copy shares the weights.
    let mut model = model.clone();
    let sites = model.projections().into_iter().map(|(name, linear)| {
        let [input, output] = linear.weight.dims();
        Site {
            old_name: M::old_name(&name),
            name,
            input,
            output,
        }
    });
    sites.collect()
}

/// The projections of a Qwen3 of this configuration.
pub fn sites(config: &Qwen3Config) -> Vec<Site> {
    projections(weight_specs(config)).collect()
}

/// The projections among a decoder's tensors.
pub(crate) fn projections(specs: Vec<WeightSpec>) -> impl Iterator<Item = Site> {
    specs.into_iter().filter_map(|spec| {
        let name = spec.name.strip_suffix(".weight")?;
        let [output, input] = spec.shape[..] else {
            return None;
        };
        name.ends_with("_proj").then(|| Site {
            name: name.to_owned(),
            old_name: None,
            input,
            output,
        })
    })
}

/// `model` with `adapter`, in the weights' number type and on their device. The
/// two share the weights.
pub fn attach<M: Adaptable>(model: &M, adapter: &Adapter) -> M {
    let mut adapted = model.clone();
    for (name, linear) in adapted.projections() {
        linear.lora = adapter
            .factors(&name)
            .map(|factors| factors.to_module(&linear.weight.val()));
    }
    adapted
}

impl Factors {
    /// The factors beside `weight`, `[in, out]`.
    fn to_module(&self, weight: &Tensor<2>) -> LoraAdapter {
        let ([input, output], rank) = (weight.dims(), self.rank);
        let (device, dtype) = (weight.device(), weight.dtype());
        let factor = |values: &[f32], rows, columns| {
            let values = transpose(values, rows, columns);
            parameter(values, [columns, rows], &device, dtype)
        };
        LoraAdapter {
            a: factor(&self.a, rank, input),
            b: factor(&self.b, output, rank),
            scale: f64::from(self.scale),
        }
    }
}

fn parameter(
    values: Vec<f32>,
    shape: [usize; 2],
    device: &Device,
    dtype: DType,
) -> Param<Tensor<2>> {
    let data = TensorData::new(values, shape);
    Param::from_tensor(Tensor::from_data(data, (device, dtype)))
}

impl Adaptable for Qwen3 {
    fn projections(&mut self) -> Vec<(String, &mut Linear)> {
        let mut all = Vec::new();
        for (number, layer) in self.layers.iter_mut().enumerate() {
            let at = format!("model.layers.{number}");
            let attention = &mut layer.self_attn;
            all.extend([
                (format!("{at}.self_attn.q_proj"), &mut attention.q_proj),
                (format!("{at}.self_attn.k_proj"), &mut attention.k_proj),
                (format!("{at}.self_attn.v_proj"), &mut attention.v_proj),
                (format!("{at}.self_attn.o_proj"), &mut attention.o_proj),
            ]);
            match &mut layer.mlp {
                FeedForward::Dense(mlp) => all.extend(of_mlp(mlp, &format!("{at}.mlp"))),
                FeedForward::Sparse(moe) => {
                    for (expert, mlp) in moe.experts.iter_mut().enumerate() {
                        all.extend(of_mlp(mlp, &format!("{at}.mlp.experts.{expert}")));
                    }
                }
            }
        }
        all
    }
}

impl Adaptable for Qwen25Vl {
    fn projections(&mut self) -> Vec<(String, &mut Linear)> {
        let mut all = self.visual.projections();
        for (number, layer) in self.language_model.layers.iter_mut().enumerate() {
            let at = format!("model.language_model.layers.{number}");
            let attention = &mut layer.self_attn;
            all.extend([
                (format!("{at}.self_attn.q_proj"), &mut attention.q_proj),
                (format!("{at}.self_attn.k_proj"), &mut attention.k_proj),
                (format!("{at}.self_attn.v_proj"), &mut attention.v_proj),
                (format!("{at}.self_attn.o_proj"), &mut attention.o_proj),
            ]);
            all.extend(of_mlp(&mut layer.mlp, &format!("{at}.mlp")));
        }
        all
    }

    fn old_name(name: &str) -> Option<String> {
        old_name(name)
    }
}

impl Adaptable for VisionTower {
    fn projections(&mut self) -> Vec<(String, &mut Linear)> {
        let mut all = Vec::new();
        for (number, block) in self.blocks.iter_mut().enumerate() {
            let at = format!("model.visual.blocks.{number}");
            all.push((format!("{at}.attn.qkv"), &mut block.attn.qkv));
            all.push((format!("{at}.attn.proj"), &mut block.attn.proj));
            all.extend(of_mlp(&mut block.mlp, &format!("{at}.mlp")));
        }
        let merger = &mut self.merger;
        all.push(("model.visual.merger.mlp.0".to_owned(), &mut merger.up));
        all.push(("model.visual.merger.mlp.2".to_owned(), &mut merger.down));
        all
    }

    fn old_name(name: &str) -> Option<String> {
        old_name(name)
    }
}

/// Before release 4.52 of `transformers` the parts of a Qwen2.5-VL stood beside each
/// other.
pub(crate) fn old_name(name: &str) -> Option<String> {
    let visual = name.strip_prefix("model.visual.");
    let text = name.strip_prefix("model.language_model.");
    visual
        .map(|rest| format!("visual.{rest}"))
        .or_else(|| text.map(|rest| format!("model.{rest}")))
}

fn of_mlp<'m>(mlp: &'m mut Mlp, at: &str) -> [(String, &'m mut Linear); 3] {
    [
        (format!("{at}.gate_proj"), &mut mlp.gate_proj),
        (format!("{at}.up_proj"), &mut mlp.up_proj),
        (format!("{at}.down_proj"), &mut mlp.down_proj),
    ]
}
