//! The gallery, part by part.

mod card;
mod filters;
mod list;
mod sentinel;

pub use card::Card;
pub use filters::Filters;
pub use list::{List, ListState};
pub use sentinel::Sentinel;
