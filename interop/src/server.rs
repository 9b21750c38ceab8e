//! One server process: ours or RocketMQ's own, name server or broker, started, ended, paused by its id.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{Run, prepare, wire};

/// How long a JVM on a busy machine may take to be ready, or to end when asked to.
const PATIENCE: Duration = Duration::from_secs(90);

/// Looks at a condition this often.
const GLANCE: Duration = Duration::from_millis(20);

/// Who wrote the server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flavour {
    /// `mqnamesrv` and `mqbroker` of this workspace.
    Ours,
    /// RocketMQ's own, of this version: Maven Central has 4.9.7 and 5.3.3 whole.
    Java(&'static str),
}

impl Flavour {
    /// RocketMQ's own servers that are as old as this client.
    pub(crate) fn reference(client: &str) -> Self {
        Self::Java(if client.starts_with('4') { "4.9.7" } else { "5.3.3" })
    }
}

/// What the process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `mqnamesrv`.
    Namesrv,
    /// `mqbroker`.
    Broker,
}

/// Where a server's files are, and whom it registers with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The run it belongs to.
    pub(crate) run: &'a Run,
    /// The row's directory; the server makes one of its own name in it.
    pub(crate) directory: &'a Path,
    /// Where its messages go.
    pub(crate) store: &'a Path,
    /// The port of the name server.
    pub(crate) namesrv: u16,
}

/// A server that can be started again and again on the same port and directory.
#[derive(Debug)]
pub(crate) struct Server {
    /// How scenarios and logs call it: namesrv, broker, slave, n0 …
    pub(crate) name: String,
    /// Who wrote it.
    pub(crate) flavour: Flavour,
    /// What it is for.
    pub(crate) role: Role,
    /// Where it listens.
    pub(crate) port: u16,
    /// Its name server's port; its own when it is one.
    pub(crate) namesrv: u16,
    /// Its configuration.
    pub(crate) settings: Vec<(String, String)>,
    /// Where its store lies.
    pub(crate) store: PathBuf,
    directory: PathBuf,
    root: PathBuf,
    binaries: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// A server that has not been started yet, with no settings.
    pub(crate) fn new(name: &str, role: Role, flavour: Flavour, port: u16, place: Place<'_>) -> Self {
        Self {
            name: name.to_owned(),
            flavour,
            role,
            port,
            namesrv: place.namesrv,
            settings: Vec::new(),
            store: place.store.to_owned(),
            directory: place.directory.join(name),
            root: place.run.root.clone(),
            binaries: place.run.binaries.clone(),
            process: None,
        }
    }

    /// The address clients use.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where what it prints is kept.
    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("output.txt")
    }

    /// Starts the process and waits until it answers (a broker: until the name server lists it).
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.process.is_none(), "{} runs already", self.name);
        let mut result = self.start_once();
        // RocketMQ's servers die while they start when a network interface vanishes as they list them; ours must not.
        let mut tries = if self.flavour == Flavour::Ours { 0 } else { 2 };
        while tries > 0 && result.is_err() && self.process.is_none() {
            tries -= 1;
            result = self.start_once();
        }
        result
    }

    fn start_once(&mut self) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let file = self.directory.join("server.properties");
        let mut text = String::new();
        for (key, value) in &self.settings {
            writeln!(text, "{key}={value}")?;
        }
        std::fs::write(&file, text)?;
        let output = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.command(&file)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().with_context(|| format!("starting {} with {command:?}", self.name))?;
        self.process = Some(process);
        self.until_ready()
    }

    fn command(&self, file: &Path) -> anyhow::Result<Command> {
        let mut command = match &self.flavour {
            Flavour::Ours => {
                let binary = if self.role == Role::Namesrv { "mqnamesrv" } else { "mqbroker" };
                Command::new(self.binaries.join(binary))
            }
            Flavour::Java(version) => {
                let home = prepare::rocketmq_home(&self.directory)?;
                let mut command = prepare::java(&self.directory, &home, "512m");
                command.arg("-cp").arg(prepare::class_path(&self.root, &format!("server-{version}")));
                command.arg(match self.role {
                    Role::Namesrv => "org.apache.rocketmq.namesrv.NamesrvStartup",
                    Role::Broker => "org.apache.rocketmq.broker.BrokerStartup",
                });
                command
            }
        };
        command.arg("-c").arg(file).current_dir(&self.directory);
        Ok(command)
    }

    fn until_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + PATIENCE;
        let mut last = String::from("it was not asked yet");
        while Instant::now() < end {
            if let Some(status) = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten())
            {
                self.process = None;
                bail!("{} ended by itself while starting: {status}", self.name);
            }
            match self.ready() {
                Ok(()) => return Ok(()),
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(GLANCE);
        }
        bail!("{} was not ready after {PATIENCE:?}: {last}", self.name)
    }

    fn ready(&self) -> anyhow::Result<()> {
        let info = wire::cluster_info(self.namesrv)?;
        if self.role == Role::Broker {
            let address = format!("\"{}\"", self.address());
            anyhow::ensure!(info.contains(&address), "the name server does not list {address}");
            // A slave or follower may leave this question to its master, but the port must answer.
            drop(std::net::TcpStream::connect(("127.0.0.1", self.port))?);
        }
        Ok(())
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)?;
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let Some(process) = self.process.as_mut() else { return Ok(()) };
            if process.try_wait()?.is_some() {
                self.process = None;
                return Ok(());
            }
            std::thread::sleep(GLANCE);
        }
        bail!("{} did not end within {PATIENCE:?} of SIGTERM", self.name)
    }

    /// Ends the process with SIGKILL.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// SIGSTOP: the process hangs, its connections stay.
    pub(crate) fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let process = self.process.as_ref().with_context(|| format!("{} does not run", self.name))?;
        let id = Pid::from_raw(i32::try_from(process.id())?).context("a process without an id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Whether the process is there.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// The last lines it printed.
    pub(crate) fn last_words(&self, lines: usize) -> String {
        let text = std::fs::read(self.log()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let text = text.unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process is gone either way; there is nobody left to tell.
        let _ = self.kill();
    }
}

/// A file to which a Java process's noise may go.
pub(crate) fn sink(path: &Path) -> anyhow::Result<File> {
    Ok(OpenOptions::new().create(true).append(true).open(path)?)
}
