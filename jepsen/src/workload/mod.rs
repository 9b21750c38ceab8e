//! What clients do: one file a workload.
pub mod body;
