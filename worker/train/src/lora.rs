//! Training of low-rank changes in place of the weights themselves.
//!
//! Source: Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*
//! (arXiv:2106.09685), §4.1: `W + α/r · B A`, with A drawn at random and B zero at the
//! start. Folders are those of `peft`: `adapter_config.json` and
//! `adapter_model.safetensors`.

use std::path::Path;

use burn::module::{LoraAdapter, Module, Param};
use burn::tensor::{DType, Tensor, TensorData};
use illumine_models::Qwen3;
use illumine_models::lora::{Adaptable, Linear, attach, open};
use illumine_models::qwen3::weights::{Slot, weight_specs};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::corpus::Rng;
use crate::error::{Result, TrainError};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
/// What `peft` calls the modules of the base that it wraps.
const PREFIX: &str = "base_model.model.";

/// The low-rank changes that are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraOptions {
    /// Rows of A, columns of B.
    pub rank: usize,
    /// The change counts `alpha / rank` times.
    pub alpha: f64,
    /// Ends of the names of the projections that are changed.
    pub target_modules: Vec<String>,
}

impl Default for LoraOptions {
    fn default() -> Self {
        let all = [
            "q_proj",
            "k_proj",
            "v_proj",
            "o_proj",
            "gate_proj",
            "up_proj",
            "down_proj",
        ];
        Self {
            rank: 16,
            alpha: 32.0,
            target_modules: all.map(str::to_owned).to_vec(),
        }
    }
}

impl LoraOptions {
    /// Checks each value.
    ///
    /// # Errors
    /// [`TrainError::Config`] naming the first that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let refuse = |field, reason: String| Err(TrainError::Config { field, reason });
        if self.rank == 0 {
            return refuse("lora.rank", "must be at least 1".to_owned());
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return refuse("lora.alpha", format!("{}: must be above 0", self.alpha));
        }
        let known = Self::default().target_modules;
        match self
            .target_modules
            .iter()
            .find(|name| !known.contains(name))
        {
            Some(name) => refuse(
                "lora.target_modules",
                format!("`{name}` is none of {}", known.join(", ")),
            ),
            None if self.target_modules.is_empty() => {
                refuse("lora.target_modules", "names no projection".to_owned())
            }
            None => Ok(()),
        }
    }

    /// The factor before the product.
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// Whether the projection `name` is changed.
    pub fn changes(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or(name);
        self.target_modules.iter().any(|target| target == last)
    }
}

/// `model` with changes that are nothing yet. Its own weights are no longer learnt.
/// `seed` alone says what A is, on every device and whatever else draws numbers there.
pub fn begin(model: Qwen3, options: &LoraOptions, seed: u64) -> Qwen3 {
    let mut model = model.no_grad();
    for (number, (name, linear)) in model.projections().into_iter().enumerate() {
        if !options.changes(&name) {
            continue;
        }
        let [input, output] = linear.weight.dims();
        let device = linear.weight.val().device();
        // As `nn.init.kaiming_uniform_(A, a=√5)`, which `peft` uses: bounds of 1/√in.
        let bound = 1.0 / (input as f32).sqrt();
        let mut rng = Rng::new(seed, number as u64);
        let values: Vec<f32> = (0..input * options.rank)
            .map(|_| rng.range(-bound, bound))
            .collect();
        // What is learnt is f32, also beside weights that are not.
        let data = TensorData::new(values, [input, options.rank]);
        let a = Tensor::from_data(data, (&device, DType::F32));
        let b = Tensor::zeros([options.rank, output], (&device, DType::F32));
        linear.lora = Some(LoraAdapter {
            a: Param::from_tensor(a),
            b: Param::from_tensor(b),
            scale: options.scale(),
        });
    }
    model
}

