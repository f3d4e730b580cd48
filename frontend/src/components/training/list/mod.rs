//! The table of runs, part by part.

mod row;
mod spark;
mod store;

pub use row::Row;
pub use store::{RunList, State};
