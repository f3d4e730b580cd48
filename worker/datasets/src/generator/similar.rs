//! How alike two prompts are.

use std::collections::HashSet;

/// A prompt as the set of its runs of three words.
#[derive(Clone, Debug)]
pub struct Shingles(HashSet<String>);

impl Shingles {
    /// Of a text; case and punctuation do not count.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let clean: String = text
            .chars()
            .map(|letter| {
                if letter.is_alphanumeric() {
                    letter
                } else {
                    ' '
                }
            })
            .collect();
        let clean = clean.to_lowercase();
        let words: Vec<&str> = clean.split_whitespace().collect();
        Self(words.windows(3).map(|run| run.join(" ")).collect())
    }

    /// The share of runs that both have among those that either has, 0 to 1.
    #[must_use]
    pub fn similarity(&self, other: &Self) -> f64 {
        let both = self.0.intersection(&other.0).count();
        let either = self.0.len() + other.0.len() - both;
        if either == 0 {
            return 1.0;
        }
        both as f64 / either as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likeness_is_of_words_in_order() {
        let text = Shingles::of("Write a report on bees, please.");
        assert_eq!(
            text.similarity(&Shingles::of("write a report on bees please")),
            1.0
        );
        assert_eq!(
            text.similarity(&Shingles::of("on a please report bees write")),
            0.0
        );
        let half = text.similarity(&Shingles::of("Write a report on ants, please."));
        assert!((0.3..0.4).contains(&half), "{half}");
    }
}
