//! Answers that are learnt from, and how they share a micro-batch.

use crate::sft::batch::{self, MicroBatch};
use crate::tokenizer::chat::Encoded;

/// An answer with what its update needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Prompt and answer.
    pub ids: Vec<u32>,
    /// Of those, tokens of the prompt, at least one.
    pub prompt_tokens: usize,
    /// Log-probabilities of the answer's tokens under the policy that wrote them; none where
    /// that is the policy which is about to be updated, so that its own are they.
    pub old_logp: Option<Vec<f32>>,
    /// The same under the reference policy.
    pub reference: Option<Vec<f32>>,
    /// How much better than its group it is.
    pub advantage: f64,
}

impl Answer {
    /// Tokens of the answer.
    pub fn tokens(&self) -> usize {
        self.ids.len().saturating_sub(self.prompt_tokens)
    }
}

/// A micro-batch and which answers are its rows, from the first to the last.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Places are in the order of the rows.
    pub batch: MicroBatch,
    /// Indexes into the answers of the update.
    pub answers: Vec<usize>,
}

/// Answers of about the same length together, each micro-batch of at most `most` tokens
/// with padding; a longer answer has one to itself. Those without a token are left out.
pub fn micro_batches(answers: &[Answer], most: usize) -> Vec<Rows> {
    let mut order: Vec<usize> = (0..answers.len())
        .filter(|&index| answers[index].tokens() > 0)
        .collect();
    order.sort_by_key(|&index| answers[index].ids.len());
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for index in order {
        // The last of a group is its longest.
        let width = answers[index].ids.len();
        match groups.last_mut() {
            Some(group) if width * (group.len() + 1) <= most => group.push(index),
            _ => groups.push(vec![index]),
        }
    }
    let build = |answers_of: Vec<usize>| {
        let rows: Vec<Vec<Encoded>> = answers_of
            .iter()
            .map(|&index| {
                vec![Encoded {
                    ids: answers[index].ids.clone(),
                    prompt_tokens: answers[index].prompt_tokens,
                }]
            })
            .collect();
        Rows {
            batch: batch::padded(&rows),
            answers: answers_of,
        }
    };
    groups.into_iter().map(build).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(prompt: usize, tokens: usize) -> Answer {
        Answer {
            ids: (0..(prompt + tokens) as u32).collect(),
            prompt_tokens: prompt,
            old_logp: Some(vec![0.0; tokens]),
            reference: None,
            advantage: 1.0,
        }
    }

    #[test]
    fn rows_keep_their_answers_and_fit_their_batch() {
        let answers = [answer(2, 6), answer(3, 0), answer(1, 2), answer(2, 2)];
        let rows = micro_batches(&answers, 8);
        let of: Vec<_> = rows.iter().map(|rows| rows.answers.clone()).collect();
        assert_eq!(of, [vec![2, 3], vec![0]]);
        let first = &rows[0].batch;
        assert_eq!((first.rows, first.width), (2, 4));
        // One of row 0 and 1 each begins after its prompt.
        assert_eq!(first.places, [0, 1, 5, 6]);
        assert_eq!(first.targets, [1, 2, 2, 3]);
    }
}
