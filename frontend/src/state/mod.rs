//! Pure logic: what is shown follows from these values and nothing else.

pub mod chart;
pub mod compose;
pub mod filter;
pub mod live;
pub mod redraw;
pub mod time;
pub mod training;
pub mod words;
