//! Answers with a reward, before they are compared with their groups.

use super::advantage::{Scale, advantages};
use super::answer::Answer;
use super::rollout::Rollout;

/// Answers with a reward, in the order of their rollouts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn {
    /// Without an advantage as yet.
    pub answers: Vec<Answer>,
    /// What each is worth.
    pub rewards: Vec<f64>,
    /// The prompt of each.
    prompts: Vec<usize>,
}

impl Drawn {
    /// Those of `rollouts`; one whose tool, judge or machine failed is not among them.
    pub fn of(rollouts: &[Rollout]) -> Self {
        let mut drawn = Self::default();
        for rollout in rollouts {
            let transcript = &rollout.transcript;
            let Some(reward) = rollout.reward() else {
                continue;
            };
            drawn.answers.push(Answer {
                ids: [transcript.prompt.as_slice(), &transcript.answer].concat(),
                prompt_tokens: transcript.prompt.len(),
                // Those of the computation that learns come later, all at once.
                old_logp: None,
                reference: None,
                advantage: 0.0,
            });
            drawn.rewards.push(reward);
            drawn.prompts.push(rollout.prompt);
        }
        drawn
    }

    /// The answers that teach something, with what they are worth beside those to the same
    /// prompt; and the number of the `prompts` whose answers teach nothing.
    pub fn compared(mut self, prompts: usize, scale: Scale) -> (Vec<Answer>, usize) {
        let mut flat = 0;
        let mut teaches = vec![false; self.answers.len()];
        for prompt in 0..prompts {
            let group: Vec<usize> = (0..self.answers.len())
                .filter(|&place| self.prompts[place] == prompt)
                .collect();
            let rewards: Vec<_> = group.iter().map(|&at| Some(self.rewards[at])).collect();
            let advantages = advantages(&rewards, scale);
            if advantages.flat {
                flat += 1;
                continue;
            }
            for (&place, advantage) in group.iter().zip(advantages.values) {
                self.answers[place].advantage = advantage.unwrap_or_default();
                // One without a token counts among its group, and has nothing to learn from.
                teaches[place] = self.answers[place].tokens() > 0;
            }
        }
        let answers = self.answers.into_iter().zip(teaches);
        let answers = answers.filter_map(|(answer, teaches)| teaches.then_some(answer));
        (answers.collect(), flat)
    }
}
