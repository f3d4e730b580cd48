//! Training runs: their table, a new one, one at work, several compared.

mod badge;
pub mod chart;
pub mod compare;
mod confirm;
pub mod datasets;
pub mod form;
pub mod list;
mod policy;
pub mod run;
mod samples;

pub use confirm::Confirm;
pub use policy::PolicyInUse;
