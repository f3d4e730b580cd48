//! Training, for admins.

mod compare;
mod dataset;
mod datasets;
mod new;
mod run;
mod runs;

pub use compare::ComparePage;
pub use dataset::DatasetPage;
pub use datasets::DatasetsPage;
pub use new::NewRunPage;
pub use run::RunPage;
pub use runs::TrainingPage;
