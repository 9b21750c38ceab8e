//! Bodies: the forgiving reader, then the heartbeat, a route and a compressed registration.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::body::{Body, ConsumeStats, HeartbeatData, RegisterBrokerBody, TopicRouteData};
use protocol::json::{Json, parse};

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = parse(data) {
        let again = parse(&value.to_json()).expect("what we write is JSON");
        assert_eq!(again.to_json(), value.to_json());
    }
    let _ = HeartbeatData::decode(data);
    let _ = TopicRouteData::decode(data);
    let _ = ConsumeStats::decode(data);
    let _ = RegisterBrokerBody::decode_for(data, 479, true);
});
