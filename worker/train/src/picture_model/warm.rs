//! A run that begins with the weights of a finished model.

use std::path::Path;

use burn::tensor::{DType, Device};
use illumine_models::load::Weights;
use illumine_models::qwen_image::transformer::{QwenImageTransformer, TransformerConfig};
use illumine_models::qwen25_vl::weights::load_qwen25_vl;

use super::config::{PATCH, PictureTraining};
use super::trainer::PictureTrainer;
use crate::error::{Result, TrainError};

impl PictureTrainer {
    /// A run at update 0 with the weights in `folder`, which
    /// [`folders::save`](super::folders::save) wrote in bf16. The optimizer's state and the
    /// layer that asks what prompts mean are not kept there and begin anew: teach the latter
    /// first, with the encoder as it is ([`PictureTrainer::teach_encoder`]).
    ///
    /// # Errors
    /// [`TrainError::Config`] when the model there has other sizes than `config` says;
    /// [`TrainError::Model`] when it cannot be read.
    pub fn begin_from(folder: &Path, config: PictureTraining, device: &Device) -> Result<Self> {
        let transformer = folder.join("transformer");
        let there = TransformerConfig::read(&transformer)?;
        let z_dim = there.in_channels / (PATCH * PATCH);
        let sizes = config.sizes.transformer(z_dim);
        let shape = |config: &TransformerConfig| {
            (
                config.num_layers,
                config.num_attention_heads,
                config.attention_head_dim,
                config.joint_attention_dim,
            )
        };
        if shape(&there) != shape(&sizes) {
            return Err(TrainError::Config {
                field: "sizes",
                reason: format!(
                    "the model in {} has other sizes (layers, heads, their width, the encoder's \
                     width: {:?}, asked for {:?})",
                    folder.display(),
                    shape(&there),
                    shape(&sizes)
                ),
            });
        }
        let mut trainer = Self::new(config, z_dim, device)?;
        let device = device.clone().autodiff();
        let encoder = trainer.config().sizes.prompt_encoder();
        let mut weights = Weights::open(&folder.join("text_encoder"))?;
        let encoder = load_qwen25_vl(&encoder, &mut weights, &device)?;
        trainer.model.transformer = QwenImageTransformer::load(&transformer, &device, DType::F32)?;
        trainer.model.language_model = encoder.language_model;
        trainer.model.visual = encoder.visual;
        Ok(trainer)
    }
}
