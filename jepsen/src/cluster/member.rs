//! One server process: started, watched, struck.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ledger::Ledger;
use super::tool;
use crate::error::{Error, Result};

/// What a server is doing, as far as we made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerState {
    /// It runs.
    Running,
    /// It is frozen.
    Paused,
    /// It does not run.
    Down,
}

/// An end that we did not cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// When, on the run's clock, in microseconds.
    pub at: u64,
    /// The system's words for it.
    pub how: String,
    /// Whether a fault of that time explains it.
    pub explained: bool,
}

/// One server of the cluster.
#[derive(Debug)]
pub struct Server {
    /// Its name.
    pub name: String,
    /// The command, with everything before the binary that puts it in its place.
    pub command: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// The binary, as it shows in the process table.
    pub program: String,
    /// Where its output goes; starts append.
    pub log: PathBuf,
    child: Option<Child>,
    paused: bool,
    /// Ends that we did not cause.
    pub ends: Vec<End>,
}

impl Server {
    /// A server that does not run yet.
    pub fn new(name: String, command: Vec<String>, program: String, log: PathBuf) -> Self {
        Self {
            name,
            command,
            environment: Vec::new(),
            program,
            log,
            child: None,
            paused: false,
            ends: Vec::new(),
        }
    }

    /// What it is doing.
    pub fn state(&self) -> ServerState {
        match (&self.child, self.paused) {
            (None, _) => ServerState::Down,
            (Some(_), true) => ServerState::Paused,
            (Some(_), false) => ServerState::Running,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts it, unless it runs.
    pub fn start(&mut self, ledger: &Ledger) -> Result<()> {
        if self.child.is_some() {
            return Ok(());
        }
        let failed = |source| Error::File { doing: "opening", path: self.log.clone(), source };
        let out = OpenOptions::new().create(true).append(true).open(&self.log).map_err(failed)?;
        let err = out.try_clone().map_err(failed)?;
        let words: Vec<&str> = self.command.iter().map(String::as_str).collect();
        let child = tool::command(&words)
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| Error::ToolMissing { tool: self.command.join(" "), source })?;
        ledger.process(child.id(), &self.program)?;
        self.child = Some(child);
        self.paused = false;
        Ok(())
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.reap()
    }

    /// SIGTERM, and SIGKILL if it takes too long. Says whether it went by itself.
    pub fn stop(&mut self, patience: Duration) -> Result<bool> {
        self.resume()?;
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            let Some(child) = &mut self.child else { return Ok(true) };
            if child.try_wait().map_err(|source| waiting(&self.name, source))?.is_some() {
                self.child = None;
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill()?;
        Ok(false)
    }

    /// SIGSTOP.
    pub fn pause(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        self.paused = self.child.is_some();
        Ok(())
    }

    /// SIGCONT.
    pub fn resume(&mut self) -> Result<()> {
        if self.paused {
            self.signal(Signal::CONT)?;
            self.paused = false;
        }
        Ok(())
    }

    /// Notes an end that we did not cause; says whether there was one.
    pub fn survey(&mut self, now: u64, explained: bool) -> bool {
        let Some(child) = &mut self.child else { return false };
        let Ok(Some(status)) = child.try_wait() else { return false };
        self.ends.push(End { at: now, how: status.to_string(), explained });
        self.child = None;
        self.paused = false;
        true
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) else {
            return Ok(());
        };
        // A process that ended a moment ago is still ours: its id is not given out before we reap it.
        kill_process(pid, signal).map_err(|source| waiting(&self.name, source.into()))
    }

    fn reap(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.wait().map_err(|source| waiting(&self.name, source))?;
        }
        self.paused = false;
        Ok(())
    }
}

fn waiting(name: &str, source: std::io::Error) -> Error {
    Error::ToolFailed { command: format!("signal to {name}"), answer: source.to_string() }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(work: &std::path::Path, script: &str) -> Server {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        Server::new("s".to_owned(), command, "sh".to_owned(), work.join("log"))
    }

    #[test]
    fn a_server_is_killed_paused_and_started_again() {
        let work = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(work.path()).unwrap();
        let mut server = sleeper(work.path(), "exec sleep 1000");
        assert_eq!(server.state(), ServerState::Down);
        server.start(&ledger).unwrap();
        let first = server.pid().unwrap();
        server.pause().unwrap();
        assert_eq!(server.state(), ServerState::Paused);
        server.kill().unwrap();
        assert_eq!(server.state(), ServerState::Down);
        server.start(&ledger).unwrap();
        assert_ne!(server.pid(), Some(first));
        assert!(server.stop(Duration::from_secs(10)).unwrap());
        assert!(server.ends.is_empty());
    }

    #[test]
    fn an_end_of_its_own_is_noted() {
        let work = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(work.path()).unwrap();
        let mut server = sleeper(work.path(), "exit 7");
        server.start(&ledger).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !server.survey(5, false) {
            assert!(Instant::now() < deadline, "the process never ended");
            std::thread::yield_now();
        }
        assert_eq!(server.ends[0].how, "exit status: 7");
        assert_eq!(server.state(), ServerState::Down);
    }
}
