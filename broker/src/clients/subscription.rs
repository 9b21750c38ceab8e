//! What a consumer group wants of one topic, ready for the pull path: the filter is computed once, at the heartbeat.

use crate::held_pulls::Wanted;
use crate::stats::StatItem;
use protocol::body::SubscriptionData;
use protocol::tags::TagExpression;
use std::sync::{Arc, OnceLock};

/// A subscription and what follows from it.
#[derive(Debug)]
pub struct Subscription {
    /// What the client sent.
    pub data: SubscriptionData,
    /// The tag hashes to let through.
    pub wanted: Arc<Wanted>,
    /// What the group reads of the topic, counted; filled by the first pull.
    pub counters: OnceLock<ReadCounters>,
}

/// The statistics of one group reading one topic.
#[derive(Debug)]
pub struct ReadCounters {
    /// GROUP_GET_NUMS.
    pub messages: Arc<StatItem>,
    /// GROUP_GET_SIZE.
    pub bytes: Arc<StatItem>,
}

impl Subscription {
    /// Computes the filter. Clients that send no hashes (ali-ons, C++) get those of their expression.
    pub fn new(data: SubscriptionData) -> Self {
        let wanted = Arc::new(wanted_of(&data));
        Self { data, wanted, counters: OnceLock::new() }
    }
}

fn wanted_of(data: &SubscriptionData) -> Wanted {
    if data.sub_string.trim() == "*" || !data.is_tag() {
        return Wanted::All;
    }
    if !data.code_set.is_empty() {
        return Wanted::tags(data.code_set.iter().map(|code| i64::from(*code)).collect());
    }
    match TagExpression::parse(&data.sub_string) {
        Ok(parsed) if !parsed.is_all() => Wanted::tags(parsed.codes.into_iter().map(i64::from).collect()),
        Ok(_) | Err(_) => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(sub_string: &str, code_set: &[i32]) -> SubscriptionData {
        SubscriptionData {
            topic: "T".into(),
            sub_string: sub_string.into(),
            code_set: code_set.iter().copied().collect(),
            ..SubscriptionData::default()
        }
    }

    #[test]
    fn hashes_come_from_the_client_or_from_its_expression() {
        let tags = Wanted::tags(vec![2_598_919, 2_598_920]);
        assert_eq!(
            Subscription::new(data("TagA || TagB", &[2_598_919, 2_598_920])).wanted,
            Arc::new(tags.clone())
        );
        assert_eq!(Subscription::new(data("TagA||TagB", &[])).wanted, Arc::new(tags));
        assert_eq!(Subscription::new(data("*", &[])).wanted, Arc::new(Wanted::All));
        assert_eq!(Subscription::new(data("", &[])).wanted, Arc::new(Wanted::All));
    }
}
