//! The process that drives the unmodified client, in Java or Go: what it prints, what it asks for, when it has taken too long.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::rows::GO;
use crate::stage::{DELAY_LEVELS, Stage};
use crate::table::{self, Check};
use crate::{Run, prepare, server};

/// What one Java process is to do.
#[derive(Debug)]
pub(crate) struct Deed<'a> {
    /// The client's version.
    pub(crate) client: &'a str,
    /// Whether it writes headers in RocketMQ's own binary form.
    pub(crate) is_binary: bool,
    /// Names of topics and groups begin with this.
    pub(crate) prefix: &'a str,
    /// Scenarios; those joined by commas run side by side, words one after the other.
    pub(crate) groups: &'a [String],
    /// Further options of the scenarios.
    pub(crate) options: &'a [(&'a str, String)],
    /// When it has taken too long.
    pub(crate) patience: Duration,
}

/// Runs a driver to its end; answers what it checked, one check a scenario, none missing.
pub(crate) fn play(
    run: &Run,
    row: &str,
    stage: &mut Stage<'_>,
    deed: &Deed<'_>,
) -> anyhow::Result<Vec<Check>> {
    let directory = stage.path().join(format!("driver-{}-{}", deed.client, deed.prefix));
    std::fs::create_dir_all(&directory)?;
    let mut process = Process(command(run, stage, deed, &directory)?.spawn().context("starting java")?);
    let output = process.0.stdout.take().context("a driver without output")?;
    let mut input = process.0.stdin.take().context("a driver without input")?;
    let (lines, incoming) = mpsc::sync_channel(1_000);
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    let end = Instant::now() + deed.patience;
    let mut checks = Vec::new();
    loop {
        match incoming.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => heard(run, row, stage, &line, &mut input, &mut checks)?,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                process.0.kill()?;
                checks.push(overdue(deed, &checks));
                table::told(row, &checks[checks.len() - 1]);
                return Ok(checks);
            }
        }
    }
    let status = process.0.wait()?;
    if reader.join().is_err() {
        bail!("the reader of the driver's output panicked");
    }
    let missing: Vec<String> = unfinished(deed, &checks);
    if !missing.is_empty() {
        bail!("the driver ended with {status} before {missing:?}; see {}", directory.display());
    }
    Ok(checks)
}

fn command(run: &Run, stage: &Stage<'_>, deed: &Deed<'_>, directory: &Path) -> anyhow::Result<Command> {
    let mut command = if deed.client == GO {
        let mut command = Command::new(prepare::go_binary(&run.root));
        command.args(["--namesrv", &stage.namesrv(), "--broker", &stage.broker_address()?]);
        command.args(["--prefix", deed.prefix]);
        // There it keeps the offsets of broadcasting consumers, which must not outlive their brokers.
        command.env("HOME", directory);
        command
    } else {
        java(run, stage, deed, directory)?
    };
    command.args(deed.groups);
    command.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(server::sink(&directory.join("stderr.txt"))?);
    Ok(command)
}

fn java(run: &Run, stage: &Stage<'_>, deed: &Deed<'_>, directory: &Path) -> anyhow::Result<Command> {
    let home = prepare::rocketmq_home(directory)?;
    let mut command = prepare::java(directory, &home, "768m");
    if deed.is_binary {
        command.arg("-Drocketmq.serialize.type=ROCKETMQ");
    }
    let patience = if run.lie.is_some() { "4000" } else { "40000" };
    command
        .arg(format!("-Dinterop.patience.ms={patience}"))
        .arg("-cp")
        .arg(prepare::class_path(&run.root, &format!("driver-{}", deed.client)))
        .args(["trireme.interop.Driver", "--namesrv", &stage.namesrv(), "--prefix", deed.prefix])
        .args(["--delay-levels", &DELAY_LEVELS.replace(' ', "_")])
        .arg("--noise")
        .arg(directory.join("noise.txt"));
    if let Some(lie) = &run.lie {
        command.args(["--lie", lie]);
    }
    for (name, value) in deed.options {
        command.arg(format!("--{name}")).arg(value);
    }
    Ok(command)
}

fn heard(
    run: &Run,
    row: &str,
    stage: &mut Stage<'_>,
    line: &str,
    input: &mut impl Write,
    checks: &mut Vec<Check>,
) -> anyhow::Result<()> {
    let Ok(message) = serde_json::from_str::<Value>(line) else {
        // A library that prints before the driver takes over standard output.
        return Ok(());
    };
    if let Some(request) = message["ask"].as_str() {
        let answer = match stage.obey(request) {
            Ok(answer) => format!("ok {answer}\n"),
            Err(error) => format!("error {}\n", format!("{error:#}").replace('\n', " ")),
        };
        input.write_all(answer.as_bytes())?;
        return Ok(input.flush()?);
    }
    if let Some(check) = check(&message) {
        if run.lie.is_none() || check.broken.is_empty() {
            table::told(row, &check);
        }
        checks.push(check);
    }
    Ok(())
}

fn check(message: &Value) -> Option<Check> {
    let name = message["scenario"].as_str()?.to_owned();
    let mut broken: Vec<String> = message["broken"]
        .as_array()?
        .iter()
        .map(|one| one.as_str().unwrap_or("a broken promise without words").to_owned())
        .collect();
    if message["ok"] != true && broken.is_empty() {
        broken.push("not ok, and it did not say why".to_owned());
    }
    let saw = match message["saw"].as_object() {
        Some(saw) if !saw.is_empty() => message["saw"].to_string(),
        _ => String::new(),
    };
    Some(Check { name, broken, saw, millis: message["ms"].as_u64().unwrap_or(0) })
}

fn unfinished(deed: &Deed<'_>, checks: &[Check]) -> Vec<String> {
    let wanted = deed.groups.iter().flat_map(|group| group.split(','));
    wanted.filter(|name| !checks.iter().any(|check| check.name == *name)).map(str::to_owned).collect()
}

fn overdue(deed: &Deed<'_>, checks: &[Check]) -> Check {
    let broken = vec![format!("not done after {:?}: {:?}", deed.patience, unfinished(deed, checks))];
    Check { name: "time".to_owned(), broken, saw: String::new(), millis: 0 }
}

/// A child that does not outlive its owner.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // Already ended, or ended now; either way there is nothing to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
