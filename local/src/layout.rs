//! What a local cluster consists of: nodes, ports, directories, and the files that configure them.
//!
//! The usual ports are taken when they are free, so that examples found anywhere work as they are;
//! otherwise free ones, so that two clusters can stand side by side.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// The port where RocketMQ's clients look for a name server.
const NAMESRV_PORT: u16 = 9876;
/// Broker ports of the sample configuration: one every ten, HA and fast port beside each.
const BROKER_PORTS: [u16; 3] = [10911, 10921, 10931];
/// Distance from a broker's port to its Raft port.
const RAFT_DISTANCE: u16 = 30_000;

/// How many brokers, and whether they form a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One master.
    Single,
    /// Three replicas that elect their leader.
    Group,
}

/// A server to be started.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// `namesrv`, `n0`, `n1`, `n2`.
    pub(crate) name: String,
    /// The file that configures it.
    pub(crate) config: PathBuf,
    /// Where it listens for clients.
    pub(crate) address: String,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

/// Everything that will run.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) namesrv: Node,
    pub(crate) brokers: Vec<Node>,
}

impl Layout {
    /// Chooses ports and writes one configuration file a node under `directory`.
    pub(crate) fn write(directory: &Path, shape: Shape) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("creating {}", directory.display()))?;
        let directory = directory.canonicalize()?;
        let mut ports = Ports::default();
        let namesrv_port = ports.take(NAMESRV_PORT, &[])?;
        let namesrv = node(&directory, "namesrv", namesrv_port);
        let kv = directory.join("namesrv/kvConfig.json");
        write_config(&namesrv, &format!("listenPort={namesrv_port}\nkvConfigPath={}\n", kv.display()))?;
        let count = match shape {
            Shape::Single => 1,
            Shape::Group => 3,
        };
        let mut places = Vec::new();
        for usual in &BROKER_PORTS[..count] {
            let port = ports.take(*usual, &[-2, 1])?;
            places.push((port, ports.take(port.wrapping_add(RAFT_DISTANCE).max(1024), &[])?));
        }
        let peers: Vec<String> =
            places.iter().enumerate().map(|(number, (_, raft))| format!("n{number}-127.0.0.1:{raft}")).collect();
        let mut brokers = Vec::new();
        for (number, (port, _)) in places.iter().enumerate() {
            let broker = node(&directory, &format!("n{number}"), *port);
            let store = directory.join(format!("n{number}/store"));
            let mut text = format!(
                "brokerClusterName=DefaultCluster\nbrokerName=broker-a\nbrokerId=0\nbrokerIP1=127.0.0.1\n\
                 brokerIP2=127.0.0.1\nlistenPort={port}\nnamesrvAddr={}\nstorePathRootDir={}\n\
                 mappedFileSizeCommitLog=268435456\n",
                namesrv.address,
                store.display(),
            );
            match shape {
                Shape::Single => text.push_str("brokerRole=ASYNC_MASTER\nflushDiskType=ASYNC_FLUSH\n"),
                Shape::Group => {
                    text.push_str("flushDiskType=SYNC_FLUSH\nenableDLegerCommitLog=true\ndLegerGroup=broker-a\n");
                    text.push_str(&format!("dLegerPeers={}\ndLegerSelfId=n{number}\n", peers.join(";")));
                }
            }
            write_config(&broker, &text)?;
            brokers.push(broker);
        }
        Ok(Self { namesrv, brokers })
    }
}

fn node(directory: &Path, name: &str, port: u16) -> Node {
    Node {
        name: name.to_owned(),
        config: directory.join(name).join("node.conf"),
        address: format!("127.0.0.1:{port}"),
        log: directory.join(name).join("node.log"),
    }
}

fn write_config(node: &Node, text: &str) -> anyhow::Result<()> {
    let folder = node.config.parent().context("a node's file lies in its folder")?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(&node.config, text).with_context(|| format!("writing {}", node.config.display()))
}

/// Ports handed out, each once.
#[derive(Debug, Default)]
struct Ports {
    taken: HashSet<u16>,
}

impl Ports {
    /// The usual port when it and its neighbours are free, else the first free place the system names.
    fn take(&mut self, usual: u16, neighbours: &[i32]) -> anyhow::Result<u16> {
        if self.claim(usual, neighbours) {
            return Ok(usual);
        }
        for _ in 0..100 {
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if self.claim(port, neighbours) {
                return Ok(port);
            }
        }
        anyhow::bail!("no free port found on this machine")
    }

    fn claim(&mut self, port: u16, neighbours: &[i32]) -> bool {
        let all: Vec<u16> = std::iter::once(i32::from(port))
            .chain(neighbours.iter().map(|distance| i32::from(port) + distance))
            .filter_map(|port| u16::try_from(port).ok())
            .collect();
        let free = |port: &u16| {
            !self.taken.contains(port)
                && TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok()
        };
        let all_free = all.len() == neighbours.len() + 1 && all.iter().all(free);
        if all_free {
            self.taken.extend(all);
        }
        all_free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_gone_round() {
        let busy = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        let usual = busy.local_addr().unwrap().port();
        let mut ports = Ports::default();
        let first = ports.take(usual, &[]).unwrap();
        assert_ne!(first, usual);
        assert_ne!(ports.take(first, &[]).unwrap(), first, "a port is handed out once");
    }

    #[test]
    fn three_replicas_name_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::write(directory.path(), Shape::Group).unwrap();
        assert_eq!(layout.brokers.len(), 3);
        let texts: Vec<String> =
            layout.brokers.iter().map(|node| std::fs::read_to_string(&node.config).unwrap()).collect();
        let peers = texts[0].lines().find(|line| line.starts_with("dLegerPeers=")).unwrap();
        assert!(texts.iter().all(|text| text.contains(peers)));
        assert!(texts[2].contains("dLegerSelfId=n2"));
    }
}
