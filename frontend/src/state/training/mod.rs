//! Training runs: the form of a new one, and what is shown of those there are.

pub mod bytes;
pub mod config;
pub mod dataset;
pub mod fields;
pub mod form;
pub mod list;
pub mod log;
pub mod panels;
pub mod samples;
pub mod score;
pub mod words;
