//! The command line `mqbroker [-c file] [-n addresses] [-p] [-m] [-h]`.
//!
//! Always true: what is wrong is one line on stderr and a non-zero exit, and nothing was started. Called by `mqbroker`
//! itself, and by `mqlocal`, which starts itself again as a broker.

use crate::broker::{Broker, Start};
use crate::config::Config;
use crate::error::BrokerError;
use clap::Parser;
use daemon::command::{self, ServerOptions, say};
use daemon::config::read_file;
use daemon::{Bound, Properties, Shutdown};
use remoting::turn;
use std::ffi::OsString;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;

/// Names the name servers when neither option nor file does.
const NAMESRV_VARIABLE: &str = "NAMESRV_ADDR";

/// One thread may have to wait for the disk while it appends: another goes on with the network.
const NETWORK_THREADS_MIN: usize = 2;

/// A RocketMQ broker: keeps messages and serves producers and consumers.
#[derive(Debug, Parser)]
#[command(name = "mqbroker", version)]
struct Arguments {
    #[command(flatten)]
    options: ServerOptions,
    /// Name servers, separated by semicolons; goes before the file and NAMESRV_ADDR.
    #[arg(short = 'n', long = "namesrvAddr", value_name = "addresses")]
    namesrv_addr: Option<String>,
}

/// Runs the command; `arguments` begin with the program's name.
pub fn run_command(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    command::run("mqbroker", arguments, serve)
}

fn serve(arguments: &Arguments) -> Result<(), BrokerError> {
    let (config, bound) = load(arguments)?;
    if let Some(important_only) = arguments.options.print() {
        say(config.effective(&config.identity(), important_only).to_text().trim_end());
        return Ok(());
    }
    command::start_logging(&config.broker.log_directory, "broker", &bound)?;
    arguments.options.tell_ignored();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).max(NETWORK_THREADS_MIN);
    let runtime = turn::keep(&mut tokio::runtime::Builder::new_multi_thread())
        .worker_threads(threads)
        .enable_all()
        .thread_name("network")
        .build();
    let failed = |source| BrokerError::Threads { what: "the network", source: Arc::new(source) };
    runtime.map_err(failed)?.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        let servers = config.broker.namesrv_addr.clone();
        let broker =
            Broker::start(Start { config, config_file: arguments.options.config_file.clone() }).await?;
        let (name, address) = (&broker.identity().broker, &broker.identity().advertised);
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
    let mut properties = match &arguments.options.config_file {
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
