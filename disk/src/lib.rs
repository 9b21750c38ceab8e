//! The one door to files: segments, group flush, small files replaced whole, a faulty disk in memory.
