//! GET_BROKER_HA_STATUS: who follows, or whom we follow, and how far.

use super::part::Part;
use crate::clock::now_ms;
use crate::node::Node;
use protocol::body::{HAClientRuntimeInfo, HAConnectionRuntimeInfo, HARuntimeInfo};
use std::time::Instant;

/// What `mqadmin haStatus` shows.
pub fn runtime_info(node: &Node) -> HARuntimeInfo {
    let end = node.store.commit_log_max();
    let info = HARuntimeInfo { master_commit_log_max_offset: signed(end), ..HARuntimeInfo::default() };
    match &*node.part {
        Part::None => HARuntimeInfo { master: node.leads(), ..info },
        Part::Master(master) => HARuntimeInfo {
            master: true,
            in_sync_slave_nums: i32::try_from(master.slaves.in_sync(end, master.gap_max)).unwrap_or(i32::MAX),
            ha_connection_info: master
                .slaves
                .views()
                .into_iter()
                .map(|slave| HAConnectionRuntimeInfo {
                    addr: slave.address.to_string(),
                    diff: signed(end.saturating_sub(slave.acknowledged)),
                    in_sync: slave.is_in_sync(end, master.gap_max),
                    slave_ack_offset: signed(slave.acknowledged),
                    transfer_from_where: signed(slave.transfer_from),
                    transferred_byte_in_second: signed(slave.bytes_per_second),
                })
                .collect(),
            ..info
        },
        Part::Slave(slave) => {
            let status = &slave.status;
            HARuntimeInfo {
                master: false,
                ha_client_runtime_info: HAClientRuntimeInfo {
                    activated: Some(status.is_connected()),
                    last_read_timestamp: at_ms(status.read_last()),
                    last_write_timestamp: at_ms(status.written_last()),
                    master_addr: Some(status.master()),
                    master_flush_offset: 0,
                    max_offset: signed(end),
                    transferred_byte_in_second: signed(status.bytes_per_second()),
                },
                ..info
            }
        }
    }
}

/// An instant as the wire has it; 0 for never.
fn at_ms(instant: Option<Instant>) -> i64 {
    instant.map_or(0, |at| now_ms() - i64::try_from(at.elapsed().as_millis()).unwrap_or(0))
}

fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
