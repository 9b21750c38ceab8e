//! A name server and three replicas as processes of ours, and what is done to them.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use client::{Admin, Client, ClientConfig};
use protocol::body::{Body, RaftStatusBody};
use protocol::header::RaftTransferLeaderRequestHeader;
use protocol::{RemotingCommand, RequestCode};
use tokio::process::{Child, Command};

const REPLICAS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(10);
/// Free ports are looked for here, below those that the system takes for outgoing connections.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What the cluster is made of, and where.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct ClusterOptions {
    /// SYNC_FLUSH or ASYNC_FLUSH.
    #[arg(long, default_value = "SYNC_FLUSH")]
    flush: String,
    /// Where mqnamesrv and mqbroker are; by default beside this program.
    #[arg(long)]
    binaries: Option<PathBuf>,
    /// Where stores go; a directory of its own is made there and removed at the end.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    directory: PathBuf,
}

impl ClusterOptions {
    /// Where the programs are: where somebody said, or beside this one.
    fn binaries(&self) -> anyhow::Result<PathBuf> {
        match &self.binaries {
            Some(given) => Ok(given.clone()),
            None => Ok(std::env::current_exe()?.parent().map(PathBuf::from).unwrap_or_default()),
        }
    }
}

/// The processes. Dropped, they are killed and their files removed.
pub(crate) struct Cluster {
    pub(crate) namesrv: String,
    directory: PathBuf,
    binaries: PathBuf,
    addresses: Vec<String>,
    brokers: Vec<Option<Child>>,
    name_server: Child,
    client: Client,
    admin: Admin,
}

