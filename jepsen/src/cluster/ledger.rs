//! What a run made on this machine, written down before it is made.
//!
//! A run removes all of it when it ends, however it ends, but for SIGKILL. The next run reads the
//! ledgers of dead runs and removes what they name: processes by id (if the id still runs the
//! program that was started), mounts by path, namespaces by name.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::tool;
use crate::error::{Error, Result};

const FILE: &str = "ledger";

/// The ledger of one run.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    writing: Mutex<()>,
}

/// One thing that must be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Harness { pid: u32 },
    Process { pid: u32, program: String },
    Mount { path: String },
    Namespaces { run: u8 },
}

impl Entry {
    fn line(&self) -> String {
        match self {
            Self::Harness { pid } => format!("harness {pid}"),
            Self::Process { pid, program } => format!("process {pid} {program}"),
            Self::Mount { path } => format!("mount {path}"),
            Self::Namespaces { run } => format!("namespaces {run}"),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        let (kind, rest) = line.split_once(' ')?;
        match kind {
            "harness" => Some(Self::Harness { pid: rest.parse().ok()? }),
            "process" => {
                let (pid, program) = rest.split_once(' ')?;
                Some(Self::Process { pid: pid.parse().ok()?, program: program.to_owned() })
            }
            "mount" => Some(Self::Mount { path: rest.to_owned() }),
            "namespaces" => Some(Self::Namespaces { run: rest.parse().ok()? }),
            _ => None,
        }
    }
}

impl Ledger {
    /// Where runs keep their stores and ledgers.
    pub fn home() -> PathBuf {
        std::env::temp_dir().join("trireme-jepsen")
    }

    /// Opens a ledger in the working directory of a run.
    pub fn open(work: &Path) -> Result<Self> {
        let ledger = Self { path: work.join(FILE), writing: Mutex::new(()) };
        ledger.write(&Entry::Harness { pid: std::process::id() })?;
        Ok(ledger)
    }

    /// A process was started.
    pub fn process(&self, pid: u32, program: &str) -> Result<()> {
        self.write(&Entry::Process { pid, program: program.to_owned() })
    }

    /// Something will be mounted.
    pub fn mount(&self, path: &Path) -> Result<()> {
        self.write(&Entry::Mount { path: path.display().to_string() })
    }

    /// Namespaces and a bridge will be made.
    pub fn namespaces(&self, run: u8) -> Result<()> {
        self.write(&Entry::Namespaces { run })
    }

    fn write(&self, entry: &Entry) -> Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let failed = |source| Error::File { doing: "writing", path: self.path.clone(), source };
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path).map_err(failed)?;
        writeln!(file, "{}", entry.line()).map_err(failed)
    }

    /// Removes what dead runs left; returns the working directories that were cleared.
    pub fn clear_dead_runs() -> Result<Vec<PathBuf>> {
        let home = Self::home();
        let mut cleared = Vec::new();
        let Ok(entries) = std::fs::read_dir(&home) else { return Ok(cleared) };
        for work in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            let Ok(text) = std::fs::read_to_string(work.join(FILE)) else { continue };
            let entries: Vec<Entry> = text.lines().filter_map(Entry::parse).collect();
            let harness = entries.iter().find_map(|entry| match entry {
                Entry::Harness { pid } => Some(*pid),
                _ => None,
            });
            // A ledger without its first line belongs to a run that begins at this very moment.
            if harness.is_none_or(|pid| runs(pid, "jepsen")) {
                continue;
            }
            for entry in entries.iter().rev() {
                clear(entry);
            }
            std::fs::remove_dir_all(&work).map_err(|source| Error::File {
                doing: "removing",
                path: work.clone(),
                source,
            })?;
            cleared.push(work);
        }
        Ok(cleared)
    }
}

fn clear(entry: &Entry) {
    match entry {
        Entry::Harness { .. } => {}
        Entry::Process { pid, program } if runs(*pid, program) => {
            let _ = tool::run(&["kill", "-KILL", &pid.to_string()]);
        }
        Entry::Process { .. } => {}
        Entry::Mount { path } => {
            let _ = tool::run(&["umount", "-l", path]);
        }
        Entry::Namespaces { run } => {
            for member in 0..20 {
                if Path::new(&format!("/run/netns/tj{run}-{member}")).exists() {
                    let _ = tool::ip(&["netns", "del", &format!("tj{run}-{member}")]);
                    let _ = tool::ip(&["link", "del", &format!("tjv{run}-{member}")]);
                }
            }
            let _ = tool::ip(&["link", "del", &format!("tjb{run}")]);
        }
    }
}

/// Whether a process of that id runs that program: ids are given out again.
fn runs(pid: u32, program: &str) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        for entry in [
            Entry::Harness { pid: 1 },
            Entry::Process { pid: 2, program: "mqbroker".to_owned() },
            Entry::Mount { path: "/a b/c".to_owned() },
            Entry::Namespaces { run: 7 },
        ] {
            assert_eq!(Entry::parse(&entry.line()), Some(entry));
        }
        assert_eq!(Entry::parse("nonsense"), None);
    }

    #[test]
    fn a_process_is_known_by_what_it_runs() {
        assert!(!runs(std::process::id(), "some other program"));
        assert!(!runs(u32::MAX, "anything"));
    }
}
