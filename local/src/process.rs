//! A server as a child process: started from this very binary, in a process group of its own, ended by its id.
//!
//! Always true: no server outlives the `mqlocal` that started it, however that ended, because the kernel kills it
//! then. The kernel ties a child to the thread that started it, so servers are started from the main thread only.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use crate::layout::Node;

/// Tells a server that it belongs to the process of this id. Without it, `mqlocal broker` is just a broker.
const PARENT_VARIABLE: &str = "MQLOCAL_PARENT";
/// How much of a log is read to find its last lines.
const TAIL_BYTES: i64 = 16 * 1024;
/// How many of them are shown.
const LAST_LINES: usize = 8;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Namesrv,
    Broker,
}

impl Role {
    /// The word by which `mqlocal` starts itself again, and by which `mqshutdown` knows the process.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Namesrv => "namesrv",
            Self::Broker => "broker",
        }
    }

    /// The role of that word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Namesrv, Self::Broker].into_iter().find(|role| role.word() == word)
    }
}

/// Ties this server to the process that started it; says whether that one is still there.
pub(crate) fn follow_parent() -> Result<(), ExitCode> {
    let Some(parent) = std::env::var(PARENT_VARIABLE).ok().and_then(|text| text.parse::<i32>().ok()) else {
        return Ok(());
    };
    let tied = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    // Asked after the tie is made: a parent that ended before is seen here, one that ends later by the kernel.
    if tied && getppid() == Pid::from_raw(parent) { Ok(()) } else { Err(ExitCode::FAILURE) }
}

/// A running server. Dropped, it is killed: nothing that we start outlives us.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) node: Node,
    role: Role,
    child: Option<Child>,
}

impl Server {
    /// Starts it; its output goes to its log file, from the beginning.
    pub(crate) fn start(node: Node, role: Role) -> anyhow::Result<Self> {
        File::create(&node.log).with_context(|| format!("creating {}", node.log.display()))?;
        let mut server = Self { node, role, child: None };
        server.restart()?;
        Ok(server)
    }

    /// Starts it again on the store that it left.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        let log = File::options().create(true).append(true).open(&self.node.log)?;
        let child = Command::new(std::env::current_exe()?)
            // How processes are listed, and found by `mqshutdown`.
            .arg0("mqlocal")
            .args([self.role.word(), "-c"])
            .arg(&self.node.config)
            .env(PARENT_VARIABLE, std::process::id().to_string())
            // A Ctrl-C at the terminal is for us; we stop the servers in order.
            .process_group(0)
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

    /// How it ended, if it did by itself; said once.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        self.child = None;
        Some(status)
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM: it begins to stop in order.
    pub(crate) fn ask_to_stop(&self) {
        if let Some(child) = &self.child {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
    }

    /// Waits until it has stopped, then kills it; says whether it stopped by itself and in peace.
    pub(crate) fn wait_until_stopped(&mut self, patience: Duration) -> bool {
        let Some(mut child) = self.child.take() else { return true };
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    /// The last lines of its log, for the one who has to find out why it ended.
    pub(crate) fn last_words(&self) -> String {
        let read = || {
            let mut file = File::open(&self.node.log)?;
            let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
            file.seek(SeekFrom::End(-length.min(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map(|_| bytes)
        };
        let text = read().map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_long_log_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("node.log");
        let lines: String = (0..10_000).map(|number| format!("line {number}\n")).collect();
        std::fs::write(&log, lines).unwrap();
        let node =
            Node { name: "n0".to_owned(), config: log.clone(), address: String::new(), log: log.clone() };
        let server = Server { node, role: Role::Broker, child: None };
        let words = server.last_words();
        assert_eq!(words.lines().count(), LAST_LINES);
        assert!(words.ends_with("line 9999"));
        std::fs::remove_file(&log).unwrap();
        assert_eq!(server.last_words(), "");
    }

    #[test]
    fn roles_are_known_by_the_words_that_mqshutdown_looks_for() {
        for role in [Role::Namesrv, Role::Broker] {
            assert_eq!(Role::from_word(role.word()), Some(role));
            let known = daemon::process::Role::from_word(role.word()).unwrap();
            assert!(known.is_played_by(&["mqlocal", role.word(), "-c", "x"]));
        }
        assert_eq!(Role::from_word("serve"), None);
    }
}
