//! `mqnamesrv` as somebody at a keyboard sees it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqnamesrv"));
    command.env_remove("TRIREME_LOG").env_remove("RUST_LOG");
    command
}

fn run(arguments: &[&str]) -> Output {
    command().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn write(directory: &Path, content: &str) -> String {
    let file = directory.join("namesrv.conf");
    std::fs::write(&file, content).unwrap();
    file.display().to_string()
}

#[test]
fn p_prints_everything_and_m_what_matters() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "listenPort=19876\n");
    let all = run(&["-c", &file, "-p"]);
    assert!(all.status.success());
    let all = text(&all.stdout);
    assert!(all.contains("listenPort=19876\n") && all.contains("orderMessageEnable=false\n"), "{all}");
    assert!(all.contains(&format!("configStorePath={file}\n")), "-c is where changes are kept");
    assert!(all.lines().is_sorted());
    let important = text(&run(&["-c", &file, "-m"]).stdout);
    assert!(
        important.contains("listenPort=19876\n") && !important.contains("orderMessageEnable"),
        "{important}"
    );
}

#[test]
fn what_is_wrong_is_one_line_and_a_status() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "listenPort=many\norderMessageEnable=perhaps\n");
    let wrong = run(&["-c", &file]);
    assert_eq!(wrong.status.code(), Some(253));
    let said = text(&wrong.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("listenPort=many") && said.contains("orderMessageEnable=perhaps"), "{said}");
    let missing = run(&["-c", "no/such/file.conf"]);
    assert_eq!(missing.status.code(), Some(253));
    assert_eq!(text(&missing.stderr).lines().count(), 1);
    assert_eq!(run(&["--nonsense"]).status.code(), Some(255));
    let help = run(&["-h"]);
    assert!(help.status.success() && text(&help.stdout).contains("--configFile"));
}

#[test]
fn it_says_that_it_stands_and_stops_when_it_is_asked_to() {
    let directory = tempfile::tempdir().unwrap();
    let content = format!(
        "bindAddress=127.0.0.1\nlistenPort=0\nnobodyKnows=1\nserverWorkerThreads=8\nkvConfigPath={0}/kv.json\nlogDirectory={0}/logs\n",
        directory.path().display()
    );
    let file = write(directory.path(), &content);
    // A word that is no option is ignored, as many a start script of RocketMQ's users expects.
    let mut server =
        command().args(["-c", &file, "autoCreateTopicEnable=true"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(
        line.starts_with("The Name Server boot success. serializeType=JSON, address 127.0.0.1:"),
        "{line}"
    );
    daemon::process::terminate(server.id()).unwrap();
    assert!(server.wait().unwrap().success());
    let log = std::fs::read_to_string(directory.path().join("logs/namesrv.log")).unwrap();
    assert!(log.contains("nobodyKnows") && log.contains("serverWorkerThreads"), "{log}");
    assert!(log.contains("autoCreateTopicEnable=true"), "{log}");
}
