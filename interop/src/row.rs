//! Plays one row: sets its servers up, drives the client, compares, and cleans up.

use std::time::{Duration, Instant};

use crate::driver::{self, Deed};
use crate::rows::{BYSTANDER, End, Plan, Row, Samples};
use crate::server::{Flavour, Server};
use crate::stage::{BROKER_NAME, Stage};
use crate::table::{self, Check, Outcome};
use crate::{Run, ports};

const PATIENCE: Duration = Duration::from_secs(420);

/// Messages and bytes of the load that a slave follows: more than two commit-log segments in all.
const REPLICA_LOAD: (u32, u32) = (900, 24_000);

/// Plays the row to its end, whatever happens in it.
pub(crate) fn play(run: &Run, row: &Row) -> Outcome {
    let began = Instant::now();
    let mut checks = Vec::new();
    let error = match Stage::new(run) {
        Ok(mut stage) => {
            let played = perform(run, row, &mut stage, &mut checks);
            let broken = played.is_err() || checks.iter().any(|check| !check.broken.is_empty());
            let shown = broken && run.lie.is_none();
            if shown {
                table::say(&format!("{}\n{}", row.name, stage.last_words()));
            }
            if let Some(kept) = stage.leave(shown || run.keep) {
                table::say(&format!("everything of \"{}\" is kept in {}", row.name, kept.display()));
            }
            played.err().map(|error| format!("{error:#}"))
        }
        Err(unset) => Some(format!("{unset:#}")),
    };
    Outcome { row: row.name.clone(), checks, error, took: began.elapsed() }
}

fn perform(run: &Run, row: &Row, stage: &mut Stage<'_>, checks: &mut Vec<Check>) -> anyhow::Result<()> {
    match &row.plan {
        Plan::Serve { namesrv, broker, side_by_side, alone } => {
            stage.start_namesrv(row.actual(namesrv, run.reference))?;
            let store = stage.path().join("store");
            let server =
                stage.broker("broker", row.actual(broker, run.reference), ports::take()?, &store, &[]);
            stage.add(server)?;
            let groups = groups(run, side_by_side, alone);
            let deed = Deed {
                client: row.client,
                is_binary: row.is_binary,
                prefix: "i",
                groups: &groups,
                options: &[],
                patience: PATIENCE,
            };
            checks.extend(driver::play(run, &row.name, stage, &deed)?);
            Ok(())
        }
        Plan::HandOver { brokers, end } => hand_over(run, row, stage, checks, brokers, *end),
        Plan::Replica { master, slave } => replica(run, row, stage, checks, master, slave),
        Plan::Migrate { from } => migrate(run, row, stage, checks, from),
        Plan::Masters { samples, mode } => masters(run, row, stage, checks, *samples, mode),
        Plan::Group { flavour, scenarios } => group(run, row, stage, checks, flavour, scenarios),
    }
}

fn groups(run: &Run, side_by_side: &[&str], alone: &[&str]) -> Vec<String> {
    if let Some(wanted) = &run.scenarios {
        return vec![wanted.clone()];
    }
    let mut groups = vec![side_by_side.join(",")];
    groups.extend(alone.iter().map(|name| (*name).to_owned()));
    groups
}

/// Each broker writes a chapter of its own and must read all chapters before it.
fn hand_over(
    run: &Run,
    row: &Row,
    stage: &mut Stage<'_>,
    checks: &mut Vec<Check>,
    brokers: &[Flavour; 3],
    end: End,
) -> anyhow::Result<()> {
    stage.start_namesrv(BYSTANDER)?;
    let store = stage.path().join("store");
    // Message ids hold the broker's port, so that all brokers of this store must have the same.
    let port = ports::take()?;
    let mut previous: Option<(usize, &Flavour)> = None;
    for (nth, flavour) in brokers.iter().enumerate() {
        let server = stage.broker("broker", row.actual(flavour, run.reference), port, &store, &[]);
        stage.add(server)?;
        if let Some((chapter, writer)) = previous {
            let mut options = chapter_options(stage, chapter, end, index_carries_over(writer, flavour));
            options.push(("early", yes(end == End::Kill && forgets_delays(flavour))));
            drive(
                run,
                row,
                stage,
                checks,
                &chapter_prefix(chapter),
                &["store-check".to_owned()],
                &options,
                nth,
            )?;
        }
        if nth + 1 < brokers.len() {
            let options = chapter_options(stage, nth, end, true);
            drive(run, row, stage, checks, &chapter_prefix(nth), &["store-write".to_owned()], &options, nth)?;
        }
        stage.obey(&format!("{} broker", end.word()))?;
        stage.remove("broker");
        previous = Some((nth, flavour));
    }
    Ok(())
}

