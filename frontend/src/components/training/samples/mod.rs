//! Answers of a step: what was written, and what it was worth.

mod browser;
mod list;
mod score;
mod sheet;

pub use browser::Samples;
