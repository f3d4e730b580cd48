//! Which modules an adapter changes, by their names.
//!
//! Follows `check_target_module_exists` (`peft/tuners/tuners_utils.py`) and
//! `get_pattern_key` (`peft/utils/other.py`). Patterns are Python's, look-around
//! included; one that does not come to an end is given up.

use onig::{MatchParam, Regex, RegexOptions, Region, SearchOptions, Syntax};

/// Steps back within one match after which a pattern is given up.
const MAX_RETRIES: u32 = 1_000_000;

/// The modules that are changed.
#[derive(Debug)]
pub struct Targets {
    /// `target_modules`.
    pub included: Names,
    /// `exclude_modules`.
    pub excluded: Option<Names>,
    /// `layers_to_transform`.
    pub layers: Option<Layers>,
}

/// Modules by name.
#[derive(Debug)]
pub enum Names {
    /// Every projection but the head.
    AllLinear,
    /// Those whose whole name matches.
    Whole(Pattern),
    /// Those with one of these names, or with a name that ends in a dot and one.
    List(Vec<String>),
}

/// The layers that are changed, where a list names the modules.
#[derive(Debug)]
pub struct Layers {
    indices: Vec<usize>,
    /// Each with the layer's number as its first group.
    patterns: Vec<Pattern>,
}

/// A regular expression.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Targets {
    /// Whether `module` is changed.
    ///
    /// # Errors
    /// In words, when a pattern takes too long.
    pub fn contain(&self, module: &str) -> Result<bool, String> {
        if let Some(excluded) = &self.excluded
            && excluded.contain(module)?
        {
            return Ok(false);
        }
        if !self.included.contain(module)? {
            return Ok(false);
        }
        match (&self.layers, &self.included) {
            // A name that is given in full needs no layer.
            (Some(layers), Names::List(list)) if !list.iter().any(|name| name == module) => {
                layers.contain(module)
            }
            _ => Ok(true),
        }
    }
}

impl Names {
    /// `all-linear`, or a regular expression.
    ///
    /// # Errors
    /// In words, when it is neither.
    pub fn from_text(text: &str) -> Result<Self, String> {
        match text.eq_ignore_ascii_case("all-linear") {
            true => Ok(Self::AllLinear),
            false => Pattern::new(text, text).map(Self::Whole),
        }
    }

    fn contain(&self, module: &str) -> Result<bool, String> {
        match self {
            Self::AllLinear => Ok(true),
            Self::Whole(pattern) => pattern.matches(module),
            Self::List(list) => Ok(list.iter().any(|name| {
                let before = module.strip_suffix(name.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            })),
        }
    }
}

impl Layers {
    /// Layers by number; `patterns` name the list of layers in a module's name,
    /// any list where there are none.
    ///
    /// # Errors
    /// In words, for a pattern that is not one.
    pub fn new(indices: Vec<usize>, patterns: &[String]) -> Result<Self, String> {
        let patterns = match patterns {
            [] => vec![Pattern::new("", r".*?\.[^.]*\.(\d+)\.")?],
            _ => patterns
                .iter()
                .map(|text| Pattern::new(text, &format!(r"(?:|.*?\.){text}\.(\d+)\.")))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self { indices, patterns })
    }

    fn contain(&self, module: &str) -> Result<bool, String> {
        for pattern in &self.patterns {
            if let Some(number) = pattern.first_group(module)? {
                let index = number.parse::<usize>();
                return Ok(index.is_ok_and(|index| self.indices.contains(&index)));
            }
        }
        Ok(false)
    }
}

impl Pattern {
    /// Names that are `text` or end in a dot and `text`.
    ///
    /// # Errors
    /// In words, when it is no regular expression.
    pub fn ending(text: &str) -> Result<Self, String> {
        Self::new(text, &format!(r"(?:.*\.)?(?:{text})"))
    }

    /// `expression`, made of the file's `text`.
    fn new(text: &str, expression: &str) -> Result<Self, String> {
        let options = RegexOptions::REGEX_OPTION_NONE;
        let regex = Regex::with_options(expression, options, Syntax::python())
            .map_err(|error| format!("`{text}` is no regular expression: {error}"))?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }

