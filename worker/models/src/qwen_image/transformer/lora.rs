//! Adapters for the transformer, merged into its weights when it is loaded.
//!
//! One safetensors file, as `diffusers`, `peft` and the trainers of the Lightning
//! weights write it. Names follow `_convert_non_diffusers_qwen_lora_to_diffusers`
//! (`diffusers/loaders/lora_conversion_utils.py`): `<prefix><module>.lora_A.weight`
//! (or `lora_down`) `[rank, in]`, `…lora_B.weight` (or `lora_up`) `[out, rank]` and,
//! optionally, `<module>.alpha`, by which the product is scaled over the rank
//! (arXiv:2106.09685, §4.1); `diffusers` itself has one alpha for all, in the
//! header's `lora_adapter_metadata`. Without either the scale is 1.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use serde_json::Value;

use super::model::QwenImageTransformer;
use super::weights::Part;
use crate::error::{ModelError, Result};
use crate::load::{SafetensorsFile, transpose};

/// What the names may begin with.
const PREFIXES: [&str; 4] = [
    "transformer.",
    "diffusion_model.",
    "base_model.model.",
    "lora_unet_",
];

/// Which tensor of a module's adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    A,
    B,
    Alpha,
}

/// What a name may end with.
const SUFFIXES: [(&str, Role); 5] = [
    (".lora_A.weight", Role::A),
    (".lora_down.weight", Role::A),
    (".lora_B.weight", Role::B),
    (".lora_up.weight", Role::B),
    (".alpha", Role::Alpha),
];

/// The tensors of one module.
#[derive(Debug, Default)]
struct Names {
    a: Option<String>,
    b: Option<String>,
    alpha: Option<String>,
}

impl QwenImageTransformer {
    /// Adds the product of the adapter in the file `path`, times `strength`, to the
    /// weights. Returns the number of projections that it changed.
    ///
    /// # Errors
    /// - [`ModelError::Io`] and [`ModelError::Malformed`] for a damaged file, names
    ///   that are not understood, and modules that the model does not have;
    /// - [`ModelError::MissingTensor`] for one factor without the other;
    /// - [`ModelError::WrongShape`] when a factor does not fit the model.
    ///
    /// The model is unchanged unless all fit.
    pub fn merge_lora(&mut self, path: &Path, strength: f32) -> Result<usize> {
        let mut file = SafetensorsFile::open(path)?;
        let mut merged = self.clone();
        let mut by_module = sort_names(&file, path)?;
        let common = common_alpha(&file).map_err(|reason| ModelError::malformed(path, reason))?;
        let mut count = 0;
        for (module, part) in merged.parts() {
            let flat = module.replace('.', "_");
            let found = by_module
                .remove(&module)
                .or_else(|| by_module.remove(&flat));
            let (Some(names), Part::Linear(linear, [input, output])) = (found, part) else {
                continue;
            };
            let missing = |kind: &str| ModelError::MissingTensor {
                path: path.to_owned(),
                name: format!("{module}.{kind}.weight"),
            };
            let a = names.a.ok_or_else(|| missing("lora_A"))?;
            let b = names.b.ok_or_else(|| missing("lora_B"))?;
            let rank = file
                .shape(&a)
                .and_then(|shape| shape.first().copied())
                .unwrap_or(0);
            if rank == 0 {
                return Err(ModelError::malformed(path, format!("`{a}` has rank 0")));
            }
            let alpha = match names.alpha {
                Some(alpha) => file.read(&alpha)?.1.first().copied(),
                None => common,
            };
            let scale = alpha.map_or(1.0, |alpha| alpha / rank as f32);
            let a = transpose(&file.read_weight(&a, &[rank, input])?, rank, input);
            let b = transpose(&file.read_weight(&b, &[output, rank])?, output, rank);
            let weight = linear.weight.val();
            let device = weight.device();
            let factor = |values: Vec<f32>, shape: [usize; 2]| {
                Tensor::<2>::from_data(TensorData::new(values, shape), &device)
            };
            let change = factor(a, [input, rank]).matmul(factor(b, [rank, output]));
            let change = change.mul_scalar(scale * strength).cast(weight.dtype());
            linear.weight = Param::from_tensor((weight + change).detach());
            count += 1;
        }
        if let Some((module, names)) = by_module.first_key_value() {
            let name = names.a.as_ref().or(names.b.as_ref()).unwrap_or(module);
            let reason = format!("tensor `{name}`: the transformer has no projection `{module}`");
            return Err(ModelError::malformed(path, reason));
        }
        *self = merged;
        Ok(count)
    }
}

