//! Where a server process writes what it does: stderr, or a file that rotates by size.
//!
//! The level comes from the environment (`TRIREME_LOG`, else `RUST_LOG`, else `info`), in the
//! filter language of tracing-subscriber (`info,broker=debug`). Always true: the newest file
//! bears the plain name, older ones `.1`, `.2`, …, and never more than the configured bytes are
//! kept. Called once, by each program's `main`.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::DaemonError;

/// The environment variables that set the level, first one first.
const LEVEL_VARIABLES: [&str; 2] = ["TRIREME_LOG", "RUST_LOG"];

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// To stderr, in colours where that is a terminal.
    Stderr,
    /// To `<directory>/<name>.log`.
    File {
        /// The directory; made when it is missing.
        directory: PathBuf,
        /// Name of the process, without `.log`.
        name: String,
        /// Size at which a new file is begun.
        file_bytes_max: u64,
        /// How many older files are kept.
        files_kept: u32,
    },
}

impl LogTarget {
    /// A file with RocketMQ's habits: `<directory>/<name>.log`, 128 MiB a file, ten older ones.
    pub fn file(directory: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self::File {
            directory: directory.into(),
            name: name.into(),
            file_bytes_max: 128 * 1024 * 1024,
            files_kept: 10,
        }
    }
}

/// Starts logging for the whole process.
pub fn start(target: LogTarget) -> Result<(), DaemonError> {
    let filter = filter()?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    let started = match target {
        LogTarget::Stderr => lines.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).try_init(),
        LogTarget::File { directory, name, file_bytes_max, files_kept } => {
            let path = directory.join(format!("{name}.log"));
            let file = RotatingFile::open(&path, file_bytes_max, files_kept)
                .map_err(|source| DaemonError::LogUnwritable { path, source })?;
            lines.with_ansi(false).with_writer(SharedFile(Arc::new(Mutex::new(file)))).try_init()
        }
    };
    started.map_err(|_| DaemonError::LogStarted)
}

fn filter() -> Result<EnvFilter, DaemonError> {
    let set =
        LEVEL_VARIABLES.into_iter().find_map(|variable| Some((variable, std::env::var(variable).ok()?)));
    let Some((variable, value)) = set else { return Ok(EnvFilter::new("info,openraft=warn")) };
    let wrong = |reason: tracing_subscriber::filter::ParseError| DaemonError::LogFilter {
        variable,
        value: value.clone(),
        reason: reason.to_string(),
    };
    EnvFilter::builder().parse(&value).map_err(wrong)
}

/// One file, written by whoever holds the lock.
#[derive(Clone)]
struct SharedFile(Arc<Mutex<RotatingFile>>);

impl<'a> MakeWriter<'a> for SharedFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for SharedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().file.flush()
    }
}

/// A file that gives its name away when it is full.
struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    kept: u32,
}

impl RotatingFile {
    fn open(path: &Path, bytes_max: u64, kept: u32) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, bytes_max, kept })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.bytes_max {
            self.rotate()?;
        }
        let written = self.file.write(line)?;
        self.bytes += written as u64;
        Ok(written)
    }

    /// Moves every file one number up, the oldest falling off, and begins a new one.
    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.kept).rev() {
            move_if_there(&self.numbered(number), &self.numbered(number + 1))?;
        }
        if self.kept == 0 {
            std::fs::remove_file(&self.path)?;
        } else {
            move_if_there(&self.path, &self.numbered(1))?;
        }
        *self = Self::open(&self.path, self.bytes_max, self.kept)?;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_moves_aside_and_the_oldest_falls_off() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/broker.log");
        let mut file = RotatingFile::open(&path, 10, 2).unwrap();
        for line in ["one 6\n", "two 6\n", "three 8\n", "four 7\n", "a line longer than a whole file\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        let read = |name: &str| std::fs::read_to_string(path.with_file_name(name)).ok();
        assert_eq!(read("broker.log").unwrap(), "a line longer than a whole file\n");
        assert_eq!(read("broker.log.1").unwrap(), "four 7\n");
        assert_eq!(read("broker.log.2").unwrap(), "three 8\n");
        assert_eq!(read("broker.log.3"), None);
    }

    #[test]
    fn a_file_that_stands_there_is_continued() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("namesrv.log");
        for _ in 0..2 {
            RotatingFile::open(&path, 100, 2).unwrap().write(b"line\n").unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\nline\n");
    }

    #[test]
    fn a_log_that_cannot_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let taken = directory.path().join("taken");
        std::fs::write(&taken, "a file, no directory").unwrap();
        let error = start(LogTarget::file(&taken, "broker")).unwrap_err();
        assert!(error.to_string().contains("taken/broker.log"), "{error}");
    }
}
