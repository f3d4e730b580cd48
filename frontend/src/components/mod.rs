//! What pages are made of.

pub mod compose;
pub mod document;
pub mod frame;
pub mod gallery;
pub mod icon;
pub mod moment;
pub mod status;
pub mod training;
