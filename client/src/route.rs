//! One topic's route, read off what the name server answered. Pure.

use std::collections::BTreeSet;

use protocol::body::{MessageQueue, TopicRouteData};
use protocol::perm;

/// The id of a master.
pub const MASTER_ID: i64 = 0;

/// Queues of one topic beyond this are ignored: no route has them.
const QUEUES_MAX: i32 = 65_536;

/// Where a topic is.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// As the name server answered.
    pub data: TopicRouteData,
    /// Queues to send to: writable, at a broker that has a master now.
    pub writable: Vec<MessageQueue>,
    /// Queues to read from.
    pub readable: BTreeSet<MessageQueue>,
}

impl Route {
    /// Reads an answer about `topic`.
    pub fn new(topic: &str, data: TopicRouteData) -> Self {
        let ordered = data.order_topic_conf.as_deref().filter(|conf| !conf.is_empty());
        let writable = match ordered {
            Some(conf) => ordered_queues(topic, conf),
            None => writable_queues(topic, &data),
        };
        let readable = data
            .queue_datas
            .iter()
            .filter(|queue| perm::is_readable(queue.perm))
            .flat_map(|queue| queues(topic, &queue.broker_name, queue.read_queue_nums))
            .collect();
        Self { data, writable, readable }
    }

    /// The route of a topic that does not exist yet: that of the topic it is made after, with at most so many queues
    /// at each broker.
    pub fn inherited(topic: &str, mut data: TopicRouteData, queues_max: i32) -> Self {
        for queue in &mut data.queue_datas {
            queue.read_queue_nums = queue.read_queue_nums.min(queues_max);
            queue.write_queue_nums = queue.write_queue_nums.min(queues_max);
        }
        data.order_topic_conf = None;
        Self::new(topic, data)
    }
}

fn queues<'a>(topic: &'a str, broker: &'a str, count: i32) -> impl Iterator<Item = MessageQueue> + 'a {
    (0..count.clamp(0, QUEUES_MAX)).map(move |id| MessageQueue::new(topic, broker, id))
}

fn writable_queues(topic: &str, data: &TopicRouteData) -> Vec<MessageQueue> {
    let has_master = |name: &str| {
        data.broker_datas
            .iter()
            .any(|broker| broker.broker_name == name && broker.broker_addrs.contains_key(&MASTER_ID))
    };
    let mut writable: Vec<_> = data
        .queue_datas
        .iter()
        .filter(|queue| perm::is_writable(queue.perm) && has_master(&queue.broker_name))
        .collect();
    writable.sort_by(|one, other| one.broker_name.cmp(&other.broker_name));
    writable.iter().flat_map(|queue| queues(topic, &queue.broker_name, queue.write_queue_nums)).collect()
}

/// `broker-a:8;broker-b:4`
fn ordered_queues(topic: &str, conf: &str) -> Vec<MessageQueue> {
    conf.split(';')
        .filter_map(|part| {
            let (broker, count) = part.trim().split_once(':')?;
            Some((broker, count.trim().parse().ok()?))
        })
        .flat_map(|(broker, count)| queues(topic, broker, count))
        .collect()
}

#[cfg(test)]
mod tests {
    use protocol::body::{BrokerData, QueueData};

    use super::*;

    fn broker(name: &str, ids: &[i64]) -> BrokerData {
        BrokerData {
            broker_name: name.to_owned(),
            broker_addrs: ids.iter().map(|id| (*id, format!("{name}:{id}"))).collect(),
            ..BrokerData::default()
        }
    }

    fn at(name: &str, perm: i32, read: i32, write: i32) -> QueueData {
        QueueData {
            broker_name: name.to_owned(),
            perm,
            read_queue_nums: read,
            write_queue_nums: write,
            topic_sys_flag: 0,
        }
    }

    fn data() -> TopicRouteData {
        TopicRouteData {
            broker_datas: vec![broker("b", &[0, 1]), broker("a", &[0]), broker("c", &[1])],
            queue_datas: vec![at("b", 6, 2, 1), at("a", 4, 1, 1), at("c", 6, 1, 2)],
            ..TopicRouteData::default()
        }
    }

    fn names(queues: impl IntoIterator<Item = MessageQueue>) -> Vec<String> {
        queues.into_iter().map(|queue| format!("{}{}", queue.broker_name, queue.queue_id)).collect()
    }

    #[test]
    fn only_queues_with_permission_and_master_are_written() {
        assert_eq!(names(Route::new("T", data()).writable), ["b0"]);
    }

    #[test]
    fn every_readable_queue_is_read_with_or_without_master() {
        assert_eq!(names(Route::new("T", data()).readable), ["a0", "b0", "b1", "c0"]);
    }

    #[test]
    fn an_order_topic_has_the_queues_of_its_configuration() {
        let order_topic_conf = Some("b:2; a:1;broken;c:x".to_owned());
        let route = Route::new("T", TopicRouteData { order_topic_conf, ..data() });
        assert_eq!(names(route.writable), ["b0", "b1", "a0"]);
    }

    #[test]
    fn a_topic_to_be_made_has_no_more_queues_than_the_producer_wants() {
        let broad = TopicRouteData {
            broker_datas: vec![broker("b", &[0])],
            queue_datas: vec![at("b", 7, 8, 8)],
            ..TopicRouteData::default()
        };
        assert_eq!(Route::inherited("T", broad, 4).writable.len(), 4);
    }

    #[test]
    fn absurd_queue_numbers_take_no_memory() {
        let hostile = TopicRouteData {
            broker_datas: vec![broker("b", &[0])],
            queue_datas: vec![at("b", 6, -5, i32::MAX)],
            ..TopicRouteData::default()
        };
        let route = Route::new("T", hostile);
        assert_eq!((route.writable.len(), route.readable.len()), (65_536, 0));
    }
}