/// Whether the reader finds by key what the writer indexed. Our index has a format of its own, and RocketMQ's broker does
/// not look again at what its checkpoint calls dispatched; ours builds its index from any log.
fn index_carries_over(writer: &Flavour, reader: &Flavour) -> bool {
    *reader == Flavour::Ours || *writer != Flavour::Ours
}

/// RocketMQ 4.9 rebuilds the units of delayed messages that a crash took with the hash of their tags where the time of
/// their delivery belongs, and so delivers them at once. (Ours keeps the units of the last second in memory, its own
/// broker keeps them in mapped pages, which survive a kill.)
fn forgets_delays(reader: &Flavour) -> bool {
    *reader == Flavour::Java("4.9.7")
}

fn yes(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn chapter_prefix(chapter: usize) -> String {
    format!("chapter{chapter}")
}

fn chapter_options<'a>(stage: &Stage<'_>, chapter: usize, end: End, keys: bool) -> Vec<(&'a str, String)> {
    vec![
        ("manifest", stage.path().join(format!("chapter{chapter}.txt")).display().to_string()),
        ("stop", end.word().to_owned()),
        ("keys", yes(keys)),
    ]
}

#[expect(
    clippy::too_many_arguments,
    reason = "the words of one sentence: who drives what with which options"
)]
fn drive(
    run: &Run,
    row: &Row,
    stage: &mut Stage<'_>,
    checks: &mut Vec<Check>,
    prefix: &str,
    groups: &[String],
    options: &[(&str, String)],
    nth: usize,
) -> anyhow::Result<()> {
    let deed =
        Deed { client: row.client, is_binary: row.is_binary, prefix, groups, options, patience: PATIENCE };
    let mut done = driver::play(run, &row.name, stage, &deed)?;
    for check in &mut done {
        check.name = format!("{} by broker {}", check.name, nth + 1);
    }
    let broken = done.iter().any(|check| !check.broken.is_empty());
    checks.extend(done);
    anyhow::ensure!(!broken || run.lie.is_some(), "the rest of this row stands on what just broke");
    Ok(())
}

/// A slave follows from the start, is away for a while, catches up; the logs are the same bytes; then it serves.
fn replica(
    run: &Run,
    row: &Row,
    stage: &mut Stage<'_>,
    checks: &mut Vec<Check>,
    master: &Flavour,
    slave: &Flavour,
) -> anyhow::Result<()> {
    stage.start_namesrv(BYSTANDER)?;
    let (master_store, slave_store) = (stage.path().join("store"), stage.path().join("slave-store"));
    let read = ("slaveReadEnable", "true".to_owned());
    let broker = stage.broker(
        "broker",
        row.actual(master, run.reference),
        ports::take()?,
        &master_store,
        std::slice::from_ref(&read),
    );
    stage.add(broker)?;
    let more = [read, ("brokerRole", "SLAVE".to_owned()), ("brokerId", "1".to_owned())];
    let broker = stage.broker("slave", row.actual(slave, run.reference), ports::take()?, &slave_store, &more);
    stage.add(broker)?;
    let (count, size) = REPLICA_LOAD;
    let options = [("count", count.to_string()), ("size", size.to_string())];
    let load = ["load".to_owned()];
    drive(run, row, stage, checks, "while-there", &load, &options, 0)?;
    checks.push(same_logs(row, stage, ("broker", "slave"), "logs, followed from the start"));
    stage.obey("stop slave")?;
    drive(run, row, stage, checks, "while-away", &load, &options, 1)?;
    stage.obey("start slave")?;
    checks.push(same_logs(row, stage, ("broker", "slave"), "logs, after the slave was away"));
    drive(run, row, stage, checks, "serves", &["slave-serves".to_owned()], &[], 2)?;
    checks.push(same_logs(row, stage, ("broker", "slave"), "logs, after the master was away"));
    Ok(())
}

