//! The configuration as it is now. An admin request can change it; readers take a snapshot and keep it as long
//! as they need one consistent view.

use super::Config;
use parking_lot::RwLock;
use std::sync::Arc;

/// The present configuration, shared.
#[derive(Debug)]
pub struct LiveConfig {
    current: RwLock<Arc<Config>>,
}

impl LiveConfig {
    /// Starts from what the file said.
    pub fn new(config: Config) -> Self {
        Self { current: RwLock::new(Arc::new(config)) }
    }

    /// The configuration as it is now.
    pub fn get(&self) -> Arc<Config> {
        Arc::clone(&self.current.read())
    }

    /// Puts another configuration in its place.
    pub fn replace(&self, config: Config) {
        *self.current.write() = Arc::new(config);
    }
}
