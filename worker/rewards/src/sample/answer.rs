//! A sample from an answer's raw text.

use illumine_agent::policy::ChatImage;
use illumine_types::tag::{TagError, TagEvent, read_all, validate_index};

use super::{Failure, Outcome, Part, Requirement, Sample, Tag};
use crate::error::{Result, RewardError};

impl Sample {
    /// Reads a raw answer with the agent's tag reader: what stands between
    /// `<think>` and `</think>` is dropped, and tags that are no valid call, or
    /// edit a picture that is not there, fail as `invalid_tag`.
    ///
    /// `outcomes` says what came of each *valid* call, in order.
    ///
    /// # Errors
    /// [`RewardError::Sample`] if the outcomes are not as many as the valid calls.
    pub fn from_answer(
        id: impl Into<String>,
        question: impl Into<String>,
        inputs: Vec<ChatImage>,
        answer: &str,
        outcomes: Vec<Outcome>,
        requires: Requirement,
    ) -> Result<Self> {
        let id = id.into();
        let (given, calls) = (outcomes.len(), valid_calls(answer, inputs.len()));
        if given != calls {
            return Err(RewardError::Sample {
                id,
                field: "images",
                reason: format!("{given} outcomes for {calls} valid calls"),
            });
        }
        let mut outcomes = outcomes.into_iter();
        let parts = read(answer, inputs.len()).map(|event| match event {
            TagEvent::Text(text) => Part::Text(text),
            TagEvent::Tag { raw, call } => Part::Tag(match call {
                Ok(call) => Tag {
                    raw,
                    call: Some(call),
                    // Their number was checked.
                    outcome: outcomes.next().unwrap_or_else(unfinished),
                },
                Err(error) => invalid(raw, &error),
            }),
        });
        let parts = parts.collect();
        Ok(Self {
            id,
            question: question.into(),
            inputs,
            parts,
            requires,
            tokens: None,
            broken: None,
        })
    }
}

/// The number of valid calls in an answer to a question with `inputs` pictures.
#[must_use]
pub fn valid_calls(answer: &str, inputs: usize) -> usize {
    let valid = |event: &TagEvent| matches!(event, TagEvent::Tag { call: Ok(_), .. });
    read(answer, inputs).filter(valid).count()
}

/// Text and tags, the pictures that edits name checked as the agent does.
fn read(answer: &str, inputs: usize) -> impl Iterator<Item = TagEvent> {
    let mut available = inputs;
    read_all(answer).into_iter().map(move |event| match event {
        TagEvent::Tag { raw, call } => {
            let call = call.and_then(|call| validate_index(&call, available).map(|()| call));
            available += 1;
            TagEvent::Tag { raw, call }
        }
        text @ TagEvent::Text(_) => text,
    })
}

fn invalid(raw: String, error: &TagError) -> Tag {
    Tag {
        raw,
        call: None,
        outcome: Err(Failure::new("invalid_tag", error.to_string())),
    }
}

fn unfinished() -> Outcome {
    Err(Failure::new("unfinished", "The picture was not finished."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: &str =
        r#"<imgen>{"source": "search", "description": "a", "params": {"query": "q"}}</imgen>"#;
    const EDIT_OF_3: &str = r#"<imgen>{"source": "edit", "description": "a", "params": {"img_index": 3, "prompt": "p"}}</imgen>"#;

    fn picture() -> ChatImage {
        ChatImage {
            bytes: "png".into(),
            mime: "image/png".into(),
        }
    }

    fn sample(answer: &str, outcomes: Vec<Outcome>) -> Result<Sample> {
        Sample::from_answer("s", "q", vec![], answer, outcomes, Requirement::default())
    }

    #[test]
    fn words_and_thinking_are_no_pictures() {
        let answer = format!(
            "<think>{SEARCH} secret</think>See <image> and <image>.\n{SEARCH}\n![x](y.png) {EDIT_OF_3}"
        );
        let sample = sample(&answer, vec![Ok(picture())]).unwrap();
        assert_eq!(sample.pictures().count(), 1);
        assert_eq!(sample.tags().count(), 2);
        let text = sample.tagged_text();
        assert!(!text.contains("secret") && text.contains("See <image> and <image>."));
        assert_eq!(text.matches("<imgen>").count(), 2);
        let stats = sample.tool_stats();
        assert_eq!((stats.search.succeeded, stats.invalid), (1, 1));
        assert_eq!(sample.infrastructure_failure(), None);
    }

    #[test]
    fn an_edit_of_an_earlier_picture_is_valid() {
        let edit = EDIT_OF_3.replace('3', "0");
        let sample = sample(
            &format!("{SEARCH}{edit}"),
            vec![Ok(picture()), Ok(picture())],
        );
        assert_eq!(sample.unwrap().tool_stats().edit.succeeded, 1);
    }

    #[test]
    fn outcomes_must_match_the_calls() {
        for outcomes in [vec![], vec![Ok(picture()), Ok(picture())]] {
            let error = sample(SEARCH, outcomes).unwrap_err();
            assert_eq!(error.code(), "reward_sample_invalid");
            assert!(error.to_string().contains("images"), "{error}");
        }
    }

    #[test]
    fn an_outage_is_found_behind_a_bad_call() {
        let outcomes = vec![
            Err(Failure::new("nothing_found", "")),
            Err(Failure::new("backend_failed", "down")),
        ];
        let sample = sample(&format!("{SEARCH}{SEARCH}"), outcomes).unwrap();
        let failure = sample.infrastructure_failure().unwrap();
        assert_eq!(failure.code, "backend_failed");
    }
}
