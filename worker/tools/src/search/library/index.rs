//! Full-text ranking: Okapi BM25 (Robertson and Zaragoza, 2009) over weighted
//! fields, with a floor under which a match is none.

use std::collections::{HashMap, HashSet};

use super::LibraryEntry;
use super::words::words;

const K1: f32 = 1.2;
const B: f32 = 0.75;
/// A word in the title counts as often, one among the tags half as much again.
const TITLE_WEIGHT: f32 = 3.0;
const TAG_WEIGHT: f32 = 2.0;
/// A picture must match this share of what the query says, by weight of its
/// words; one common colour among many words is no match.
const LEAST_COVERAGE: f32 = 0.3;

/// Words of all pictures, ready to be searched.
#[derive(Debug, Default)]
pub struct Index {
    entries: Vec<LibraryEntry>,
    /// Of each entry: weighted counts of its words.
    counts: Vec<HashMap<String, f32>>,
    lengths: Vec<f32>,
    mean_length: f32,
    /// In how many entries a word is.
    document_frequency: HashMap<String, usize>,
}

/// A picture that fits.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    pub entry: &'a LibraryEntry,
    pub score: f32,
}

impl Index {
    #[must_use]
    pub fn new(entries: Vec<LibraryEntry>) -> Self {
        let counts: Vec<_> = entries.iter().map(weighted_counts).collect();
        let mut document_frequency: HashMap<String, usize> = HashMap::new();
        for word in counts.iter().flat_map(HashMap::keys) {
            *document_frequency.entry(word.clone()).or_default() += 1;
        }
        let lengths: Vec<f32> = counts.iter().map(|words| words.values().sum()).collect();
        let mean_length = lengths.iter().sum::<f32>() / lengths.len().max(1) as f32;
        Self {
            entries,
            counts,
            lengths,
            mean_length,
            document_frequency,
        }
    }

    #[must_use]
    pub fn entries(&self) -> &[LibraryEntry] {
        &self.entries
    }

    /// Pictures that fit, best first; equal ones by id.
    #[must_use]
    pub fn search(&self, query: &str) -> Vec<Match<'_>> {
        let asked: HashSet<String> = words(query).into_iter().collect();
        let weights: Vec<(&str, f32)> = asked
            .iter()
            .map(|word| (word.as_str(), self.idf(word)))
            .collect();
        let whole: f32 = weights.iter().map(|(_, weight)| weight).sum();
        let mut matches: Vec<Match<'_>> = self
            .entries
            .iter()
            .zip(&self.counts)
            .zip(&self.lengths)
            .filter_map(|((entry, counts), length)| {
                let hits = weights
                    .iter()
                    .filter(|(word, _)| counts.contains_key(*word));
                let covered: f32 = hits.map(|(_, weight)| weight).sum();
                if covered <= 0.0 || covered < whole * LEAST_COVERAGE {
                    return None;
                }
                let score = self.score(&weights, counts, *length);
                Some(Match { entry, score })
            })
            .collect();
        matches.sort_by(|one, other| {
            let by_score = other.score.total_cmp(&one.score);
            by_score.then_with(|| one.entry.id.cmp(&other.entry.id))
        });
        matches
    }

    fn score(&self, weights: &[(&str, f32)], counts: &HashMap<String, f32>, length: f32) -> f32 {
        let norm = K1 * (1.0 - B + B * length / self.mean_length);
        let terms = weights.iter().filter_map(|(word, weight)| {
            let count = counts.get(*word)?;
            Some(weight * count * (K1 + 1.0) / (count + norm))
        });
        terms.sum()
    }

    /// Inverse document frequency, positive for every word; a word in no entry
    /// weighs most.
    fn idf(&self, word: &str) -> f32 {
        let with = self.document_frequency.get(word).copied().unwrap_or(0) as f32;
        let all = self.entries.len() as f32;
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }
}

fn weighted_counts(entry: &LibraryEntry) -> HashMap<String, f32> {
    let mut counts: HashMap<String, f32> = HashMap::new();
    let mut count = |text: &str, weight: f32| {
        for word in words(text) {
            *counts.entry(word).or_default() += weight;
        }
    };
    count(&entry.title, TITLE_WEIGHT);
    count(&entry.caption, 1.0);
    for tag in &entry.tags {
        count(tag, TAG_WEIGHT);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str, title: &str, caption: &str, tags: &[&str]) -> LibraryEntry {
        LibraryEntry {
            id: id.into(),
            title: title.into(),
            caption: caption.into(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..LibraryEntry::default()
        }
    }

    fn index() -> Index {
        Index::new(vec![
            entry(
                "cat",
                "Chelsea the cat",
                "A ginger tabby cat looks aside, brown fur and whiskers.",
                &["animal", "pet"],
            ),
            entry(
                "coffee",
                "Cup of coffee",
                "An espresso in a white cup on a brown wooden table.",
                &["drink"],
            ),
            entry(
                "rocket",
                "Rocket launch",
                "A Falcon 9 lifts off at night with fire and smoke.",
                &["space", "SpaceX"],
            ),
            entry(
                "moon",
                "The Moon",
                "Craters on the surface of the Moon, grey.",
                &["space", "astronomy"],
            ),
        ])
    }

    fn first(query: &str) -> Option<String> {
        index()
            .search(query)
            .first()
            .map(|found| found.entry.id.clone())
    }

    #[test]
    fn the_best_match_comes_first() {
        assert_eq!(first("cats").as_deref(), Some("cat"));
        assert_eq!(
            first("A photograph of a ginger cat").as_deref(),
            Some("cat")
        );
        assert_eq!(
            first("rocket launching into space").as_deref(),
            Some("rocket")
        );
        assert_eq!(first("lunar craters on the moon").as_deref(), Some("moon"));
        assert_eq!(first("espresso drinks").as_deref(), Some("coffee"));
        assert_eq!(index().search("space").len(), 2);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for query in [
            "harbour of Lisbon at dawn",
            "brown bear in a forest clearing",
            "",
            "the of",
            "photo",
        ] {
            assert_eq!(first(query), None, "{query}");
        }
        assert!(Index::new(vec![]).search("cat").is_empty());
    }

    #[test]
    fn title_counts_more_than_caption() {
        let index = Index::new(vec![
            entry("caption", "Street", "People and a horse", &[]),
            entry("title", "Horse", "A street with people", &[]),
        ]);
        let ids: Vec<&str> = index
            .search("horse")
            .iter()
            .map(|found| found.entry.id.as_str())
            .collect();
        assert_eq!(ids, ["title", "caption"]);
    }
}
