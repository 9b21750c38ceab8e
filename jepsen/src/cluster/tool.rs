//! System tools, run and waited for. Blocking: the fault injector has a thread of its own.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// Whether a program is on the path.
pub fn exists(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(std::path::PathBuf::from);
    std::env::split_paths(&path).chain(system).any(|directory| directory.join(name).exists())
}

/// Runs a command and returns what it printed.
pub fn run(words: &[&str]) -> Result<String> {
    let output = command(words).stdin(Stdio::null()).output();
    let output = output.map_err(|source| Error::ToolMissing { tool: words.join(" "), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let answer = format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    Err(Error::ToolFailed { command: words.join(" "), answer })
}

/// `ip` with these words.
pub fn ip(words: &[&str]) -> Result<()> {
    let all: Vec<&str> = std::iter::once("ip").chain(words.iter().copied()).collect();
    run(&all).map(|_| ())
}

/// Runs a command that reads `input`.
pub fn fed(words: &[&str], input: &str) -> Result<()> {
    let failed = |source| Error::ToolMissing { tool: words.join(" "), source };
    let mut child = command(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::ToolFailed { command: words.join(" "), answer })
}

/// A command whose path holds the system's own tools, whatever the caller's path is.
pub fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words.first().copied().unwrap_or("true"));
    let path = std::env::var("PATH").unwrap_or_default();
    command.args(words.iter().skip(1)).env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_says_no_is_an_error_with_its_words() {
        assert_eq!(run(&["echo", "hello"]).unwrap().trim(), "hello");
        assert!(matches!(run(&["false"]), Err(Error::ToolFailed { .. })));
        assert!(matches!(run(&["no-such-tool-here"]), Err(Error::ToolMissing { .. })));
        assert!(fed(&["grep", "-q", "needle"], "a needle\n").is_ok());
        assert!(fed(&["grep", "-q", "needle"], "hay\n").is_err());
        assert!(exists("sh") && !exists("no-such-tool-here"));
    }
}
