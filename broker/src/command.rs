//! The command line `mqbroker [-c file] [-n addresses] [-p] [-m] [-h]`.
//!
//! Always true: what is wrong is one line on stderr and a non-zero exit, and nothing was started. Called by `mqbroker`
//! itself, and by `mqlocal`, which starts itself again as a broker.

use crate::broker::{Broker, Start};
use crate::config::Config;
use crate::error::BrokerError;
use clap::Parser;
use daemon::config::read_file;
use daemon::logging::{self, LogTarget};
use daemon::{Bound, Properties, Shutdown};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Exit status of a wrong option. Source: RocketMQ 5.3.3 `BrokerStartup`, −1.
pub const EXIT_OPTIONS: u8 = 255;
/// Exit status of a start that failed. Source: RocketMQ 5.3.3 `BrokerStartup`, −3.
pub const EXIT_START: u8 = 253;
/// Names the name servers when neither option nor file does.
const NAMESRV_VARIABLE: &str = "NAMESRV_ADDR";

/// A RocketMQ broker: keeps messages and serves producers and consumers.
#[derive(Debug, Parser)]
#[command(name = "mqbroker", version)]
struct Arguments {
    /// Configuration file, java properties text.
    #[arg(short = 'c', long = "configFile", value_name = "file")]
    config_file: Option<PathBuf>,
    /// Name servers, separated by semicolons; goes before the file and NAMESRV_ADDR.
    #[arg(short = 'n', long = "namesrvAddr", value_name = "addresses")]
    namesrv_addr: Option<String>,
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
            let _ = writeln!(std::io::stderr(), "mqbroker: {error}");
            ExitCode::from(EXIT_START)
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), BrokerError> {
    let (config, bound) = load(arguments)?;
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("network").build();
    let failed = |source| BrokerError::Threads { what: "the network", source: Arc::new(source) };
    runtime.map_err(failed)?.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let servers = config.broker.namesrv_addr.clone();
        let broker = Broker::start(Start { config, config_file: arguments.config_file.clone() }).await?;
        let (name, address) = (&broker.identity().broker, broker.identity().address);
        let servers =
            if servers.is_empty() { String::new() } else { format!(" and name server is {servers}") };
        say(&format!("The broker[{name}, {address}] boot success. serializeType=JSON{servers}"));
        shutdown.requested().await;
        broker.stop().await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The option goes before the file, the file before the environment.
fn load(arguments: &Arguments) -> Result<(Config, Bound), BrokerError> {
    let mut properties = match &arguments.config_file {
        Some(file) => read_file(file)?,
        None => Properties::new(),
    };
    if let Some(addresses) = &arguments.namesrv_addr {
        properties.insert("namesrvAddr", addresses.as_str());
    } else if properties.get("namesrvAddr").is_none()
        && let Ok(addresses) = std::env::var(NAMESRV_VARIABLE)
    {
        properties.insert("namesrvAddr", addresses);
    }
    Ok(Config::parse(&properties)?)
}

fn log_target(config: &Config) -> LogTarget {
    match config.broker.log_directory.trim() {
        "" => LogTarget::Stderr,
        directory => LogTarget::file(directory, "broker"),
    }
}

/// Says a line on stdout; nobody listening is no reason to stop.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
