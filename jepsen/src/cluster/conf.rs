//! The configuration files of a run. Pure text, in RocketMQ's own keys.

use std::fmt::Write;
use std::path::Path;

use super::plan::{Mode, Plan, Service};
use crate::net::Member;

/// What the run asks of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreKeys {
    /// Small, so that a run rolls over several files.
    pub segment_bytes: u64,
    /// Files are deleted by hand, as soon as they are sealed.
    pub retention: bool,
    /// The store stands on the machine's own file system, which others fill as they like.
    pub shares_disk: bool,
}

/// A broker's file.
pub fn broker(plan: &Plan, member: Member, store: &Path, keys: StoreKeys) -> String {
    let mut text = String::new();
    let mut put = |key: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(text, "{key}={value}");
    };
    put("brokerClusterName", &Plan::CLUSTER);
    put("brokerName", &Plan::BROKER);
    put("brokerIP1", &plan.addresses.member(member));
    put("brokerIP2", &plan.addresses.member(member));
    put("bindAddress", &plan.addresses.member(member));
    put("listenPort", &Plan::BROKER_PORT);
    put("haListenPort", &Plan::HA_PORT);
    let names = plan.names().map(|to| plan.route(member, to, Service::Names).listen.to_string());
    put("namesrvAddr", &names.collect::<Vec<_>>().join(";"));
    put("registerNameServerPeriod", &10_000);
    put("storePathRootDir", &store.display());
    put("storePathCommitLog", &store.join("commitlog").display());
    put("mappedFileSizeCommitLog", &keys.segment_bytes);
    put("autoCreateTopicEnable", &true);
    put("defaultTopicQueueNums", &plan.queues);
    put("messageDelayLevel", &"1s 2s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h");
    put("flushDiskType", if plan.mode.syncs() { &"SYNC_FLUSH" } else { &"ASYNC_FLUSH" });
    // A disk that a run fills must refuse; what it would delete is still to be read.
    put("cleanFileForciblyEnable", &false);
    if keys.retention {
        put("fileReservedTime", &0);
        put("deleteWhen", &"00;01;02;03;04;05;06;07;08;09;10;11;12;13;14;15;16;17;18;19;20;21;22;23");
    }
    if keys.shares_disk {
        // How full this machine is must neither delete a run's messages nor refuse them.
        put("diskMaxUsedSpaceRatio", &95);
        put("diskSpaceCleanForciblyRatio", &98);
        put("diskSpaceWarningLevelRatio", &99);
    }
    role(plan, member, &mut put);
    text
}

fn role(plan: &Plan, member: Member, put: &mut dyn FnMut(&str, &dyn std::fmt::Display)) {
    match plan.mode {
        Mode::Raft | Mode::RaftAsync => {
            put("enableDLegerCommitLog", &true);
            put("dLegerGroup", &Plan::BROKER);
            put("dLegerSelfId", &plan.name(member));
            put("dLegerPeers", &peers(plan, member));
            // Our clients ask for their routes often; a stop need not wait as long as for Java's.
            put("handOverWaitTimeSeconds", &5);
        }
        Mode::SingleAsync | Mode::SingleSync => {
            put("brokerId", &0);
            put("brokerRole", &"ASYNC_MASTER");
        }
        Mode::AsyncMaster | Mode::SyncMaster => {
            put("brokerId", &member);
            let master = if plan.mode == Mode::SyncMaster { "SYNC_MASTER" } else { "ASYNC_MASTER" };
            put("brokerRole", if member == 0 { &master } else { &"SLAVE" });
            if member > 0 {
                put("haMasterAddress", &plan.route(member, 0, Service::Ha).listen);
            }
        }
    }
}

/// The peers as one replica sees them: itself where it is, the others behind their proxies.
pub fn peers(plan: &Plan, member: Member) -> String {
    let address = |to: Member| {
        let route = plan.route(member, to, Service::Raft);
        if to == member { route.target } else { route.listen }
    };
    let peer = |to: Member| format!("{}-{}", plan.name(to), address(to));
    plan.brokers().map(peer).collect::<Vec<_>>().join(";")
}

/// A name server's file.
pub fn name_server(plan: &Plan, member: Member, home: &Path) -> String {
    format!(
        "listenPort={}\nbindAddress={}\nkvConfigPath={}\nconfigStorePath={}\n",
        Plan::NAMES_PORT,
        plan.addresses.member(member),
        home.join("kvConfig.json").display(),
        home.join("namesrv.properties").display(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Addresses;

    fn plan(mode: Mode) -> Plan {
        let addresses = Addresses { run: 5, namespaces: true };
        Plan { mode, replicas: mode.replicas(), name_servers: 1, addresses, topic: "T".to_owned(), queues: 4 }
    }

    const KEYS: StoreKeys = StoreKeys { segment_bytes: 1 << 20, retention: false, shares_disk: true };

    #[test]
    fn each_replica_sees_itself_directly_and_the_others_through_proxies() {
        assert_eq!(peers(&plan(Mode::Raft), 1), "n0-10.78.5.1:20020;n1-10.78.5.11:40911;n2-10.78.5.1:20022");
    }

    #[test]
    fn modes_differ_in_role_and_flush() {
        let of = |mode, member| broker(&plan(mode), member, Path::new("/s"), KEYS);
        assert!(of(Mode::Raft, 2).contains("dLegerSelfId=n2\n"));
        assert!(of(Mode::Raft, 2).contains("flushDiskType=SYNC_FLUSH\n"));
        assert!(of(Mode::SingleAsync, 0).contains("flushDiskType=ASYNC_FLUSH\n"));
        assert!(of(Mode::SyncMaster, 0).contains("brokerRole=SYNC_MASTER\n"));
        assert!(of(Mode::AsyncMaster, 1).contains("brokerRole=SLAVE\n"));
        assert!(of(Mode::Raft, 0).contains("diskSpaceWarningLevelRatio=99\n"));
        assert!(of(Mode::AsyncMaster, 1).contains("haMasterAddress=10.78.5.1:21020\n"));
    }
}
