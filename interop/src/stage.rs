//! The servers of one row, and the deeds that scenarios ask for: stop, kill, start, pause, resume, who leads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::server::{Flavour, Place, Role, Server};
use crate::{Run, compare, ports, wire};

/// The broker name that all brokers of a row share.
pub(crate) const BROKER_NAME: &str = "interop-broker";

/// Delay levels that a test can wait for. Retries begin at level 3; level 6 outlasts a change of brokers.
pub(crate) const DELAY_LEVELS: &str = "1s 3s 1s 1s 2s 12s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s 1s";

/// Small enough to roll over within a test, large enough for the largest message.
const COMMIT_LOG_SEGMENT_BYTES: u32 = 16 << 20;

/// Longer than the minute after which a 5.x slave asks its master for topics again.
const PATIENCE: Duration = Duration::from_secs(100);
const GLANCE: Duration = Duration::from_millis(50);

/// Servers by name, in a directory that goes away with them.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    run: &'a Run,
    directory: TempDir,
    servers: BTreeMap<String, Server>,
    namesrv: u16,
}

impl<'a> Stage<'a> {
    /// An empty stage.
    pub(crate) fn new(run: &'a Run) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("trireme-interop-").tempdir()?;
        Ok(Self { run, directory, servers: BTreeMap::new(), namesrv: ports::take()? })
    }

    /// Where the row may put files.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The name server's address.
    pub(crate) fn namesrv(&self) -> String {
        format!("127.0.0.1:{}", self.namesrv)
    }

    /// Starts a name server.
    pub(crate) fn start_namesrv(&mut self, flavour: Flavour) -> anyhow::Result<()> {
        let directory = self.directory.path().to_owned();
        let port = self.namesrv;
        let place = Place { run: self.run, directory: &directory, store: &directory, namesrv: port };
        let mut server = Server::new("namesrv", Role::Namesrv, flavour, port, place);
        let own = directory.join("namesrv");
        server.settings = settings([
            ("listenPort", port.to_string()),
            ("kvConfigPath", own.join("kvConfig.json").display().to_string()),
            ("configStorePath", own.join("server.properties").display().to_string()),
        ]);
        self.add(server)
    }

    /// A broker with the settings every row wants; `more` come last and win.
    pub(crate) fn broker(
        &self,
        name: &str,
        flavour: Flavour,
        port: u16,
        store: &Path,
        more: &[(&str, String)],
    ) -> Server {
        let directory = self.directory.path();
        let place = Place { run: self.run, directory, store, namesrv: self.namesrv };
        let mut server = Server::new(name, Role::Broker, flavour, port, place);
        let mut all = settings([
            ("brokerClusterName", "InteropCluster".to_owned()),
            ("brokerName", BROKER_NAME.to_owned()),
            ("brokerId", "0".to_owned()),
            ("brokerRole", "ASYNC_MASTER".to_owned()),
            ("flushDiskType", "ASYNC_FLUSH".to_owned()),
            ("mappedFileSizeCommitLog", COMMIT_LOG_SEGMENT_BYTES.to_string()),
            ("maxHashSlotNum", "20000".to_owned()),
            ("maxIndexNum", "80000".to_owned()),
            ("messageDelayLevel", DELAY_LEVELS.to_owned()),
            ("autoCreateTopicEnable", "true".to_owned()),
            ("registerNameServerPeriod", "10000".to_owned()),
            ("waitTimeMillsInSendQueue", "5000".to_owned()),
            ("osPageCacheBusyTimeOutMills", "10000".to_owned()),
        ]);
        all.extend(settings(self.on_this_host(store, port)));
        if matches!(server.flavour, Flavour::Java(version) if version.starts_with('5')) {
            // Its timer log is allocated ahead, and delay levels do not use it.
            all.push(("mappedFileSizeTimerLog".to_owned(), (4 << 20).to_string()));
        }
        server.settings = overlaid(all, more);
        server
    }

