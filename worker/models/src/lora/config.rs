//! `adapter_config.json`.
//!
//! Follows `LoraConfig` (`peft/tuners/lora/config.py`) and the choice of rank and
//! alpha in `LoraModel._create_and_replace` (`peft/tuners/lora/model.py`). Fields
//! that would change the result and are not done here are refused by name;
//! others are ignored, as `peft` does with those of later versions.

use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::target::{Layers, Names, Pattern, Targets};
use crate::error::{ModelError, Result};
use crate::load::read_json;

/// What an adapter is made of, and where it goes.
#[derive(Debug)]
pub struct LoraConfig {
    /// Rank of the modules that `rank_pattern` leaves out.
    pub rank: usize,
    /// Alpha of the modules that `alpha_pattern` leaves out.
    pub alpha: f64,
    /// Whether the scale is `alpha / √rank` in place of `alpha / rank`.
    pub use_rslora: bool,
    /// The modules it changes.
    pub targets: Targets,
    rank_pattern: Vec<(Pattern, usize)>,
    alpha_pattern: Vec<(Pattern, f64)>,
}

impl LoraConfig {
    /// Reads `path`.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`ModelError::Malformed`] naming the field whose value
    /// is not a value of it, or not supported.
    pub fn read(path: &Path) -> Result<Self> {
        let raw: Raw = read_json(path)?;
        raw.check()
            .map_err(|reason| ModelError::malformed(path, reason))
    }

    /// The rank of `module`.
    ///
    /// # Errors
    /// In words, when a pattern takes too long.
    pub fn rank_of(&self, module: &str) -> Result<usize, String> {
        Ok(*first(&self.rank_pattern, module)?.unwrap_or(&self.rank))
    }

    /// What multiplies the factors' product in `module`.
    ///
    /// # Errors
    /// As [`Self::rank_of`].
    pub fn scale_of(&self, module: &str) -> Result<f64, String> {
        let alpha = *first(&self.alpha_pattern, module)?.unwrap_or(&self.alpha);
        let rank = self.rank_of(module)? as f64;
        Ok(match self.use_rslora {
            true => alpha / rank.sqrt(),
            false => alpha / rank,
        })
    }
}

