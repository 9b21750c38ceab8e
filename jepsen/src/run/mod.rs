//! Whole runs: one test, a matrix of tests, the planted bugs.

mod build;
mod matrix;
mod observer;
mod planted;
mod settings;
mod test;

pub use build::{binaries, build, planted_directory};
pub use matrix::{Length, matrix};
pub use planted::{PLANTS, Plant, planted};
pub use settings::{Nemesis, TestSettings, results_root};
pub use test::{recheck, test};
