//! The hash under which a message is found by topic and key. It is on disk: it must never change.

/// A hash of a topic, or of a topic and a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash(u64);

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl KeyHash {
    pub(crate) fn of_topic(topic: &str) -> Self {
        Self(mixed(0, topic.as_bytes()))
    }

    /// The hash of a key in this topic.
    pub(crate) fn of_key(self, key: &str) -> u64 {
        mixed(self.0, key.as_bytes())
    }
}

fn mixed(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = (seed ^ bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(MULTIPLIER);
        hash ^= hash >> 32;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash = (hash ^ u64::from_le_bytes(last)).wrapping_mul(MULTIPLIER);
    // The finish of SplitMix64: every bit of the key moves every bit of the hash.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_on_disk_never_changes() {
        let topic = KeyHash::of_topic("TopicA");
        assert_eq!(topic.of_key("order-1"), GOLDEN[0]);
        assert_eq!(topic.of_key("0A0B0C0D00002A9F0000000000000001"), GOLDEN[1]);
        assert_eq!(KeyHash::of_topic("TopicB").of_key("order-1"), GOLDEN[2]);
    }

    #[test]
    fn a_hundred_thousand_keys_have_as_many_hashes() {
        let topic = KeyHash::of_topic("TopicA");
        let hashes: std::collections::HashSet<_> =
            (0..100_000).map(|n| topic.of_key(&format!("k{n}"))).collect();
        assert_eq!(hashes.len(), 100_000);
    }

    const GOLDEN: [u64; 3] = [10573130320093692734, 7156204270050631467, 13023741282309415012];
}
