//! What must be there before a row plays: class paths, the compiled driver, our own release binaries.
//!
//! Maven is asked only when something it made is missing or older than its source; everything it makes lies in
//! `interop/java/target`, which git does not see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, ensure};

use crate::Run;
use crate::rows::{GO, Row};
use crate::server::Flavour;
use crate::table::say;

/// The tools that go with a client: 4.9.8 was published as a client only.
fn tools_version(client: &str) -> &str {
    if client == "4.9.8" { "4.9.7" } else { client }
}

/// Builds and downloads what these rows need.
pub(crate) fn everything(run: &Run, rows: &[Row], build: bool) -> anyhow::Result<()> {
    let mut clients = BTreeSet::new();
    let mut flavours = BTreeSet::new();
    let mut packages = BTreeSet::new();
    for row in rows {
        clients.insert(row.client);
        packages.extend(row.packages(run.reference));
        flavours.extend(row.flavours(run.reference));
    }
    for client in clients {
        if client == GO { go_driver(&run.root)? } else { driver(&run.root, client)? }
    }
    for flavour in &flavours {
        if let Flavour::Java(version) = flavour {
            java_server(&run.root, version)?;
        }
    }
    if packages.is_empty() || !build { Ok(()) } else { ours(&run.root, &packages) }
}

fn ours(root: &Path, packages: &BTreeSet<&str>) -> anyhow::Result<()> {
    say(&format!("building {packages:?} …"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--release"]).current_dir(root);
    for package in packages {
        command.args(["-p", package]);
    }
    passes(&mut command)
}

fn java_server(root: &Path, version: &str) -> anyhow::Result<()> {
    let pom = root.join("interop/java/server/pom.xml");
    let made = target(root, &format!("server-{version}")).join("lib");
    if newer(&made, std::slice::from_ref(&pom)) {
        return Ok(());
    }
    say(&format!("fetching RocketMQ's servers {version} with Maven …"));
    maven(&pom, &[format!("-Drocketmq.version={version}"), "dependency:copy-dependencies".to_owned()])?;
    touch(&made)
}

fn driver(root: &Path, version: &str) -> anyhow::Result<()> {
    let project = root.join("interop/java/driver");
    let mut sources = files(&project.join("src"))?;
    sources.push(project.join("pom.xml"));
    let made = target(root, &format!("driver-{version}")).join("made");
    if newer(&made, &sources) {
        return Ok(());
    }
    say(&format!("compiling the driver against rocketmq-client {version} with Maven …"));
    let tools = tools_version(version);
    maven(
        &project.join("pom.xml"),
        &[
            format!("-Drocketmq.version={version}"),
            format!("-Drocketmq.tools.version={tools}"),
            "dependency:copy-dependencies".to_owned(),
            "compiler:compile".to_owned(),
        ],
    )?;
    std::fs::write(&made, version).with_context(|| format!("writing {}", made.display()))
}

/// The driver of the Go client, compiled by the Go toolchain, which keeps what it needs in its own cache.
fn go_driver(root: &Path) -> anyhow::Result<()> {
    say("compiling the driver of the Go client …");
    let mut command = Command::new("go");
    command.args(["build", "-o"]).arg(go_binary(root)).arg(".").current_dir(root.join("interop/go"));
    passes(&mut command)
}

/// Where the compiled driver of the Go client is.
pub(crate) fn go_binary(root: &Path) -> PathBuf {
    target(root, "go").join("driver")
}

/// Whether there is a Go toolchain.
pub(crate) fn has_go() -> bool {
    Command::new("go").arg("version").output().is_ok_and(|output| output.status.success())
}

fn maven(pom: &Path, words: &[String]) -> anyhow::Result<()> {
    let mut command = Command::new("mvn");
    command.args(["-q", "-B", "-f"]).arg(pom).args(words);
    passes(&mut command)
}

fn passes(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn target(root: &Path, name: &str) -> PathBuf {
    root.join("interop/java/target").join(name)
}

fn newer(made: &Path, sources: &[PathBuf]) -> bool {
    let Some(made) = modified(made) else { return false };
    sources.iter().all(|source| modified(source).is_some_and(|source| source <= made))
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|found| found.modified()).ok()
}

fn touch(directory: &Path) -> anyhow::Result<()> {
    let mark = directory.join(".made");
    std::fs::write(&mark, "")?;
    Ok(std::fs::remove_file(mark)?)
}

fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Where cargo puts release binaries.
pub(crate) fn release_directory(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    target.join("release")
}

/// The class path of something Maven made.
pub(crate) fn class_path(root: &Path, name: &str) -> String {
    let made = target(root, name);
    format!("{}:{}/*", made.join("classes").display(), made.join("lib").display())
}

/// A ROCKETMQ_HOME with the logging files that 4.9 wants.
pub(crate) fn rocketmq_home(directory: &Path) -> anyhow::Result<PathBuf> {
    let home = directory.join("home");
    std::fs::create_dir_all(home.join("conf"))?;
    let quiet = "<configuration><appender name=\"out\" class=\"ch.qos.logback.core.ConsoleAppender\"><encoder>\
                 <pattern>%d %p %t %m%n</pattern></encoder></appender>\
                 <root level=\"WARN\"><appender-ref ref=\"out\"/></root></configuration>";
    for name in ["broker", "namesrv", "tools"] {
        std::fs::write(home.join(format!("conf/logback_{name}.xml")), quiet)?;
    }
    Ok(home)
}

/// A JVM for a short life on a small machine: little memory, the quick compiler only, its home in `directory`.
pub(crate) fn java(directory: &Path, home: &Path, heap: &str) -> Command {
    let mut command = Command::new("java");
    command
        .env("ROCKETMQ_HOME", home)
        .env("NAMESRV_ADDR", "")
        .env_remove("JAVA_TOOL_OPTIONS")
        .arg(format!("-Xmx{heap}"))
        .args(["-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
        .args(["--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED"])
        .arg("--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED")
        .arg(format!("-Duser.home={}", directory.display()))
        .arg(format!("-Drocketmq.home.dir={}", home.display()))
        .arg(format!("-Drocketmq.client.logRoot={}", directory.join("logs").display()));
    command
}
