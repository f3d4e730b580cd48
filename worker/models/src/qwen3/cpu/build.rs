//! Lays a checkpoint's weights out for the CPU, part by part as they come, so
//! that loading takes little memory beside the result.

use std::vec;

use super::decoder::{CpuDecoder, HeadNorms, Layer};
use super::feed_forward::{FeedForward, Mlp, Moe};
use super::matrix::{Matrix, MatrixBuilder, Precision};
use super::rotation::Rotor;
use crate::device::read_f32;
use crate::error::{ModelError, Result};
use crate::load::{Weights, transpose};
use crate::qwen3::rotary::Frequencies;
use crate::qwen3::weights::{Slot, WeightSpec, weight_specs};
use crate::qwen3::{Qwen3, Qwen3Config};
use crate::qwen25_vl::Qwen25VlConfig;
use crate::qwen25_vl::weights::text_specs;

impl CpuDecoder {
    /// Reads the weights from their files, each once and a few rows at a time.
    /// `precision` is that of the projections: norms, routers and an embedding
    /// that is not the head stay exact.
    ///
    /// # Errors
    /// Those of [`Weights::read_rows`].
    pub fn load(weights: &mut Weights, config: &Qwen3Config, precision: Precision) -> Result<Self> {
        build(weights, Plan::qwen3(config), precision)
    }

    /// The same for the decoder of a Qwen2.5-VL, whose tensors' names begin with
    /// `at` but for the head's.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn load_qwen25_vl(
        weights: &mut Weights,
        config: &Qwen25VlConfig,
        at: &str,
        precision: Precision,
    ) -> Result<Self> {
        let text = &config.text;
        let plan = Plan {
            config: text,
            specs: text_specs(text, at),
            biased: true,
            rotor: Rotor::multimodal(text.head_dim, text.rope_theta, &config.mrope_section),
        };
        build(weights, plan, precision)
    }

    /// Copies the weights of `model` from its device, as exact as they are.
    ///
    /// # Errors
    /// [`ModelError::Config`] when `model` has another shape than `config`,
    /// [`ModelError::Device`] when its device failed.
    pub fn new(model: &Qwen3, config: &Qwen3Config) -> Result<Self> {
        Self::with_precision(model, config, Precision::Exact)
    }

    /// [`Self::new`] with a choice of precision, as in [`Self::load`].
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_precision(
        model: &Qwen3,
        config: &Qwen3Config,
        precision: Precision,
    ) -> Result<Self> {
        let mut model = model.clone();
        let slots = model.slots().into_iter();
        build(&mut Module { slots }, Plan::qwen3(config), precision)
    }
}

/// Gives tensors in the order of [`weight_specs`].
trait Source {
    /// Calls `take` with whole rows of the tensor `spec`, `[out, in]`, in order.
    fn read(&mut self, spec: &WeightSpec, take: &mut dyn FnMut(&[f32])) -> Result<()>;
}

impl Source for Weights {
    fn read(&mut self, spec: &WeightSpec, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        self.read_rows(&spec.name, &spec.shape, take)
    }
}

/// A module's parameters.
struct Module<'m> {
    slots: vec::IntoIter<Slot<'m>>,
}

impl Source for Module<'_> {
    fn read(&mut self, spec: &WeightSpec, take: &mut dyn FnMut(&[f32])) -> Result<()> {
        let mismatch = |reason: &str| ModelError::Config {
            field: "model",
            reason: format!("`{}` {reason}", spec.name),
        };
        let values = match self.slots.next().ok_or_else(|| mismatch("is missing"))? {
            // `[in, out]` in the module.
            Slot::Projection(param) => {
                let values = read_f32(param.val())?;
                if values.len() != spec.shape.iter().product::<usize>() {
                    return Err(mismatch("has another shape"));
                }
                transpose(&values, spec.shape[1], spec.shape[0])
            }
            Slot::Embedding(param) => read_f32(param.val())?,
            Slot::Scale(param) => read_f32(param.val())?,
        };
        if values.len() != spec.shape.iter().product::<usize>() {
            return Err(mismatch("has another shape"));
        }
        take(&values);
        Ok(())
    }
}

