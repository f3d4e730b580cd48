//! A chat completion as it is asked for, checked field by field.

use illumine_models::constrain::Constraint;
use illumine_models::sampling::SamplingParams;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ApiError;
use super::message::{Message, messages};

/// Answers to one request.
const MAX_CHOICES: usize = 16;
/// As OpenAI allows.
const MAX_TOP_LOGPROBS: usize = 20;
const MAX_STOPS: usize = 16;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The model's name, as it was asked for.
    pub model: String,
    /// The adapter that goes by this name; none for the base.
    pub adapter: Option<String>,
    pub messages: Vec<Message>,
    pub choices: usize,
    pub max_tokens: Option<usize>,
    pub sampling: SamplingParams,
    pub stop: Vec<String>,
    /// Likeliest tokens to name with each token; none when not asked for.
    pub logprobs: Option<usize>,
    pub constraint: Constraint,
    pub stream: bool,
    pub include_usage: bool,
}

/// Reads and checks a request for the model `served`, which looks at pictures or
/// does not, or for one of its `adapters`. What it leaves open of sampling is as in
/// `defaults`.
///
/// # Errors
/// 400 with the parameter at fault, 404 for another model.
pub fn read(
    body: &[u8],
    served: &str,
    adapters: &[String],
    sees_pictures: bool,
    defaults: &SamplingParams,
) -> Result<ChatRequest, ApiError> {
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        let message = format!("The body is not a JSON object: {error}.");
        ApiError::body(axum::http::StatusCode::BAD_REQUEST, message)
    })?;
    let fields = Fields(&fields);
    let model: String = fields.required("model")?;
    let adapter = match model == served {
        true => None,
        false if adapters.contains(&model) => Some(model.clone()),
        false => return Err(ApiError::no_model(&model, served, adapters)),
    };
    refuse_what_is_not_done(fields)?;
    let top: Option<usize> = fields.get("top_logprobs")?;
    let logprobs = match (fields.get("logprobs")?.unwrap_or(false), top) {
        (true, top) => Some(within(
            "top_logprobs",
            top.unwrap_or(0),
            0,
            MAX_TOP_LOGPROBS,
        )?),
        (false, None) => None,
        (false, Some(_)) => {
            return Err(ApiError::invalid(
                "top_logprobs",
                "needs `logprobs` to be true.",
            ));
        }
    };
    let stream = fields.get("stream")?.unwrap_or(false);
    let max_tokens = match fields.get("max_completion_tokens")? {
        Some(tokens) => Some(tokens),
        None => fields.get("max_tokens")?,
    };
    Ok(ChatRequest {
        model,
        adapter,
        messages: messages(fields, served, sees_pictures)?,
        choices: within("n", fields.get("n")?.unwrap_or(1), 1, MAX_CHOICES)?,
        max_tokens: max_tokens
            .map(|tokens| within("max_tokens", tokens, 1, usize::MAX))
            .transpose()?,
        sampling: sampling(fields, defaults)?,
        stop: stop(fields)?,
        logprobs,
        constraint: constraint(fields)?,
        stream,
        include_usage: stream_options(fields, stream)?,
    })
}

/// What OpenAI's interface has where a request says nothing.
pub fn openai_sampling() -> SamplingParams {
    SamplingParams {
        temperature: 1.0,
        ..SamplingParams::default()
    }
}

#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl Fields<'_> {
    /// The field's value; none when it is absent or null.
    fn get<T: DeserializeOwned>(self, name: &str) -> Result<Option<T>, ApiError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value.clone())
                .map(Some)
                .map_err(|error| ApiError::invalid(name, format!("`{name}`: {error}."))),
        }
    }

    pub(super) fn required<T: DeserializeOwned>(self, name: &str) -> Result<T, ApiError> {
        self.get(name)?
            .ok_or_else(|| ApiError::invalid(name, format!("`{name}` is missing.")))
    }
}

fn within(name: &str, value: usize, low: usize, high: usize) -> Result<usize, ApiError> {
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    let range = match high {
        usize::MAX => format!("at least {low}"),
        _ => format!("from {low} to {high}"),
    };
    Err(ApiError::invalid(
        name,
        format!("`{name}` must be {range}."),
    ))
}

/// Parameters that would change the answer and that this server does not have.
fn refuse_what_is_not_done(fields: Fields<'_>) -> Result<(), ApiError> {
    for name in [
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "logit_bias",
        "audio",
    ] {
        let empty = match fields.0.get(name) {
            None | Some(Value::Null) => true,
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Object(items)) => items.is_empty(),
            Some(Value::String(word)) => word == "none" || word == "auto",
            Some(_) => false,
        };
        if !empty {
            let message = format!("`{name}` is not supported by this server.");
            return Err(ApiError::invalid(name, message));
        }
    }
    for name in ["presence_penalty", "frequency_penalty"] {
        if fields.get::<f32>(name)?.unwrap_or(0.0) != 0.0 {
            let message = format!("`{name}` is not supported; use `repetition_penalty`.");
            return Err(ApiError::invalid(name, message));
        }
    }
    Ok(())
}

