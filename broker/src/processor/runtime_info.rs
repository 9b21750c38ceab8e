//! The table of GET_BROKER_RUNTIME_INFO: RocketMQ's keys, so that its tools and dashboards find what they look for.
//! Source: reference 6.17. Thread pools that we do not have are shown as empty queues.

use crate::clock::now_ms;
use crate::delay_levels::queue_of_level;
use crate::error::BrokerError;
use crate::node::Node;
use crate::stats::Totals;
use protocol::{VERSION, topic};
use std::collections::BTreeMap;
use store::Figures;

type Table = BTreeMap<String, String>;

/// The whole table.
pub fn table(node: &Node) -> Result<Table, BrokerError> {
    let figures = node.store.figures()?;
    let mut table = Table::new();
    let out = &mut table;
    put_identity(node, out);
    put_totals(node, &figures, out);
    put_rates(node, out);
    put_store(node, &figures, out)?;
    put_queues(node, &figures, out);
    put_delays(node, out);
    Ok(table)
}

fn put(out: &mut Table, key: &str, value: impl ToString) {
    out.insert(key.to_owned(), value.to_string());
}

fn put_identity(node: &Node, out: &mut Table) {
    put(out, "brokerActive", !node.gate.is_stopping());
    put(out, "brokerVersion", VERSION);
    put(out, "brokerVersionDesc", concat!("Trireme_", env!("CARGO_PKG_VERSION")));
    put(out, "bootTimestamp", node.started_ms);
    put(out, "runtime", uptime(now_ms() - node.started_ms));
    put(out, "startAcceptSendRequestTimeStamp", node.config.get().broker.accept_sends_after);
}

fn uptime(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    format!("[ {days} days, {hours} hours, {minutes} minutes, {} seconds ]", seconds % 60)
}

fn put_totals(node: &Node, figures: &Figures, out: &mut Table) {
    let mut days = node.day_totals.lock();
    let now = Totals { put: figures.put_messages, got: figures.get_messages };
    days.tick(now_ms(), now);
    put(out, "msgPutTotalYesterdayMorning", days.yesterday_morning.put);
    put(out, "msgPutTotalTodayMorning", days.today_morning.put);
    put(out, "msgPutTotalTodayNow", now.put);
    put(out, "msgGetTotalYesterdayMorning", days.yesterday_morning.got);
    put(out, "msgGetTotalTodayMorning", days.today_morning.got);
    put(out, "msgGetTotalTodayNow", now.got);
}

fn put_rates(node: &Node, out: &mut Table) {
    put(out, "putTps", node.throughput.put_rates());
    put(out, "getFoundTps", node.throughput.found_rates());
    put(out, "getMissTps", node.throughput.missed_rates());
    put(out, "getTotalTps", node.throughput.total_rates());
    put(out, "getTransferredTps", node.throughput.transferred_rates());
    // The tools of 4.9 ask for it in this spelling, and fall over when it is missing.
    put(out, "getTransferedTps", node.throughput.transferred_rates());
}

fn put_store(node: &Node, figures: &Figures, out: &mut Table) -> Result<(), BrokerError> {
    let average = figures.put_bytes.checked_div(figures.put_messages).unwrap_or(0);
    put(out, "putMessageTimesTotal", figures.put_messages);
    put(out, "putMessageFailedTimes", figures.put_failed);
    put(out, "putMessageSizeTotal", figures.put_bytes);
    put(out, "putMessageAverageSize", average);
    put(out, "putMessageEntireTimeMax", figures.put_time_max.as_millis());
    put(out, "putMessageDistributeTime", put_times(figures));
    put(out, "getMessageEntireTimeMax", figures.get_time_max.as_millis());
    put(out, "dispatchBehindBytes", figures.dispatch_behind);
    put(out, "dispatchMaxBuffer", 0);
    put(out, "pageCacheLockTimeMills", figures.append_stalled.as_millis());
    put(out, "earliestMessageTimeStamp", node.store.earliest_log_time()?.unwrap_or(-1));
    put(out, "remainTransientStoreBufferNumbs", i32::MAX);
    put(out, "remainHowManyDataToCommit", 0);
    put(out, "remainHowManyDataToFlush", human_bytes(figures.flush_behind));
    let (total, free) = (human_bytes(figures.disk_total), human_bytes(figures.disk_available));
    put(out, "commitLogDirCapacity", format!("Total : {total}, Free : {free}."));
    put(out, "commitLogDiskRatio", figures.commit_log_disk_ratio);
    let directory = node.config.get().commit_log_dir();
    put(out, &format!("commitLogDiskRatio_{}", directory.display()), figures.commit_log_disk_ratio);
    put(out, "consumeQueueDiskRatio", figures.consume_queue_disk_ratio);
    put(out, "commitLogMinOffset", figures.commit_log_min);
    put(out, "commitLogMaxOffset", figures.commit_log_max);
    for (key, value) in [
        ("timerReadBehind", "0"),
        ("timerOffsetBehind", "0"),
        ("timerCongestNum", "0"),
        ("timerEnqueueTps", "0.0"),
        ("timerDequeueTps", "0.0"),
    ] {
        put(out, key, value);
    }
    Ok(())
}

fn put_times(figures: &Figures) -> String {
    const SPANS: [&str; 13] = [
        "<=0ms",
        "0~10ms",
        "10~50ms",
        "50~100ms",
        "100~200ms",
        "200~500ms",
        "500ms~1s",
        "1~2s",
        "2~3s",
        "3~4s",
        "4~5s",
        "5~10s",
        "10s~",
    ];
    let spans = SPANS.iter().zip(figures.put_times);
    spans.map(|(span, count)| format!("[{span}]:{count} ")).collect()
}

fn put_queues(node: &Node, figures: &Figures, out: &mut Table) {
    let waiting = [
        ("send", figures.puts_waiting, 5_000),
        ("pull", node.cold_reads.waiting(), node.cold_reads.waiting_max()),
        ("litePull", 0, node.cold_reads.waiting_max()),
        ("query", node.errands.waiting(), node.errands.waiting_max()),
        ("ack", 0, 0),
    ];
    for (name, size, capacity) in waiting {
        put(out, &format!("{name}ThreadPoolQueueSize"), size);
        put(out, &format!("{name}ThreadPoolQueueCapacity"), capacity);
        put(out, &format!("{name}ThreadPoolQueueHeadWaitTimeMills"), 0);
    }
    put(out, "EndTransactionQueueSize", 0);
    put(out, "EndTransactionThreadPoolQueueCapacity", 0);
}

fn put_delays(node: &Node, out: &mut Table) {
    for level in 1..=node.delay_levels.max() {
        let delivered = node.metadata.delays.get(level).unwrap_or(0);
        let max = node.store.max_offset(topic::SCHEDULE, queue_of_level(level));
        if max > 0 {
            put(out, &format!("scheduleMessageOffset_{level}"), format!("{delivered},{max}"));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_and_sizes_are_written_for_people() {
        assert_eq!(uptime(90_061_000), "[ 1 days, 1 hours, 1 minutes, 1 seconds ]");
        assert_eq!(uptime(-5), "[ 0 days, 0 hours, 0 minutes, 0 seconds ]");
        assert_eq!(human_bytes(1023), "1023 B");
        assert_eq!(human_bytes(1536), "1.5 KiB");
        assert_eq!(human_bytes(3 << 40), "3.0 TiB");
    }
}
