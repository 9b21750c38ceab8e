//! The network between servers: a fault proxy for every directed link, and, as root, a network
//! namespace for every server.
//!
//! Every address that a server is given for another server is a port of the proxy, so that delay,
//! cuts and resets need nothing from the kernel. In namespaces the same cuts are put into nftables
//! as well, for what servers say to each other directly.

mod flow;
mod links;
mod namespaces;
mod proxy;

pub use flow::{Flow, Weathering};
pub use links::{Effect, Links, Member};
pub use namespaces::Namespaces;
pub use proxy::Proxy;