fn same_logs(row: &Row, stage: &mut Stage<'_>, (master, slave): (&str, &str), name: &str) -> Check {
    let began = Instant::now();
    let (broken, saw) = match stage.same_logs(master, slave) {
        Ok(bytes) => (Vec::new(), format!("{bytes} bytes")),
        Err(error) => (vec![format!("{error:#}")], String::new()),
    };
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let check = Check { name: name.to_owned(), broken, saw, millis };
    table::told(&row.name, &check);
    check
}

/// The recipe of docs/migration.md: a slave of ours joins a master under load, catches up, takes its place under its name
/// and port, and at last its store becomes the first replica of a group.
fn migrate(
    run: &Run,
    row: &Row,
    stage: &mut Stage<'_>,
    checks: &mut Vec<Check>,
    from: &Flavour,
) -> anyhow::Result<()> {
    stage.start_namesrv(BYSTANDER)?;
    let (old_store, store) = (stage.path().join("old-store"), stage.path().join("store"));
    // Message ids hold the broker's port, so that whoever takes over must have the same.
    let port = ports::take()?;
    stage.add(stage.broker("broker", row.actual(from, run.reference), port, &old_store, &[]))?;
    let written = chapter_options(stage, 0, End::Stop, true);
    drive(run, row, stage, checks, &chapter_prefix(0), &["store-write".to_owned()], &written, 0)?;
    let ours = row.actual(&Flavour::Ours, run.reference);
    let role = [("brokerRole", "SLAVE".to_owned()), ("brokerId", "1".to_owned())];
    let mut slave = stage.broker("slave", ours.clone(), ports::take()?, &store, &role);
    let (count, size) = REPLICA_LOAD;
    let load = [("count", count.to_string()), ("size", size.to_string())];
    let joined = std::thread::scope(|scope| {
        let joining = scope.spawn(move || slave.start().map(|()| slave));
        drive(run, row, stage, checks, "joining", &["load".to_owned()], &load, 0)?;
        joining.join().unwrap_or_else(|_| anyhow::bail!("the slave's starter panicked"))
    })?;
    stage.keep(joined);
    checks.push(same_logs(row, stage, ("broker", "slave"), "logs, joined under load"));
    let prefix = chapter_prefix(0);
    let committed = committed_sum(&stage.path().join("chapter0.txt"))?;
    stage.obey(&format!("wait-offsets-on-disk slave {prefix}-store-t@{prefix}-store-g {committed}"))?;
    for name in ["broker", "slave"] {
        stage.obey(&format!("stop {name}"))?;
        stage.remove(name);
    }
    stage.add(stage.broker("broker", ours.clone(), port, &store, &[]))?;
    drive(run, row, stage, checks, &prefix, &["store-check".to_owned()], &written, 1)?;
    let written = chapter_options(stage, 1, End::Stop, true);
    drive(run, row, stage, checks, &chapter_prefix(1), &["store-write".to_owned()], &written, 1)?;
    stage.obey("stop broker")?;
    stage.remove("broker");
    let servers = replicas(stage, &ours, Some((port, &store)))?;
    stage.add_all(servers)?;
    drive(run, row, stage, checks, &chapter_prefix(1), &["store-check".to_owned()], &written, 2)
}

