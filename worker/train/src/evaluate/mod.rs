//! The demo policy against the held-out prompts of its corpus.
//!
//! A document is judged by the product's own tag reader. Nothing is dropped: a
//! document that does not end counts as it stands.

use std::ops::ControlFlow;

use illumine_models::generate::{CancelFlag, FinishReason, GenerationRequest, LanguageModel};
use illumine_models::tokenizer::{ChatMessage, Role};
use illumine_types::tag::{TagEvent, read_all};
use illumine_types::tool::{ToolCall, ToolRequest};

use crate::corpus::{HeldOut, Request};
use crate::error::Result;

/// Longest answer, in tokens.
const MAX_NEW_TOKENS: usize = 1000;

/// What is right about one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Every tag is a valid call, and every index names an earlier picture.
    pub tags_valid: bool,
    /// As many calls of each tool as were asked for.
    pub pictures_right: bool,
    /// The first line is a title with every word of the topic.
    pub topic_in_title: bool,
    /// That line holds the topic letter for letter.
    pub topic_verbatim: bool,
    /// The policy ended the document itself.
    pub ended: bool,
}

/// Judges `answer` to `request`.
pub fn judge(request: &Request, answer: &str, ended: bool) -> Judgement {
    let mut tags_valid = true;
    let mut drawn: Vec<&'static str> = Vec::new();
    let mut tags = 0;
    for event in read_all(answer) {
        let TagEvent::Tag { call, .. } = event else {
            continue;
        };
        match call {
            Ok(call) if index_in_range(&call, request.inputs + tags) => {
                drawn.push(call.kind().as_str());
            }
            _ => tags_valid = false,
        }
        tags += 1;
    }
    let mut asked: Vec<&'static str> = request.pictures.iter().map(|p| p.source()).collect();
    asked.sort_unstable();
    drawn.sort_unstable();

    let title = answer.lines().next().unwrap_or_default();
    let words: Vec<&str> = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let is_title = title.starts_with("# ");
    Judgement {
        tags_valid,
        pictures_right: tags_valid && asked == drawn,
        topic_in_title: is_title && request.topic.split(' ').all(|word| words.contains(&word)),
        topic_verbatim: is_title && title.ends_with(&format!(" {}", request.topic)),
        ended,
    }
}

fn index_in_range(call: &ToolCall, earlier: usize) -> bool {
    match call.request {
        ToolRequest::Edit { img_index, .. } => img_index < earlier,
        _ => true,
    }
}

/// Counts over a set of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// All.
    pub documents: usize,
    /// See [`Judgement`].
    pub tags_valid: usize,
    /// See [`Judgement`].
    pub pictures_right: usize,
    /// See [`Judgement`].
    pub topic_in_title: usize,
    /// See [`Judgement`].
    pub topic_verbatim: usize,
    /// See [`Judgement`].
    pub ended: usize,
    /// Tokens written.
    pub tokens: usize,
}

impl Summary {
    /// Adds one document.
    pub fn add(&mut self, judgement: Judgement) {
        self.documents += 1;
        self.tags_valid += usize::from(judgement.tags_valid);
        self.pictures_right += usize::from(judgement.pictures_right);
        self.topic_in_title += usize::from(judgement.topic_in_title);
        self.topic_verbatim += usize::from(judgement.topic_verbatim);
        self.ended += usize::from(judgement.ended);
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = [
            ("only valid tags", self.tags_valid),
            ("number and kinds of pictures as asked", self.pictures_right),
            ("topic's words in the title", self.topic_in_title),
            ("topic letter for letter in the title", self.topic_verbatim),
            ("ended by the policy itself", self.ended),
        ];
        writeln!(formatter, "{} documents", self.documents)?;
        for (name, count) in rows {
            let percent = 100.0 * count as f64 / self.documents.max(1) as f64;
            writeln!(formatter, "{name:40} {percent:5.1} %")?;
        }
        Ok(())
    }
}

/// Writes the policy's greedy document for one prompt, as the product asks for it.
///
/// # Errors
/// [`crate::TrainError::Model`].
pub fn answer(policy: &LanguageModel, item: &HeldOut) -> Result<(String, bool, usize)> {
    let marks = "[image] ".repeat(item.example.inputs);
    let messages = [
        ChatMessage::new(Role::System, "You write illustrated documents."),
        ChatMessage::new(Role::User, format!("{marks}{}", item.example.prompt)),
    ];
    let ids = policy.tokenizer().encode_chat(&messages, true)?;
    let request = GenerationRequest {
        max_new_tokens: MAX_NEW_TOKENS,
        ..GenerationRequest::new(ids)
    };
    let output = policy.generate(&request, &CancelFlag::default(), |_| {
        ControlFlow::Continue(())
    })?;
    let ended = output.finish_reason == FinishReason::Stop;
    Ok((output.text, ended, output.completion_tokens))
}

/// Answers and judges every prompt of `set`; `each` sees every document.
///
/// # Errors
/// [`crate::TrainError::Model`].
pub fn evaluate(
    policy: &LanguageModel,
    set: &[HeldOut],
    mut each: impl FnMut(&HeldOut, &str, Judgement),
) -> Result<Summary> {
    let mut summary = Summary::default();
    for item in set {
        let (text, ended, tokens) = answer(policy, item)?;
        let judgement = judge(&item.request, &text, ended);
        summary.add(judgement);
        summary.tokens += tokens;
        each(item, &text, judgement);
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus::heldout;

    #[test]
    fn reference_answers_are_right_in_every_point() {
        for item in heldout(200) {
            let judgement = judge(&item.request, &item.example.answer, true);
            let right = Judgement {
                tags_valid: true,
                pictures_right: true,
                topic_in_title: true,
                topic_verbatim: true,
                ended: true,
            };
            assert_eq!(judgement, right, "{}", item.example.answer);
        }
    }

    #[test]
    fn each_fault_is_seen() {
        let item = heldout(200)
            .into_iter()
            .find(|item| item.request.pictures.len() == 2)
            .unwrap();
        let (request, good) = (&item.request, &item.example.answer);
        let broken = good.replacen("\"params\"", "\"param\"", 1);
        assert!(!judge(request, &broken, true).tags_valid);
        assert!(!judge(request, &broken, true).pictures_right);

        let tag = good.find("<imgen>").unwrap()..good.find("</imgen>").unwrap() + 8;
        let fewer = good.replacen(&good[tag], "", 1);
        assert!(judge(request, &fewer, true).tags_valid);
        assert!(!judge(request, &fewer, true).pictures_right);

        let renamed = good.replacen(&request.topic, "something else", 1);
        assert!(!judge(request, &renamed, true).topic_in_title);
        let plain = good.replacen("# ", "", 1);
        assert!(!judge(request, &plain, true).topic_in_title);
    }

    #[test]
    fn an_edit_must_name_an_earlier_picture() {
        let item = &heldout(1)[0];
        let edit = |index: usize| {
            format!(
                "# x\n<imgen>{{\"source\": \"edit\", \"description\": \"d\", \"params\": \
                 {{\"img_index\": {index}, \"prompt\": \"p\"}}}}</imgen>"
            )
        };
        let mut request = item.request.clone();
        request.inputs = 1;
        assert!(judge(&request, &edit(0), true).tags_valid);
        assert!(!judge(&request, &edit(1), true).tags_valid);
    }
}
