//! What a local cluster consists of: nodes, ports, directories, and the files that configure them.
//!
//! The usual ports are taken when they are free, so that examples found anywhere work as they are; otherwise free
//! ones, so that two clusters can stand side by side. A group keeps the ports it was made with, because its replicas
//! know each other by them. Always true: one `mqlocal` at a time works in a directory; it holds the lock.

use std::collections::HashSet;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The port where RocketMQ's clients look for a name server.
const NAMESRV_PORT: u16 = 9876;
/// Broker ports of the sample configurations, one every ten.
const BROKER_PORTS: [u16; 3] = [10911, 10921, 10931];
/// From a broker's port to its fast port, its HA port and its Raft port.
const BROKER_NEIGHBOURS: [i16; 3] = [-2, 1, RAFT_DISTANCE];
const RAFT_DISTANCE: i16 = 5;
/// Where ports are looked for when the usual ones are taken: below the range from which the system takes ports for
/// outgoing connections, so that none is taken away between our look and the server's start.
const ELSEWHERE: std::ops::Range<u16> = 12_005..29_995;
const STEP: usize = 10;
/// One commit-log file. Small, because it is allocated at once, and there may be six of them on one disk.
const SEGMENT_BYTES: u64 = 128 << 20;
/// Where somebody tries us the disk is often nearly full, of other things: that shall neither refuse nor delete anything
/// before it must. A server of its own keeps RocketMQ's 75, 85 and 90.
const DISK_RATIOS: &str =
    "diskMaxUsedSpaceRatio=95\ndiskSpaceCleanForciblyRatio=97\ndiskSpaceWarningLevelRatio=98\n";

/// The name under which all replicas register.
pub(crate) const BROKER_NAME: &str = "broker-a";
/// The cluster's name, RocketMQ's default.
pub(crate) const CLUSTER_NAME: &str = "DefaultCluster";

/// How many brokers, and whether they form a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One master with ASYNC_FLUSH.
    Single,
    /// Three replicas that elect their leader, with SYNC_FLUSH.
    Group,
}

impl Shape {
    /// The directory of its own below the one that the user names: the stores of the two do not fit each other.
    fn word(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Group => "group",
        }
    }

    fn nodes(self) -> &'static [&'static str] {
        match self {
            Self::Single => &[BROKER_NAME],
            Self::Group => &["n0", "n1", "n2"],
        }
    }
}

/// Which ports to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// Those that the world knows, if they are free.
    Usual,
    /// Any free ones.
    Free,
}

/// A server to be started.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// `namesrv`, `broker-a`, `n0`, `n1`, `n2`.
    pub(crate) name: String,
    /// The file that configures it.
    pub(crate) config: PathBuf,
    /// Where it listens for clients.
    pub(crate) address: String,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

/// Everything that will run.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) shape: Shape,
    /// Where everything is kept.
    pub(crate) directory: PathBuf,
    pub(crate) namesrv: Node,
    pub(crate) brokers: Vec<Node>,
    /// Held as long as the cluster runs.
    _lock: File,
}

impl Layout {
    /// Chooses ports and writes one configuration file a node under `directory`.
    pub(crate) fn write(directory: &Path, shape: Shape, choice: Choice) -> anyhow::Result<Self> {
        Self::write_where(directory, shape, choice, is_free)
    }

    /// The same, where `is_free` says which ports nobody listens on.
    fn write_where(
        directory: &Path,
        shape: Shape,
        choice: Choice,
        is_free: fn(u16) -> bool,
    ) -> anyhow::Result<Self> {
        let directory = directory.join(shape.word());
        std::fs::create_dir_all(&directory).with_context(|| format!("creating {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let lock = lock(&directory)?;
        let mut ports = Ports::new(choice, is_free);
        let namesrv = write_namesrv(&directory, &mut ports)?;
        let mut places = Vec::new();
        for (name, usual) in shape.nodes().iter().zip(BROKER_PORTS) {
            places.push((*name, broker_port(&directory, name, usual, shape, &mut ports)?));
        }
        let mut brokers = Vec::new();
        for (name, port) in &places {
            let node = node(&directory, name, *port);
            write_config(&node, &broker_config(&directory, &node, *port, shape, &places, &namesrv))?;
            brokers.push(node);
        }
        Ok(Self { shape, directory, namesrv, brokers, _lock: lock })
    }
}

fn lock(directory: &Path) -> anyhow::Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => bail!("another mqlocal works in {}; take another --dir", directory.display()),
    }
}

