//! The command line `mqnamesrv [-c file] [-n addresses] [-p] [-m] [-h]`.
//!
//! Always true: what is wrong is one line on stderr and a non-zero exit, and nothing was started.
//! Called by `mqnamesrv` itself, and by `mqlocal`, which starts itself again as a name server.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use daemon::config::read_file;
use daemon::logging::{self, LogTarget};
use daemon::{Bound, Shutdown};

use crate::config::Config;
use crate::error::NamesrvError;
use crate::name_server::NameServer;

/// Exit status of a wrong option. Source: RocketMQ 5.3.3 `NamesrvStartup`, −1.
pub const EXIT_OPTIONS: u8 = 255;

/// Exit status of a start that failed. Source: RocketMQ 5.3.3 `NamesrvStartup`, −3.
pub const EXIT_START: u8 = 253;

/// Threads for sockets and timers: every answer is a look-up.
const THREADS: usize = 2;

/// A RocketMQ name server: brokers register here, clients ask here where topics are.
#[derive(Debug, Parser)]
#[command(name = "mqnamesrv", version)]
struct Arguments {
    /// Configuration file, java properties text.
    #[arg(short = 'c', long = "configFile", value_name = "file")]
    config_file: Option<PathBuf>,
    /// Accepted for RocketMQ's sake: name servers do not talk to each other.
    #[arg(short = 'n', long = "namesrvAddr", value_name = "addresses")]
    _namesrv_addr: Option<String>,
    /// Print every configuration value and exit.
    #[arg(short = 'p', long = "printConfigItem")]
    print_all: bool,
    /// Print the important configuration values and exit.
    #[arg(short = 'm', long = "printImportantConfig")]
    print_important: bool,
}

/// Runs the command; `arguments` begin with the program's name.
pub fn run_command(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
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
            let _ = writeln!(std::io::stderr(), "mqnamesrv: {error}");
            ExitCode::from(EXIT_START)
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), NamesrvError> {
    let (config, bound) = load(arguments.config_file.as_ref())?;
    if arguments.print_all || arguments.print_important {
        say(config.effective(!arguments.print_all).to_text().trim_end());
        return Ok(());
    }
    logging::start(log_target(&config))?;
    for key in &bound.unknown {
        tracing::warn!(key, "unknown configuration key");
    }
    if !bound.inert.is_empty() {
        tracing::info!(keys = bound.inert.join(" "), "keys without effect here");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    runtime.map_err(NamesrvError::Thread)?.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let server = NameServer::start(config).await?;
        say(&format!("The Name Server boot success. serializeType=JSON, address {}", server.local_addr()));
        shutdown.requested().await;
        server.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The configuration of a file; the file is then also where changes at run time are kept.
fn load(file: Option<&PathBuf>) -> Result<(Config, Bound), NamesrvError> {
    let mut config = Config::default();
    let Some(file) = file else { return Ok((config, Bound::default())) };
    let bound = config.update(&read_file(file)?)?;
    config.namesrv.config_store_path = file.display().to_string();
    Ok((config, bound))
}

fn log_target(config: &Config) -> LogTarget {
    match config.namesrv.log_directory.trim() {
        "" => LogTarget::Stderr,
        directory => LogTarget::file(directory, "namesrv"),
    }
}

/// Says a line on stdout; nobody listening is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
