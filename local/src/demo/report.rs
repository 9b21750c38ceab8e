//! The table at the end of a demo, and its verdict. Pure.

use super::ledger::{Silence, Spread, Summary};
use crate::words::{count, per_second, table, time};

/// The table.
pub(crate) fn figures(summary: &Summary) -> String {
    let timed = |label: &str, number: u64, micros: u64, spread: Spread| {
        let rate = format!("{}/s", count(per_second(number, micros)));
        vec![label.to_owned(), count(number), rate, time(spread.p50), time(spread.p99), time(spread.max)]
    };
    let plain = |label: &str, number: u64| vec![label.to_owned(), count(number)];
    let mut rows = vec![
        ["", "messages", "rate", "p50", "p99", "max"].map(str::to_owned).to_vec(),
        timed("sent, acknowledged", summary.acked, summary.send_micros, summary.send),
        timed("consumed, end to end", summary.consumed, summary.consume_micros, summary.journey),
        plain("outcome unknown", summary.unknown),
        plain("  of those consumed", summary.unknown_consumed),
        plain("consumed again", summary.duplicates),
        plain("damaged", summary.damaged),
        plain("lost", summary.lost),
    ];
    if summary.unknown == 0 {
        rows.remove(4);
    }
    table(&rows)
}

/// How long nothing was acknowledged because the leader was killed.
pub(crate) fn gap(killed: u64, silence: Option<Silence>) -> String {
    let Some(silence) = silence else {
        return "no send was waiting for its answer when the leader died; take more --messages".to_owned();
    };
    let after = time(silence.after - killed);
    format!(
        "gap: {} from the last acknowledgement before to the first one after, which came {after} after the kill",
        time(silence.length())
    )
}

/// Whether all is well, and the sentence that says so.
pub(crate) fn verdict(summary: &Summary) -> Result<String, String> {
    if summary.lost > 0 || summary.damaged > 0 {
        return Err(format!(
            "{} acknowledged messages were not consumed, {} came damaged",
            count(summary.lost),
            count(summary.damaged)
        ));
    }
    if summary.acked == 0 {
        return Err("no message was acknowledged".to_owned());
    }
    Ok(format!("every one of {} acknowledged messages was consumed", count(summary.acked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            acked: 100_000,
            consumed: 100_000,
            send_micros: 2_000_000,
            consume_micros: 2_500_000,
            send: Spread { p50: 2_900, p99: 12_100, max: 31_000 },
            journey: Spread { p50: 3_400, p99: 15_000, max: 1_040_000 },
            ..Summary::default()
        }
    }

    #[test]
    fn the_table_shows_rates_latencies_and_that_nothing_is_lost() {
        let expected = "                        messages      rate      p50      p99      max
  sent, acknowledged     100,000  50,000/s  2.90 ms  12.1 ms  31.0 ms
  consumed, end to end   100,000  40,000/s  3.40 ms  15.0 ms   1.04 s
  outcome unknown              0
  consumed again               0
  damaged                      0
  lost                         0";
        assert_eq!(figures(&summary()), expected);
    }

    #[test]
    fn unknown_outcomes_are_counted_apart_and_are_no_loss() {
        let summary = Summary { unknown: 3, unknown_consumed: 2, ..summary() };
        assert!(figures(&summary).contains("of those consumed"));
        assert!(verdict(&summary).is_ok());
    }

    #[test]
    fn a_lost_or_damaged_message_is_a_failure_and_so_is_a_run_without_any() {
        assert!(verdict(&Summary { lost: 1, ..summary() }).is_err());
        assert!(verdict(&Summary { damaged: 1, ..summary() }).is_err());
        assert!(verdict(&Summary::default()).is_err());
    }

    #[test]
    fn the_gap_is_told_from_ack_to_ack() {
        let text = gap(5_500, Some(Silence { before: 5_000, after: 605_000 }));
        assert!(
            text.starts_with("gap: 600.0 ms from") && text.ends_with("599.5 ms after the kill"),
            "{text}"
        );
        assert!(gap(1, None).contains("--messages"));
    }
}
