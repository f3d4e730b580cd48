//! Picture models in this program: opened from a folder, behind a studio.

pub mod decode;
mod demo;
mod drawing;
mod encode;
mod open;
mod painter;
#[cfg(test)]
pub mod testing;

pub use drawing::Drawing;
pub use encode::{png, preview};
pub use open::{ModelSpec, Opened, open};
pub use painter::painters;
