//! The compose form, part by part.

mod desk;
mod examples;
mod input_pictures;
mod options;
mod prompt_box;

pub use desk::Desk;
pub use examples::Examples;
pub use input_pictures::InputPictures;
pub use options::Options;
pub use prompt_box::PromptBox;
