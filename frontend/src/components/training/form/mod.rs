//! The form of a new run, part by part.

mod dataset;
mod desk;
mod head;
mod settings;

pub use desk::Desk;
pub use head::Head;
pub use settings::Settings;
