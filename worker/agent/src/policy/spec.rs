//! `burn:<folder or name>[+lora=<folder>][@device]` and
//! `openai:<base url>#<model>`.
//!
//! | `burn:` part | meaning |
//! |---|---|
//! | folder or name | a Hugging Face folder, or `demo` |
//! | `+lora=<folder>` | an adapter in `peft` layout over it |
//! | `@device` | e.g. `cuda:0`, `cuda:0:bf16`, or `flex:int8` for eight-bit weights on the CPU; the worker's own when left out |
//!
//! The device stands behind the last `@` that no `/` follows, the adapter behind
//! the last `+lora=` before it: `burn:/m/Qwen3-4B+lora=/m/llm-i@flex:int8`.

use super::PolicyError;

/// Which policy, read from its configuration text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySpec {
    /// `demo`, or a Hugging Face folder; the device overrides the worker's.
    Burn {
        model: String,
        /// The folder of an adapter.
        lora: Option<String>,
        device: Option<String>,
    },
    OpenAi {
        base_url: String,
        model: String,
    },
}

/// Reads a policy's specification.
///
/// # Errors
/// `invalid_policy`, with what was expected.
pub fn parse_spec(text: &str) -> Result<PolicySpec, PolicyError> {
    let invalid = |why: &str| {
        PolicyError::permanent(
            "invalid_policy",
            format!(
                "the policy `{text}` {why}; expected \
                 `burn:<folder or name>[+lora=<folder>][@device]` or \
                 `openai:<base url>#<model>` (ILLUMINE_POLICY)"
            ),
        )
    };
    match text.split_once(':') {
        Some(("burn", rest)) => {
            let (model, device) = match rest.rsplit_once('@') {
                Some((model, device)) if !device.contains('/') => (model, Some(device.to_owned())),
                _ => (rest, None),
            };
            let (model, lora) = match model.rsplit_once("+lora=") {
                Some((model, lora)) => (model, Some(lora.to_owned())),
                None => (model, None),
            };
            if model.is_empty() {
                return Err(invalid("names no model"));
            }
            if lora.as_deref() == Some("") {
                return Err(invalid("names no folder after `+lora=`"));
            }
            Ok(PolicySpec::Burn {
                model: model.to_owned(),
                lora,
                device,
            })
        }
        Some(("openai", rest)) => {
            let (base_url, model) = rest
                .rsplit_once('#')
                .ok_or_else(|| invalid("names no model after `#`"))?;
            if !(base_url.starts_with("http://") || base_url.starts_with("https://"))
                || model.is_empty()
            {
                return Err(invalid("is not an http(s) address and a model"));
            }
            Ok(PolicySpec::OpenAi {
                base_url: base_url.trim_end_matches('/').to_owned(),
                model: model.to_owned(),
            })
        }
        _ => Err(invalid("has an unknown kind")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_read() {
        let burn = |model: &str, device: Option<&str>| PolicySpec::Burn {
            model: model.into(),
            lora: None,
            device: device.map(Into::into),
        };
        assert_eq!(parse_spec("burn:demo").unwrap(), burn("demo", None));
        assert_eq!(
            parse_spec("burn:/m/Qwen3@cuda:0").unwrap(),
            burn("/m/Qwen3", Some("cuda:0"))
        );
        assert_eq!(
            parse_spec("burn:/m/Qwen3@flex:int8").unwrap(),
            burn("/m/Qwen3", Some("flex:int8"))
        );
        assert_eq!(
            parse_spec("burn:/m@home/x").unwrap(),
            burn("/m@home/x", None)
        );
        assert_eq!(
            parse_spec("openai:http://gpu:8000/v1/#Qwen/Qwen3-4B").unwrap(),
            PolicySpec::OpenAi {
                base_url: "http://gpu:8000/v1".into(),
                model: "Qwen/Qwen3-4B".into()
            }
        );
    }

    #[test]
    fn an_adapter_stands_between_model_and_device() {
        for (text, model, lora, device) in [
            ("burn:/m/Qwen3+lora=/a/b", "/m/Qwen3", "/a/b", None),
            ("burn:demo+lora=x@flex:int8", "demo", "x", Some("flex:int8")),
            ("burn:/m+n/Qwen3+lora=/a@b/c", "/m+n/Qwen3", "/a@b/c", None),
            (
                "burn:/m@n/Q+lora=/a@b/c@cuda:0",
                "/m@n/Q",
                "/a@b/c",
                Some("cuda:0"),
            ),
        ] {
            let expected = PolicySpec::Burn {
                model: model.into(),
                lora: Some(lora.into()),
                device: device.map(Into::into),
            };
            assert_eq!(parse_spec(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_say_what_is_expected() {
        for text in [
            "",
            "demo",
            "burn:",
            "burn:+lora=/a",
            "burn:demo+lora=",
            "burn:demo+lora=@flex",
            "openai:http://x/v1",
            "openai:ftp://x#m",
            "vllm:http://x#m",
        ] {
            let error = parse_spec(text).unwrap_err();
            assert_eq!(error.code(), "invalid_policy");
            assert!(error.to_string().contains("ILLUMINE_POLICY"), "{error}");
        }
    }
}
