//! Whether pictures show what was asked for: a small classifier, trained apart on
//! what the [painter](crate::painter) paints, and reports on drawn and edited pictures.
//!
//! ```text
//! Painter ──▶ Classifier (trained, measured on true pictures)
//! held-out captions ──pipeline──▶ pictures ──Classifier──▶ shares right
//! ```

pub mod classifier;
pub mod labels;
pub mod report;
pub mod training;

pub use classifier::Classifier;
pub use labels::{Head, Labels};
pub use report::{EditReport, Pipelines, Shares};
pub use training::{ClassifierTraining, train};
