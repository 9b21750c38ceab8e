//! A server as a child process: started from this very binary, ended by its id.

use std::fs::File;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::layout::Node;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Namesrv,
    Broker,
}

/// A running server. Dropped, it is killed: nothing that we start outlives us.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) node: Node,
    role: Role,
    child: Option<Child>,
}

impl Server {
    /// Starts it; its output goes to its log file.
    pub(crate) fn start(node: Node, role: Role) -> anyhow::Result<Self> {
        let mut server = Self { node, role, child: None };
        server.restart()?;
        Ok(server)
    }

    /// Starts it again on the store that it left.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.node.log)?;
        let word = match self.role {
            Role::Namesrv => "namesrv",
            Role::Broker => "broker",
        };
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", word, "-c"])
            .arg(&self.node.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.node.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Its process id while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How it ended, if it did by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, then SIGKILL when patience ends.
    pub(crate) fn stop(&mut self, patience: Duration) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }

    /// The last lines of its log, for the one who has to find out why it ended.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.node.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
