//! The desk around every page.

mod lamps;
mod rail;
mod sign_out;
mod skip_link;
mod theme_switch;
mod top_bar;

pub use rail::Rail;
pub use skip_link::SkipLink;
pub use top_bar::TopBar;
