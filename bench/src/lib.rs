//! mqbench: load generator and reports.