fn sampling(fields: Fields<'_>, defaults: &SamplingParams) -> Result<SamplingParams, ApiError> {
    let seed: Option<i64> = fields.get("seed")?;
    let number = |name: &str, default: f32| -> Result<f32, ApiError> {
        Ok(fields.get(name)?.unwrap_or(default))
    };
    let sampling = SamplingParams {
        temperature: number("temperature", defaults.temperature)?,
        top_p: number("top_p", defaults.top_p)?,
        top_k: fields.get("top_k")?.unwrap_or(defaults.top_k),
        min_p: number("min_p", defaults.min_p)?,
        repetition_penalty: number("repetition_penalty", defaults.repetition_penalty)?,
        seed: seed.map(i64::cast_unsigned),
    };
    sampling.validate()?;
    Ok(sampling)
}

fn stop(fields: Fields<'_>) -> Result<Vec<String>, ApiError> {
    let stops = match fields.0.get("stop") {
        Some(Value::String(stop)) => vec![stop.clone()],
        _ => fields.get::<Vec<String>>("stop")?.unwrap_or_default(),
    };
    if stops.len() > MAX_STOPS || stops.iter().any(String::is_empty) {
        let message = format!("`stop` must be up to {MAX_STOPS} texts that are not empty.");
        return Err(ApiError::invalid("stop", message));
    }
    Ok(stops)
}

/// `response_format`, and this server's own `constrain_tags` with the number of
/// input pictures in `input_images`.
fn constraint(fields: Fields<'_>) -> Result<Constraint, ApiError> {
    let format: Option<Value> = fields.get("response_format")?;
    let kind = format.as_ref().map(|format| format["type"].as_str());
    let tags = fields.get("constrain_tags")?.unwrap_or(false);
    match kind {
        Some(Some("json_object")) if tags => Err(ApiError::invalid(
            "constrain_tags",
            "cannot be had together with a JSON object.",
        )),
        Some(Some("json_object")) => Ok(Constraint::JsonObject),
        None | Some(Some("text")) if tags => Ok(Constraint::Tags {
            inputs: fields.get("input_images")?.unwrap_or(0),
        }),
        None | Some(Some("text")) => Ok(Constraint::None),
        Some(_) => Err(ApiError::invalid(
            "response_format",
            "`response_format.type` must be `text` or `json_object`.",
        )),
    }
}

