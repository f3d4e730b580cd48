//! Training, for admins.

mod compare;
mod new;
mod run;
mod runs;

pub use compare::ComparePage;
pub use new::NewRunPage;
pub use run::RunPage;
pub use runs::TrainingPage;
