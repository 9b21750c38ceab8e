//! `haStatus`: how far slaves are behind their master.

use std::time::Duration;

use jiff::tz::TimeZone;
use protocol::body::HARuntimeInfo;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;
use crate::text::{fixed, time_millis};

pub(crate) const COMMAND: Command = Command {
    name: "haStatus",
    about: "Show the replication of a master to its slaves.",
    options: &[
        Opt::value("c", "clusterName", "of every master of this cluster").one_of(),
        Opt::value("b", "brokerAddr", "of this broker").one_of(),
        Opt::value("i", "interval", "print again every so many seconds"),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let interval: Option<u64> = call.given.number("i")?;
    loop {
        for address in call.masters().await? {
            let request = RemotingCommand::request(RequestCode::GetBrokerHaStatus);
            let info: HARuntimeInfo = call.session.body_of(&address, request).await?;
            let text =
                if info.master { of_master(&address, &info) } else { of_slave(&info, &call.session.zone) };
            call.out.write_all(text.as_bytes())?;
        }
        call.out.flush()?;
        let Some(seconds) = interval.filter(|seconds| *seconds > 0) else { return Ok(()) };
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a speed is shown with two decimals")]
fn kilobytes(bytes: i64) -> String {
    fixed(bytes as f64 / 1024.0, 2)
}

fn of_master(address: &str, info: &HARuntimeInfo) -> String {
    let mut text = format!(
        "\n#MasterAddr\t{address}\n#MasterCommitLogMaxOffset\t{}\n#SlaveNum\t{}\n#InSyncSlaveNum\t{}\n",
        info.master_commit_log_max_offset,
        info.ha_connection_info.len(),
        info.in_sync_slave_nums
    );
    text += &format!(
        "{:<32}  {:<16} {:>16} {:>16} {:>16} {:>16}\n",
        "#SlaveAddr", "#SlaveAckOffset", "#Diff", "#TransferSpeed(KB/s)", "#Status", "#TransferFromWhere"
    );
    for slave in &info.ha_connection_info {
        text += &format!(
            "{:<32}  {:<16} {:>16} {:>16} {:>16} {:>16}\n",
            slave.addr,
            slave.slave_ack_offset,
            slave.diff,
            kilobytes(slave.transferred_byte_in_second),
            if slave.in_sync { "OK" } else { "Fall Behind" },
            slave.transfer_from_where
        );
    }
    text
}

fn of_slave(info: &HARuntimeInfo, zone: &TimeZone) -> String {
    let client = &info.ha_client_runtime_info;
    let lines = [
        format!("\n#MasterAddr\t{}", client.master_addr.as_deref().unwrap_or("null")),
        format!("#CommitLogMaxOffset\t{}", client.max_offset),
        format!("#TransferSpeed(KB/s)\t{}", kilobytes(client.transferred_byte_in_second)),
        format!("#LastReadTime\t{}", time_millis(client.last_read_timestamp, zone)),
        format!("#LastWriteTime\t{}", time_millis(client.last_write_timestamp, zone)),
        format!("#MasterFlushOffset\t{}", client.master_flush_offset),
    ];
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use protocol::body::{HAClientRuntimeInfo, HAConnectionRuntimeInfo};

    use super::*;

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_masters_slaves_are_rocketmqs_table() {
        let info = HARuntimeInfo {
            ha_connection_info: vec![HAConnectionRuntimeInfo {
                addr: "127.0.0.1:45648".to_owned(),
                diff: 0,
                in_sync: true,
                slave_ack_offset: 260,
                transfer_from_where: 260,
                transferred_byte_in_second: 12,
            }],
            in_sync_slave_nums: 1,
            master: true,
            master_commit_log_max_offset: 260,
            ..HARuntimeInfo::default()
        };
        let expected = "
#MasterAddr\t127.0.0.1:20911
#MasterCommitLogMaxOffset\t260
#SlaveNum\t1
#InSyncSlaveNum\t1
#SlaveAddr                        #SlaveAckOffset             #Diff #TransferSpeed(KB/s)          #Status #TransferFromWhere
127.0.0.1:45648                   260                             0             0.01               OK              260
";
        assert_eq!(of_master("127.0.0.1:20911", &info), expected);
    }

    /// Printed by RocketMQ 5.3.3.
    #[test]
    fn a_slaves_own_view_is_rocketmqs() {
        let info = HARuntimeInfo {
            ha_client_runtime_info: HAClientRuntimeInfo {
                activated: None,
                last_read_timestamp: 1_795_376_220_009,
                last_write_timestamp: 1_795_376_221_011,
                master_addr: Some("127.0.0.1:20912".to_owned()),
                master_flush_offset: 0,
                max_offset: 260,
                transferred_byte_in_second: 12,
            },
            ..HARuntimeInfo::default()
        };
        let expected = "
#MasterAddr\t127.0.0.1:20912
#CommitLogMaxOffset\t260
#TransferSpeed(KB/s)\t0.01
#LastReadTime\t2026-11-22 19:37:00,009
#LastWriteTime\t2026-11-22 19:37:01,011
#MasterFlushOffset\t0
";
        assert_eq!(of_slave(&info, &TimeZone::UTC), expected);
    }
}
