//! The loop that samples tokens and gives out text.

use std::ops::ControlFlow;
use std::time::Instant;

use super::request::{CancelFlag, FinishReason, GenerationOutput, GenerationRequest};
use super::stop::{Passed, StopFilter};
use crate::error::Result;
use crate::load::ModelFolder;
use crate::sampling::Sampler;
use crate::tokenizer::ChatTokenizer;

/// A sequence that can be read on.
pub(super) trait Steps {
    /// Reads one more token; the logits `[vocab]` of what follows it.
    fn step(&mut self, token: u32) -> Result<&[f32]>;
}

/// One generation being written.
pub(super) struct Writer<'a> {
    pub(super) tokenizer: &'a ChatTokenizer,
    pub(super) folder: &'a ModelFolder,
    pub(super) request: &'a GenerationRequest,
    pub(super) cancel: &'a CancelFlag,
    pub(super) started: Instant,
}

impl Writer<'_> {
    /// Writes the answer after `last`, the prompt's last token. `start` reads the
    /// tokens before it, and gives none when cancelled meanwhile.
    pub(super) fn run<S: Steps>(
        &self,
        last: u32,
        on_text: &mut impl FnMut(&str) -> ControlFlow<()>,
        start: impl FnOnce() -> Result<Option<S>>,
    ) -> Result<GenerationOutput> {
        let mut sampler = Sampler::new(&self.request.sampling)?;
        let mut output = GenerationOutput {
            text: String::new(),
            token_ids: Vec::new(),
            finish_reason: FinishReason::Cancelled,
            prompt_tokens: self.request.prompt_ids.len(),
            completion_tokens: 0,
            first_token: self.started.elapsed(),
            total: self.started.elapsed(),
        };
        if let Some(mut session) = start()? {
            output.finish_reason =
                self.write(&mut session, &mut sampler, last, &mut output, on_text)?;
        }
        output.completion_tokens = output.token_ids.len();
        output.total = self.started.elapsed();
        Ok(output)
    }

    fn write(
        &self,
        session: &mut impl Steps,
        sampler: &mut Sampler,
        last: u32,
        output: &mut GenerationOutput,
        on_text: &mut impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<FinishReason> {
        let Self {
            request, folder, ..
        } = self;
        let limit = request.longest_answer(&folder.config);
        let ends =
            |token: u32| folder.eos_token_ids.contains(&token) || request.stop_ids.contains(&token);
        let mut seen = request.prompt_ids.clone();
        let mut decoder = self.tokenizer.stream();
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
            if self.cancel.is_cancelled() {
                reason = FinishReason::Cancelled;
                break;
            }
            token = sampler.sample(session.step(token)?, &seen);
            if output.token_ids.is_empty() {
                output.first_token = self.started.elapsed();
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
