//! Reading a judge's lines: tolerant in form, strict in content.

/// The value of each label in the answer, in the labels' order.
///
/// A line is a label, a colon and a number from 1 to 5, whole or decimal, also
/// as `4/5` or `4 out of 5`; marks of Markdown, quotes, brackets and list signs
/// around either are ignored, and words without digits may follow. Thinking is
/// not read. A label may be repeated with the same number.
///
/// # Errors
/// What is wrong, in words: a label without a number, a number out of range, or
/// two numbers for one label.
pub(super) fn parse_scores<const N: usize>(
    answer: &str,
    labels: [&str; N],
) -> Result<[f64; N], String> {
    let answer = without_thinking(answer)?;
    let mut scores: [Option<f64>; N] = [None; N];
    for line in answer.lines() {
        let Some((label, value)) = line.split_once([':', '：']) else {
            continue;
        };
        let label = plain(label);
        let Some(slot) = labels.iter().position(|known| plain(known) == label) else {
            continue;
        };
        // A label in a sentence of its own, such as `Text: well written`.
        let Some(number) = number(value) else {
            continue;
        };
        if !(1.0..=5.0).contains(&number) {
            return Err(format!("`{}` is {number}, not from 1 to 5", labels[slot]));
        }
        match scores[slot].replace(number) {
            Some(before) if before != number => {
                return Err(format!("`{}` is both {before} and {number}", labels[slot]));
            }
            _ => {}
        }
    }
    for (score, label) in scores.iter().zip(labels) {
        if score.is_none() {
            return Err(format!("`{label}` has no number"));
        }
    }
    Ok(scores.map(|score| score.unwrap_or(f64::NAN)))
}

/// Everything after the last thought.
fn without_thinking(answer: &str) -> Result<&str, String> {
    let after = answer
        .rsplit_once("</think>")
        .map_or(answer, |(_, after)| after);
    if after.contains("<think>") {
        return Err("it never stopped thinking".into());
    }
    Ok(after)
}

fn is_mark(character: char) -> bool {
    matches!(
        character,
        '*' | '_' | '`' | '#' | '>' | '"' | '\'' | '[' | ']' | '(' | ')' | '{' | '}'
    ) || character.is_whitespace()
}

/// A label without marks, list signs, case and ` score`.
fn plain(label: &str) -> String {
    let bullet = |character: char| {
        is_mark(character)
            || character.is_ascii_digit()
            || matches!(character, '-' | '.' | '•' | '+')
    };
    let label = label.trim_start_matches(bullet).trim_end_matches(is_mark);
    let label = label.to_lowercase().replace(['-', '_', '‑'], " ");
    let words: Vec<&str> = label.split_whitespace().collect();
    let words = words.strip_suffix(&["score"]).unwrap_or(&words);
    words.join(" ")
}

/// The one number that the value is, if it is one.
fn number(value: &str) -> Option<f64> {
    let value = value.trim_start_matches(is_mark);
    let end = value
        .find(|character: char| !character.is_ascii_digit() && character != '.' && character != '-')
        .unwrap_or(value.len());
    // A full stop may end the sentence.
    let digits = value[..end].trim_end_matches('.');
    let negative = digits.starts_with('-');
    let unsigned = digits.trim_start_matches('-');
    let written = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        && unsigned.starts_with(|first: char| first.is_ascii_digit());
    if !written {
        return None;
    }
    let number: f64 = unsigned.parse().ok()?;
    let rest = value[end..].trim_start_matches(is_mark);
    let rest = match rest
        .strip_prefix('/')
        .or_else(|| rest.strip_prefix("out of"))
    {
        Some(scale) => scale.trim_start_matches(is_mark).strip_prefix('5')?,
        None => rest,
    };
    if rest.chars().any(char::is_numeric) {
        return None;
    }
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLM: [&str; 2] = ["Text", "Image"];

    #[test]
    fn forms_that_judges_write() {
        for (answer, expected) in [
            ("Text: 4\nImage: 3", [4.0, 3.0]),
            ("text : 4.5\r\nIMAGE:3.0\r\n", [4.5, 3.0]),
            ("**Text:** 4\n**Image**: **3**", [4.0, 3.0]),
            ("Text: [4]\nImage: (3)", [4.0, 3.0]),
            ("Text: 4/5\nImage: 3 / 5", [4.0, 3.0]),
            ("Text: 4 out of 5\nImage: `3`", [4.0, 3.0]),
            ("1. Text: 4.\n2. Image: 3.", [4.0, 3.0]),
            ("- Text Score: 4\n- Image Score: 3", [4.0, 3.0]),
            (
                "## Text: 4 – clear prose\n> Image: 3 (vague query)",
                [4.0, 3.0],
            ),
            ("Text：4\nImage：3", [4.0, 3.0]),
            ("Here are my grades.\n\nImage: 3\nText: 4\n", [4.0, 3.0]),
            ("\"Text\": 4,\n\"Image\": 3", [4.0, 3.0]),
            (
                "<think>Text: 1\nImage: 1</think>\nText: 4\nImage: 3",
                [4.0, 3.0],
            ),
            ("Text: 4\nImage: 3\n\nText: 4\nImage: 3", [4.0, 3.0]),
            ("Text: it reads well\nText: 4\nImage: 3", [4.0, 3.0]),
            ("Text: 5\nImage: 1", [5.0, 1.0]),
        ] {
            assert_eq!(
                parse_scores(answer, LLM).as_ref(),
                Ok(&expected),
                "{answer}"
            );
        }
    }

    #[test]
    fn labels_that_begin_alike_are_told_apart() {
        let labels = ["Image Quality", "Task Relevance", "Text-Image Relevance"];
        let answer = "Image Quality: 2\nTask relevance: 3\nText–Image: 9\nText-Image Relevance: 4";
        assert_eq!(parse_scores(answer, labels), Ok([2.0, 3.0, 4.0]));
        assert!(parse_scores("Text-Image Relevance: 4\nImage Quality: 3", LLM).is_err());
    }

    #[test]
    fn what_is_not_clear_is_refused() {
        for (answer, reason) in [
            ("", "`Text` has no number"),
            ("I cannot grade this.", "`Text` has no number"),
            ("Text: 4", "`Image` has no number"),
            ("Text: 1-5\nImage: 1-5", "`Text` has no number"),
            ("Text: …\nImage: …", "`Text` has no number"),
            ("Text: NaN\nImage: 3", "`Text` has no number"),
            ("Text: inf\nImage: 3", "`Text` has no number"),
            ("Text: 4, Image: 3", "`Text` has no number"),
            ("Text: 8/10\nImage: 3", "`Text` has no number"),
            ("Text: 4,5\nImage: 3", "`Text` has no number"),
            ("Text: 4.5.1\nImage: 3", "`Text` has no number"),
            ("Text: four\nImage: 3", "`Text` has no number"),
            ("Text: 0\nImage: 3", "`Text` is 0"),
            ("Text: 6\nImage: 3", "`Text` is 6"),
            ("Text: -4\nImage: 3", "`Text` is -4"),
            ("Text: 5.01\nImage: 3", "`Text` is 5.01"),
            ("Text: 4\nImage: 3\nText: 5", "both 4 and 5"),
            ("<think>Text: 4\nImage: 3", "never stopped thinking"),
        ] {
            let error = parse_scores(answer, LLM).unwrap_err();
            assert!(error.contains(reason), "{answer:?}: {error}");
        }
    }
}