fn write_namesrv(directory: &Path, ports: &mut Ports) -> anyhow::Result<Node> {
    let port = ports.take(earlier_port(directory, "namesrv"), NAMESRV_PORT, &[])?;
    let node = node(directory, "namesrv", port);
    let kv = directory.join("namesrv/kvConfig.json");
    let text = format!("bindAddress=127.0.0.1\nlistenPort={port}\nkvConfigPath={}\n", kv.display());
    write_config(&node, &text)?;
    Ok(node)
}

fn broker_port(
    directory: &Path,
    name: &str,
    usual: u16,
    shape: Shape,
    ports: &mut Ports,
) -> anyhow::Result<u16> {
    let earlier = earlier_port(directory, name);
    let port = ports.take(earlier, usual, &BROKER_NEIGHBOURS)?;
    let is_bound = shape == Shape::Group && store(directory, name).exists();
    if let Some(earlier) = earlier.filter(|earlier| is_bound && *earlier != port) {
        bail!(
            "{name} of the group in {} is known by port {earlier} and those beside it, and they are taken; \
             free them or take another --dir",
            directory.display()
        );
    }
    Ok(port)
}

fn broker_config(
    directory: &Path,
    node: &Node,
    port: u16,
    shape: Shape,
    places: &[(&str, u16)],
    namesrv: &Node,
) -> String {
    let mut text = format!(
        "brokerClusterName={CLUSTER_NAME}\nbrokerName={BROKER_NAME}\nbrokerId=0\nbindAddress=127.0.0.1\n\
         brokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\nlistenPort={port}\nnamesrvAddr={}\nstorePathRootDir={}\n\
         mappedFileSizeCommitLog={SEGMENT_BYTES}\n{DISK_RATIOS}",
        namesrv.address,
        store(directory, &node.name).display(),
    );
    match shape {
        Shape::Single => text.push_str("brokerRole=ASYNC_MASTER\nflushDiskType=ASYNC_FLUSH\n"),
        Shape::Group => {
            let raft = |port: &u16| port.saturating_add_signed(RAFT_DISTANCE);
            let peers = places.iter().map(|(name, port)| format!("{name}-127.0.0.1:{}", raft(port)));
            let peers = peers.collect::<Vec<_>>().join(";");
            text.push_str("flushDiskType=SYNC_FLUSH\nenableDLegerCommitLog=true\n");
            text.push_str(&format!("dLegerGroup={BROKER_NAME}\n"));
            text.push_str(&format!("dLegerPeers={peers}\ndLegerSelfId={}\n", node.name));
        }
    }
    text
}

fn node(directory: &Path, name: &str, port: u16) -> Node {
    let own = directory.join(name);
    Node {
        name: name.to_owned(),
        config: own.join("node.conf"),
        address: format!("127.0.0.1:{port}"),
        log: own.join("node.log"),
    }
}

fn store(directory: &Path, name: &str) -> PathBuf {
    directory.join(name).join("store")
}