/// How many messages the group of a chapter had consumed, by its manifest.
fn committed_sum(manifest: &std::path::Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(manifest)?;
    let offsets = text.lines().filter_map(|line| line.strip_prefix("o\t")?.split('\t').nth(1));
    Ok(offsets.map(str::parse::<u64>).sum::<Result<u64, _>>()?)
}

/// Brokers from the sample files of a mode; each master comes before its slave.
fn masters(
    run: &Run,
    row: &Row,
    stage: &mut Stage<'_>,
    checks: &mut Vec<Check>,
    samples: Samples,
    mode: &str,
) -> anyhow::Result<()> {
    let ours = row.actual(&Flavour::Ours, run.reference);
    stage.start_namesrv(ours.clone())?;
    let directory = run.root.join(samples.directory()).join(mode);
    let mut pairs = Vec::new();
    for master in ["broker-a", "broker-b"] {
        let slave = format!("{master}-s");
        for name in [master, &slave] {
            let sample = directory.join(format!("{name}.properties"));
            if sample.exists() {
                stage.add(stage.sampled(name, ours.clone(), &sample, ports::take()?)?)?;
            }
        }
        if stage.server(&slave).is_ok() {
            pairs.push((master, slave));
        }
    }
    let options = [("slaves", yes(!pairs.is_empty())), ("sync", yes(mode.ends_with("-sync")))];
    let groups = ["master-away".to_owned()];
    let deed = Deed {
        client: row.client,
        is_binary: row.is_binary,
        prefix: "m",
        groups: &groups,
        options: &options,
        patience: PATIENCE,
    };
    checks.extend(driver::play(run, &row.name, stage, &deed)?);
    // The driver's lies are about messages, not about files.
    let comparable = if run.lie.is_none() { pairs } else { Vec::new() };
    for (master, slave) in comparable {
        checks.push(same_logs(row, stage, (master, &slave), &format!("logs of {master} and its slave")));
    }
    Ok(())
}

/// Three replicas, configured with DLedger's own keys.
fn group(
    run: &Run,
    row: &Row,
    stage: &mut Stage<'_>,
    checks: &mut Vec<Check>,
    flavour: &Flavour,
    scenarios: &[&str],
) -> anyhow::Result<()> {
    stage.start_namesrv(row.actual(flavour, run.reference))?;
    let servers = replicas(stage, &row.actual(flavour, run.reference), None)?;
    stage.add_all(servers)?;
    let groups: Vec<String> = scenarios.iter().map(|name| (*name).to_owned()).collect();
    let deed = Deed {
        client: row.client,
        is_binary: row.is_binary,
        prefix: "g",
        groups: &groups,
        options: &[],
        patience: PATIENCE,
    };
    checks.extend(driver::play(run, &row.name, stage, &deed)?);
    Ok(())
}

/// Three replicas; the first may have a port and a store already.
fn replicas(
    stage: &Stage<'_>,
    flavour: &Flavour,
    first: Option<(u16, &std::path::Path)>,
) -> anyhow::Result<Vec<Server>> {
    let known = first.map(|(port, _)| port);
    let ports = [known.map_or_else(ports::take, Ok)?, ports::take()?, ports::take()?];
    // A replica's own port for its peers stands beside the ones that clients use.
    let peers: Vec<String> =
        ports.iter().enumerate().map(|(n, port)| format!("n{n}-127.0.0.1:{}", port + 2)).collect();
    let mut servers: Vec<Server> = Vec::new();
    for (n, port) in ports.into_iter().enumerate() {
        let id = format!("n{n}");
        let own = stage.path().join(format!("store-{id}"));
        let store = first.filter(|_| n == 0).map_or(own.as_path(), |(_, store)| store);
        let more = [
            ("enableDLegerCommitLog", "true".to_owned()),
            ("dLegerGroup", BROKER_NAME.to_owned()),
            ("dLegerPeers", peers.join(";")),
            ("dLegerSelfId", id.clone()),
            ("sendMessageThreadPoolNums", "4".to_owned()),
        ];
        servers.push(stage.broker(&id, flavour.clone(), port, store, &more));
    }
    Ok(servers)
}
