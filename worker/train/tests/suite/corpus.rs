//! What the corpus promises.

use std::collections::{HashMap, HashSet};

use illumine_train::corpus::topic::heldout_words;
use illumine_train::corpus::{Corpus, Stage, heldout};

#[test]
fn the_same_seed_and_index_give_the_same_example_in_any_order() {
    let (first, second) = (Corpus::new(9), Corpus::new(9));
    for index in [5, 0, 77] {
        let example = first.example(index, Stage::Full);
        assert_eq!(example, second.example(index, Stage::Full));
        assert_ne!(example, Corpus::new(10).example(index, Stage::Full));
    }
}

#[test]
fn training_never_uses_a_held_out_word_as_topic() {
    let heldout: HashSet<&str> = heldout_words().into_iter().collect();
    let corpus = Corpus::new(7);
    for index in 0..3000 {
        let example = corpus.example(index, Stage::Full);
        let title = example.answer.lines().next().unwrap().to_lowercase();
        let used = title.split(' ').find(|word| heldout.contains(word));
        assert_eq!(used, None, "{title}");
    }
}

#[test]
fn evaluation_has_every_kind_and_number_of_pictures() {
    let set = heldout(200);
    let mut sources: HashMap<&str, usize> = HashMap::new();
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for item in &set {
        *counts.entry(item.request.pictures.len()).or_default() += 1;
        for picture in &item.request.pictures {
            *sources.entry(picture.source()).or_default() += 1;
        }
        assert!(item.example.prompt.contains(&item.request.topic));
    }
    for source in ["search", "diffusion", "code", "edit"] {
        assert!(sources[source] >= 15, "{sources:?}");
    }
    for count in 0..=4 {
        assert!(counts[&count] >= 5, "{counts:?}");
    }
    let prompts: HashSet<&str> = set
        .iter()
        .map(|item| item.example.prompt.as_str())
        .collect();
    assert!(prompts.len() > 195);
}

#[test]
fn a_beginning_is_how_a_whole_document_begins() {
    let corpus = Corpus::new(3);
    for index in 0..50 {
        let example = corpus.example(index, Stage::Beginnings);
        assert!(example.partial);
        assert!(example.answer.starts_with("# "));
        // The plan's first figure is the first heading.
        let heading = example.answer.lines().last().unwrap();
        match example.answer.contains("no pictures") {
            true => assert_eq!(heading, "## Background"),
            false => {
                let figure = heading.strip_prefix("## ").unwrap();
                assert!(figure.starts_with("Figure 1: "), "{heading}");
                assert_eq!(example.answer.matches(figure).count(), 2, "{heading}");
            }
        }
        assert_eq!(example.answer.matches("\n\n").count(), 2);
    }
}
