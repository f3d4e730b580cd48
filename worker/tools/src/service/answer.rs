//! What a service's refusal means.

use std::time::Duration;

use serde_json::Value;

use super::Service;
use crate::ToolError;

/// Parts of the codes with which services refuse on their content policy:
/// OpenAI's `moderation_blocked` and `content_policy_violation`, Ark's
/// `InputTextSensitiveContentDetected`, `OutputImageRiskDetection`, ….
const POLICY_CODES: &[&str] = &[
    "moderation_blocked",
    "content_policy",
    "content_filter",
    "sensitivecontent",
    "riskdetection",
    "contentsecurity",
    "policyviolation",
];
const SHOWN_CHARACTERS: usize = 240;

/// An error's code and words, wherever a service puts them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    code: String,
    message: String,
}

impl Service {
    /// An answer without success, as an error of ours.
    pub(super) fn refusal(
        &self,
        status: u16,
        retry_after: Option<Duration>,
        body: &[u8],
    ) -> ToolError {
        let json = serde_json::from_slice(body).unwrap_or(Value::Null);
        self.refusal_of(status, retry_after, &said(&json))
    }

    /// An error object inside an answer that claims success.
    pub(crate) fn refusal_within(&self, error: &Value) -> ToolError {
        self.refusal_of(400, None, &said(error))
    }

    fn refusal_of(&self, status: u16, retry_after: Option<Duration>, said: &Said) -> ToolError {
        let name = self.name;
        let words = self.shown(&said.message);
        if is_policy(said) {
            let message = format!("{name} refused on its content policy{words}");
            return ToolError::refused("refused_by_service", message);
        }
        let transient = |code, message| ToolError::Transient {
            code,
            message,
            retry_after,
        };
        match status {
            401 | 403 => ToolError::permanent(
                "backend_denied",
                format!("{name} refused the key; check {}{words}", self.key_variable),
            ),
            402 => self.exhausted(&words),
            429 if said.code.contains("insufficient_quota") => self.exhausted(&words),
            429 => transient("backend_busy", format!("{name} asks to slow down{words}")),
            408 => transient("backend_timeout", format!("{name} took too long")),
            503 if retry_after.is_some() => {
                transient("backend_busy", format!("{name} is busy{words}"))
            }
            500.. => transient("backend_failed", format!("{name} failed ({status}){words}")),
            300..=399 | 404 | 405 => ToolError::permanent(
                "backend_misconfigured",
                format!(
                    "{name} answered {status}; check {}{words}",
                    self.address_variable
                ),
            ),
            _ => ToolError::permanent(
                "backend_rejected",
                format!("{name} rejected the request ({status}){words}"),
            ),
        }
    }

    fn exhausted(&self, words: &str) -> ToolError {
        let message = format!(
            "{}'s quota of the key in {} is used up{words}",
            self.name, self.key_variable
        );
        ToolError::permanent("backend_quota", message)
    }

    /// A service's own words, shortened, on one line and without the key.
    fn shown(&self, message: &str) -> String {
        let mut message = message.to_owned();
        if !self.key().is_empty() {
            message = message.replace(self.key(), "***");
        }
        let line: Vec<&str> = message.split_whitespace().collect();
        let line: String = line.join(" ").chars().take(SHOWN_CHARACTERS).collect();
        if line.is_empty() {
            line
        } else {
            format!(": {line}")
        }
    }
}

fn is_policy(said: &Said) -> bool {
    let code = said.code.to_ascii_lowercase();
    POLICY_CODES.iter().any(|part| code.contains(part)) || said.message.contains("safety system")
}

/// Reads OpenAI's and Ark's `{"error": {"code", "type", "message"}}`,
/// SerpAPI's `{"error": "…"}` and FastAPI's `{"detail": "…" | [{"loc", "msg"}]}`.
fn said(json: &Value) -> Said {
    let error = json.get("error").unwrap_or(json);
    if let Some(message) = error.as_str() {
        return Said {
            message: message.to_owned(),
            ..Said::default()
        };
    }
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let details = match error.get("detail") {
        Some(Value::String(detail)) => detail.clone(),
        Some(Value::Array(items)) => items.iter().map(detail).collect::<Vec<_>>().join("; "),
        _ => String::new(),
    };
    let message = if details.is_empty() {
        text("message").to_owned()
    } else {
        details
    };
    Said {
        code: format!("{} {}", text("code"), text("type")),
        message,
    }
}

fn detail(item: &Value) -> String {
    let field = item.pointer("/loc").and_then(Value::as_array);
    let field = field.and_then(|path| path.last()).and_then(Value::as_str);
    let words = item.get("msg").and_then(Value::as_str).unwrap_or_default();
    format!("{} {words}", field.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use illumine_config::Secret;
    use serde_json::json;

    use super::*;

    fn service() -> Service {
        let key = Secret::new("s3cr3t");
        Service::new(
            "Ark",
            "https://ark.example/api",
            Some(&key),
            "ARK_BASE_URL",
            "ARK_API_KEY",
        )
        .unwrap()
    }

    fn code(status: u16, body: Value) -> &'static str {
        service()
            .refusal(status, None, body.to_string().as_bytes())
            .code()
    }

    #[test]
    fn statuses_and_codes_become_ours() {
        assert_eq!(
            code(401, json!({"error": {"code": "AuthenticationError"}})),
            "backend_denied"
        );
        assert_eq!(code(403, Value::Null), "backend_denied");
        assert_eq!(code(402, Value::Null), "backend_quota");
        assert_eq!(
            code(429, json!({"error": {"type": "insufficient_quota"}})),
            "backend_quota"
        );
        assert_eq!(
            code(429, json!({"error": {"code": "ServerOverloaded"}})),
            "backend_busy"
        );
        assert_eq!(code(503, Value::Null), "backend_failed");
        let full = service().refusal(503, Some(Duration::from_secs(3)), b"");
        assert_eq!(full.code(), "backend_busy");
        assert_eq!(code(302, Value::Null), "backend_misconfigured");
        assert_eq!(
            code(
                422,
                json!({"detail": [{"loc": ["body", "width"], "msg": "too small"}]})
            ),
            "backend_rejected"
        );
        for policy in [
            "InputTextSensitiveContentDetected",
            "OutputImageSensitiveContentDetected",
            "OutputImageRiskDetection",
            "moderation_blocked",
            "content_policy_violation",
        ] {
            let error = service().refusal(
                400,
                None,
                json!({"error": {"code": policy}}).to_string().as_bytes(),
            );
            assert_eq!(error.code(), "refused_by_service", "{policy}");
            assert!(matches!(error, ToolError::Refused { .. }));
        }
    }

    #[test]
    fn words_are_kept_and_keys_are_not() {
        let body = json!({"error": {"message": "Incorrect key: s3cr3t.\nSee docs"}});
        let error = service().refusal(401, None, body.to_string().as_bytes());
        let text = error.to_string();
        assert!(
            text.contains("ARK_API_KEY") && text.contains("Incorrect key: ***. See docs"),
            "{text}"
        );
        assert!(!format!("{error:?} {:?}", service()).contains("s3cr3t"));
        let detail = json!({"detail": [{"loc": ["body", "width"], "msg": "too small"}]});
        let error = service().refusal(422, None, detail.to_string().as_bytes());
        assert!(error.to_string().ends_with("width too small"), "{error}");
    }
}
