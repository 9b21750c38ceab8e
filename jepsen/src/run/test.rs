//! One test from its first process to its verdict.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::build::check_kind;
use super::observer::observe;
use super::settings::TestSettings;
use crate::check::log::Drain;
use crate::check::panics::ServerLog;
use crate::check::replicas::ReplicaDigest;
use crate::check::{self, Finding, Verdict};
use crate::cluster::{Cluster, Image, Mode, Probe, Settings, files};
use crate::error::{Error, Result};
use crate::history::{self, FaultPhase, Faults, Operation, Recorder};
use crate::nemesis::{Injector, Report, StopSign, clock_library};
use crate::net::Namespaces;
use crate::report::{self, Progress, Summary, say};
use crate::schedule::{Dice, FaultKind};
use crate::workload::{Field, Run, Workload};

/// A cluster that does not serve within this never will.
const SERVES_WITHIN: Duration = Duration::from_secs(90);

/// After the last fault lanes go on for this long: the proof that the cluster is back.
const SETTLES: Duration = Duration::from_secs(4);

/// If nothing succeeds after the last fault, they go on for this long before giving up.
const SETTLES_MAX: Duration = Duration::from_secs(65);

/// Replicas must hold the same log within this once nobody writes.
const CONVERGES_WITHIN: Duration = Duration::from_secs(60);

/// A lane ends within the time of its last request.
const LANES_END_WITHIN: Duration = Duration::from_secs(15);

/// What is known when the processes are gone.
#[derive(Debug, Default)]
struct Remains {
    drains: Vec<Drain>,
    digests: Vec<ReplicaDigest>,
    logs: Vec<ServerLog>,
    /// Why something could not be found out; each is a doubt.
    doubts: Vec<String>,
}

/// Runs one test. On a tokio runtime with several threads.
pub async fn test(settings: &TestSettings, stop: &StopSign) -> Result<(Verdict, PathBuf)> {
    check_kind(&settings.binaries, settings.plant.is_some())?;
    let directory = results_directory(settings)?;
    say(&format!("{}  seed {}  results {}", settings.name(), settings.seed, directory.display()));
    let workload = settings.workload.make();
    let cluster =
        Arc::new(tokio::task::block_in_place(|| Cluster::start(cluster_settings(settings, &directory)))?);
    let remains = lead(settings, &directory, cluster, workload.as_ref(), stop).await?;
    let summary = tokio::task::block_in_place(|| judge(settings, &directory, workload.as_ref(), remains))?;
    let text = report::write(&directory, &summary)?;
    say(&text);
    Ok((summary.verdict, directory))
}

/// Everything that needs the cluster; it is gone when this returns.
async fn lead(
    settings: &TestSettings,
    directory: &Path,
    cluster: Arc<Cluster>,
    workload: &dyn Workload,
    stop: &StopSign,
) -> Result<Remains> {
    let probe = Probe::new(cluster.plan.clone());
    let (recorder, writing) = Recorder::create(&directory.join("history.jsonl"))?;
    let (lanes_stop, stopped) = watch::channel(false);
    let dice = Dice::new(settings.seed).fork("workload");
    let mut field = Field::new(cluster.plan.clone(), probe.clone(), recorder.clone(), dice, stopped);
    field.rate = settings.rate;
    field.body_bytes = settings.body_bytes;
    wait_until_it_serves(workload, &field, &cluster, stop).await?;

    let mut lanes: JoinSet<()> = JoinSet::new();
    for lane in workload.lanes(&field) {
        lanes.spawn(lane);
    }
    for member in field.plan.brokers().filter(|_| settings.mode.is_raft()) {
        lanes.spawn(observe(field.clone(), member));
    }
    let injector = Injector::new(cluster.clone(), probe, Handle::current(), recorder.clone(), stop.clone());
    inject(settings, &field, injector, stop).await?;
    settle(&field, stop).await?;
    let _ = lanes_stop.send(true);
    let ended = async { while lanes.join_next().await.is_some() {} };
    let mut remains = Remains::default();
    if tokio::time::timeout(LANES_END_WITHIN, ended).await.is_err() {
        remains.doubts.push("lanes did not end in time".to_owned());
        lanes.shutdown().await;
    }
    match workload.drain(&field).await {
        Ok(drains) => remains.drains = drains,
        Err(why) => remains.doubts.push(format!("the drain failed: {why}")),
    }
    drop(field);
    drop(recorder);
    tokio::task::block_in_place(|| collect(&cluster, workload, &mut remains))?;
    writing.finish()?;
    Ok(remains)
}

