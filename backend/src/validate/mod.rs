//! Everything that is wrong with a request is found before anything is queued.

pub mod json;
mod request;
mod reward;

pub use request::{check, title};
pub use reward::reward;