/// `model` with the changes in the folder `adapter`, to go on learning them.
///
/// # Errors
/// [`TrainError::Model`] when the folder is damaged or of another base.
pub fn resume(model: Qwen3, adapter: &Path) -> Result<Qwen3> {
    let model = model.no_grad();
    let adapter = open(adapter, &model)?;
    let mut model = attach(&model, &adapter);
    for slot in trained(&mut model) {
        if let Slot::Projection(param) = slot {
            let value = param.val().inner().cast(DType::F32);
            *param = Param::initialized(param.id, Tensor::from_inner(value).require_grad());
        }
    }
    Ok(model)
}

/// Whether changes are what is learnt of `model`.
pub fn is_adapted(model: &Qwen3) -> bool {
    let mut model = model.clone();
    let projections = model.projections();
    projections.iter().any(|(_, linear)| linear.lora.is_some())
}

/// What is learnt of `model`: its changes where it has any, else every weight.
pub fn trained(model: &mut Qwen3) -> Vec<Slot<'_>> {
    if !is_adapted(model) {
        return model.slots();
    }
    let adapters = model.projections().into_iter();
    adapters
        .filter_map(|(_, linear)| linear.lora.as_mut())
        .flat_map(|lora| [Slot::Projection(&mut lora.a), Slot::Projection(&mut lora.b)])
        .collect()
}

/// Names of what [`trained`] gives, in its order.
pub fn trained_names(model: &Qwen3, config: &illumine_models::Qwen3Config) -> Vec<String> {
    if !is_adapted(model) {
        let specs = weight_specs(config).into_iter();
        return specs.map(|spec| spec.name).collect();
    }
    let mut model = model.clone();
    let adapters = model.projections().into_iter();
    adapters
        .filter(|(_, linear)| linear.lora.is_some())
        .flat_map(|(name, _)| [format!("{name}.lora_A"), format!("{name}.lora_B")])
        .collect()
}

/// `model` without derivatives and with its changes worked into its weights, as it is
/// written and saved.
pub fn merged(model: &Qwen3) -> Qwen3 {
    let mut plain = model.valid();
    for (_, linear) in plain.projections() {
        if let Some(lora) = linear.lora.take() {
            let change = lora.a.val().matmul(lora.b.val()) * lora.scale;
            // In f32: a change may be smaller than a step of bf16.
            let weight = linear.weight.val().cast(DType::F32);
            linear.weight = Param::from_tensor(weight + change);
        }
    }
    plain
}

/// Writes the changes of `model` as `peft` reads them, for the base called `base`.
///
/// # Errors
/// [`TrainError::Io`], [`TrainError::Checkpoint`].
pub fn save(model: &Qwen3, options: &LoraOptions, base: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| TrainError::io(folder, error))?;
    let path = folder.join(CONFIG);
    let config = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": options.rank,
        "lora_alpha": options.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": options.target_modules,
        "inference_mode": true,
    });
    let text = serde_json::to_string_pretty(&config)
        .map_err(|error| TrainError::checkpoint(&path, error))?;
    std::fs::write(&path, text).map_err(|error| TrainError::io(&path, error))?;

    let path = folder.join(WEIGHTS);
    let mut plain = model.valid();
    let mut buffers = Vec::new();
    for (name, linear) in plain.projections() {
        let Linear {
            lora: Some(lora), ..
        } = linear
        else {
            continue;
        };
        for (factor, tensor) in [("lora_A", lora.a.val()), ("lora_B", lora.b.val())] {
            let [rows, columns] = tensor.dims();
            // There `[out, in]`, as every projection.
            let values = tensor.transpose().into_data().convert::<f32>();
            let values: Vec<f32> = values
                .try_into_vec()
                .map_err(|error| TrainError::checkpoint(&path, format!("{error:?}")))?;
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            buffers.push((
                format!("{PREFIX}{name}.{factor}.weight"),
                [columns, rows],
                bytes,
            ));
        }
    }
    let mut views = Vec::with_capacity(buffers.len());
    for (name, shape, bytes) in &buffers {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)
            .map_err(|error| TrainError::checkpoint(&path, error))?;
        views.push((name.as_str(), view));
    }
    safetensors::serialize_to_file(views, None, &path)
        .map_err(|error| TrainError::checkpoint(&path, error))
}
