//! Who is connected: producers and consumers by group, as their heartbeats say.

mod consumers;
mod producers;
mod registry;
mod subscription;

pub use consumers::{ConsumerGroup, ConsumerSettings};
pub use registry::{Client, ClientRegistry, EXPIRE_SCAN, Expired, Registered, RegistryLimits};
pub use subscription::{ReadCounters, Subscription};
