//! One request, from the first token to the last picture.

mod candidates;
mod compose;
mod redraw;
mod settings;
mod title;
mod write;

use std::sync::Arc;

use illumine_tools::{DrawOptions, ImageTool};
use illumine_types::api::GenerationOptions;
use illumine_types::document::Timings;
use illumine_types::event::LogLevel;
use illumine_types::{Document, EventKind, ImageRef, JobId, Timestamp, ToolKind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use redraw::Redrawn;
pub use settings::AgentSettings;

use self::compose::Composer;
use self::write::{Interruption, Writing};
use crate::error::AgentError;
use crate::events::{EventSink, Events, channel};
use crate::pictures::PictureStore;
use crate::policy::{ChatImage, ChatRequest, Policy};
use crate::prompt::{BUILT_IN, PromptVariables, system_prompt};
use crate::scheduler::{Place, Scheduler, Surroundings};

/// What is asked for, with its pictures already stored.
#[derive(Clone, Debug)]
pub struct GenerationInput {
    pub id: JobId,
    pub prompt: String,
    pub inputs: Vec<ImageRef>,
    pub options: GenerationOptions,
    pub created_at: Timestamp,
    /// From submission to now, milliseconds.
    pub queued_ms: u64,
}

/// A policy with its tools. Cheap to make; one can serve many requests.
#[derive(Clone)]
pub struct Agent {
    policy: Arc<dyn Policy>,
    tools: Vec<Arc<dyn ImageTool>>,
    settings: AgentSettings,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent")
            .field("policy", &self.policy.name())
            .finish_non_exhaustive()
    }
}

impl Agent {
    #[must_use]
    pub fn new(
        policy: Arc<dyn Policy>,
        tools: Vec<Arc<dyn ImageTool>>,
        settings: AgentSettings,
    ) -> Self {
        Self {
            policy,
            tools,
            settings,
        }
    }

    /// Makes the document. Returns when its last picture is stored and the sink
    /// has taken the last event.
    ///
    /// What goes wrong once the policy has begun to write does not undo what is
    /// there: the document then says so in `interruption`, or in a picture's
    /// outcome. After a cancel it holds what was done so far.
    ///
    /// # Errors
    /// [`AgentError`] when nothing could be written at all.
    pub async fn generate(
        &self,
        input: &GenerationInput,
        sink: &dyn EventSink,
        pictures: Arc<dyn PictureStore>,
        cancel: CancellationToken,
    ) -> Result<Document, AgentError> {
        let (events, pump) = channel();
        let making = async {
            let made = self.make(input, &events, pictures, cancel).await;
            events.end();
            made
        };
        let (made, ()) = tokio::join!(making, pump.run(sink));
        made
    }

    async fn make(
        &self,
        input: &GenerationInput,
        events: &Events,
        pictures: Arc<dyn PictureStore>,
        cancel: CancellationToken,
    ) -> Result<Document, AgentError> {
        let started = Instant::now();
        let mut scheduler = Scheduler::new(Surroundings {
            tools: self.tools.clone(),
            allowed: input.options.tools.clone(),
            options: DrawOptions {
                image: input.options.image.clone(),
                seed: input.options.seed,
            },
            pictures,
            events: events.clone(),
            call_timeout: self.settings.call_timeout,
            cancel: cancel.clone(),
        });
        for image in &input.inputs {
            scheduler.add_input(image);
        }
        let request = self.chat_request(input, &scheduler).await?;
        let remarks = Vec::from_iter(self.unseen(input));
        for message in &remarks {
            events.send(EventKind::Log {
                level: LogLevel::Warning,
                message: message.clone(),
            });
        }
        let writing = Writing {
            tag_limits: self.settings.tag_limits,
            max_bytes: self.settings.max_output_bytes,
            cancel: &cancel,
        };
        let stream = self.deltas(input, request, &writing, events).await?;

        let max_images = input.inputs.len() + self.settings.max_images;
        let mut composer = Composer::new(scheduler, events.clone(), max_images);
        let written = writing.read(stream, |event| composer.take(event)).await?;
        let writing_ms = elapsed_ms(started);
        let composed = composer.finish().await;

        let mut interruption = written.interruption;
        if interruption.is_none() && cancel.is_cancelled() {
            interruption = Some(Interruption::Cancelled);
        }
        if interruption.is_none() && composed.blocks.is_empty() {
            interruption = Some(Interruption::Empty);
        }
        Ok(Document {
            id: input.id.clone(),
            title: title::title(&composed.blocks, &input.prompt),
            prompt: input.prompt.clone(),
            inputs: input.inputs.clone(),
            blocks: composed.blocks,
            tools: composed.stats,
            policy: self.policy.name().to_owned(),
            usage: written.usage,
            timings: Timings {
                queued_ms: input.queued_ms,
                writing_ms,
                total_ms: elapsed_ms(started),
            },
            interruption: interruption.map(|interruption| interruption.problem()),
            remarks,
            version: 1,
            created_at: input.created_at,
        })
    }

    /// Tools that the request allows and that can run now.
    fn usable_tools(&self, options: &GenerationOptions) -> Vec<ToolKind> {
        let allowed = |kind: &ToolKind| {
            let wanted = options.tools.as_ref();
            wanted.is_none_or(|wanted| wanted.contains(kind))
        };
        let available = |kind: &ToolKind| {
            let mut tools = self.tools.iter();
            tools.any(|tool| tool.kind() == *kind && tool.capability().available)
        };
        let kinds = ToolKind::ALL.into_iter();
        kinds
            .filter(|kind| allowed(kind) && available(kind))
            .collect()
    }

    /// What a reader who gave pictures should know of a policy that does not
    /// look at them.
    fn unseen(&self, input: &GenerationInput) -> Option<String> {
        let count = input.inputs.len();
        if count == 0 || self.policy.vision() {
            return None;
        }
        let pictures = match count {
            1 => "the picture".to_owned(),
            _ => format!("the {count} pictures"),
        };
        let can_edit = self.usable_tools(&input.options).contains(&ToolKind::Edit);
        let edits = match can_edit {
            true => "it can still have them edited, by their numbers",
            false => "nor can they be edited here, where the edit tool is not available",
        };
        Some(format!(
            "{} cannot see {pictures} given with the prompt; {edits}",
            self.policy.name()
        ))
    }

    async fn chat_request(
        &self,
        input: &GenerationInput,
        scheduler: &Scheduler,
    ) -> Result<ChatRequest, AgentError> {
        let vision = self.policy.vision();
        let own = self.policy.system_prompt();
        let template = own
            .or(self.settings.system_prompt.as_deref())
            .unwrap_or(BUILT_IN);
        let tools = self.usable_tools(&input.options);
        let variables = PromptVariables::new(&tools, input.inputs.len(), vision);
        let mut images = Vec::new();
        if vision {
            for index in 0..input.inputs.len() {
                images.push(match scheduler.image(index).await {
                    Place::Ready { picture, .. } => ChatImage {
                        bytes: picture.bytes,
                        mime: picture.mime.to_owned(),
                    },
                    Place::Failed { reason } => return Err(AgentError::Input { index, reason }),
                    Place::Pending => {
                        let reason = "it did not arrive".to_owned();
                        return Err(AgentError::Input { index, reason });
                    }
                });
            }
        }
        let options = &input.options;
        Ok(ChatRequest {
            system: system_prompt(template, &variables)?,
            prompt: input.prompt.clone(),
            inputs: input.inputs.len(),
            images,
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            top_p: options.top_p,
            seed: options.seed,
        })
    }
}

fn elapsed_ms(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
