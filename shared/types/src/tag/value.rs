//! A literal's value, before it is known to be a call.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// A float, or an integer beyond 64 bits.
    Number,
    Bool,
    None,
    List,
    Dict(Vec<(String, Value)>),
}

impl Value {
    /// Reads `True`, `null`, `-3` and the like.
    pub(super) fn scalar(word: &str) -> Option<Self> {
        match word {
            "True" | "true" | "False" | "false" => return Some(Self::Bool),
            "None" | "null" => return Some(Self::None),
            _ => {}
        }
        let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
        if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        // Python refuses `007`; so does JSON.
        let padded = digits.len() > 1
            && digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        if padded {
            return None;
        }
        if let Ok(integer) = word.parse() {
            return Some(Self::Integer(integer));
        }
        word.parse::<f64>().is_ok().then_some(Self::Number)
    }
}
