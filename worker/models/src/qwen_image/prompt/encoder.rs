//! Qwen2.5-VL as the prompt's encoder.

use std::path::Path;

use burn::tensor::{DType, Tensor};

use super::template::Template;
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::load::{ModelFolder, Weights};
use crate::qwen25_vl::weights::load_qwen25_vl_as;
use crate::qwen25_vl::{ImageProcessor, Inputs, Patches, Picture, Qwen25Vl};
use crate::tokenizer::ChatTokenizer;

/// States that the transformer is given of a prompt without pictures
/// (`max_sequence_length` of the pipelines), and tokens of words beside pictures.
pub const MAX_TOKENS: usize = 512;

/// Tokenizer, processor and weights.
#[derive(Debug)]
pub struct PromptEncoder {
    tokenizer: ChatTokenizer,
    /// None where the folder is for words alone.
    processor: Option<ImageProcessor>,
    model: Qwen25Vl,
    template: Template,
    dropped_tokens: usize,
    device: Device,
}

/// The states of a batch of prompts.
#[derive(Clone, Debug)]
pub struct PromptStates {
    /// `[batch, tokens, hidden]`, zero at padding.
    pub states: Tensor<3>,
    /// `[batch, tokens]`, row-major: 1 on tokens, 0 on padding. None without padding.
    pub mask: Option<Vec<i64>>,
}

impl PromptEncoder {
    /// Loads `text_encoder/`, `tokenizer/` and, for editing, `processor/` of the
    /// pipeline's folder `dir`.
    ///
    /// `dropped_tokens` stands for [`Template::dropped_tokens`] where a folder has a
    /// tokenizer of its own.
    ///
    /// # Errors
    /// Those of loading each; [`ModelError::Malformed`] for a text encoder that
    /// cannot look at pictures, and one whose mark of a picture the tokenizer does
    /// not have.
    pub fn load(
        dir: &Path,
        template: Template,
        dropped_tokens: Option<usize>,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let (text_encoder, processor) = (dir.join("text_encoder"), dir.join("processor"));
        let own = dir.join("tokenizer");
        let tokenizer = ChatTokenizer::from_folder(match own.is_dir() {
            true => &own,
            false => &processor,
        })?;
        let folder = ModelFolder::open(&text_encoder)?;
        let Some(mut vision) = folder.vision else {
            let reason = "`model_type`: a text model; Qwen2.5-VL is needed";
            let path = text_encoder.join("config.json");
            return Err(ModelError::malformed(path, reason));
        };
        let processor = match template {
            Template::Generation => None,
            Template::Edit | Template::EditPlus => {
                use crate::qwen25_vl::processor_config::ProcessorConfig;
                if let Some(config) = ProcessorConfig::from_folder(&processor)? {
                    vision.processor = config;
                }
                let mark = tokenizer.token_id("<|image_pad|>");
                if mark != Some(vision.config.image_token_id) {
                    let reason = format!(
                        "`<|image_pad|>` is {mark:?} and `image_token_id` of the text encoder {}",
                        vision.config.image_token_id
                    );
                    return Err(ModelError::malformed(own, reason));
                }
                Some(vision.image_processor(&processor)?)
            }
        };
        // Logits are never asked for: the head need not be read.
        vision.config.text.tie_word_embeddings = true;
        let mut weights = Weights::open(&text_encoder)?;
        Ok(Self {
            model: load_qwen25_vl_as(&vision.config, &mut weights, device, dtype)?,
            tokenizer,
            processor,
            template,
            dropped_tokens: dropped_tokens.unwrap_or_else(|| template.dropped_tokens()),
            device: device.clone(),
        })
    }

    /// Its weights' number.
    pub fn num_parameters(&self) -> usize {
        self.model.num_parameters()
    }

