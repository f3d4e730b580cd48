//! What a document is about. A topic is written with the same letters wherever
//! it stands, after a space, so that it is always the same tokens.

use super::rng::Rng;

const WORDS: &str = include_str!("words/training.txt");
const MODIFIERS: &str = include_str!("words/training_modifiers.txt");
const PLACES: &str = include_str!("words/training_places.txt");
const HELDOUT_WORDS: &str = include_str!("words/heldout.txt");
const HELDOUT_MODIFIERS: &str = include_str!("words/heldout_modifiers.txt");
const HELDOUT_INVENTED: &str = include_str!("words/heldout_invented.txt");

/// Topics for training, or topics none of whose words training ever sees.
#[derive(Debug)]
pub struct Topics {
    words: Vec<&'static str>,
    modifiers: Vec<&'static str>,
    places: Vec<&'static str>,
    invented: Invented,
}

#[derive(Debug)]
enum Invented {
    /// Made on the spot, never one of the held-out words.
    Fresh {
        heldout: Vec<&'static str>,
    },
    List(Vec<&'static str>),
}

fn list(text: &'static str) -> Vec<&'static str> {
    text.split_whitespace().collect()
}

/// Every word that only held-out topics use.
pub fn heldout_words() -> Vec<&'static str> {
    let mut words = list(HELDOUT_WORDS);
    words.extend(list(HELDOUT_MODIFIERS));
    words.extend(list(HELDOUT_INVENTED));
    words
}

impl Topics {
    /// The training side.
    pub fn training() -> Self {
        Self {
            words: list(WORDS),
            modifiers: list(MODIFIERS),
            places: list(PLACES),
            invented: Invented::Fresh {
                heldout: heldout_words(),
            },
        }
    }

    /// The held-out side.
    pub fn heldout() -> Self {
        Self {
            words: list(HELDOUT_WORDS),
            modifiers: list(HELDOUT_MODIFIERS),
            places: Vec::new(),
            invented: Invented::List(list(HELDOUT_INVENTED)),
        }
    }

    /// A topic of one to four words, `invented_percent` of whose words are no
    /// words of any language.
    pub fn draw(&self, rng: &mut Rng, invented_percent: usize) -> String {
        let word = |rng: &mut Rng| {
            if rng.chance(invented_percent) {
                self.invent(rng)
            } else {
                rng.pick(&self.words).to_owned()
            }
        };
        let modifier = |rng: &mut Rng| {
            if rng.chance(invented_percent) {
                self.invent(rng)
            } else {
                rng.pick(&self.modifiers).to_owned()
            }
        };
        match rng.below(100) {
            0..40 => word(rng),
            40..78 => format!("{} {}", modifier(rng), word(rng)),
            78..84 => format!("{} and {}", word(rng), word(rng)),
            84..92 => format!("{} {} {}", modifier(rng), modifier(rng), word(rng)),
            92..96 if !self.places.is_empty() => {
                format!("{} in {}", word(rng), rng.pick(&self.places))
            }
            96..98 if !self.places.is_empty() => rng.pick(&self.places).to_owned(),
            _ => format!("{} in {} {}", word(rng), modifier(rng), word(rng)),
        }
    }

    fn invent(&self, rng: &mut Rng) -> String {
        match &self.invented {
            Invented::List(words) => rng.pick(words).to_owned(),
            Invented::Fresh { heldout } => loop {
                let word = self.fresh(rng);
                if !heldout.contains(&word.to_lowercase().as_str()) {
                    break word;
                }
            },
        }
    }

    /// Half are random syllables; half are spliced from two real words, which
    /// brings the letter groups that unseen real words are made of.
    fn fresh(&self, rng: &mut Rng) -> String {
        let mut word = if rng.chance(50) {
            (0..rng.between(2, 4)).map(|_| syllable(rng)).collect()
        } else {
            let (head, tail) = (rng.pick(&self.words), rng.pick(&self.words));
            let cut = rng.between(2, head.len().min(6));
            let rest = rng.between(2, tail.len().min(6));
            format!("{}{}", &head[..cut], &tail[tail.len() - rest..])
        };
        if rng.chance(12) {
            word = capitalised(&word);
        }
        word
    }
}

fn syllable(rng: &mut Rng) -> String {
    const ONSETS: &[&str] = &[
        "", "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "qu", "r", "s", "t", "v",
        "w", "x", "y", "z", "bl", "br", "ch", "cr", "dr", "fl", "gr", "pl", "sh", "st", "th", "tr",
    ];
    const VOWELS: &[&str] = &["a", "e", "i", "o", "u", "a", "e", "i", "o", "ea", "oo", "y"];
    const CODAS: &[&str] = &[
        "", "", "", "n", "r", "l", "s", "t", "m", "d", "x", "ck", "ng", "nd", "st", "rt", "p",
    ];
    let (onset, vowel, coda) = (rng.pick(ONSETS), rng.pick(VOWELS), rng.pick(CODAS));
    format!("{onset}{vowel}{coda}")
}

/// With its first letter in upper case.
pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