/// `lora_alpha` of the header, where it has one; what else it says must be usual.
fn common_alpha(file: &SafetensorsFile) -> Result<Option<f32>, String> {
    const KEY: &str = "lora_adapter_metadata";
    let Some(text) = file.note(KEY) else {
        return Ok(None);
    };
    let fields: BTreeMap<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("`{KEY}`: {error}"))?;
    let field = |name: &str| fields.get(&format!("transformer.{name}"));
    for flag in ["use_rslora", "use_dora"] {
        if field(flag) == Some(&Value::Bool(true)) {
            return Err(format!(
                "`{KEY}`: `{flag}` is not supported in a merged adapter"
            ));
        }
    }
    let is_empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
    if !field("alpha_pattern").is_none_or(is_empty) {
        return Err(format!(
            "`{KEY}`: `alpha_pattern` is not supported in a merged adapter"
        ));
    }
    Ok(field("lora_alpha")
        .and_then(Value::as_f64)
        .map(|alpha| alpha as f32))
}

/// The file's tensors by module.
fn sort_names(file: &SafetensorsFile, path: &Path) -> Result<BTreeMap<String, Names>> {
    let mut modules: BTreeMap<String, Names> = BTreeMap::new();
    for name in file.names() {
        let Some((module, role)) = understand(&name) else {
            let reason = format!(
                "tensor `{name}` is not `<module>` with one of {}",
                SUFFIXES.map(|(suffix, _)| suffix).join(", ")
            );
            return Err(ModelError::malformed(path, reason));
        };
        let names = modules.entry(module).or_default();
        match role {
            Role::A => names.a = Some(name),
            Role::B => names.b = Some(name),
            Role::Alpha => names.alpha = Some(name),
        }
    }
    match modules.is_empty() {
        true => Err(ModelError::malformed(
            path,
            "holds no factors of an adapter",
        )),
        false => Ok(modules),
    }
}

/// Module and role of a tensor; `peft` may put an adapter's name, `default`, before
/// `weight`.
fn understand(name: &str) -> Option<(String, Role)> {
    let plain = name.replace(".default.", ".");
    let (module, role) = SUFFIXES
        .iter()
        .find_map(|(suffix, role)| Some((plain.strip_suffix(suffix)?, *role)))?;
    let bare = PREFIXES
        .iter()
        .find_map(|prefix| module.strip_prefix(prefix));
    Some((bare.unwrap_or(module).to_owned(), role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_trainers_mean_the_same() {
        for (name, role) in [
            ("transformer_blocks.3.attn.to_q.lora_down.weight", Role::A),
            (
                "transformer.transformer_blocks.3.attn.to_q.lora_A.weight",
                Role::A,
            ),
            (
                "diffusion_model.transformer_blocks.3.attn.to_q.lora_B.weight",
                Role::B,
            ),
            (
                "base_model.model.transformer_blocks.3.attn.to_q.lora_B.default.weight",
                Role::B,
            ),
            ("transformer_blocks.3.attn.to_q.alpha", Role::Alpha),
        ] {
            let expected = ("transformer_blocks.3.attn.to_q".to_owned(), role);
            assert_eq!(understand(name), Some(expected), "{name}");
        }
        let flat = "lora_unet_transformer_blocks_3_attn_to_q.lora_up.weight";
        let expected = ("transformer_blocks_3_attn_to_q".to_owned(), Role::B);
        assert_eq!(understand(flat), Some(expected));
        assert_eq!(
            understand("transformer_blocks.3.attn.to_q.dora_scale"),
            None
        );
    }
}
