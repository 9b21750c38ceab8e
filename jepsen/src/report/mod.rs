//! What people look at: the verdict as text and JSON, the plots, the progress line.

mod plots;
mod progress;
mod verdict;

pub use plots::draw;
pub use progress::{Progress, say};
pub use verdict::{Summary, write};
