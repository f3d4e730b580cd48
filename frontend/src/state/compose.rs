//! The compose form: what a person typed, checked in words before it is sent.

use illumine_types::api::{GenerationOptions, GenerationRequest, ImageOptions, InputImage};
use illumine_types::capability::Limits;
use illumine_types::{BlobKey, ToolKind};

use super::words::grouped;

/// Most candidates that may be asked for.
pub const MAX_SAMPLES: u32 = 8;

/// What the form holds. Numbers are as typed; empty means the default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ComposeForm {
    pub prompt: String,
    pub images: Vec<BlobKey>,
    pub policy: Option<String>,
    pub samples: String,
    /// Tools switched off.
    pub without: Vec<ToolKind>,
    pub max_tokens: String,
    pub temperature: String,
    pub seed: String,
    /// Pixels; `None` is the default of the tool.
    pub size: Option<(u32, u32)>,
}

/// Which part of the form is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Prompt,
    Images,
    Samples,
    MaxTokens,
    Temperature,
    Seed,
}

impl Field {
    /// The part of the form that a server's `field` names.
    pub fn from_path(path: &str) -> Option<Self> {
        Some(match path.split('.').next_back()? {
            "prompt" => Self::Prompt,
            "samples" => Self::Samples,
            "max_tokens" => Self::MaxTokens,
            "temperature" => Self::Temperature,
            "seed" => Self::Seed,
            _ if path.starts_with("images") => Self::Images,
            _ => return None,
        })
    }

    /// As in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Images => "images",
            Self::Samples => "samples",
            Self::MaxTokens => "max_tokens",
            Self::Temperature => "temperature",
            Self::Seed => "seed",
        }
    }

    /// In the options that fold away.
    pub const fn is_option(self) -> bool {
        !matches!(self, Self::Prompt | Self::Images)
    }
}

/// A mistake, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub field: Field,
    pub words: String,
}

impl ComposeForm {
    /// The request, or everything that is wrong with the form. `available`
    /// names the tools that can run here.
    ///
    /// # Errors
    /// At least one [`Mistake`].
    pub fn request(
        &self,
        limits: &Limits,
        available: &[ToolKind],
    ) -> Result<GenerationRequest, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let mut note = |field, words: String| mistakes.push(Mistake { field, words });
        let characters = self.prompt.chars().count();
        if self.prompt.trim().is_empty() {
            note(Field::Prompt, "Say what the document is about.".into());
        } else if characters > limits.prompt_characters {
            note(
                Field::Prompt,
                format!(
                    "The prompt has {} characters; {} are allowed.",
                    grouped(characters),
                    grouped(limits.prompt_characters)
                ),
            );
        }
        if self.images.len() > limits.images {
            let words = format!("At most {} pictures can go with a prompt.", limits.images);
            note(Field::Images, words);
        }
        let samples = number(&self.samples, 1, MAX_SAMPLES);
        if samples.is_none() {
            let words = format!("Quality is a whole number from 1 to {MAX_SAMPLES}.");
            note(Field::Samples, words);
        }
        let max_tokens = number(&self.max_tokens, 1, limits.max_tokens);
        if max_tokens.is_none() {
            let most = grouped(usize::try_from(limits.max_tokens).unwrap_or(usize::MAX));
            note(
                Field::MaxTokens,
                format!("Length is a whole number from 1 to {most}."),
            );
        }
        let temperature = number(&self.temperature, 0.0_f32, 2.0);
        if temperature.is_none() {
            let words = "Temperature is a number from 0 to 2.".into();
            note(Field::Temperature, words);
        }
        let seed = number(&self.seed, 0_u64, u64::MAX);
        if seed.is_none() {
            note(Field::Seed, "The seed is a whole number, 0 or more.".into());
        }
        let (Some(samples), Some(max_tokens), Some(temperature), Some(seed), true) =
            (samples, max_tokens, temperature, seed, mistakes.is_empty())
        else {
            return Err(mistakes);
        };
        let allowed = |tool: &ToolKind| !self.without.contains(tool);
        let narrowed = available.iter().any(|tool| !allowed(tool));
        Ok(GenerationRequest {
            prompt: self.prompt.trim().to_owned(),
            images: self
                .images
                .iter()
                .cloned()
                .map(InputImage::InputId)
                .collect(),
            options: GenerationOptions {
                policy: self.policy.clone(),
                max_tokens,
                temperature,
                seed,
                tools: narrowed.then(|| available.iter().copied().filter(allowed).collect()),
                samples,
                image: ImageOptions {
                    width: self.size.map(|(width, _)| width),
                    height: self.size.map(|(_, height)| height),
                    ..ImageOptions::default()
                },
                ..GenerationOptions::default()
            },
            webhook: None,
        })
    }
}

/// `Some(None)` if nothing is typed, `None` if it is no number in the range.
fn number<N: std::str::FromStr + PartialOrd>(text: &str, least: N, most: N) -> Option<Option<N>> {
    let text = text.trim();
    if text.is_empty() {
        return Some(None);
    }
    let number = text.parse::<N>().ok()?;
    (number >= least && number <= most).then_some(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(prompt: &str) -> ComposeForm {
        ComposeForm {
            prompt: prompt.into(),
            ..ComposeForm::default()
        }
    }

    fn fields(form: &ComposeForm) -> Vec<Field> {
        let mistakes = form
            .request(&Limits::default(), &ToolKind::ALL)
            .unwrap_err();
        mistakes.into_iter().map(|mistake| mistake.field).collect()
    }

    #[test]
    fn a_bare_prompt_asks_for_nothing_else() {
        let request = typed(" coffee ").request(&Limits::default(), &ToolKind::ALL);
        let json = serde_json::to_value(request.unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({"prompt": "coffee",
                "options": {"priority": "normal", "image": {}}})
        );
    }

    #[test]
    fn every_mistake_is_named_at_once() {
        let mut form = typed(" \n");
        form.samples = "9".into();
        form.max_tokens = "many".into();
        form.temperature = "NaN".into();
        form.seed = "-1".into();
        assert_eq!(
            fields(&form),
            [
                Field::Prompt,
                Field::Samples,
                Field::MaxTokens,
                Field::Temperature,
                Field::Seed
            ]
        );
    }

    #[test]
    fn a_prompt_is_measured_in_characters() {
        let limits = Limits {
            prompt_characters: 4,
            ..Limits::default()
        };
        assert!(typed("éééé").request(&limits, &[]).is_ok());
        let mistakes = typed("ééééé").request(&limits, &[]).unwrap_err();
        assert_eq!(
            mistakes[0].words,
            "The prompt has 5 characters; 4 are allowed."
        );
    }

    #[test]
    fn tools_are_named_only_when_one_is_switched_off() {
        let available = [ToolKind::Search, ToolKind::Code];
        let mut form = typed("x");
        // Not available here, so switching it off says nothing new.
        form.without = vec![ToolKind::Edit];
        let request = form.request(&Limits::default(), &available).unwrap();
        assert_eq!(request.options.tools, None);
        form.without.push(ToolKind::Code);
        let request = form.request(&Limits::default(), &available).unwrap();
        assert_eq!(request.options.tools, Some(vec![ToolKind::Search]));
    }

    #[test]
    fn a_servers_complaint_finds_its_field() {
        assert_eq!(
            Field::from_path("options.temperature"),
            Some(Field::Temperature)
        );
        assert_eq!(Field::from_path("images[0].input_id"), Some(Field::Images));
        assert_eq!(Field::from_path("webhook"), None);
    }
}
