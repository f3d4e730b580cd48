//! Datasets: their table, sending one, one looked at.

mod bars;
mod list;
mod rows;
mod upload;

pub use bars::Figure;
pub use list::Table;
pub use rows::Rows;
pub use upload::UploadForm;