impl Cluster {
    /// Starts everything and waits for a leader.
    pub(crate) async fn start(options: &ClusterOptions) -> anyhow::Result<Self> {
        let (binaries, flush) = (options.binaries()?, &options.flush);
        let directory = options.directory.join(format!("mqbench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let ports = free_ports(1 + 2 * REPLICAS)?;
        let namesrv = format!("127.0.0.1:{}", ports[0]);
        let (clients, peers) = ports[1..].split_at(REPLICAS);
        let file = directory.join("namesrv.conf");
        let kv = directory.join("kvConfig.json");
        let text = format!("bindAddress=127.0.0.1\nlistenPort={}\nkvConfigPath={}\n", ports[0], kv.display());
        std::fs::write(&file, text)?;
        let peers: Vec<String> =
            peers.iter().enumerate().map(|(n, port)| format!("n{n}-127.0.0.1:{port}")).collect();
        for (n, port) in clients.iter().enumerate() {
            let text = format!(
                "brokerClusterName=Bench\nbrokerName=bench\nbindAddress=127.0.0.1\nbrokerIP1=127.0.0.1\n\
                 listenPort={port}\nnamesrvAddr={namesrv}\nstorePathRootDir={}\nflushDiskType={flush}\n\
                 mappedFileSizeCommitLog={}\ndiskMaxUsedSpaceRatio=95\ndiskSpaceCleanForciblyRatio=98\n\
                 diskSpaceWarningLevelRatio=99\nenableDLegerCommitLog=true\ndLegerGroup=bench\ndLegerPeers={}\n\
                 dLegerSelfId=n{n}\n",
                directory.join(format!("store-{n}")).display(),
                256 << 20,
                peers.join(";"),
            );
            std::fs::write(directory.join(format!("n{n}.conf")), text)?;
        }
        let name_server = spawn(&binaries, "mqnamesrv", &file)?;
        let client = Client::start(ClientConfig::new(&namesrv))?;
        let admin = Admin::new(&client);
        let addresses = clients.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let mut cluster =
            Self { namesrv, directory, binaries, addresses, brokers: Vec::new(), name_server, client, admin };
        for number in 0..REPLICAS {
            let broker = cluster.spawn_broker(number)?;
            cluster.brokers.push(Some(broker));
        }
        cluster.leader().await?;
        Ok(cluster)
    }

    fn spawn_broker(&self, number: usize) -> anyhow::Result<Child> {
        spawn(&self.binaries, "mqbroker", &self.directory.join(format!("n{number}.conf")))
    }

    /// The client that the administration goes through.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Where a replica's clients go.
    pub(crate) fn address(&self, number: usize) -> anyhow::Result<SocketAddr> {
        Ok(self.addresses[number].parse()?)
    }

    /// The processes of the replicas that run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.brokers.iter().flatten().filter_map(Child::id).collect()
    }

    /// What a replica says of itself; nothing while it does not answer.
    pub(crate) async fn status(&self, number: usize) -> Option<RaftStatusBody> {
        let request = RemotingCommand::request(RequestCode::RaftStatus);
        let asked = self.admin.ask_raw(&self.addresses[number], request);
        let answer = tokio::time::timeout(Duration::from_secs(1), asked).await.ok()?.ok()?;
        RaftStatusBody::decode(&answer.body).ok()
    }

    /// Who leads, once everybody is there and agrees, and nobody is far behind.
    pub(crate) async fn leader(&self) -> anyhow::Result<usize> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let mut seen = Vec::new();
            for number in 0..REPLICAS {
                seen.extend(self.status(number).await);
            }
            let leader = seen.iter().position(|status| status.ready);
            if let Some(leader) = leader.filter(|_| seen.len() == REPLICAS)
                && seen.iter().all(|status| status.term == seen[leader].term)
                && seen.iter().all(|status| status.applied + 1_000 > seen[leader].committed)
            {
                return Ok(leader);
            }
            tokio::time::sleep(GLANCE).await;
        }
        bail!("no leader that all follow within {PATIENCE:?}")
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self, number: usize) -> anyhow::Result<()> {
        let broker = self.brokers[number].as_mut().context("it runs")?;
        broker.start_kill()?;
        Ok(())
    }

    /// SIGKILL, and the end of the process.
    pub(crate) async fn kill_and_wait(&mut self, number: usize) -> anyhow::Result<()> {
        self.brokers[number].as_mut().context("it runs")?.kill().await?;
        Ok(())
    }

    /// Starts again whoever was killed, and waits until it follows.
    pub(crate) async fn heal(&mut self) -> anyhow::Result<()> {
        self.revive()?;
        self.leader().await.map(|_| ())
    }

    /// Starts again whoever was killed.
    pub(crate) fn revive(&mut self) -> anyhow::Result<()> {
        for number in 0..REPLICAS {
            let broker = self.brokers[number].as_mut().context("it runs")?;
            if broker.try_wait()?.is_some() {
                self.brokers[number] = Some(self.spawn_broker(number)?);
            }
        }
        Ok(())
    }

    /// The leader gives the lead away.
    pub(crate) async fn hand_over(&self, leader: usize) -> anyhow::Result<()> {
        let header = RaftTransferLeaderRequestHeader { node: None };
        let request = RemotingCommand::request_with(RequestCode::RaftTransferLeader, &header);
        self.admin.ask_raw(&self.addresses[leader], request).await?;
        Ok(())
    }

    /// Ends the processes and removes the files.
    pub(crate) async fn stop(mut self) {
        self.client.stop().await;
        for broker in self.brokers.iter_mut().flatten() {
            let _ = broker.kill().await;
        }
        let _ = self.name_server.kill().await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(binaries: &Path, program: &str, file: &Path) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(file.with_extension("log"))?;
    let path = binaries.join(program);
    Command::new(&path)
        .arg("-c")
        .arg(file)
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {}", path.display()))
}

/// Ports that nobody listens on, two above each other's fast port.
fn free_ports(count: usize) -> anyhow::Result<Vec<u16>> {
    let start = std::process::id() as usize * 41;
    let ports = PORTS.step_by(5).cycle().skip(start % 2_000).take(2_000);
    let free = ports.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    let found: Vec<u16> = free.take(count).collect();
    if found.len() < count {
        bail!("no {count} free ports on this machine");
    }
    Ok(found)
}
