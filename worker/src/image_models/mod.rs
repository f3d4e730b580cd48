//! Picture models in this program: opened from a folder, behind a studio.

pub mod decode;
mod open;
mod painter;

pub use open::{ModelSpec, Opened, open};
pub use painter::painters;
