//! One line a run: the same columns always, so that runs can be held side by side.

use crate::load::{Load, Outcome};

/// Prints what one run gave.
pub(crate) fn print_one(name: &str, load: &Load, outcome: &Outcome) {
    println!(
        "{name:<8} {:>3} x {:<4} {:>5} B  {:>9.0} msg/s  {:>9.0} msg/CPU-s  p50 {:>6} us  p99 {:>6} us  p99.9 {:>7} us  max {:>7} us  refused {}",
        load.connections,
        load.in_flight,
        load.size,
        outcome.per_second(),
        outcome.per_cpu_second(),
        outcome.latency.value_at_quantile(0.50),
        outcome.latency.value_at_quantile(0.99),
        outcome.latency.value_at_quantile(0.999),
        outcome.latency.max(),
        outcome.refused,
    );
}
