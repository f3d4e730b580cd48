//! What prompts are about. A topic's file has a block for each:
//!
//! ```text
//! = name | field
//! r something real, as a noun phrase that follows "a picture of"
//! t a quantity over time    c quantities to compare    s shares of a whole
//! i something that exists nowhere
//! e how the first `r` might be changed, to follow "the same picture"
//! ```

/// What a topic belongs to; decides which kinds of text suit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Place,
    Nature,
    Dish,
    Food,
    Home,
    Sport,
    Health,
    History,
    Science,
    Technology,
    Product,
    Business,
    Art,
}

/// How numbers hang together, and so what drawing suits them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Trend,
    Compare,
    Share,
}

/// One topic.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    pub(super) field: Field,
    pub(super) real: Vec<&'static str>,
    pub(super) data: Vec<(Shape, &'static str)>,
    pub(super) imagined: Vec<&'static str>,
    pub(super) changes: Vec<&'static str>,
}

/// The topics of the training rows.
pub(super) fn train() -> Vec<Topic> {
    let files = [
        include_str!("topics/train_world.txt"),
        include_str!("topics/train_life.txt"),
        include_str!("topics/train_mind.txt"),
    ];
    files.into_iter().flat_map(parse).collect()
}

/// The topics of the test rows: none of the training's.
pub(super) fn test() -> Vec<Topic> {
    parse(include_str!("topics/test.txt"))
}

fn parse(text: &'static str) -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for line in text.lines() {
        let Some((mark, rest)) = line.split_once(' ') else {
            continue;
        };
        if mark == "=" {
            topics.extend(opening(rest));
            continue;
        }
        let Some(topic) = topics.last_mut() else {
            continue;
        };
        match mark {
            "r" => topic.real.push(rest),
            "t" => topic.data.push((Shape::Trend, rest)),
            "c" => topic.data.push((Shape::Compare, rest)),
            "s" => topic.data.push((Shape::Share, rest)),
            "i" => topic.imagined.push(rest),
            "e" => topic.changes.push(rest),
            _ => {}
        }
    }
    topics
}

fn opening(line: &'static str) -> Option<Topic> {
    let (name, field) = line.split_once(" | ")?;
    Some(Topic {
        name,
        field: field_of(field)?,
        real: Vec::new(),
        data: Vec::new(),
        imagined: Vec::new(),
        changes: Vec::new(),
    })
}

fn field_of(word: &str) -> Option<Field> {
    Some(match word {
        "place" => Field::Place,
        "nature" => Field::Nature,
        "dish" => Field::Dish,
        "food" => Field::Food,
        "home" => Field::Home,
        "sport" => Field::Sport,
        "health" => Field::Health,
        "history" => Field::History,
        "science" => Field::Science,
        "technology" => Field::Technology,
        "product" => Field::Product,
        "business" => Field::Business,
        "art" => Field::Art,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_of_the_files_is_a_whole_topic() {
        let marks = |text: &str| text.lines().filter(|line| line.starts_with("= ")).count();
        assert_eq!(test().len(), marks(include_str!("topics/test.txt")));
        assert_eq!(train().len(), 61);
        for topic in train().iter().chain(&test()) {
            assert_eq!(topic.real.len(), 3, "{}", topic.name);
            assert_eq!(topic.data.len(), 2, "{}", topic.name);
            assert_eq!(topic.imagined.len(), 2, "{}", topic.name);
            assert_eq!(topic.changes.len(), 2, "{}", topic.name);
        }
    }

    #[test]
    fn shares_make_a_whole() {
        for topic in train().iter().chain(&test()) {
            for (shape, text) in &topic.data {
                if *shape == Shape::Share {
                    let words: Vec<&str> = text.split([' ', ')', ',']).collect();
                    let shares = words.windows(2).filter(|pair| pair[1].starts_with('%'));
                    let sum: u32 = shares.map(|pair| pair[0].parse::<u32>().unwrap()).sum();
                    assert_eq!(sum, 100, "{text}");
                }
            }
        }
    }

    #[test]
    fn no_phrase_serves_both_splits() {
        let phrases = |topics: Vec<Topic>| -> Vec<&str> {
            let all = topics.into_iter();
            all.flat_map(|t| [vec![t.name], t.real, t.imagined, t.changes].concat())
                .collect()
        };
        let test = phrases(test());
        assert!(phrases(train()).iter().all(|phrase| !test.contains(phrase)));
    }
}