fn cluster_settings(settings: &TestSettings, directory: &Path) -> Settings {
    let wants_clock = settings.nemesis.kinds().contains(&FaultKind::ClockJump);
    Settings {
        mode: settings.mode,
        name_servers: 1,
        queues: settings.queues,
        binaries: settings.binaries.clone(),
        results: directory.to_owned(),
        namespaces: !settings.loopback && Namespaces::possible(),
        image_bytes: settings.image_bytes().filter(|_| Image::possible()),
        segment_bytes: settings.segment_bytes(),
        retention: settings.retention(),
        clock_library: clock_library().filter(|_| wants_clock),
        plant: settings.plant.clone(),
        seed: settings.seed,
    }
}

async fn wait_until_it_serves(
    workload: &dyn Workload,
    field: &Field,
    cluster: &Cluster,
    stop: &StopSign,
) -> Result<()> {
    let deadline = Instant::now() + SERVES_WITHIN;
    while !workload.prepare(field).await {
        if stop.is_raised() {
            return Err(Error::Interrupted);
        }
        if let Some(member) = cluster.survey(0, false).first() {
            return Err(Error::EndedAtStart { log: cluster.server_of(*member).log.clone() });
        }
        if Instant::now() > deadline {
            let seconds = SERVES_WITHIN.as_secs();
            return Err(Error::NotInTime { member: "the cluster".to_owned(), state: "serving", seconds });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The main phase: faults on a thread of their own, progress here.
async fn inject(settings: &TestSettings, field: &Field, injector: Injector, stop: &StopSign) -> Result<()> {
    let plan = settings.nemesis.plan(settings.time, settings.seed);
    let mut progress = Progress::new(field.tally.clone(), injector.report(), settings.time);
    let time = settings.time;
    let mut injecting = tokio::task::spawn_blocking(move || injector.run(&plan, time));
    loop {
        tokio::select! {
            ended = &mut injecting => {
                ended.map_err(|_| Error::Usage("the fault injector panicked".to_owned()))??;
                break;
            }
            () = tokio::time::sleep(Duration::from_millis(500)) => progress.tick(),
        }
    }
    if stop.is_raised() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Lanes go on until something that began after the last fault has succeeded, and a little longer.
async fn settle(field: &Field, stop: &StopSign) -> Result<()> {
    let mut progress = Progress::new(field.tally.clone(), Report::default(), SETTLES);
    let began = Instant::now();
    let before = field.tally.ok.load(std::sync::atomic::Ordering::Relaxed);
    let mut back_at: Option<Instant> = None;
    while back_at.is_none_or(|at| at.elapsed() < SETTLES) && began.elapsed() < SETTLES_MAX {
        if stop.is_raised() {
            return Err(Error::Interrupted);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        progress.tick();
        if back_at.is_none() && field.tally.ok.load(std::sync::atomic::Ordering::Relaxed) > before {
            back_at = Some(Instant::now());
        }
    }
    Ok(())
}

/// Waits for the replicas to agree, ends them, reads their files. Blocking.
fn collect(cluster: &Cluster, workload: &dyn Workload, remains: &mut Remains) -> Result<()> {
    cluster.survey(u64::MAX, false);
    if !freeze_in_agreement(cluster)? {
        remains.doubts.push("replicas do not come to the same end of the log".to_owned());
    }
    cluster.kill_all()?;
    for member in cluster.plan.brokers() {
        let name = cluster.plan.name(member);
        match files::read_log(&name, &cluster.commit_log(member)) {
            Ok(found) => {
                if workload.reads_files() {
                    let source = format!("files of {name}");
                    remains.drains.extend(files::drains(&source, &found.messages, &cluster.plan.topic));
                }
                remains.digests.push(found.digest);
            }
            Err(error) => remains.doubts.push(format!("the files of {name}: {error}")),
        }
    }
    remains.logs = cluster.logs();
    Ok(())
}

/// Freezes all replicas at a moment when their logs end at the same place. A graceful stop would not
/// do: each one that goes changes the leader, and the ones that are left write that into their logs.
fn freeze_in_agreement(cluster: &Cluster) -> Result<bool> {
    let deadline = Instant::now() + CONVERGES_WITHIN;
    while Instant::now() < deadline {
        if agree(cluster) {
            cluster.pause_all()?;
            if agree(cluster) {
                return Ok(true);
            }
            cluster.heal_all()?;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(false)
}

fn agree(cluster: &Cluster) -> bool {
    let end = |member| files::log_end(&cluster.commit_log(member)).ok();
    let ends: Vec<Option<u64>> = cluster.plan.brokers().map(end).collect();
    ends.iter().all(|end| end.is_some() && *end == ends[0])
}

/// All verdicts, from what was written down.
fn judge(
    settings: &TestSettings,
    directory: &Path,
    workload: &dyn Workload,
    remains: Remains,
) -> Result<Summary> {
    let (operations, faults) = history::pair(history::read(&directory.join("history.jsonl"))?)?;
    write_lines(&directory.join("drains.jsonl"), &remains.drains)?;
    let run = Run {
        mode: settings.mode,
        operations: &operations,
        faults: &faults,
        drains: remains.drains,
        promise: settings.promise(),
        retention: settings.retention(),
    };
    let mut findings = workload.check(run);
    let (availability, finding) = check::availability::check(&operations, &faults);
    findings.push(finding);
    findings.extend(of_the_mode(settings, &operations, &faults));
    findings.push(check::coverage::check(&settings.nemesis.demanded(), &faults));
    findings.push(check::replicas::check(&remains.digests));
    findings.push(check::panics::check(&remains.logs));
    findings.push(harness(&remains.doubts, &settings.nemesis.kinds(), &faults));
    report::draw(directory, &operations, &faults)?;
    Ok(Summary {
        verdict: check::overall(&findings),
        command: settings.command(),
        name: settings.name(),
        seed: settings.seed,
        findings,
        availability,
        faults,
    })
}

/// What only some modes promise.
fn of_the_mode(settings: &TestSettings, operations: &[Operation], faults: &Faults) -> Option<Finding> {
    match settings.mode {
        Mode::Raft | Mode::RaftAsync => Some(check::terms::check(operations, faults)),
        Mode::AsyncMaster => Some(check::copies::check(operations, faults, false)),
        Mode::SyncMaster => Some(check::copies::check(operations, faults, true)),
        Mode::SingleAsync | Mode::SingleSync => None,
    }
}

/// What the harness itself could not do.
fn harness(doubts: &[String], kinds: &[FaultKind], faults: &[(u64, history::FaultNote)]) -> Finding {
    let mut finding = Finding::new("harness");
    for doubt in doubts {
        finding.doubt("could not", || doubt.clone());
    }
    let struck = faults.iter().any(|(_, note)| note.phase == FaultPhase::Installed);
    if !kinds.is_empty() && !struck {
        finding.doubt("no fault", || "faults were asked for and none struck".to_owned());
    }
    finding
}

fn write_lines<T: serde::Serialize>(path: &Path, items: &[T]) -> Result<()> {
    let mut bytes = Vec::new();
    for item in items {
        serde_json::to_writer(&mut bytes, item)?;
        bytes.push(b'\n');
    }
    std::fs::write(path, bytes).map_err(|source| Error::File {
        doing: "writing",
        path: path.to_owned(),
        source,
    })
}

/// Judges the history of an earlier run again: the workload's checkers and availability.
pub fn recheck(settings: &TestSettings, directory: &Path) -> Result<(Verdict, Vec<Finding>)> {
    let (operations, faults) = history::pair(history::read(&directory.join("history.jsonl"))?)?;
    let path = directory.join("drains.jsonl");
    let text =
        std::fs::read_to_string(&path).map_err(|source| Error::File { doing: "reading", path, source })?;
    let drains = text.lines().map(serde_json::from_str).collect::<Result<Vec<Drain>, _>>()?;
    let run = Run {
        mode: settings.mode,
        operations: &operations,
        faults: &faults,
        drains,
        promise: settings.promise(),
        retention: settings.retention(),
    };
    let mut findings = settings.workload.make().check(run);
    findings.push(check::availability::check(&operations, &faults).1);
    findings.extend(of_the_mode(settings, &operations, &faults));
    Ok((check::overall(&findings), findings))
}

/// A directory named after the moment and the test.
fn results_directory(settings: &TestSettings) -> Result<PathBuf> {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut directory = settings.results.join(format!("{}-{}", stamp(seconds), settings.name()));
    let mut again = 1;
    while directory.exists() {
        again += 1;
        directory = settings.results.join(format!("{}-{}-{again}", stamp(seconds), settings.name()));
    }
    std::fs::create_dir_all(&directory).map_err(|source| Error::File {
        doing: "making",
        path: directory.clone(),
        source,
    })?;
    Ok(directory)
}

/// `yyyymmdd-hhmmss` of seconds since the epoch, in UTC. The calendar is Howard Hinnant's civil-from-days.
fn stamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day_of_month = day_of_year - (153 * shifted + 2) / 5 + 1;
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day_of_month:02}-{:02}{:02}{:02}", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_the_time_in_utc() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_827_696), "20000229-123456");
        assert_eq!(stamp(1_795_374_000), "20261122-190000");
    }
}
