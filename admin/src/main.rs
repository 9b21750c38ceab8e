//! `mqadmin`: RocketMQ's administration tool, over the wire protocol. Everything is in the library beside this file.

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut out = stdout().lock();
    if stdout().is_terminal() {
        return admin::run(&words, &mut out);
    }
    let mut buffered = std::io::BufWriter::new(out);
    let code = admin::run(&words, &mut buffered);
    // A reader that left early (`mqadmin … | head`) is no failure worth a word.
    let _ = std::io::Write::flush(&mut buffered);
    code
}
