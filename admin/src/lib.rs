//! mqadmin: one file a command, over the client library.
