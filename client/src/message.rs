//! A message on its way to a broker.

use bytes::Bytes;
use protocol::properties::{self, Properties};

/// What an application sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: String,
    /// The body.
    pub body: Bytes,
    /// The application's flag.
    pub flag: i32,
    /// All properties, system ones included.
    pub properties: Properties,
}

impl Message {
    /// A message without properties.
    pub fn new(topic: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), body: body.into(), flag: 0, properties: Properties::new() }
    }

    /// With this tag, by which consumers choose.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_property(properties::TAGS, tag)
    }

    /// With these keys, by which it can be found.
    #[must_use]
    pub fn with_keys(self, keys: &[&str]) -> Self {
        let separator = properties::KEY_SEPARATOR.to_string();
        self.with_property(properties::KEYS, &keys.join(&separator))
    }

    /// Delivered after the delay of this level (1 to 18).
    #[must_use]
    pub fn with_delay_level(self, level: u32) -> Self {
        self.with_property(properties::DELAY, &level.to_string())
    }

    /// With one more property.
    #[must_use]
    pub fn with_property(mut self, name: &str, value: &str) -> Self {
        self.properties.set(name, value);
        self
    }
}