    /// States of one prompt, `[1, tokens, hidden]`, no more than [`MAX_TOKENS`]
    /// where there are no pictures.
    ///
    /// # Errors
    /// Those of tokenizer, processor and model; [`ModelError::Request`] for a prompt
    /// with the mark of a picture in it.
    pub fn encode(&self, prompt: &str, pictures: &[Picture]) -> Result<Tensor<3>> {
        let patches = match &self.processor {
            Some(processor) => processor.process(pictures)?,
            None => Patches::default(),
        };
        let mut input_ids = self.ids(prompt, &patches)?;
        if self.template == Template::Generation {
            input_ids.truncate(self.dropped_tokens + MAX_TOKENS);
        }
        let tokens = input_ids.len();
        let kept = tokens.saturating_sub(self.dropped_tokens);
        if kept == 0 {
            let reason = format!(
                "{tokens} tokens, of which the first {} are dropped; set `dropped_tokens` of \
                 `illumine` in model_index.json for this tokenizer",
                self.dropped_tokens
            );
            return Err(refuse(reason));
        }
        let inputs = Inputs {
            attention_mask: vec![1; tokens],
            input_ids,
            tokens,
            patches,
        };
        let states = self.model.hidden_states(&inputs, &self.device)?;
        Ok(states.narrow(1, self.dropped_tokens, kept))
    }

    /// Prompts as one batch, the shorter ones padded with zeros at their end.
    ///
    /// `states` are of [`Self::encode`], at least one.
    pub fn batch(states: Vec<Tensor<3>>) -> PromptStates {
        let lengths: Vec<usize> = states.iter().map(|state| state.dims()[1]).collect();
        let most = lengths.iter().copied().max().unwrap_or(0);
        let padded = states.into_iter().map(|state| {
            let [_, tokens, hidden] = state.dims();
            if tokens == most {
                return state;
            }
            let options = (&state.device(), state.dtype());
            let zeros = Tensor::zeros([1, most - tokens, hidden], options);
            Tensor::cat(vec![state, zeros], 1)
        });
        let states = Tensor::cat(padded.collect(), 0);
        let is_even = lengths.iter().all(|&length| length == most);
        let row = |length: &usize| {
            let length = *length;
            (0..most).map(move |token| i64::from(token < length))
        };
        let mask = (!is_even).then(|| lengths.iter().flat_map(row).collect());
        PromptStates { states, mask }
    }

    /// The words of `prompt` that are read, where that is not all, with the number
    /// of tokens that are not.
    ///
    /// # Errors
    /// [`ModelError::Request`] for a prompt with the mark of a picture in it.
    pub fn cut(&self, prompt: &str) -> Result<Option<(String, usize)>> {
        let around = match self.template {
            Template::Generation => {
                let whole = self.tokenizer.encode(&self.template.chat("", 0))?.len();
                whole.saturating_sub(self.dropped_tokens)
            }
            Template::Edit | Template::EditPlus => 0,
        };
        let encoding = self.tokenizer.inner().encode(prompt, false);
        let encoding = encoding.map_err(|error| ModelError::Tokenizer(error.to_string()))?;
        self.check_marks(encoding.get_ids(), 0)?;
        let most = MAX_TOKENS.saturating_sub(around).max(1);
        let tokens = encoding.get_ids().len();
        if tokens <= most {
            return Ok(None);
        }
        let end = encoding
            .get_offsets()
            .get(most)
            .map_or(prompt.len(), |(start, _)| *start);
        let end = prompt.floor_char_boundary(end);
        Ok(Some((prompt[..end].to_owned(), tokens - most)))
    }

    /// Ids of the chat, a picture's mark repeated for each of its vectors.
    fn ids(&self, prompt: &str, patches: &Patches) -> Result<Vec<i64>> {
        let grids = &patches.image_grid_thw;
        let ids = self
            .tokenizer
            .encode(&self.template.chat(prompt, grids.len()))?;
        self.check_marks(&ids, grids.len())?;
        let merge = self.model.config.vision.spatial_merge_size;
        let mut sizes = grids.iter().map(|grid| grid.merged(merge));
        let mut expanded = Vec::with_capacity(ids.len());
        for id in ids {
            let times = match id == self.model.config.image_token_id {
                true => sizes.next().unwrap_or(1),
                false => 1,
            };
            expanded.extend(std::iter::repeat_n(i64::from(id), times));
        }
        Ok(expanded)
    }

    fn check_marks(&self, ids: &[u32], pictures: usize) -> Result<()> {
        let config = &self.model.config;
        let count = |mark: u32| ids.iter().filter(|&&id| id == mark).count();
        let is_video = count(config.video_token_id) > 0;
        if count(config.image_token_id) == pictures && !is_video {
            return Ok(());
        }
        Err(refuse(
            "holds the mark of a picture, `<|image_pad|>` or `<|video_pad|>`; take it out",
        ))
    }
}

fn refuse(reason: impl Into<String>) -> ModelError {
    ModelError::Request {
        field: "prompt",
        reason: reason.into(),
    }
}
