//! What the command lines of all servers have in common: the options that every one takes, how a start that fails
//! ends, how logging begins.
//!
//! Always true: what is wrong is one line on stderr and a non-zero exit, and nothing was started. Called by each
//! server's own `command`.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser};

use crate::config::Bound;
use crate::error::DaemonError;
use crate::logging::{self, LogTarget};

/// Exit status of a wrong option. Source: RocketMQ 5.3.3 `BrokerStartup` and `NamesrvStartup`, −1.
pub const EXIT_OPTIONS: u8 = 255;

/// Exit status of a start that failed. Source: RocketMQ 5.3.3 `BrokerStartup` and `NamesrvStartup`, −3.
pub const EXIT_START: u8 = 253;

/// Options of every server.
#[derive(Debug, Args)]
pub struct ServerOptions {
    /// Configuration file, java properties text.
    #[arg(short = 'c', long = "configFile", value_name = "file")]
    pub config_file: Option<PathBuf>,
    /// Print every configuration value and exit.
    #[arg(short = 'p', long = "printConfigItem")]
    pub print_all: bool,
    /// Print the important configuration values and exit.
    #[arg(short = 'm', long = "printImportantConfig")]
    pub print_important: bool,
    /// Words that are no options: RocketMQ takes no notice of them, and many a start script has some.
    #[arg(hide = true)]
    pub ignored: Vec<String>,
}

impl ServerOptions {
    /// Whether the configuration is to be printed instead of served, and then whether only what is important.
    pub fn print(&self) -> Option<bool> {
        (self.print_all || self.print_important).then_some(!self.print_all)
    }

    /// Warns of words that had no effect; logging must have begun.
    pub fn tell_ignored(&self) {
        for word in &self.ignored {
            tracing::warn!(word, "not an option, ignored: values belong into the configuration file");
        }
    }
}

/// Parses `arguments`, which begin with the program's name, and serves; `program` begins the line that tells a failure.
pub fn run<A: Parser, E: Display>(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(&A) -> Result<(), E>,
) -> ExitCode {
    let arguments = match A::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version come this way too, and are no mistake.
            let _ = message.print();
            return ExitCode::from(if message.use_stderr() { EXIT_OPTIONS } else { 0 });
        }
    };
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{program}: {error}");
            ExitCode::from(EXIT_START)
        }
    }
}

/// Starts logging to stderr, or to `<directory>/<name>.log` when a directory is named, and tells which keys of the
/// configuration were not taken.
pub fn start_logging(directory: &str, name: &str, bound: &Bound) -> Result<(), DaemonError> {
    logging::start(match directory.trim() {
        "" => LogTarget::Stderr,
        directory => LogTarget::file(directory, name),
    })?;
    for key in &bound.unknown {
        tracing::warn!(key, "unknown configuration key");
    }
    if !bound.inert.is_empty() {
        tracing::info!(keys = bound.inert.join(" "), "keys without effect here");
    }
    Ok(())
}

/// Says a line on stdout; nobody listening is no reason to stop.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
