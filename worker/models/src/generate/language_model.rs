//! A loaded model that writes.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use super::request::{CancelFlag, FinishReason, GenerationOutput, GenerationRequest};
use super::session::Session;
use super::stop::{Passed, StopFilter};
use crate::device::Device;
use crate::error::{ModelError, Result};
use crate::load::{LoadedModel, ModelFolder, load_folder};
use crate::qwen3::Qwen3;
use crate::qwen3::cpu::CpuDecoder;
use crate::sampling::Sampler;
use crate::tokenizer::ChatTokenizer;

/// A model, its tokenizer and, on the CPU, its weights laid out for decoding.
#[derive(Debug)]
pub struct LanguageModel {
    loaded: LoadedModel,
    device: Device,
    /// On `flex` alone.
    decoder: Option<CpuDecoder>,
}

impl LanguageModel {
    /// Loads the model folder `dir` onto `device`.
    ///
    /// # Errors
    /// Those of [`load_folder`].
    pub fn load(dir: &Path, device: &Device) -> Result<Self> {
        let device = device.clone().without_autodiff();
        Self::new(load_folder(dir, &device)?, &device)
    }

    /// Wraps a model that is on `device` already, as training has it. On the
    /// CPU this copies the weights: make it anew after they changed.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the weights do not fit the configuration.
    pub fn new(loaded: LoadedModel, device: &Device) -> Result<Self> {
        let decoder = match *device == Device::flex() {
            true => Some(CpuDecoder::new(&loaded.model, &loaded.folder.config)?),
            false => None,
        };
        Ok(Self {
            loaded,
            device: device.clone(),
            decoder,
        })
    }

    /// What the folder says of the model.
    pub fn folder(&self) -> &ModelFolder {
        &self.loaded.folder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &ChatTokenizer {
        &self.loaded.tokenizer
    }

    /// The module.
    pub fn model(&self) -> &Qwen3 {
        &self.loaded.model
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Writes an answer. `on_text` is called with each piece of text as soon as
    /// it is sure; a piece never ends inside a character. The concatenated
    /// pieces are the output's `text`.
    ///
    /// # Errors
    /// [`ModelError::Request`] for an empty prompt, one that leaves no room in
    /// the context, a token outside the vocabulary, or a sampling parameter out
    /// of range; nothing is written then.
    pub fn generate(
        &self,
        request: &GenerationRequest,
        cancel: &CancelFlag,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<GenerationOutput> {
        let started = Instant::now();
        let (last, before) = self.check_prompt(request)?;
        let mut sampler = Sampler::new(&request.sampling)?;
        let mut output = GenerationOutput {
            text: String::new(),
            token_ids: Vec::new(),
            finish_reason: FinishReason::Cancelled,
            prompt_tokens: request.prompt_ids.len(),
            completion_tokens: 0,
            first_token: started.elapsed(),
            total: started.elapsed(),
        };
        let decoder = self.decoder.as_ref();
        let session = Session::start(self.model(), decoder, &self.device, before, cancel)?;
        if let Some(mut session) = session {
            output.finish_reason = self.write(
                request,
                cancel,
                &mut session,
                &mut sampler,
                last,
                &mut output,
                &mut on_text,
                started,
            )?;
        }
        output.completion_tokens = output.token_ids.len();
        output.total = started.elapsed();
        Ok(output)
    }

    fn check_prompt<'r>(&self, request: &'r GenerationRequest) -> Result<(u32, &'r [u32])> {
        let refuse = |reason: String| ModelError::Request {
            field: "prompt",
            reason,
        };
        let config = &self.folder().config;
        let (last, before) = request
            .prompt_ids
            .split_last()
            .ok_or_else(|| refuse("is empty".to_owned()))?;
        if request.prompt_ids.len() >= config.max_position_embeddings {
            return Err(refuse(format!(
                "has {} tokens; the model's context holds {}, the answer included",
                request.prompt_ids.len(),
                config.max_position_embeddings
            )));
        }
        match request
            .prompt_ids
            .iter()
            .find(|id| **id as usize >= config.vocab_size)
        {
            Some(id) => Err(refuse(format!("token {id} is outside the vocabulary"))),
            None => Ok((*last, before)),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the loop of one function, split for reading"
    )]
    fn write(
        &self,
        request: &GenerationRequest,
        cancel: &CancelFlag,
        session: &mut Session<'_>,
        sampler: &mut Sampler,
        last: u32,
        output: &mut GenerationOutput,
        on_text: &mut impl FnMut(&str) -> ControlFlow<()>,
        started: Instant,
    ) -> Result<FinishReason> {
        let room = self.folder().config.max_position_embeddings - request.prompt_ids.len();
        let limit = request.max_new_tokens.min(room);
        let ends = |token: u32| {
            self.folder().eos_token_ids.contains(&token) || request.stop_ids.contains(&token)
        };
        let mut seen = request.prompt_ids.clone();
        let mut decoder = self.tokenizer().stream();
        let mut stops = StopFilter::new(&request.stop_strings);
        let mut emit = |text: String, output: &mut GenerationOutput| {
            if text.is_empty() {
                return ControlFlow::Continue(());
            }
            output.text += &text;
            on_text(&text)
        };

        let mut token = last;
        let mut reason = FinishReason::Length;
        while output.token_ids.len() < limit {
            if cancel.is_cancelled() {
                reason = FinishReason::Cancelled;
                break;
            }
            token = sampler.sample(session.step(token)?, &seen);
            if output.token_ids.is_empty() {
                output.first_token = started.elapsed();
            }
            output.token_ids.push(token);
            seen.push(token);
            if ends(token) {
                reason = FinishReason::Stop;
                break;
            }
            match stops.push(&decoder.push(token)) {
                Passed::Stopped(text) => {
                    // The listener's wish no longer matters: this is the end.
                    let _ = emit(text, output);
                    return Ok(FinishReason::Stop);
                }
                Passed::More(text) => {
                    if emit(text, output).is_break() {
                        return Ok(FinishReason::Cancelled);
                    }
                }
            }
        }
        // Bytes of a character cut short may still complete a stop text.
        match stops.push(&decoder.finish()) {
            Passed::Stopped(text) => {
                let _ = emit(text, output);
            }
            Passed::More(text) => {
                let _ = emit(text + &stops.finish(), output);
            }
        }
        Ok(reason)
    }
}
