//! Answers of a step by the prompt that they answer.

use illumine_types::training::TrainingSample;

use super::score::{Explained, Verdict};

/// A prompt and where its answers stand among all.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub prompt: String,
    pub answers: Vec<Answer>,
}

/// One line of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Place among all samples of the step.
    pub at: usize,
    /// Its number in the group.
    pub sample: usize,
    pub verdict: Verdict,
}

/// Groups in the order in which their prompts come.
pub fn groups(samples: &[TrainingSample]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        let answer = Answer {
            at,
            sample: sample.sample,
            verdict: Explained::of(sample).verdict,
        };
        match groups
            .iter_mut()
            .find(|group| group.prompt == sample.prompt)
        {
            Some(group) => group.answers.push(answer),
            None => groups.push(Group {
                prompt: sample.prompt.clone(),
                answers: vec![answer],
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sample(prompt: &str, number: usize) -> TrainingSample {
        TrainingSample {
            prompt: prompt.into(),
            sample: number,
            document: None,
            score: json!({"verdict": {"status": "scored", "reward": 0.5}}),
            failure: None,
        }
    }

    #[test]
    fn answers_stand_under_their_prompt() {
        let all = [sample("a", 0), sample("b", 0), sample("a", 1)];
        let groups = groups(&all);
        let places: Vec<Vec<usize>> = groups
            .iter()
            .map(|group| group.answers.iter().map(|answer| answer.at).collect())
            .collect();
        assert_eq!(places, [vec![0, 2], vec![1]]);
        assert_eq!(groups[1].answers[0].verdict, Verdict::Scored(0.5));
    }

    #[test]
    fn an_answer_without_a_score_is_listed_too() {
        let mut lost = sample("a", 0);
        lost.score = Value::Null;
        lost.failure = Some("the worker was stopped".into());
        let groups = groups(&[lost]);
        assert_eq!(
            groups[0].answers[0].verdict,
            Verdict::Failed("the worker was stopped".into())
        );
    }
}
