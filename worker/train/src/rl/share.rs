//! What one of several processes learns of an update.

use super::answer::Answer;
use super::objective::Totals;
use crate::parallel::Peers;

/// A process's part of an update.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Its answers.
    pub answers: Vec<Answer>,
    /// Of all answers of the update, in whichever process.
    pub totals: Totals,
}

impl Share {
    /// The share of `answers`, an update's worth, the same in all processes; `limit` is the
    /// most tokens that an answer may have.
    ///
    /// Answers are dealt out in the order of their lengths, for shares of about the same
    /// work, whoever wrote them.
    pub fn of(answers: &[Answer], limit: usize, peers: &Peers) -> Self {
        let totals = Totals {
            answers: answers.iter().filter(|answer| answer.tokens() > 0).count(),
            tokens: answers.iter().map(Answer::tokens).sum(),
            limit,
        };
        let mut order: Vec<usize> = (0..answers.len()).collect();
        order.sort_by_key(|&index| answers[index].ids.len());
        let mut own: Vec<usize> = (0..)
            .zip(order)
            .filter(|(place, _)| peers.takes(*place))
            .map(|(_, index)| index)
            .collect();
        own.sort_unstable();
        let own = own.into_iter().map(|index| answers[index].clone());
        Self {
            answers: own.collect(),
            totals,
        }
    }
}
