//! The figures that are shown once a second while the cluster runs, and what is said when a server ends.
//!
//! A replica that somebody killed is started again after a moment, so that a failover can be tried by hand.

use std::time::{Duration, Instant};

use anyhow::bail;
use daemon::Shutdown;

use crate::cluster::Cluster;
use crate::figures::{self, Figures, Totals};
use crate::screen::Screen;
use crate::words;

const PERIOD: Duration = Duration::from_secs(1);
/// How long a fallen replica stays down: long enough to see the others go on.
const DOWN: Duration = Duration::from_secs(5);

/// Shows figures until a stop is requested, or until what is left cannot serve.
pub(crate) async fn watch(cluster: &mut Cluster, screen: &Screen, shutdown: &Shutdown) -> anyhow::Result<()> {
    let names: Vec<String> = cluster.layout.brokers.iter().map(|node| node.name.clone()).collect();
    let line = screen.line();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut totals, mut last, mut down) = (Totals::default(), (0, 0, Instant::now()), Vec::new());
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            _ = ticks.tick() => {}
        }
        replace_fallen(cluster, screen, &mut down)?;
        let (seen, now) = (cluster.figures().await, Instant::now());
        totals.take(&seen);
        let micros = u64::try_from(now.duration_since(last.2).as_micros()).unwrap_or(u64::MAX);
        let rates =
            [words::per_second(totals.put - last.0, micros), words::per_second(totals.got - last.1, micros)];
        last = (totals.put, totals.got, now);
        let text = figures_line(&totals, rates, &seen, &names);
        if screen.is_terminal() {
            line.set_message(text);
            line.tick();
        } else {
            screen.say(&text);
        }
    }
    line.finish_and_clear();
    Ok(())
}

/// Reports servers that ended, and starts replicas again whose time has come.
fn replace_fallen(
    cluster: &mut Cluster,
    screen: &Screen,
    down: &mut Vec<(usize, Instant)>,
) -> anyhow::Result<()> {
    for fallen in cluster.fallen() {
        match fallen.broker.filter(|_| cluster.survives(&fallen)) {
            Some(number) => {
                screen.say(&format!("{fallen}\n  it is started again in {} s", DOWN.as_secs()));
                down.push((number, Instant::now() + DOWN));
            }
            None => bail!("{fallen}"),
        }
    }
    let now = Instant::now();
    for (number, _) in down.extract_if(.., |(_, due)| *due <= now) {
        let server = cluster.broker(number);
        server.restart()?;
        screen.say(&format!(
            "{} is started again (pid {})",
            server.node.name,
            server.pid().unwrap_or_default()
        ));
    }
    Ok(())
}

/// `put 1,234 (41/s)  got 1,200 (40/s)  n1 leads, term 3, committed n0 48,211 n1 48,213 n2 silent`.
fn figures_line(totals: &Totals, rates: [u64; 2], seen: &[Option<Figures>], names: &[String]) -> String {
    let [put, got] = rates.map(words::count);
    let mut text =
        format!("put {} ({put}/s)  got {} ({got}/s)", words::count(totals.put), words::count(totals.got));
    if seen.len() == 1 {
        if seen[0].is_none() {
            text += &format!("  {} is silent", names[0]);
        }
        return text;
    }
    match figures::leader(seen) {
        Some(leader) => {
            let term =
                seen[leader].as_ref().and_then(|figures| figures.raft.as_ref()).map_or(0, |raft| raft.term);
            text += &format!("  {} leads, term {term}, committed", names[leader]);
        }
        None => text += "  no leader, committed",
    }
    for (name, figures) in names.iter().zip(seen) {
        let raft = figures.as_ref().and_then(|figures| figures.raft.as_ref());
        match raft.map(|raft| u64::try_from(raft.committed)) {
            Some(Ok(committed)) => text += &format!(" {name} {}", words::count(committed)),
            Some(Err(_)) => text += &format!(" {name} nothing"),
            None => text += &format!(" {name} silent"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::tests::replica;

    #[test]
    fn the_line_shows_who_leads_and_what_each_replica_has() {
        let names = ["n0", "n1", "n2"].map(str::to_owned);
        let mut totals = Totals::default();
        let seen = [None, replica(1234, true, 3, 48_213), replica(0, false, 3, -1)];
        totals.take(&seen);
        assert_eq!(
            figures_line(&totals, [41, 40], &seen, &names),
            "put 1,234 (41/s)  got 617 (40/s)  n1 leads, term 3, committed n0 silent n1 48,213 n2 nothing"
        );
        let leaderless = figures_line(&totals, [0, 0], &[None, None, replica(0, false, 4, 7)], &names);
        assert!(leaderless.ends_with("no leader, committed n0 silent n1 silent n2 7"), "{leaderless}");
    }

    #[test]
    fn a_single_master_has_a_short_line() {
        let names = ["broker-a".to_owned()];
        let line = |seen| figures_line(&Totals::default(), [0, 0], &[seen], &names);
        assert_eq!(line(Some(Figures::default())), "put 0 (0/s)  got 0 (0/s)");
        assert!(line(None).ends_with("broker-a is silent"));
    }
}
