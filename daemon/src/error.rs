//! What can go wrong while a server process starts or is configured.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A text that is not `java.util.Properties`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PropertiesError {
    /// More text than anybody needs for a configuration.
    #[error("{bytes} bytes of properties, at most {bytes_max} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// `\u` without four hexadecimal digits behind it.
    #[error("line {line} has a \\u escape without four hexadecimal digits")]
    BadEscape {
        /// The natural line, from 1.
        line: usize,
    },
}

/// One value that its key does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongValue {
    /// The key as it stands in the file.
    pub key: String,
    /// The value that was given.
    pub value: String,
    /// What the key allows, in words.
    pub allowed: String,
}

impl fmt::Display for WrongValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} (allowed: {})", self.key, self.value, self.allowed)
    }
}

/// Why a process cannot be configured, started or found.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration is not properties text.
    #[error("the configuration is not properties text: {0}")]
    ConfigMalformed(#[from] PropertiesError),
    /// Wrong values, all of them at once.
    #[error("{} wrong configuration value{}: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, list(.0))]
    ConfigWrong(Vec<WrongValue>),
    /// The log file cannot be opened.
    #[error("cannot write the log file {}: {source}", path.display())]
    LogUnwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Logging was started before in this process.
    #[error("logging was started before in this process")]
    LogStarted,
    /// The log level in the environment is not one.
    #[error("{variable}={value} is no log filter: {reason}")]
    LogFilter {
        /// The environment variable.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The metrics endpoint cannot listen.
    #[error("cannot serve metrics on {address}: {source}")]
    MetricsBind {
        /// Where it should listen.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The signal handlers cannot be installed.
    #[error("cannot listen to signals: {0}")]
    Signals(io::Error),
}

fn list(wrong: &[WrongValue]) -> String {
    wrong.iter().map(WrongValue::to_string).collect::<Vec<_>>().join("; ")
}
