//! The name server: a pure route table and its housekeeping.
