//! One page an address.

mod compose;
mod document;
mod gallery;
mod not_found;
mod sign_in;
mod training;

pub use compose::ComposePage;
pub use document::DocumentPage;
pub use gallery::GalleryPage;
pub use not_found::NotFoundPage;
pub use sign_in::SignInPage;
pub use training::{ComparePage, DatasetPage, DatasetsPage, NewRunPage, RunPage, TrainingPage};
