//! An adapter's folder, read and checked against its base.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::config::LoraConfig;
use crate::error::{ModelError, Result};
use crate::load::SafetensorsFile;

/// What every tensor's name begins with: `peft` wraps the base twice.
const PREFIX: &str = "base_model.model.";
const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";

/// A projection of the base that an adapter may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its module's name in the reference.
    pub name: String,
    /// Its name in earlier releases of the reference, where it had another.
    pub old_name: Option<String>,
    /// Width of its inputs.
    pub input: usize,
    /// Width of its outputs.
    pub output: usize,
}

/// The low-rank change of one projection: `scale · B A`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// `[rank, in]`, row-major.
    pub a: Vec<f32>,
    /// `[out, rank]`, row-major.
    pub b: Vec<f32>,
    /// What multiplies the product.
    pub scale: f32,
}

/// An adapter in memory, by the names of its base's projections.
#[derive(Clone, Debug)]
pub struct Adapter {
    path: PathBuf,
    factors: BTreeMap<String, Factors>,
}

impl Adapter {
    /// Reads the folder `dir` of an adapter whose base has `sites`.
    ///
    /// Every projection that `target_modules` names must have its factors, and no
    /// other may have any; experts are excepted from the first, as newer releases
    /// of the reference have no modules for them.
    ///
    /// # Errors
    /// - [`ModelError::Io`] when `adapter_config.json` or
    ///   `adapter_model.safetensors` is missing;
    /// - [`ModelError::Malformed`] for a field that is not supported, a damaged
    ///   file, a number type other than f32, bf16 and f16, and tensors of modules
    ///   that the base does not have or the configuration does not name;
    /// - [`ModelError::MissingTensor`] for A without B, B without A, and a
    ///   projection without both;
    /// - [`ModelError::WrongShape`] when a factor does not fit rank and base.
    pub fn open(dir: &Path, sites: &[Site]) -> Result<Self> {
        let config_path = dir.join("adapter_config.json");
        let config = LoraConfig::read(&config_path)?;
        let weights_path = dir.join("adapter_model.safetensors");
        let mut file = SafetensorsFile::open(&weights_path)?;
        let in_config = |reason: String| ModelError::malformed(&config_path, reason);
        let in_weights = |reason: String| ModelError::malformed(&weights_path, reason);

        let names = file.names();
        let uses_old_names = uses_old_names(sites, &names);
        // By their names in the file, which the configuration uses too.
        let by_name: BTreeMap<&str, &Site> = sites
            .iter()
            .map(|site| match &site.old_name {
                Some(old) if uses_old_names => (old.as_str(), site),
                _ => (site.name.as_str(), site),
            })
            .collect();
        let mut present = BTreeSet::new();
        for name in &names {
            let module = module_of(name).map_err(in_weights)?;
            if !by_name.contains_key(module) {
                let reason = format!("tensor `{name}`: {}", why_absent(module));
                return Err(in_weights(reason));
            }
            present.insert(module);
        }

        let mut factors = BTreeMap::new();
        for (module, site) in by_name {
            let is_named = config.targets.contain(module);
            let is_named = is_named.map_err(|why| in_config(format!("`target_modules`: {why}")))?;
            match (is_named, present.contains(module)) {
                (true, false) if !module.contains(".experts.") => {
                    return Err(ModelError::MissingTensor {
                        path: weights_path,
                        name: format!("{PREFIX}{module}{A}"),
                    });
                }
                (_, false) => continue,
                (false, true) => {
                    return Err(in_weights(format!(
                        "tensor `{PREFIX}{module}{A}`: `target_modules` of adapter_config.json \
                         does not name `{module}`"
                    )));
                }
                (true, true) => {}
            }
            let rank = config.rank_of(module).map_err(in_config)?;
            let scale = config.scale_of(module).map_err(in_config)? as f32;
            if !scale.is_finite() {
                let reason = format!("`lora_alpha`: the scale of `{module}` is no number");
                return Err(in_config(reason));
            }
            let mut read = |suffix: &str, shape: &[usize]| {
                file.read_weight(&format!("{PREFIX}{module}{suffix}"), shape)
            };
            let found = Factors {
                rank,
                a: read(A, &[rank, site.input])?,
                b: read(B, &[site.output, rank])?,
                scale,
            };
            factors.insert(site.name.clone(), found);
        }
        if factors.is_empty() {
            let reason = "`target_modules`: names no module of the base".to_owned();
            return Err(in_config(reason));
        }
        Ok(Self {
            path: dir.to_owned(),
            factors,
        })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The change of the projection called `site`, where it has one.
    pub fn factors(&self, site: &str) -> Option<&Factors> {
        self.factors.get(site)
    }

    /// Projections that it changes.
    pub fn len(&self) -> usize {
        self.factors.len()
    }

    /// Never: one that changes nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.factors.is_empty()
    }

