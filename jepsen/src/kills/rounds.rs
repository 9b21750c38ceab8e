//! The rounds: load, kill, start, look; and what is said in the end.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::audit::{Audit, Topic};
use super::load::{Ground, Load};
use super::queue_files;
use super::subject::{Started, Subject};
use crate::check::Verdict;
use crate::check::panics;
use crate::cluster::{Ledger, Mode};
use crate::error::{Error, Result};
use crate::history::{Answer, Ended};
use crate::nemesis::StopSign;
use crate::report::say;
use crate::schedule::Dice;

/// Queues of each topic.
const QUEUES: u32 = 4;
/// The process lives this long under load, in ms.
const LIFE_MS: (u64, u64) = (20, 2_000);
/// One start in this many is killed too, at most this many ms after it began.
const START_KILLED_PERCENT: u64 = 20;
const START_LIFE_MS: u64 = 60;
/// The topics of a run; all but the last are judged message by message.
const TOPICS: [Topic; 4] = [
    Topic { name: "KillsA", queues: QUEUES, is_delayed: false },
    Topic { name: "KillsB", queues: QUEUES, is_delayed: false },
    Topic { name: "KillsC", queues: QUEUES, is_delayed: false },
    Topic { name: "KillsDelayed", queues: QUEUES, is_delayed: true },
];

/// What the command line says.
#[derive(Clone, Debug)]
pub struct KillSettings {
    /// `single-async` or `single-sync`.
    pub mode: Mode,
    /// How many kills.
    pub rounds: u32,
    /// Repeats lives and choices.
    pub seed: u64,
    /// Where `mqbroker` is.
    pub binaries: PathBuf,
}

/// Kills a broker again and again.
pub async fn run(settings: &KillSettings, stop: &StopSign) -> Result<Verdict> {
    if !matches!(settings.mode, Mode::SingleAsync | Mode::SingleSync) {
        return Err(Error::Usage("kills are for single-async and single-sync".to_owned()));
    }
    Ledger::clear_dead_runs()?;
    let home = Ledger::home();
    let made = std::fs::create_dir_all(&home)
        .and_then(|()| tempfile::Builder::new().prefix("run-kills-").tempdir_in(&home));
    let work = made.map_err(|source| Error::File { doing: "making a directory in", path: home, source })?;
    let mode = settings.mode.name();
    say(&format!(
        "{} kills of {mode}, seed {}, in {}",
        settings.rounds,
        settings.seed,
        work.path().display()
    ));
    let outcome = rounds(settings, work.path(), stop).await;
    if !matches!(outcome, Ok(Verdict::Valid)) {
        // What went wrong is in there.
        say(&format!("the store and the words of the broker stay in {}", work.keep().display()));
    }
    outcome
}

async fn rounds(settings: &KillSettings, work: &Path, stop: &StopSign) -> Result<Verdict> {
    let mut subject = Subject::new(work, &settings.binaries, settings.mode, QUEUES, settings.seed)?;
    let ground = Ground::new(TOPICS.to_vec());
    let dice = Dice::new(settings.seed);
    let mut audit = Audit::new(&ground, dice.fork("audit"));
    let mut chance = dice.fork("lives");
    let mut starts = vec![subject.start().await?];
    make_topics(&subject).await?;
    for round in 1..=settings.rounds {
        if stop.is_raised() {
            return Err(Error::Interrupted);
        }
        let load = Load::start(&ground, &subject, &dice.fork(&format!("round {round}")));
        tokio::time::sleep(Duration::from_millis(chance.between(LIFE_MS.0, LIFE_MS.1))).await;
        if subject.has_ended() {
            ground.book().fault(format!("the broker ended by itself in round {round}"));
        }
        let killed = Instant::now();
        subject.kill()?;
        load.end().await;
        if chance.chance(START_KILLED_PERCENT) {
            subject.spawn()?;
            tokio::time::sleep(Duration::from_millis(chance.below(START_LIFE_MS))).await;
            subject.kill()?;
        }
        let started = subject.start().await?;
        judge_start(&ground, starts.last(), &started);
        starts.push(started);
        audit.after_kill(&subject, killed).await;
        tell_round(round, &ground, &started);
    }
    finish(&ground, &mut audit, &mut subject, &starts).await
}

/// A start makes a checkpoint, so that the next recovery has no reason to read what lies before.
fn judge_start(ground: &Ground, before: Option<&Started>, now: &Started) {
    let known = before.map_or(0, |before| before.to);
    if now.from < known {
        ground.book().fault(format!(
            "the recovery began at {}, although everything before {known} was recovered already",
            now.from
        ));
    }
}

async fn make_topics(subject: &Subject) -> Result<()> {
    for topic in &TOPICS {
        let wire = subject.wire(topic.name);
        let ended = wire.set_topic(0, topic.name, u64::from(topic.queues)).await;
        if ended != Ended::Ok(Answer::Done) {
            return Err(Error::Usage(format!("topic {} cannot be made: {ended:?}", topic.name)));
        }
    }
    Ok(())
}

fn tell_round(round: u32, ground: &Ground, started: &Started) {
    let book = ground.book();
    let (acknowledged, refused, unknown) = book.counts();
    say(&format!(
        "round {round:>3}: start {:>4} ms, recovered {:>8} bytes from {:>10}; so far acknowledged {acknowledged}, \
         refused {refused}, unknown {unknown}, faults {}",
        started.took.as_millis(),
        started.to - started.from,
        started.from,
        book.faults(),
    ));
}

async fn finish(
    ground: &Ground,
    audit: &mut Audit,
    subject: &mut Subject,
    starts: &[Started],
) -> Result<Verdict> {
    let repeated = audit.everything(subject).await;
    if !subject.stop()? {
        ground.book().fault("the broker did not stop when it was asked to".to_owned());
    }
    let (messages, faults) = queue_files::compare(&subject.store())?;
    let mut book = ground.book();
    for fault in faults {
        book.fault(fault);
    }
    if let Some(words) = panics::first_panic(&subject.words()) {
        book.fault(format!("the broker panicked: {words}"));
    }
    let (acknowledged, refused, unknown) = book.counts();
    say(&format!(
        "{} kills: {acknowledged} acknowledged, {refused} refused, {unknown} unknown ({} of them kept), {} delayed \
         ({repeated} of them twice), {messages} messages in the log",
        starts.len() - 1,
        book.unknown_kept(),
        super::load::locked(&ground.delayed).len(),
    ));
    let mut took: Vec<u128> = starts.iter().map(|start| start.took.as_millis()).collect();
    let mut bytes: Vec<u64> = starts.iter().map(|start| start.to - start.from).collect();
    took.sort_unstable();
    bytes.sort_unstable();
    let (middle, last) = (starts.len() / 2, starts.len() - 1);
    say(&format!(
        "starts took {} ms (median) and {} ms (longest), recoveries read {} and {} bytes",
        took[middle], took[last], bytes[middle], bytes[last],
    ));
    for words in book.told() {
        say(&format!("FAULT {words}"));
    }
    say(&format!("{} faults", book.faults()));
    Ok(if book.faults() == 0 { Verdict::Valid } else { Verdict::Invalid })
}
