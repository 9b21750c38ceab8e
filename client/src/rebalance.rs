//! Who of a group reads which queues. Pure: every member computes the same from the same lists.

use std::collections::{BTreeMap, BTreeSet};

use protocol::body::MessageQueue;

/// The queues of `client_id`: neighbouring ones, as even as possible, the first members getting one more.
///
/// All members must sort alike, so the lists are sorted here. Who is not in the list gets nothing.
/// Source: RocketMQ 5.3.3 `AllocateMessageQueueAveragely`, whose members we must agree with.
pub fn allocate_averagely(
    client_id: &str,
    client_ids: &[String],
    queues: &BTreeSet<MessageQueue>,
) -> BTreeSet<MessageQueue> {
    let members: BTreeSet<&str> = client_ids.iter().map(String::as_str).collect();
    let Some(index) = members.iter().position(|member| *member == client_id) else { return BTreeSet::new() };
    let (each, left_over) = (queues.len() / members.len(), queues.len() % members.len());
    let count = each + usize::from(index < left_over);
    let start = index * each + index.min(left_over);
    queues.iter().skip(start).take(count).cloned().collect()
}

/// What changes when `wanted` replaces what is held for one topic.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// Queues to give up.
    pub lost: Vec<MessageQueue>,
    /// Queues to take.
    pub gained: Vec<MessageQueue>,
}

/// Compares the queues held of `topic` with those wanted.
pub fn difference<T>(
    topic: &str,
    held: &BTreeMap<MessageQueue, T>,
    wanted: &BTreeSet<MessageQueue>,
) -> Difference {
    let of_topic = held.keys().filter(|queue| queue.topic == topic);
    Difference {
        lost: of_topic.filter(|queue| !wanted.contains(queue)).cloned().collect(),
        gained: wanted.iter().filter(|queue| !held.contains_key(queue)).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn queues(count: i32) -> BTreeSet<MessageQueue> {
        (0..count).map(|id| MessageQueue::new("T", "broker-a", id)).collect()
    }

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn share(client_id: &str, names: &[&str], count: i32) -> Vec<i32> {
        allocate_averagely(client_id, &ids(names), &queues(count))
            .iter()
            .map(|queue| queue.queue_id)
            .collect()
    }

    #[test]
    fn shares_are_neighbouring_queues_and_the_first_members_get_one_more() {
        assert_eq!(share("a", &["c", "a", "b"], 8), [0, 1, 2]);
        assert_eq!(share("b", &["c", "a", "b"], 8), [3, 4, 5]);
        assert_eq!(share("c", &["c", "a", "b"], 8), [6, 7]);
    }

    #[test]
    fn members_beyond_the_queues_get_nothing() {
        assert_eq!(share("a", &["a", "b", "c"], 2), [0]);
        assert_eq!(share("b", &["a", "b", "c"], 2), [1]);
        assert_eq!(share("c", &["a", "b", "c"], 2), [] as [i32; 0]);
    }

    #[test]
    fn who_is_not_listed_gets_nothing() {
        assert_eq!(share("x", &["a", "b"], 4), [] as [i32; 0]);
        assert_eq!(share("x", &[], 4), [] as [i32; 0]);
    }

    proptest! {
        #[test]
        fn every_queue_goes_to_exactly_one_member(members in 1usize..40, count in 0i32..200) {
            let names: Vec<String> = (0..members).map(|n| format!("client-{n:03}")).collect();
            let all = queues(count);
            let mut seen = Vec::new();
            for name in &names {
                let part = allocate_averagely(name, &names, &all);
                prop_assert!(part.len().abs_diff(all.len() / members) <= 1);
                seen.extend(part);
            }
            seen.sort();
            prop_assert_eq!(seen, all.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_difference_touches_only_its_topic() {
        let mut held: BTreeMap<MessageQueue, ()> = BTreeMap::new();
        held.insert(MessageQueue::new("T", "broker-a", 0), ());
        held.insert(MessageQueue::new("T", "broker-a", 1), ());
        held.insert(MessageQueue::new("U", "broker-a", 0), ());
        let wanted: BTreeSet<_> = [1, 2].map(|id| MessageQueue::new("T", "broker-a", id)).into();
        let found = difference("T", &held, &wanted);
        assert_eq!(found.lost, [MessageQueue::new("T", "broker-a", 0)]);
        assert_eq!(found.gained, [MessageQueue::new("T", "broker-a", 2)]);
    }
}
