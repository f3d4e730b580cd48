//! Headers that every answer carries unless its handler chose others.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Content policy of answers that are no page.
pub const CSP_NOTHING: &str = "default-src 'none'; frame-ancestors 'none'";
/// Content policy of bytes that came from elsewhere, opened as a page.
pub const CSP_SANDBOX: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";
/// Content policy of a document as one HTML file: its own pictures and styles.
pub const CSP_DOCUMENT: &str =
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// Fills in what the handler left out.
pub fn secure(headers: &mut HeaderMap, is_api: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(header::X_FRAME_OPTIONS, "DENY");
    default(header::REFERRER_POLICY, "same-origin");
    default(header::CONTENT_SECURITY_POLICY, CSP_NOTHING);
    default(
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    );
    default(
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    );
    if is_api {
        default(header::CACHE_CONTROL, "no-store");
    }
}
