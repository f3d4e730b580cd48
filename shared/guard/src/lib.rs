//! What comes from outside, checked once and in one place.
//!
//! ```text
//! URL ─▶ Guard::fetch ─▶ bytes ─▶ picture::inspect ─▶ Picture
//!        scheme, address,          real type, pixels before
//!        redirects, bytes, time    decoding, whole decode
//! ```
//!
//! [`Guard`] fetches what an untrusted party named without letting it reach
//! inside; [`picture::inspect`] says whether bytes are a picture that a browser
//! and a model may be given. Test alone with `cargo nextest run -p illumine-guard`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod address;
mod allow;
mod error;
mod fetch;
pub mod picture;
mod redact;
mod resolve;
mod target;

pub use allow::Allow;
pub use error::{FetchError, PictureError};
pub use fetch::{FetchLimits, Fetched, Guard};
pub use picture::{Picture, PictureLimits, inspect};
pub use redact::redact;
pub use resolve::{Resolve, SystemResolver};
