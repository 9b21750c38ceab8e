//! Unmodified RocketMQ clients and servers against ours: `interop/run` starts this.
//!
//! A run is a matrix of rows. Each row has servers of its own, on ports and in a directory of its own, and one or more
//! Java processes that drive the unmodified client (`interop/java/driver`). What always holds: a row waits for
//! conditions with a deadline and never for time, every process it started is ended by its id, and its directory is
//! removed unless something failed. `--reference` puts RocketMQ's own servers where ours would be, which proves that a
//! failure is ours; `--lie KIND` makes the driver misread what it sees, which proves that every scenario can
//! fail.

mod compare;
mod driver;
mod ports;
mod prepare;
mod row;
mod rows;
mod server;
mod stage;
mod table;
mod wire;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use clap::Parser;

use crate::rows::Row;
use crate::table::Outcome;

/// Drives unmodified RocketMQ clients and servers against ours.
#[derive(Parser, Debug)]
#[command(name = "interop")]
struct Options {
    /// Run only rows whose name contains this.
    filter: Option<String>,
    /// Run only this scenario (or these, joined by commas) in every row that drives scenarios.
    #[arg(long)]
    scenarios: Option<String>,
    /// The shorter matrix, for CI.
    #[arg(long)]
    quick: bool,
    /// Rows that need more than the classic single master: replica, migrate, masters, group (joined by commas).
    #[arg(long, value_delimiter = ',')]
    with: Vec<String>,
    /// Put RocketMQ's own servers, of the client's age, where ours would be.
    #[arg(long)]
    reference: bool,
    /// Make the driver misread (lose, corrupt, repeat, swap) and demand that every scenario notices.
    #[arg(long)]
    lie: Option<String>,
    /// Take mqnamesrv and mqbroker from this directory and build nothing.
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Rows that run side by side.
    #[arg(long, default_value_t = 3)]
    jobs: usize,
    /// Print the rows and end.
    #[arg(long)]
    list: bool,
    /// Keep every row's directory.
    #[arg(long)]
    keep: bool,
}

/// What every row needs to know about this run.
#[derive(Debug)]
pub(crate) struct Run {
    /// The workspace root, where `target/` and `interop/` are.
    pub(crate) root: PathBuf,
    /// Where mqnamesrv and mqbroker are.
    pub(crate) binaries: PathBuf,
    /// Whether RocketMQ's own servers stand where the matrix says "ours".
    pub(crate) reference: bool,
    /// How the driver misreads, if it shall.
    pub(crate) lie: Option<String>,
    /// The scenarios asked for by name.
    pub(crate) scenarios: Option<String>,
    /// Keep directories even when all went well.
    pub(crate) keep: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            table::say(&format!("interop: {error:#}"));
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> anyhow::Result<bool> {
    let rows: Vec<Row> = rows::matrix(options.quick, &options.with)
        .into_iter()
        .filter(|row| options.filter.as_ref().is_none_or(|filter| row.name.contains(filter.as_str())))
        .collect();
    if options.list {
        for row in &rows {
            table::say(&row.name);
        }
        return Ok(true);
    }
    let rows = without_go(rows, options.lie.is_some());
    anyhow::ensure!(!rows.is_empty(), "no row's name contains {:?}", options.filter.as_deref().unwrap_or(""));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let run = Run {
        binaries: match &options.binaries {
            Some(given) => given.canonicalize()?,
            None => prepare::release_directory(&root),
        },
        root,
        reference: options.reference,
        lie: options.lie.clone(),
        scenarios: options.scenarios.clone(),
        keep: options.keep,
    };
    prepare::everything(&run, &rows, options.binaries.is_none())?;
    let began = Instant::now();
    let outcomes = work_through(&run, rows, options.jobs.max(1));
    Ok(table::finish(&outcomes, began.elapsed(), run.lie.is_some()))
}

/// Leaves the rows of the Go client out where they cannot be played, and says so.
fn without_go(mut rows: Vec<Row>, lies: bool) -> Vec<Row> {
    let reason = if lies {
        "its driver does not lie"
    } else if !prepare::has_go() {
        "there is no Go toolchain"
    } else {
        return rows;
    };
    let skipped = rows.extract_if(.., |row| row.client == rows::GO);
    skipped.for_each(|row| table::say(&format!("skip {}: {reason}", row.name)));
    rows
}

/// Rows are taken from one list by a few workers; the table keeps the matrix's order.
fn work_through(run: &Run, rows: Vec<Row>, workers: usize) -> Vec<Outcome> {
    let count = rows.len();
    let waiting = Mutex::new(rows.into_iter().enumerate());
    let done = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..workers.min(count) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().map_or(None, |mut rows| rows.next());
                    let Some((place, row)) = next else { return };
                    let outcome = row::play(run, &row);
                    if let Ok(mut done) = done.lock() {
                        done.push((place, outcome));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