/// The value of the first pattern, in the file's order, that names `module`.
fn first<'p, T>(patterns: &'p [(Pattern, T)], module: &str) -> Result<Option<&'p T>, String> {
    for (pattern, value) in patterns {
        if pattern.matches(module)? {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// As written; absent fields have the defaults of `peft`.
#[derive(Deserialize)]
struct Raw {
    peft_type: Option<String>,
    r: Option<usize>,
    lora_alpha: Option<f64>,
    #[serde(default)]
    use_rslora: bool,
    target_modules: Option<OneOrMany<String>>,
    exclude_modules: Option<OneOrMany<String>>,
    layers_to_transform: Option<OneOrMany<usize>>,
    layers_pattern: Option<OneOrMany<String>>,
    #[serde(default)]
    rank_pattern: Ordered<usize>,
    #[serde(default)]
    alpha_pattern: Ordered<f64>,
    bias: Option<String>,
    init_lora_weights: Option<Value>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    fn into_list(self) -> Vec<T> {
        match self {
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

/// Fields that must be absent, null, false or empty, and what they would mean.
const UNSUPPORTED: [(&str, &str); 15] = [
    ("use_dora", "DoRA's magnitudes"),
    ("modules_to_save", "modules that were trained as a whole"),
    ("lora_bias", "a bias of the second factor"),
    ("fan_in_fan_out", "weights stored the other way round"),
    (
        "target_parameters",
        "factors of fused parameters, such as experts in one tensor; an adapter with each \
         expert's projections as modules can be loaded",
    ),
    ("trainable_token_indices", "changed embeddings"),
    ("layer_replication", "layers used several times"),
    ("use_qalora", "QALoRA's pooled inputs"),
    ("alora_invocation_tokens", "adapters that a token activates"),
    ("arrow_config", "Arrow's routing among adapters"),
    ("use_bdlora", "block-diagonal factors"),
    ("monteclora_config", "sampled factors"),
    ("kasa_config", "KaSA's changed base weights"),
    ("megatron_config", "Megatron's layers"),
    ("loftq_config", "LoftQ's changed base weights"),
];

/// Starting points that leave the base's weights as they are.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

impl Raw {
    fn check(self) -> Result<LoraConfig, String> {
        match self.peft_type.as_deref() {
            Some("LORA") => {}
            Some(other) => {
                return Err(format!(
                    "`peft_type`: `{other}` is not supported; only LORA is"
                ));
            }
            None => return Err("`peft_type` is missing".to_owned()),
        }
        for (field, meaning) in UNSUPPORTED {
            if self.others.get(field).is_some_and(is_on) {
                return Err(format!("`{field}`: {meaning} are not supported"));
            }
        }
        if let Some(bias) = self.bias.as_deref().filter(|bias| *bias != "none") {
            return Err(format!(
                "`bias`: `{bias}` is not supported; only `none` is: trained biases would \
                 change the base"
            ));
        }
        check_start(self.init_lora_weights.as_ref())?;

        let rank = self.r.unwrap_or(8);
        let ranks = self.rank_pattern.0.iter().map(|(_, rank)| *rank);
        if rank == 0 || ranks.clone().any(|rank| rank == 0) {
            return Err("`r`: ranks must be at least 1, those of `rank_pattern` too".to_owned());
        }
        Ok(LoraConfig {
            rank,
            alpha: self.lora_alpha.unwrap_or(8.0),
            use_rslora: self.use_rslora,
            rank_pattern: self.rank_pattern.compile("rank_pattern")?,
            alpha_pattern: self.alpha_pattern.compile("alpha_pattern")?,
            targets: targets(
                self.target_modules,
                self.exclude_modules,
                self.layers_to_transform,
                self.layers_pattern,
            )?,
        })
    }
}

/// Python's truth of a value.
fn is_on(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn check_start(start: Option<&Value>) -> Result<(), String> {
    match start {
        None | Some(Value::Null | Value::Bool(_)) => Ok(()),
        Some(Value::String(name)) if PLAIN_STARTS.contains(&name.as_str()) => Ok(()),
        Some(other) => Err(format!(
            "`init_lora_weights`: {other} changes the base's weights at the start of training; \
             save the adapter with `path_initial_model_for_weight_conversion`"
        )),
    }
}

fn targets(
    names: Option<OneOrMany<String>>,
    excluded: Option<OneOrMany<String>>,
    layers: Option<OneOrMany<usize>>,
    layers_pattern: Option<OneOrMany<String>>,
) -> Result<Targets, String> {
    let named = |field: &str, names: OneOrMany<String>| match names {
        OneOrMany::One(text) => Names::from_text(&text).map_err(|why| format!("`{field}`: {why}")),
        OneOrMany::Many(list) => Ok(Names::List(list)),
    };
    let included = names.ok_or("`target_modules` is missing")?;
    let included = named("target_modules", included)?;
    // An empty list of layers means all of them.
    let layers = layers.map(OneOrMany::into_list).unwrap_or_default();
    if !layers.is_empty() && !matches!(included, Names::List(_)) {
        return Err("`layers_to_transform`: goes with a list of `target_modules` alone".to_owned());
    }
    let patterns = layers_pattern.map(OneOrMany::into_list).unwrap_or_default();
    let layers = match layers.is_empty() {
        true => None,
        false => {
            Some(Layers::new(layers, &patterns).map_err(|why| format!("`layers_pattern`: {why}"))?)
        }
    };
    Ok(Targets {
        included,
        excluded: excluded
            .map(|names| named("exclude_modules", names))
            .transpose()?,
        layers,
    })
}

/// The entries of an object in the order of the file, which decides which
/// pattern is the first to match.
struct Ordered<T>(Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Ordered<T> {
    fn compile(self, field: &str) -> Result<Vec<(Pattern, T)>, String> {
        let compile = |(text, value): (String, T)| {
            let pattern = Pattern::ending(&text).map_err(|why| format!("`{field}`: {why}"))?;
            Ok((pattern, value))
        };
        self.0.into_iter().map(compile).collect()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries(PhantomData))
    }
}

struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("patterns and numbers")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Ordered::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Ordered(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: &str = "model.layers.1.self_attn.q_proj";

    fn read(fields: &str) -> Result<LoraConfig, String> {
        let text = format!(r#"{{"peft_type": "LORA", "target_modules": ["q_proj"], {fields}}}"#);
        let raw: Raw = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        raw.check()
    }

    #[test]
    fn the_scale_is_alpha_by_the_rank_or_its_root() {
        let plain = read(r#""r": 4, "lora_alpha": 6"#).unwrap();
        assert_eq!(plain.scale_of(Q).unwrap(), 1.5);
        let stable = read(r#""r": 4, "lora_alpha": 6, "use_rslora": true"#).unwrap();
        assert_eq!(stable.scale_of(Q).unwrap(), 3.0);
        let default = read(r#""rank_pattern": null"#).unwrap();
        assert_eq!((default.rank, default.alpha), (8, 8.0));
    }

    #[test]
    fn the_first_pattern_of_the_file_counts() {
        // Not in the order of the alphabet.
        let config = read(
            r#""r": 2, "lora_alpha": 2, "rank_pattern": {"self_attn.q_proj": 5, "q_proj": 3, "proj": 9},
            "alpha_pattern": {"layers.1.self_attn.q_proj": 10, "q_proj": 1}"#,
        )
        .unwrap();
        assert_eq!(config.rank_of(Q).unwrap(), 5);
        assert_eq!(config.scale_of(Q).unwrap(), 2.0);
        assert_eq!(config.rank_of("a.q_proj").unwrap(), 3);
        assert_eq!(config.rank_of("a.v_proj").unwrap(), 2);
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_field() {
        for (fields, field) in [
            (r#""use_dora": true"#, "use_dora"),
            (r#""modules_to_save": ["lm_head"]"#, "modules_to_save"),
            (r#""bias": "lora_only""#, "bias"),
            (r#""lora_bias": true"#, "lora_bias"),
            (r#""fan_in_fan_out": true"#, "fan_in_fan_out"),
            (
                r#""target_parameters": ["experts.down_proj"]"#,
                "target_parameters",
            ),
            (
                r#""trainable_token_indices": [3]"#,
                "trainable_token_indices",
            ),
            (r#""init_lora_weights": "pissa_niter_4""#, "pissa_niter_4"),
            (r#""r": 0"#, "`r`"),
            (r#""rank_pattern": {"q_proj": 0}"#, "rank_pattern"),
            (r#""rank_pattern": {"q_(proj": 1}"#, "rank_pattern"),
            (r#""r": -3"#, "-3"),
            (r#""r": "wide""#, "wide"),
            (r#""exclude_modules": "(""#, "exclude_modules"),
        ] {
            let error = read(fields).unwrap_err();
            assert!(error.contains(field), "{fields}: {error}");
        }
        read(r#""use_dora": false, "modules_to_save": null, "loftq_config": {}, "bias": "none""#)
            .unwrap();
        read(r#""init_lora_weights": "gaussian", "a_field_of_the_future": 3"#).unwrap();
    }

    #[test]
    fn another_type_and_missing_targets_are_named() {
        for (text, says) in [
            (r#"{"peft_type": "IA3", "target_modules": []}"#, "IA3"),
            (r#"{"target_modules": ["q_proj"]}"#, "peft_type"),
            (r#"{"peft_type": "LORA"}"#, "target_modules"),
            (
                r#"{"peft_type": "LORA", "target_modules": "all-linear", "layers_to_transform": 1}"#,
                "layers_to_transform",
            ),
        ] {
            let raw: Raw = serde_json::from_str(text).unwrap();
            let error = raw.check().unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
