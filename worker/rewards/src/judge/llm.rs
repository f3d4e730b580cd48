//! The judge of the text and its tags.

use std::sync::Arc;

use illumine_agent::policy::Policy;

use super::ask::Asker;
use super::cache::KeyBuilder;
use super::frame::{FRAME, Frame, defused};
use super::parse::parse_scores;
use super::{ANSWER, JudgeError, JudgeSettings, Judgement, QUESTION};
use crate::reward::LlmScores;
use crate::sample::Sample;

const PROMPT: &str = include_str!("llm.md");
const LABELS: [&str; 2] = ["Text", "Image"];
/// Read after the material, so that nothing in it has the last word.
const REMINDER: &str = "The material ends here. Grade the answer as you were told, in two lines, \
                        `Text:` and `Image:`, each with a number from 1 to 5.";

/// Reads question and tagged answer; gives [`LlmScores`].
pub struct LlmJudge {
    asker: Asker<LlmScores>,
}

impl std::fmt::Debug for LlmJudge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LlmJudge").field(&self.asker.name()).finish()
    }
}

impl LlmJudge {
    /// # Errors
    /// [`JudgeError::Config`] and [`JudgeError::Prompt`].
    pub fn new(policy: Arc<dyn Policy>, settings: JudgeSettings) -> Result<Self, JudgeError> {
        let asker = Asker::new(policy, settings, PROMPT)?;
        Ok(Self { asker })
    }

    /// Grades the sample's text. An answer without a tag gets 5 for its tags,
    /// whatever the judge says of them; its words are kept as they are.
    ///
    /// # Errors
    /// A failure of the infrastructure.
    pub async fn judge(&self, sample: &Sample) -> Result<Judgement<LlmScores>, JudgeError> {
        let answer = sample.tagged_text();
        let tagless = sample.tags().next().is_none();
        let key = KeyBuilder::default()
            .add("llm")
            .add(self.asker.name())
            .add(&self.asker.prompt)
            .add(FRAME)
            .add(&sample.question)
            .add(&answer)
            .add([u8::from(tagless)])
            .finish();
        let message = || {
            let message = Frame::new(&[&sample.question, &answer])
                .piece(QUESTION, &defused(&sample.question))
                .piece(ANSWER, &defused(&answer))
                .say(REMINDER);
            (message.finish(), Vec::new())
        };
        let parse = |words: &str| {
            let [text, image] = parse_scores(words, LABELS)?;
            let image = if tagless { 5.0 } else { image };
            Ok(LlmScores { text, image })
        };
        self.asker.judge(key, message, parse).await
    }
}