/// What is to be built of which tensors.
struct Plan<'c> {
    config: &'c Qwen3Config,
    specs: Vec<WeightSpec>,
    /// Biases on query, key and value and no norms over heads, as Qwen2.5 has
    /// it; the other way round in Qwen3.
    biased: bool,
    rotor: Rotor,
}

impl<'c> Plan<'c> {
    fn qwen3(config: &'c Qwen3Config) -> Self {
        Self {
            config,
            specs: weight_specs(config),
            biased: false,
            rotor: Rotor::line(Frequencies::new(config)),
        }
    }
}

fn build(source: &mut dyn Source, plan: Plan<'_>, precision: Precision) -> Result<CpuDecoder> {
    let config = plan.config;
    let mut weights = Reader {
        source,
        specs: plan.specs.into_iter(),
        precision,
    };
    let embedding = match config.tie_word_embeddings {
        true => weights.projection(1)?,
        false => weights.matrix(1, Precision::Exact)?,
    };
    let mut layers = Vec::with_capacity(config.num_hidden_layers);
    for index in 0..config.num_hidden_layers {
        layers.push(Layer {
            qkv: weights.projection(3)?,
            qkv_bias: match plan.biased {
                true => Some(weights.vectors(3)?),
                false => None,
            },
            output: weights.projection(1)?,
            head_norms: match plan.biased {
                true => None,
                false => Some(HeadNorms {
                    query: weights.vector()?,
                    key: weights.vector()?,
                }),
            },
            feed_forward: weights.feed_forward(config, index)?,
            input_norm: weights.vector()?,
            post_norm: weights.vector()?,
        });
    }
    Ok(CpuDecoder {
        config: config.clone(),
        embedding,
        layers,
        norm: weights.vector()?,
        head: match config.tie_word_embeddings {
            true => None,
            false => Some(weights.projection(1)?),
        },
        rotor: plan.rotor,
    })
}

/// Takes the next tensors from a source.
struct Reader<'s> {
    source: &'s mut dyn Source,
    specs: vec::IntoIter<WeightSpec>,
    precision: Precision,
}

impl Reader<'_> {
    /// The next tensor, a vector.
    fn vector(&mut self) -> Result<Vec<f32>> {
        self.vectors(1)
    }

    /// The next `parts` tensors, vectors, behind each other.
    fn vectors(&mut self, parts: usize) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        for spec in self.specs.by_ref().take(parts) {
            self.source
                .read(&spec, &mut |rows| values.extend_from_slice(rows))?;
        }
        Ok(values)
    }

    /// The next `parts` tensors below each other, in the precision asked for.
    fn projection(&mut self, parts: usize) -> Result<Matrix> {
        self.matrix(parts, self.precision)
    }

    fn matrix(&mut self, parts: usize, precision: Precision) -> Result<Matrix> {
        let specs: Vec<WeightSpec> = self.specs.by_ref().take(parts).collect();
        let rows = specs.iter().map(|spec| spec.shape[0]).sum();
        let columns = specs.first().map_or(0, |spec| spec.shape[1]);
        let mut matrix = MatrixBuilder::new(rows, columns, precision);
        for spec in specs {
            self.source.read(&spec, &mut |rows| matrix.push(rows))?;
        }
        Ok(matrix.finish())
    }

    /// The block after attention of layer `index`.
    fn feed_forward(&mut self, config: &Qwen3Config, index: usize) -> Result<FeedForward> {
        let Some(moe) = config.sparse(index) else {
            return Ok(FeedForward::Dense(self.mlp()?));
        };
        let router = self.matrix(1, Precision::Exact)?;
        let experts = (0..moe.num_experts).map(|_| self.mlp());
        Ok(FeedForward::Sparse(Moe {
            router,
            experts: experts.collect::<Result<_>>()?,
            experts_per_token: moe.num_experts_per_tok,
            normalise: moe.norm_topk_prob,
        }))
    }

    fn mlp(&mut self) -> Result<Mlp> {
        Ok(Mlp {
            gate_up: self.projection(2)?,
            down: self.projection(1)?,
        })
    }
}
