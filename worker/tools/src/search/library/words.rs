//! Text to the words that are compared.

/// Words that say nothing about what is to be seen.
const STOP_WORDS: &[&str] = &[
    "a",
    "an",
    "and",
    "are",
    "as",
    "at",
    "by",
    "for",
    "from",
    "her",
    "his",
    "in",
    "into",
    "is",
    "it",
    "its",
    "of",
    "on",
    "or",
    "over",
    "that",
    "the",
    "their",
    "this",
    "to",
    "was",
    "were",
    "which",
    "with",
    "photo",
    "photograph",
    "photography",
    "photographic",
    "picture",
    "pic",
    "image",
    "real",
    "shot",
    "view",
    "showing",
    "show",
    "close",
    "closeup",
    "up",
    "high",
    "resolution",
    "quality",
    "hd",
    "4k",
    "stock",
    "detailed",
    "beautiful",
];

/// The words of a text, lower-cased, without diacritics, stemmed; stop words
/// are left out. Scripts without spaces (CJK, kana) give one word a character.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut word = String::new();
    for character in text.chars().flat_map(char::to_lowercase) {
        if is_ideograph(character) {
            finish(&mut word, &mut found);
            found.push(character.to_string());
        } else if character.is_alphanumeric() {
            fold(character, &mut word);
        } else if !matches!(character, '\'' | '’' | '\u{0300}'..='\u{036f}') {
            finish(&mut word, &mut found);
        }
    }
    finish(&mut word, &mut found);
    found
}

fn finish(word: &mut String, found: &mut Vec<String>) {
    if !word.is_empty() && !STOP_WORDS.contains(&word.as_str()) {
        found.push(stem(word));
    }
    word.clear();
}

const fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The commonest Latin letters without their marks.
fn fold(character: char, word: &mut String) {
    let plain = match character {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' => 'e',
        'ì' | 'í' | 'î' | 'ï' | 'ī' => 'i',
        'ñ' | 'ń' => 'n',
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' => 'o',
        'ù' | 'ú' | 'û' | 'ü' | 'ū' => 'u',
        'ý' | 'ÿ' => 'y',
        'š' | 'ś' => 's',
        'ž' | 'ź' | 'ż' => 'z',
        'ß' => return word.push_str("ss"),
        'æ' => return word.push_str("ae"),
        'œ' => return word.push_str("oe"),
        other => other,
    };
    word.push(plain);
}

/// Light English stemming: plurals, then `ing` and `ed` off words that stay
/// words. Less than Porter's, so that few strangers meet.
fn stem(word: &str) -> String {
    if !word.is_ascii() {
        return word.to_owned();
    }
    let singular = singular(word);
    for ending in ["ing", "ed"] {
        let Some(root) = singular.strip_suffix(ending) else {
            continue;
        };
        let has_vowel = root.contains(['a', 'e', 'i', 'o', 'u', 'y']);
        if root.len() >= 3 && has_vowel {
            return undouble(root).trim_end_matches('e').to_owned();
        }
    }
    if singular.len() > 4 {
        return singular.trim_end_matches('e').to_owned();
    }
    singular
}

fn singular(word: &str) -> String {
    let stays =
        word.len() <= 3 || word.ends_with("ss") || word.ends_with("us") || word.ends_with("is");
    if stays || !word.ends_with('s') {
        return match word.strip_suffix('y') {
            Some(root) if word.len() > 4 => format!("{root}i"),
            _ => word.to_owned(),
        };
    }
    if let Some(root) = word.strip_suffix("ies").filter(|root| root.len() > 1) {
        return format!("{root}i");
    }
    for ending in ["ches", "shes", "xes", "sses", "zes", "oes"] {
        if word.ends_with(ending) {
            return word.trim_end_matches("es").to_owned();
        }
    }
    word.trim_end_matches('s').to_owned()
}

/// `runn` → `run`, but `roll` stays.
fn undouble(root: &str) -> &str {
    let mut last = root.chars().rev();
    match (last.next(), last.next()) {
        (Some(one), Some(other)) if one == other && !"lsz".contains(one) => {
            root.get(..root.len() - 1).unwrap_or(root)
        }
        _ => root,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_meet() {
        for (one, other) in [
            ("cats", "cat"),
            ("galaxies", "galaxy"),
            ("rockets", "rocket"),
            ("launching", "launched"),
            ("launches", "launch"),
            ("running", "run"),
            ("horses", "horse"),
            ("smiling", "smile"),
            ("boxes", "box"),
            ("textures", "texture"),
            ("Café", "cafe"),
            ("bricks", "brick"),
        ] {
            assert_eq!(words(one), words(other), "{one} and {other}");
        }
    }

    #[test]
    fn strangers_do_not() {
        for (one, other) in [
            ("glass", "gla"),
            ("bus", "bu"),
            ("sing", "s"),
            ("red", "r"),
            ("moon", "moor"),
        ] {
            assert_ne!(words(one), words(other), "{one} and {other}");
        }
    }

    #[test]
    fn stop_words_and_signs_fall_away() {
        assert_eq!(
            words("A photo of the Moon's craters!"),
            ["moons", "crater"].map(stem)
        );
        assert_eq!(words("東京 2020"), ["東", "京", "2020"]);
        assert!(words(" — of the … ").is_empty());
    }
}
