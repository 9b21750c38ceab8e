//! The store through its facade, on a disk that forgets and fails: what is promised, kept.

mod appending;
mod rig;
