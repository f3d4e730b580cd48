//! The table of stable error codes; the OpenAPI description lists it.

use actix_web::http::StatusCode;

/// One kind of error, as clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    pub code: &'static str,
    pub status: StatusCode,
    pub title: &'static str,
}

const fn row(code: &'static str, status: StatusCode, title: &'static str) -> Code {
    Code {
        code,
        status,
        title,
    }
}

macro_rules! table {
    ($($name:ident = $code:literal, $status:ident, $title:literal;)*) => {
        $(pub const $name: Code = row($code, StatusCode::$status, $title);)*
        /// Every code, in the order in which they are documented.
        pub const ALL: &[Code] = &[$($name),*];
    };
}

table! {
    INVALID_JSON = "invalid_json", BAD_REQUEST, "The body is not JSON";
    INVALID_MULTIPART = "invalid_multipart", BAD_REQUEST, "The multipart body is broken";
    INVALID_QUERY = "invalid_query", BAD_REQUEST, "A query parameter is not acceptable";
    INVALID_ID = "invalid_id", BAD_REQUEST, "This is not an id";
    INVALID_CURSOR = "invalid_cursor", BAD_REQUEST, "The cursor has expired or is none of ours";
    INVALID_EVENT_ID = "invalid_event_id", BAD_REQUEST, "This is not an event's id";
    INVALID_HEADER = "invalid_header", BAD_REQUEST, "A header is not acceptable";
    UNAUTHORIZED = "unauthorized", UNAUTHORIZED, "A key is needed";
    FORBIDDEN = "forbidden", FORBIDDEN, "Not allowed with this key";
    CROSS_ORIGIN = "cross_origin", FORBIDDEN, "Requests from other sites are refused";
    UNTRUSTED_HOST = "untrusted_host", FORBIDDEN, "This host name is not served";
    NOT_FOUND = "not_found", NOT_FOUND, "There is no such thing";
    NOT_READY = "not_ready", NOT_FOUND, "There is no document yet";
    UNKNOWN_ROUTE = "unknown_route", NOT_FOUND, "There is nothing at this address";
    METHOD_NOT_ALLOWED = "method_not_allowed", METHOD_NOT_ALLOWED, "This address does not take this method";
    IDEMPOTENCY_CONFLICT = "idempotency_conflict", CONFLICT, "The idempotency key was used for another request";
    WRONG_STATE = "wrong_state", CONFLICT, "The state does not allow this";
    PAYLOAD_TOO_LARGE = "payload_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "This type of body is not taken here";
    INVALID_VALUE = "invalid_value", UNPROCESSABLE_ENTITY, "A value is not acceptable";
    MISSING_FIELD = "missing_field", UNPROCESSABLE_ENTITY, "A field is missing";
    UNKNOWN_FIELD = "unknown_field", UNPROCESSABLE_ENTITY, "There is no such field";
    INVALID_IMAGE = "invalid_image", UNPROCESSABLE_ENTITY, "A picture cannot be used";
    INVALID_DATASET = "invalid_dataset", UNPROCESSABLE_ENTITY, "A dataset cannot be used";
    URL_REFUSED = "url_refused", UNPROCESSABLE_ENTITY, "An address may not be fetched";
    URL_FAILED = "url_failed", UNPROCESSABLE_ENTITY, "An address could not be fetched";
    TOO_MANY_ATTEMPTS = "too_many_attempts", TOO_MANY_REQUESTS, "Too many failed sign-ins";
    INTERNAL = "internal", INTERNAL_SERVER_ERROR, "Something broke on our side";
    NOT_SCORED = "not_scored", BAD_GATEWAY, "The answer could not be scored";
    TIMED_OUT = "timed_out", GATEWAY_TIMEOUT, "It took too long";
    UNAVAILABLE = "unavailable", SERVICE_UNAVAILABLE, "A part of the installation is away";
}
