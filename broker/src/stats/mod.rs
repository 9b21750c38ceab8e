//! What the broker counts: statistics by name and key (code 315), totals by day, rates of the last minutes.

mod day_totals;
mod item;
mod names;
mod table;
mod throughput;

pub use day_totals::{DayTotals, Totals};
pub use item::{StatItem, StatSummary, StatWindows};
pub use names::StatName;
pub use table::BrokerStats;
pub use throughput::{Counts, Rates, Throughput};
