//! mqadmin: what an operator types, word for word as in RocketMQ, with output that scripts written for RocketMQ can read.
//!
//! `commands` is the one table of commands; each has a file of its own in `command/`, which asks brokers and name servers through a
//! `session::Session` and prints what pure functions made of the answers. Always true: an error is one line on standard error and a
//! non-zero exit; tables come in a fixed order (RocketMQ shows some in the order of a hash table). `main.rs` calls [`run`].

mod call;
mod command;
mod commands;
mod error;
mod groups;
mod help;
mod message_text;
mod offsets;
mod options;
mod pretty;
mod session;
mod text;
mod topics;
mod track;
mod version;
mod write_perm;

use std::io::Write;
use std::process::ExitCode;

pub use error::AdminError;

use crate::call::{Call, Command};
use crate::options::Given;
use crate::session::Session;

/// What the command line came to.
const DONE: u8 = 0;
const FAILED: u8 = 1;
const MISUSED: u8 = 2;

/// Runs one command line, without the program's name; writes what it prints to `out` and complaints to standard error.
pub fn run(words: &[String], out: &mut dyn Write) -> ExitCode {
    ExitCode::from(run_words(words, out))
}

fn run_words(words: &[String], out: &mut dyn Write) -> u8 {
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] | ["help" | "-h" | "--help"] => said(out, &help::overview(commands::ALL)),
        ["help", name, ..] => match commands::find(name) {
            Some(command) => said(out, &help::usage(command)),
            None => unknown(name),
        },
        [name, ..] => match commands::find(name) {
            Some(command) => run_command(command, &words[1..], out),
            None => unknown(name),
        },
    }
}

fn run_command(command: &Command, words: &[String], out: &mut dyn Write) -> u8 {
    if words.iter().any(|word| word == "-h" || word == "--help") {
        return said(out, &help::usage(command));
    }
    let given = match Given::parse(command.options, words) {
        Ok(given) => given,
        Err(misuse) => {
            complain(&format!("{misuse}\n{}", help::usage(command)));
            return MISUSED;
        }
    };
    match block_on(execute(command, &given, out)) {
        Ok(()) => DONE,
        Err(error) if left_early(&error) => DONE,
        Err(error) => {
            let _ = out.flush();
            complain(&format!("mqadmin {}: {}\n", command.name, sentence(&error)));
            FAILED
        }
    }
}

async fn execute(command: &Command, given: &Given, out: &mut dyn Write) -> anyhow::Result<()> {
    let session = Session::start(given.value("n"));
    let outcome = (command.run)(Call { session: &session, given, out }).await;
    session.stop().await;
    outcome
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// The error with its causes on one line; a cause that the words before it name already is left out.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            let colon = if text.is_empty() { "" } else { ": " };
            text += &format!("{colon}{}", cause.lines().collect::<Vec<_>>().join(" "));
        }
    }
    text
}

/// Whether all that went wrong is that nobody reads our output any more.
fn left_early(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn said(out: &mut dyn Write, text: &str) -> u8 {
    let _ = out.write_all(text.as_bytes());
    DONE
}

fn unknown(name: &str) -> u8 {
    complain(&format!("The sub command {name} not exist.\n"));
    MISUSED
}

fn complain(text: &str) {
    // Standard error that is closed leaves nobody to tell.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(words: &[&str]) -> (u8, String) {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut out = Vec::new();
        let code = run_words(&words, &mut out);
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn without_a_command_every_command_is_listed() {
        let (code, out) = ran(&[]);
        assert_eq!(code, DONE);
        assert!(out.starts_with(
            "The most commonly used mqadmin commands are:\n   updateTopic                         "
        ));
        assert!(
            out.ends_with("\nSee 'mqadmin help <command>' for more information on a specific command.\n")
        );
    }

    #[test]
    fn help_of_a_command_and_its_option_h_are_the_same() {
        let (code, out) = ran(&["help", "topicRoute"]);
        assert_eq!(code, DONE);
        assert_eq!(ran(&["topicRoute", "-h"]), (DONE, out));
    }

    #[test]
    fn an_error_is_one_line_that_says_nothing_twice() {
        let refused =
            AdminError::Refused { peer: "h:1".to_owned(), code: 17, remark: "no\nroute".to_owned() };
        let error = anyhow::Error::from(refused).context("topic T");
        assert_eq!(sentence(&error), "topic T: h:1 answered 17 TOPIC_NOT_EXIST: no route");
        let told = anyhow::Error::msg("refused").context("cannot connect: refused");
        assert_eq!(sentence(&told), "cannot connect: refused");
    }

    #[test]
    fn what_cannot_be_understood_ends_with_code_2_and_what_fails_with_1() {
        assert_eq!(ran(&["noSuchThing"]).0, MISUSED);
        assert_eq!(ran(&["help", "noSuchThing"]).0, MISUSED);
        assert_eq!(ran(&["topicRoute"]).0, MISUSED);
        assert_eq!(ran(&["topicRoute", "-n", "127.0.0.1:1", "-t", "T"]).0, FAILED);
    }
}
