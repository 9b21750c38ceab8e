//! What can go wrong in the harness itself. None of it is ever a verdict about the cluster:
//! a run that ends in one of these is a harness failure, and a harness failure never passes.

use std::path::PathBuf;

/// Every way in which the harness can fail.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the harness or of a node could not be read or written.
    #[error("{doing} {path}: {source}")]
    File {
        /// What was being done, as a verb: `reading`, `writing`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A line of a history is not an event.
    #[error("history line {line} is not an event: {source}")]
    HistoryLine {
        /// Line number, from 1.
        line: usize,
        /// The parser's answer.
        source: serde_json::Error,
    },
    /// A history contradicts itself: a completion without an invocation, or two of them.
    #[error("operation {op} in the history {fault}")]
    HistoryTorn {
        /// The operation.
        op: u64,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Something could not be written as JSON.
    #[error("writing json: {0}")]
    Json(#[from] serde_json::Error),
    /// A system tool could not be started.
    #[error("starting {tool}: {source}")]
    ToolMissing {
        /// The program.
        tool: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A system tool said no.
    #[error("{command} failed: {answer}")]
    ToolFailed {
        /// The whole command line.
        command: String,
        /// What it printed.
        answer: String,
    },
    /// A socket of the fault proxy or of the harness could not be made.
    #[error("socket {address}: {source}")]
    Socket {
        /// Where.
        address: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A server of the cluster did not do what it had to in time.
    #[error("{member} was not {state} within {seconds} s")]
    NotInTime {
        /// Which server.
        member: String,
        /// What was waited for.
        state: &'static str,
        /// How long.
        seconds: u64,
    },
    /// A server ended before the run began.
    #[error("a server ended while it was starting; see {}", log.display())]
    EndedAtStart {
        /// What it said.
        log: PathBuf,
    },
    /// A binary under test is not where it should be.
    #[error("{path} is missing: build it with `cargo build --release -p broker -p namesrv`")]
    BinaryMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Every address range that the harness may use is taken.
    #[error("no free address range after {tried} tries")]
    NoAddresses {
        /// How many were tried.
        tried: u32,
    },
    /// A plot could not be drawn.
    #[error("drawing {path}: {reason}")]
    Plot {
        /// The picture.
        path: PathBuf,
        /// The drawing library's answer.
        reason: String,
    },
    /// The command line asks for something that does not exist or cannot be combined.
    #[error("{0}")]
    Usage(String),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// Short for a result of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;
