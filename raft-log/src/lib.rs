//! A replicated log of bytes; the only crate that names openraft and bincode.
