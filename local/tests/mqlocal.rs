//! `mqlocal` as its user meets it: a demo that accounts for every message, a Ctrl-C that stops everything, and servers
//! that never outlive it.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const PATIENCE: Duration = Duration::from_secs(60);

fn mqlocal(directory: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqlocal"));
    command.args(["--single", "--free-ports", "--dir"]).arg(directory).args(more);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}

/// A cluster that is ready, and where its servers listen.
struct Running {
    child: Child,
    addresses: Vec<String>,
}

impl Running {
    fn start(directory: &Path) -> Self {
        let mut child = mqlocal(directory, &[]).spawn().unwrap();
        let mut addresses = Vec::new();
        // Up to the last line of the welcome. What follows is read when the process has ended.
        for line in BufReader::new(child.stdout.as_mut().unwrap()).lines().map(Result::unwrap) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let ["namesrv" | "broker-a", address, ..] = words[..] {
                addresses.push(address.to_owned());
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        assert_eq!(addresses.len(), 2, "{addresses:?}");
        for address in &addresses {
            TcpStream::connect(address).unwrap();
        }
        Self { child, addresses }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The end of the process: its status and what it said after it was ready.
    fn end(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "mqlocal does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut said = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }

    fn wait_until_nobody_listens(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.addresses.iter().any(|address| TcpStream::connect(address).is_ok()) {
            assert!(Instant::now() < deadline, "a server outlived mqlocal");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_demo_accounts_for_every_message_and_so_does_the_next_one_on_its_store() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = mqlocal(directory.path(), &["--demo", "--messages", "2000"]).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("every one of 2,000 acknowledged messages was consumed"), "{said}");
        assert!(said.contains("\n  lost                         0\n"), "{said}");
        assert!(said.contains("stopped: broker-a, namesrv"), "{said}");
    }
}

#[test]
fn an_interrupt_stops_everything_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(directory.path());
    running.signal(Signal::INT);
    let (status, said) = running.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("stopped: broker-a, namesrv"), "{said}");
    running.wait_until_nobody_listens();
}

#[test]
fn servers_do_not_outlive_a_killed_mqlocal() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(directory.path());
    running.signal(Signal::KILL);
    let (status, _) = running.end();
    assert_eq!(status, None);
    running.wait_until_nobody_listens();
}

#[test]
fn a_broker_that_cannot_start_is_reported_with_its_own_words() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("single/broker-a/store");
    std::fs::create_dir_all(&store).unwrap();
    // Where the commit log belongs there is a file.
    std::fs::write(store.join("commitlog"), "not a directory").unwrap();
    let output = mqlocal(directory.path(), &[]).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("broker-a ended by itself") && said.contains("\n  | mqbroker: "), "{said}");
}
