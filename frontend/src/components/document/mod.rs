//! A document's page, part by part.

mod body;
mod delete;
mod downloads;
mod drawer;
mod failed_picture;
mod header;
mod notices;
mod picture;
mod placeholder;
mod program;
mod provenance;
mod redraw_form;
mod session;
mod text_block;

pub use body::Body;
pub use drawer::Drawer;
pub use header::Header;
pub use notices::Notices;
pub use picture::{description, tool};
pub use session::Session;
pub use text_block::TextBlock;
