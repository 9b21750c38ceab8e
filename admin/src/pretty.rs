//! JSON over several lines, as RocketMQ's tools show routes and subscriptions: tabs, and short arrays on one line. Pure.

use protocol::body::Body;
use protocol::json::{Json, Value, parse};

/// The body over several lines.
pub(crate) fn body<B: Body>(body: &B) -> String {
    let mut text = String::new();
    // What we wrote ourselves can be read back.
    let value = parse(&body.encode()).unwrap_or(Value::Null);
    write(&value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Array(items) if items.iter().any(|item| matches!(item, Value::Object(_))) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                next_line(at > 0, depth + 1, text);
                write(item, depth + 1, text);
            }
            end(']', depth, text);
        }
        Value::Object(members) if members.iter().any(|(key, _)| !matches!(key, Value::Integer(_))) => {
            text.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                next_line(at > 0, depth + 1, text);
                write(key, depth + 1, text);
                text.push(':');
                write(value, depth + 1, text);
            }
            end('}', depth, text);
        }
        // Maps with numbers as keys stay on one line, but for their end.
        Value::Object(members) if !members.is_empty() => {
            let inline = one_line(value);
            text.push_str(&inline[..inline.len() - 1]);
            end('}', depth, text);
        }
        other => text.push_str(&one_line(other)),
    }
}

fn one_line(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_json()).into_owned()
}

fn next_line(comma: bool, depth: usize, text: &mut String) {
    text.push_str(if comma { ",\n" } else { "\n" });
    text.extend(std::iter::repeat_n('\t', depth));
}

fn end(bracket: char, depth: usize, text: &mut String) {
    next_line(false, depth, text);
    text.push(bracket);
}

#[cfg(test)]
mod tests {
    use protocol::body::{BrokerData, QueueData, SubscriptionData, TopicRouteData};

    use super::*;

    /// Printed by RocketMQ 5.3.3 for `mqadmin topicRoute`.
    const ROUTE: &str = "{
\t\"brokerDatas\":[
\t\t{
\t\t\t\"brokerAddrs\":{0:\"127.0.0.1:20911\",1:\"127.0.0.1:20921\"
\t\t\t},
\t\t\t\"brokerName\":\"broker-a\",
\t\t\t\"cluster\":\"DefaultCluster\",
\t\t\t\"enableActingMaster\":false
\t\t}
\t],
\t\"filterServerTable\":{},
\t\"queueDatas\":[
\t\t{
\t\t\t\"brokerName\":\"broker-a\",
\t\t\t\"perm\":6,
\t\t\t\"readQueueNums\":4,
\t\t\t\"topicSysFlag\":0,
\t\t\t\"writeQueueNums\":4
\t\t}
\t]
}";

    #[test]
    fn a_route_is_laid_out_as_rocketmqs() {
        let broker_addrs = [(0, "127.0.0.1:20911".to_owned()), (1, "127.0.0.1:20921".to_owned())].into();
        let route = TopicRouteData {
            broker_datas: vec![BrokerData {
                broker_addrs,
                broker_name: "broker-a".to_owned(),
                cluster: "DefaultCluster".to_owned(),
                ..BrokerData::default()
            }],
            queue_datas: vec![QueueData {
                broker_name: "broker-a".to_owned(),
                perm: 6,
                read_queue_nums: 4,
                write_queue_nums: 4,
                ..QueueData::default()
            }],
            ..TopicRouteData::default()
        };
        assert_eq!(body(&route), ROUTE);
    }

    #[test]
    fn plain_arrays_stay_on_one_line() {
        let text = body(&SubscriptionData::of_tags("T", "A || B", 1).unwrap());
        assert!(text.contains("\n\t\"codeSet\":[65,66],\n"), "{text}");
        assert!(text.contains("\n\t\"tagsSet\":[\"A\",\"B\"],\n"), "{text}");
    }
}
