//! `burn:<folder or name>[@device]` and `openai:<base url>#<model>`. A device is
//! e.g. `cuda:0`, `flex`, or `flex:int8` for eight-bit weights on the CPU.

use super::PolicyError;

/// Which policy, read from its configuration text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicySpec {
    /// `demo`, or a Hugging Face folder; the device overrides the worker's.
    Burn {
        model: String,
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
                "the policy `{text}` {why}; expected `burn:<folder or name>[@device]` or \
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
            if model.is_empty() {
                return Err(invalid("names no model"));
            }
            Ok(PolicySpec::Burn {
                model: model.to_owned(),
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
    fn mistakes_say_what_is_expected() {
        for text in [
            "",
            "demo",
            "burn:",
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
