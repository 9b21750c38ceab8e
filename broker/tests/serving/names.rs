//! Registration at name servers.

use crate::support::{NameServer, start, until};
use protocol::body::{Body, RegisterBrokerBody};
use protocol::header::RegisterBrokerRequestHeader;
use protocol::{RequestCode, VERSION};

#[tokio::test(flavor = "multi_thread")]
async fn every_name_server_is_told_everything_at_the_start_and_the_farewell_at_the_stop() {
    let (one, _one_server, one_address) = NameServer::listen("127.0.0.1:0");
    let (two, _two_server, two_address) = NameServer::listen("127.0.0.1:0");
    let served = start(&[("namesrvAddr", &format!("{one_address};{two_address}"))]).await;
    for server in [&one, &two] {
        assert!(server.count(RequestCode::RegisterBroker) >= 1);
        let told = server.told.lock();
        assert_eq!(told[0].version, VERSION);
        let header: RegisterBrokerRequestHeader = told[0].header().expect("a header");
        assert_eq!(
            (header.broker_name.as_str(), header.cluster_name.as_str()),
            ("broker-a", "DefaultCluster")
        );
        assert_eq!(header.broker_addr.as_str(), served.address);
        assert_eq!((header.broker_id, header.compressed), (0, false));
        let body = RegisterBrokerBody::decode(&told[0].body).expect("a body");
        let topics = body.topic_config_serialize_wrapper.topic_config_table;
        assert!(topics.len() >= 2, "a single topic is never registered");
        assert!(topics.contains_key("TBW102"), "clients look for it to create topics");
    }
    served.stop().await;
    assert_eq!((one.count(RequestCode::UnregisterBroker), two.count(RequestCode::UnregisterBroker)), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_topic_is_registered_before_its_creator_is_answered() {
    let (names, _server, address) = NameServer::listen("127.0.0.1:0");
    let served = start(&[("namesrvAddr", &address)]).await;
    let client = served.client();
    client.send("Created", 0, "x", "").await;
    assert!(names.knows("Created"));
    client.consume("c1", "G", "TopicA", "*").await;
    assert!(names.knows("%RETRY%G"));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_server_that_comes_back_is_told_again_and_one_that_is_away_holds_up_nobody() {
    let (_, server, address) = NameServer::listen("127.0.0.1:0");
    let served = start(&[("namesrvAddr", &address)]).await;
    server.stop().await;
    served.client().send("WhileAway", 0, "x", "").await;
    let (names, _server, _) = NameServer::listen(&address);
    until("it is told again", || names.knows("WhileAway")).await;
    served.stop().await;
}