fn write_config(node: &Node, text: &str) -> anyhow::Result<()> {
    let folder = node.config.parent().context("a node's file lies in its folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    std::fs::write(&node.config, text).with_context(|| format!("writing {}", node.config.display()))
}

/// The port of an earlier run in this directory.
fn earlier_port(directory: &Path, name: &str) -> Option<u16> {
    let text = std::fs::read_to_string(directory.join(name).join("node.conf")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("listenPort="))?.trim().parse().ok()
}

/// Whether nobody on this machine listens on `port` now.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

/// Ports handed out, each once.
#[derive(Debug)]
struct Ports {
    choice: Choice,
    taken: HashSet<u16>,
    /// Asks the machine; in tests a table, because what is free on a machine changes while a test runs.
    is_free: fn(u16) -> bool,
}

impl Ports {
    fn new(choice: Choice, is_free: fn(u16) -> bool) -> Self {
        Self { choice, taken: HashSet::new(), is_free }
    }

    /// The port of an earlier run, else the usual one, else another, whichever is free with its neighbours.
    fn take(&mut self, earlier: Option<u16>, usual: u16, neighbours: &[i16]) -> anyhow::Result<u16> {
        let usual = (self.choice == Choice::Usual).then_some(usual);
        // Several processes that look at the same time begin at different places.
        let slots = ELSEWHERE.len() / STEP;
        let start = std::process::id() as usize * 31 % slots;
        let elsewhere = ELSEWHERE.step_by(STEP).cycle().skip(start).take(slots);
        let found =
            earlier.into_iter().chain(usual).chain(elsewhere).find(|port| self.claim(*port, neighbours));
        found.context("no free ports found on this machine")
    }

    fn claim(&mut self, port: u16, neighbours: &[i16]) -> bool {
        let near = neighbours.iter().map(|distance| port.checked_add_signed(*distance));
        let Some(all) = std::iter::once(Some(port)).chain(near).collect::<Option<Vec<u16>>>() else {
            return false;
        };
        let is_ours = |port: &u16| *port != 0 && !self.taken.contains(port) && (self.is_free)(*port);
        let all_free = all.iter().all(is_ours);
        if all_free {
            self.taken.extend(all);
        }
        all_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(text: &'a str, key: &str) -> &'a str {
        text.lines().find(|line| line.starts_with(key)).unwrap()
    }

    #[test]
    fn a_taken_port_is_gone_round() {
        let busy = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let usual = busy.local_addr().unwrap().port();
        let mut ports = Ports::new(Choice::Usual, is_free);
        let first = ports.take(None, usual, &[]).unwrap();
        assert_ne!(first, usual);
        assert_ne!(ports.take(Some(first), usual, &[]).unwrap(), first, "a port is handed out once");
    }

    #[test]
    fn a_nearly_full_disk_keeps_nobody_from_trying_us() {
        let directory = tempfile::tempdir().unwrap();
        for shape in [Shape::Single, Shape::Group] {
            let layout = Layout::write(directory.path(), shape, Choice::Free).unwrap();
            let text = std::fs::read_to_string(&layout.brokers[0].config).unwrap();
            assert_eq!(line(&text, "diskSpaceWarningLevelRatio="), "diskSpaceWarningLevelRatio=98");
            let properties = daemon::Properties::parse(&text).unwrap();
            assert!(broker::Config::parse(&properties).unwrap().1.unknown.is_empty());
        }
    }

    #[test]
    fn three_replicas_name_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::write(directory.path(), Shape::Group, Choice::Free).unwrap();
        assert_eq!(layout.brokers.len(), 3);
        let texts: Vec<String> =
            layout.brokers.iter().map(|node| std::fs::read_to_string(&node.config).unwrap()).collect();
        let peers = line(&texts[0], "dLegerPeers=");
        assert!(texts.iter().all(|text| text.contains(peers)));
        assert!(peers.contains(";n1-127.0.0.1:") && peers.contains(";n2-127.0.0.1:"));
        assert!(texts[2].contains("dLegerSelfId=n2"));
    }

    #[test]
    fn a_second_run_takes_the_ports_of_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let write = |choice| Layout::write_where(directory.path(), Shape::Single, choice, |_| true).unwrap();
        let first = write(Choice::Free);
        let (namesrv, broker) = (first.namesrv.address.clone(), first.brokers[0].address.clone());
        drop(first);
        let again = write(Choice::Usual);
        assert_eq!((&again.namesrv.address, &again.brokers[0].address), (&namesrv, &broker));
    }

    #[test]
    fn a_group_whose_ports_are_taken_is_refused_but_a_single_master_moves() {
        type IsFree = fn(u16) -> bool;
        let cases: [(Shape, &str, IsFree); 2] = [
            (Shape::Single, BROKER_NAME, |port| port != BROKER_PORTS[0]),
            (Shape::Group, "n1", |port| port != BROKER_PORTS[1]),
        ];
        for (shape, name, all_but_its_own) in cases {
            let directory = tempfile::tempdir().unwrap();
            let first = Layout::write_where(directory.path(), shape, Choice::Usual, |_| true).unwrap();
            let address = first.brokers.iter().find(|node| node.name == name).unwrap().address.clone();
            std::fs::create_dir_all(store(&first.directory, name)).unwrap();
            drop(first);
            let again = Layout::write_where(directory.path(), shape, Choice::Usual, all_but_its_own);
            match shape {
                Shape::Single => assert_ne!(again.unwrap().brokers[0].address, address),
                Shape::Group => {
                    let message = again.unwrap_err().to_string();
                    assert!(message.starts_with("n1 of the group"), "{message}");
                }
            }
        }
    }

    #[test]
    fn two_clusters_do_not_share_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Layout::write(directory.path(), Shape::Single, Choice::Free).unwrap();
        let message = Layout::write(directory.path(), Shape::Single, Choice::Free).unwrap_err().to_string();
        assert!(message.starts_with("another mqlocal works in"), "{message}");
    }
}
