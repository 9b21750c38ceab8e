//! JSON as fastjson writes and reads it: bare integers and whole objects as map keys, and a reader that forgives.

mod escape;

pub(crate) use escape::escape_into;