    /// Whether the whole of `module` matches.
    ///
    /// # Errors
    /// In words, when it takes too long.
    pub fn matches(&self, module: &str) -> Result<bool, String> {
        self.run(module, SearchOptions::SEARCH_OPTION_WHOLE_STRING, None)
    }

    /// The first group, where the beginning of `module` matches.
    fn first_group<'m>(&self, module: &'m str) -> Result<Option<&'m str>, String> {
        let mut groups = Region::new();
        let options = SearchOptions::SEARCH_OPTION_NONE;
        if !self.run(module, options, Some(&mut groups))? {
            return Ok(None);
        }
        let place = groups.pos(1);
        Ok(place.and_then(|(start, end)| module.get(start..end)))
    }

    fn run(
        &self,
        module: &str,
        options: SearchOptions,
        groups: Option<&mut Region>,
    ) -> Result<bool, String> {
        let mut limits = MatchParam::default();
        limits.set_retry_limit_in_match(MAX_RETRIES);
        self.regex
            .match_with_param(module, 0, options, groups, limits)
            .map(|found| found.is_some())
            .map_err(|error| format!("the pattern `{}` failed: {error}", self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q0: &str = "model.layers.0.self_attn.q_proj";
    const Q1: &str = "model.layers.1.self_attn.q_proj";
    const EXPERT: &str = "model.layers.1.mlp.experts.0.up_proj";

    fn list(names: &[&str]) -> Names {
        Names::List(names.iter().map(|&name| name.to_owned()).collect())
    }

    fn targets(included: Names) -> Targets {
        Targets {
            included,
            excluded: None,
            layers: None,
        }
    }

    fn chosen(targets: &Targets) -> Vec<&'static str> {
        let contain = |name: &&str| targets.contain(name).unwrap();
        [Q0, Q1, EXPERT].into_iter().filter(contain).collect()
    }

    #[test]
    fn names_are_ends_after_a_dot_and_patterns_are_whole() {
        assert_eq!(chosen(&targets(list(&["q_proj"]))), [Q0, Q1]);
        assert_eq!(chosen(&targets(list(&["proj", "_proj"]))), [""; 0]);
        assert_eq!(chosen(&targets(list(&[Q1]))), [Q1]);
        let pattern = |text: &str| targets(Names::from_text(text).unwrap());
        assert_eq!(chosen(&pattern("q_proj")), [""; 0]);
        assert_eq!(chosen(&pattern(r".*\.1\.(?!mlp).*_proj")), [Q1]);
        assert_eq!(chosen(&pattern("All-Linear")), [Q0, Q1, EXPERT]);
        let but = Targets {
            excluded: Some(list(&["up_proj"])),
            ..pattern("all-linear")
        };
        assert_eq!(chosen(&but), [Q0, Q1]);
    }

    #[test]
    fn layers_are_the_first_number_and_full_names_need_none() {
        let layers = |indices: &[usize], patterns: &[&str], names: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
            Targets {
                layers: Some(Layers::new(indices.to_vec(), &patterns).unwrap()),
                ..targets(list(names))
            }
        };
        let names = ["q_proj", "up_proj"];
        // Not the expert's number.
        assert_eq!(chosen(&layers(&[0], &[], &names)), [Q0]);
        assert_eq!(chosen(&layers(&[1], &["layers"], &names)), [Q1, EXPERT]);
        assert_eq!(chosen(&layers(&[0], &["experts"], &names)), [EXPERT]);
        assert_eq!(chosen(&layers(&[7], &[], &[Q0])), [Q0]);
    }

    #[test]
    fn a_pattern_that_never_ends_is_given_up_in_words() {
        let targets = targets(Names::from_text(r"((\w|\.)+)+\1(?=!)").unwrap());
        let error = targets.contain(&"model.layers".repeat(30)).unwrap_err();
        assert!(error.contains("failed"), "{error}");
        assert!(Names::from_text("(").unwrap_err().contains("`(`"));
    }
}
