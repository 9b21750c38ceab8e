//! What the broker does by itself from time to time. One table: what, how often.

use crate::clients::EXPIRE_SCAN;
use crate::clock::now_ms;
use crate::error::BrokerError;
use crate::node::Node;
use crate::processor::client_manage;
use crate::stats::{Counts, Totals};
use daemon::Tasks;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How punctual long polls are.
const HELD_PULLS_TICK: Duration = Duration::from_millis(50);
/// How often the pulls of closed connections are dropped.
const CLOSED_PULLS_PERIOD: Duration = Duration::from_secs(5);
const SECOND: Duration = Duration::from_secs(1);
const STATS_MINUTE: Duration = Duration::from_secs(10);
const STATS_HOUR: Duration = Duration::from_secs(10 * 60);
const STATS_DAY: Duration = Duration::from_secs(60 * 60);

/// Starts all of it.
pub fn start(tasks: &Tasks, node: &Arc<Node>) {
    let config = node.config.get();
    let every = |name: &str, period: Duration, deed: fn(&Arc<Node>)| {
        let node = Arc::clone(node);
        tasks.every(name, period, move || deed(&node));
    };
    every("held pulls", HELD_PULLS_TICK, |node| node.arrivals.expire(Instant::now()));
    every("closed pulls", CLOSED_PULLS_PERIOD, |node| node.arrivals.discard_closed());
    every("silent clients", EXPIRE_SCAN, |node| client_manage::expire(node, Instant::now()));
    every("rates", SECOND, sample_rates);
    every("statistics of a minute", STATS_MINUTE, |node| node.stats.sample_minute(now_ms()));
    every("statistics of an hour", STATS_HOUR, |node| node.stats.sample_hour(now_ms()));
    every("statistics of a day", STATS_DAY, |node| node.stats.sample_day(now_ms()));
    every("consumer offsets", config.broker.flush_consumer_offset.duration(), |node| {
        on_a_worker(node, |node| node.journal.flush_offsets());
    });
    every("delay progress", config.store.flush_delay_offset.duration(), |node| {
        on_a_worker(node, |node| node.journal.flush_delays());
    });
}

fn sample_rates(node: &Arc<Node>) {
    let figures = match node.store.figures() {
        Ok(figures) => figures,
        Err(error) => return tracing::debug!(%error, "no figures this second"),
    };
    let counts = Counts {
        put: figures.put_messages,
        found: figures.get_found,
        missed: figures.get_missed,
        transferred: figures.get_messages,
    };
    let now = now_ms();
    node.throughput.sample(now, counts);
    node.day_totals.lock().tick(now, Totals { put: figures.put_messages, got: figures.get_messages });
}

/// Files are written by worker threads: timers must stay punctual.
fn on_a_worker(node: &Arc<Node>, deed: fn(&Node) -> Result<(), BrokerError>) {
    let there = Arc::clone(node);
    let job = Box::new(move || {
        if let Err(error) = deed(&there) {
            tracing::error!(%error, "a table was not written; trying again at its next time");
        }
    });
    if node.errands.try_do(job).is_err() {
        tracing::warn!("too many errands wait: a table is written at its next time");
    }
}