fn stream_options(fields: Fields<'_>, stream: bool) -> Result<bool, ApiError> {
    let Some(options) = fields.get::<Map<String, Value>>("stream_options")? else {
        return Ok(false);
    };
    if !stream {
        let message = "`stream_options` needs `stream` to be true.";
        return Err(ApiError::invalid("stream_options", message));
    }
    Ok(Fields(&options).get("include_usage")?.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use illumine_models::tokenizer::Role;
    use serde_json::json;

    use super::super::message::{MAX_PICTURES, Part};
    use super::*;

    fn base() -> Value {
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]})
    }

    fn with(name: &str, value: Value) -> Result<ChatRequest, ApiError> {
        let mut body = base();
        body[name] = value;
        read(
            body.to_string().as_bytes(),
            "m",
            &["tuned".to_owned()],
            false,
            &openai_sampling(),
        )
    }

    fn param(result: Result<ChatRequest, ApiError>) -> Value {
        result.unwrap_err().to_json()["error"]["param"].clone()
    }

    #[test]
    fn a_plain_request_has_openais_defaults() {
        let body = base().to_string();
        let request = read(body.as_bytes(), "m", &[], false, &openai_sampling()).unwrap();
        let message = Message {
            role: Role::User,
            content: vec![Part::Text("hi".into())],
        };
        assert_eq!(request.messages, [message]);
        assert_eq!((request.model.as_str(), &request.adapter), ("m", &None));
        let tuned = with("model", json!("tuned")).unwrap();
        assert_eq!(tuned.adapter.as_deref(), Some("tuned"));
        assert_eq!((request.choices, request.max_tokens), (1, None));
        assert_eq!(request.sampling.temperature, 1.0);
        assert_eq!(request.constraint, Constraint::None);
        assert!(!request.stream && request.logprobs.is_none());
    }

    #[test]
    fn what_a_request_leaves_open_is_the_models() {
        let of_model = SamplingParams {
            temperature: 0.7,
            top_k: 20,
            ..openai_sampling()
        };
        let mut body = base();
        body["top_k"] = json!(5);
        body["seed"] = json!(1);
        let request = read(body.to_string().as_bytes(), "m", &[], false, &of_model).unwrap();
        let expected = SamplingParams {
            top_k: 5,
            seed: Some(1),
            ..of_model
        };
        assert_eq!(request.sampling, expected);
    }

    #[test]
    fn what_is_set_is_read() {
        assert_eq!(with("stop", json!("a")).unwrap().stop, ["a"]);
        assert_eq!(with("stop", json!(["a", "b"])).unwrap().stop, ["a", "b"]);
        assert_eq!(
            with("seed", json!(-1)).unwrap().sampling.seed,
            Some(u64::MAX)
        );
        assert_eq!(
            with("max_completion_tokens", json!(5)).unwrap().max_tokens,
            Some(5)
        );
        assert_eq!(with("logprobs", json!(true)).unwrap().logprobs, Some(0));
        let format = json!({"type": "json_object"});
        assert_eq!(
            with("response_format", format).unwrap().constraint,
            Constraint::JsonObject
        );
        let tags = with("constrain_tags", json!(true)).unwrap();
        assert_eq!(tags.constraint, Constraint::Tags { inputs: 0 });
        let parts = json!([{"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]);
        let texts = ["a", "b"].map(|text| Part::Text(text.to_owned()));
        assert_eq!(with("messages", parts).unwrap().messages[0].content, texts);
        with("user", json!("someone")).unwrap();
        with("tools", json!([])).unwrap();
    }

    #[test]
    fn each_fault_names_its_parameter() {
        let picture = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]);
        let faults = [
            ("messages", json!([])),
            ("messages", json!("hi")),
            ("n", json!(0)),
            ("n", json!(17)),
            ("temperature", json!("hot")),
            ("temperature", json!(-1)),
            ("top_p", json!(0)),
            ("max_tokens", json!(0)),
            ("stop", json!([""])),
            ("stop", json!(7)),
            ("top_logprobs", json!(3)),
            ("tools", json!([{"type": "function"}])),
            ("frequency_penalty", json!(0.5)),
            ("response_format", json!({"type": "json_schema"})),
            ("stream_options", json!({"include_usage": true})),
            ("seed", json!("x")),
        ];
        for (name, value) in faults {
            assert_eq!(param(with(name, value.clone())), name, "{name}: {value}");
        }
        assert_eq!(param(with("messages", picture)), "messages[0].content");
        let tool = json!([{"role": "tool", "content": "x"}]);
        assert_eq!(param(with("messages", tool)), "messages[0].role");
        assert_eq!(param(with("model", Value::Null)), "model");
        let error = read(b"{", "m", &[], false, &openai_sampling())
            .unwrap_err()
            .to_json();
        assert!(error["error"]["message"].as_str().unwrap().contains("JSON"));
        let error = with("model", json!("other")).unwrap_err().to_json();
        assert_eq!(error["error"]["code"], "model_not_found");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("`m`, `tuned`"), "{message}");
    }

    #[test]
    fn pictures_are_read_with_their_place() {
        let read_for = |content: Value, sees: bool| {
            let mut body = base();
            body["messages"] =
                json!([{"role": "system", "content": "s"}, {"role": "user", "content": content}]);
            read(
                body.to_string().as_bytes(),
                "m",
                &[],
                sees,
                &openai_sampling(),
            )
        };
        let picture =
            json!({"type": "image_url", "image_url": {"url": " http://x/y ", "detail": "low"}});
        let parts = json!([{"type": "text", "text": "see"}, picture]);
        let request = read_for(parts.clone(), true).unwrap();
        let Part::Picture(source) = &request.messages[1].content[1] else {
            panic!("{request:?}");
        };
        assert_eq!(source.param, "messages[1].content[1].image_url.url");
        assert_eq!(source.url, "http://x/y");
        assert_eq!(param(read_for(parts, false)), "messages[1].content");

        let many = vec![picture.clone(); MAX_PICTURES + 1];
        let last = format!("messages[1].content[{MAX_PICTURES}].image_url.url");
        assert_eq!(param(read_for(many.into(), true)), last);
        for (field, value, at) in [
            (
                "detail",
                json!("huge"),
                "messages[1].content[0].image_url.detail",
            ),
            ("url", json!(7), "messages[1].content[0].image_url.url"),
        ] {
            let mut bad = picture.clone();
            bad["image_url"][field] = value;
            assert_eq!(param(read_for(json!([bad]), true)), at);
        }
        let audio = json!([{"type": "input_audio"}]);
        assert_eq!(param(read_for(audio, true)), "messages[1].content");
    }
}
