//! The store through its facade, on a disk that forgets and fails: what is promised, kept.

mod appending;
mod crashing;
mod living;
mod modes;
mod reading;
mod recovering;
mod retaining;
mod rig;