    /// Numbers in all factors.
    pub fn num_parameters(&self) -> usize {
        let numbers = |factors: &Factors| factors.a.len() + factors.b.len();
        self.factors.values().map(numbers).sum()
    }
}

/// Whether the file uses the names of earlier releases.
fn uses_old_names(sites: &[Site], names: &[String]) -> bool {
    let renamed = sites.iter().filter(|site| site.old_name.is_some());
    let new: BTreeSet<&str> = renamed.map(|site| site.name.as_str()).collect();
    let is_new = |name: &String| module_of(name).is_ok_and(|module| new.contains(module));
    !names.iter().any(is_new)
}

/// The module whose factor a tensor is.
fn module_of(tensor: &str) -> Result<&str, String> {
    let inner = tensor.strip_prefix(PREFIX);
    let module = inner.and_then(|name| name.strip_suffix(A).or_else(|| name.strip_suffix(B)));
    module.ok_or_else(|| {
        let kinds = [
            ("lora_magnitude_vector", "DoRA's magnitudes"),
            ("lora_embedding_", "factors of an embedding"),
            ("modules_to_save", "modules that were trained as a whole"),
            ("base_layer", "weights of the base"),
            (".bias", "biases"),
        ];
        let kind = kinds.iter().find(|(mark, _)| tensor.contains(mark));
        match kind {
            Some((_, kind)) => format!("tensor `{tensor}`: {kind} are not supported"),
            None => format!(
                "tensor `{tensor}` is not called `{PREFIX}<module>{A}` or `{PREFIX}<module>{B}`"
            ),
        }
    })
}

/// Why a module's factors cannot be used.
fn why_absent(module: &str) -> String {
    let last = module.rsplit('.').next().unwrap_or(module);
    match last {
        "embed_tokens" | "lm_head" => {
            format!("`{module}`: adapters of embedding and head are not supported")
        }
        "gate" => format!("`{module}`: adapters of a router are not supported"),
        "experts" | "base_layer" => format!(
            "`{module}`: factors of experts in one tensor are not supported; those of each \
             expert's projections are"
        ),
        _ => format!("the base has no projection `{module}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_is_a_factor_of_a_module_or_explained() {
        let q = "base_model.model.model.layers.0.self_attn.q_proj";
        let module = module_of("base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight");
        assert_eq!(module, Ok("model.layers.0.self_attn.q_proj"));
        for (tensor, says) in [
            (format!("{q}.lora_magnitude_vector"), "DoRA"),
            (format!("{q}.lora_B.bias"), "biases"),
            (
                "base_model.model.lm_head.modules_to_save.weight".to_owned(),
                "as a whole",
            ),
            (
                "model.layers.0.self_attn.q_proj.lora_A.weight".to_owned(),
                "is not called",
            ),
        ] {
            let error = module_of(&tensor).unwrap_err();
            assert!(error.contains(says) && error.contains(&tensor), "{error}");
        }
    }
}
