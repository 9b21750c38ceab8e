//! The command line `mqnamesrv [-c file] [-n addresses] [-p] [-m] [-h]`.
//!
//! Always true: what is wrong is one line on stderr and a non-zero exit, and nothing was started.
//! Called by `mqnamesrv` itself, and by `mqlocal`, which starts itself again as a name server.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use daemon::command::{self, ServerOptions, say};
use daemon::config::read_file;
use daemon::{Bound, Shutdown};

use crate::config::Config;
use crate::error::NamesrvError;
use crate::name_server::NameServer;

/// Threads for sockets and timers: every answer is a look-up.
const THREADS: usize = 2;

/// A RocketMQ name server: brokers register here, clients ask here where topics are.
#[derive(Debug, Parser)]
#[command(name = "mqnamesrv", version)]
struct Arguments {
    #[command(flatten)]
    options: ServerOptions,
    /// Accepted for RocketMQ's sake: name servers do not talk to each other.
    #[arg(short = 'n', long = "namesrvAddr", value_name = "addresses")]
    _namesrv_addr: Option<String>,
}

/// Runs the command; `arguments` begin with the program's name.
pub fn run_command(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    command::run("mqnamesrv", arguments, serve)
}

fn serve(arguments: &Arguments) -> Result<(), NamesrvError> {
    let (config, bound) = load(arguments.options.config_file.as_ref())?;
    if let Some(important_only) = arguments.options.print() {
        say(config.effective(important_only).to_text().trim_end());
        return Ok(());
    }
    command::start_logging(&config.namesrv.log_directory, "namesrv", &bound)?;
    arguments.options.tell_ignored();
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
