//! Every byte that others can see: frame, command, headers, bodies, message. Pure: no tokio, no file, no clock.
