//! Line charts as pure functions: from the points of a run to what an SVG draws.
//!
//! [`RunPoints`] keeps what a run has measured, [`draw`] makes the paths of a
//! few [`Line`]s over an extent of steps. Nothing here knows the page.

mod draw;
mod plane;
mod points;
mod scale;
mod smooth;
mod thin;

pub use draw::{Drawing, DrawnLine, Line, draw, spark};
pub use plane::{PLOT, VIEW, step_under, zoomed};
pub use points::{RunPoints, Series, value_at};
pub use scale::number;