    /// A broker with a sample file as it is, but for what one host forces apart: ports, directories, addresses, and how
    /// full this machine's disk may be.
    pub(crate) fn sampled(
        &self,
        name: &str,
        flavour: Flavour,
        sample: &Path,
        port: u16,
    ) -> anyhow::Result<Server> {
        let text =
            std::fs::read_to_string(sample).with_context(|| format!("reading {}", sample.display()))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let settings = lines.filter_map(|line| line.split_once('='));
        let settings =
            settings.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect();
        let directory = self.directory.path();
        let store = directory.join(format!("store-{name}"));
        let place = Place { run: self.run, directory, store: &store, namesrv: self.namesrv };
        let mut server = Server::new(name, Role::Broker, flavour, port, place);
        server.settings = overlaid(settings, &self.on_this_host(&store, port));
        Ok(server)
    }

    /// What one host forces apart.
    fn on_this_host(&self, store: &Path, port: u16) -> [(&'static str, String); 10] {
        [
            ("brokerIP1", "127.0.0.1".to_owned()),
            ("brokerIP2", "127.0.0.1".to_owned()),
            ("listenPort", port.to_string()),
            ("haListenPort", (port + 1).to_string()),
            ("namesrvAddr", self.namesrv()),
            ("storePathRootDir", store.display().to_string()),
            ("storePathCommitLog", store.join("commitlog").display().to_string()),
            // How full this machine's disk is shall not decide what is deleted or refused.
            ("diskMaxUsedSpaceRatio", "95".to_owned()),
            ("diskSpaceCleanForciblyRatio", "98".to_owned()),
            ("diskSpaceWarningLevelRatio", "99".to_owned()),
        ]
    }

    /// Where some broker of the row listens.
    pub(crate) fn broker_address(&self) -> anyhow::Result<String> {
        let broker = self.servers.values().find(|server| server.role == Role::Broker);
        Ok(broker.context("no broker on this stage")?.address())
    }

    /// Starts a server and keeps it by its name.
    pub(crate) fn add(&mut self, mut server: Server) -> anyhow::Result<()> {
        let started = server.start();
        self.servers.insert(server.name.clone(), server);
        started
    }

    /// Keeps a server that somebody else has started.
    pub(crate) fn keep(&mut self, server: Server) {
        self.servers.insert(server.name.clone(), server);
    }

    /// Keeps several servers that must start together: a replica group has no leader before its second member.
    pub(crate) fn add_all(&mut self, servers: Vec<Server>) -> anyhow::Result<()> {
        let names: Vec<String> = servers.iter().map(|server| server.name.clone()).collect();
        std::thread::scope(|scope| {
            let starting: Vec<_> =
                servers.into_iter().map(|mut server| scope.spawn(move || (server.start(), server))).collect();
            let mut result = Ok(());
            for one in starting {
                let Ok((started, server)) = one.join() else { bail!("a server's starter panicked") };
                self.servers.insert(server.name.clone(), server);
                result = result.and(started);
            }
            result
        })
        .with_context(|| format!("starting {names:?} together"))?;
        self.leader().map(|_| ())
    }

    /// A server by its name.
    pub(crate) fn server(&mut self, name: &str) -> anyhow::Result<&mut Server> {
        self.servers.get_mut(name).with_context(|| format!("no server is called {name}"))
    }

    /// Takes a server off the stage.
    pub(crate) fn remove(&mut self, name: &str) {
        self.servers.remove(name);
    }

    /// Carries out what a scenario asks for: the deed and its words.
    pub(crate) fn obey(&mut self, request: &str) -> anyhow::Result<String> {
        let words: Vec<&str> = request.split(' ').collect();
        match words.as_slice() {
            ["start", name] => self.server(name)?.start()?,
            ["stop", name] => self.server(name)?.stop()?,
            ["kill", name] => self.server(name)?.kill()?,
            ["pause", name] => self.server(name)?.pause()?,
            ["resume", name] => self.server(name)?.resume()?,
            ["leader"] => return self.leader(),
            ["wait-offsets-on-disk", name, key, sum] => self.offsets_on_disk(name, key, sum.parse()?)?,
            ["wait-slave-has-all", slave, master] => {
                self.same_logs(master, slave)?;
            }
            ["wait-topic", name, topic] => self.topic_known(name, topic)?,
            _ => bail!("nobody knows how to {request}"),
        }
        Ok(String::new())
    }

    /// The server that the name server lists as id 0.
    fn leader(&self) -> anyhow::Result<String> {
        patiently("a broker with id 0", || {
            let info = wire::cluster_info(self.namesrv)?;
            let port = wire::master_port(&info).context("no id 0 in the cluster")?;
            let leader =
                self.servers.values().find(|server| server.port == port && server.role == Role::Broker);
            Ok(leader.context("id 0 is nobody of this row")?.name.clone())
        })
    }

    /// Waits until the master's whole log is in the slave's files, byte by byte; answers its length.
    pub(crate) fn same_logs(&mut self, master: &str, slave: &str) -> anyhow::Result<u64> {
        let port = self.server(master)?.port;
        // A Java broker that has just started may not know the end of its own log yet.
        let end =
            patiently("the end of the master's log", || wire::runtime_figure(port, "commitLogMaxOffset"))?;
        let original = self.server(master)?.store.join("commitlog");
        let copy = self.server(slave)?.store.join("commitlog");
        patiently("the slave to have the whole log", || compare::commit_logs(&original, &copy, end))
    }

    /// Waits until a broker knows a topic; a slave hears of it on a clock of its own.
    fn topic_known(&mut self, name: &str, topic: &str) -> anyhow::Result<()> {
        let port = self.server(name)?.port;
        patiently("the topic to be known", || {
            ensure!(wire::topics(port)?.contains(&format!("\"{topic}\"")), "{topic} is not among its topics");
            Ok(())
        })
    }

    /// Waits until the broker's offset file says that a group has consumed this many messages.
    fn offsets_on_disk(&mut self, name: &str, key: &str, sum: u64) -> anyhow::Result<()> {
        let file = self.server(name)?.store.join("config/consumerOffset.json");
        patiently("offsets on disk", || {
            let text = std::fs::read_to_string(&file)?;
            let found = offsets_sum(&text, key);
            ensure!(found == Some(sum), "{key} stands at {found:?} in {}, not at {sum}", file.display());
            Ok(())
        })
    }

    /// The last words of every server that printed some.
    pub(crate) fn last_words(&self) -> String {
        let mut words = String::new();
        for server in self.servers.values() {
            let last = server.last_words(25);
            if !last.is_empty() {
                let state = if server.runs() { "runs" } else { "ended" };
                words.push_str(&format!("--- {} ({state}), its last words:\n{last}\n", server.name));
            }
        }
        words
    }

    /// Ends all servers; keeps the directory when told to, and says where.
    pub(crate) fn leave(self, keep: bool) -> Option<PathBuf> {
        drop(self.servers);
        keep.then(|| self.directory.keep())
    }
}

fn settings<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Settings with others in the place of those of the same name.
fn overlaid(mut settings: Vec<(String, String)>, more: &[(&str, String)]) -> Vec<(String, String)> {
    for (key, value) in more {
        settings.retain(|(known, _)| known != key);
        settings.push(((*key).to_owned(), value.clone()));
    }
    settings
}

fn patiently<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if Instant::now() > end => {
                return Err(error.context(format!("waited {PATIENCE:?} for {what}")));
            }
            Err(_) => std::thread::sleep(GLANCE),
        }
    }
}

/// Adds up the offsets of one "topic@group" in RocketMQ's consumerOffset.json, whose keys are bare numbers.
fn offsets_sum(text: &str, key: &str) -> Option<u64> {
    let start = text.find(&format!("\"{key}\""))?;
    let from = start + text[start..].find('{')? + 1;
    let inside = &text[from..from + text[from..].find('}')?];
    let mut sum = 0;
    for pair in inside.split(',').filter(|pair| pair.contains(':')) {
        sum += pair.rsplit(':').next()?.trim().parse::<u64>().ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_added_up_whatever_their_keys_look_like() {
        let text = "{\n\t\"offsetTable\":{\n\t\t\"t@g\":{0:40,1:40\n\t\t},\"t@h\":{\"0\":7}}}";
        assert_eq!(offsets_sum(text, "t@g"), Some(80));
        assert_eq!(offsets_sum(text, "t@h"), Some(7));
        assert_eq!(offsets_sum(text, "t@i"), None);
    }
}
