//! Producer and consumer library.
