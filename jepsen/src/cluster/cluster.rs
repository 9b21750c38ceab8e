//! The running cluster: what the fault injector strikes and the workloads talk to.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::conf::{self, StoreKeys};
use super::image::Image;
use super::ledger::Ledger;
use super::member::{Server, ServerState};
use super::plan::{Addresses, Mode, Plan};
use crate::check::panics::ServerLog;
use crate::error::{Error, Result};
use crate::net::{Effect, Links, Member, Namespaces, Proxy};
use crate::schedule::Dice;

/// Address ranges that are tried before giving up.
const RANGES_TRIED: u32 = 60;

/// Starts a server under a boot id of its own; the file is `$0`.
const BOOTS: &str = "mount --bind \"$0\" /proc/sys/kernel/random/boot_id && exec \"$@\"";

/// What a run wants of its cluster.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The mode.
    pub mode: Mode,
    /// How many name servers.
    pub name_servers: u32,
    /// Queues of the topic.
    pub queues: u32,
    /// Where `mqbroker` and `mqnamesrv` are.
    pub binaries: PathBuf,
    /// Where logs and configurations go.
    pub results: PathBuf,
    /// Namespaces if the machine can, or loopback.
    pub namespaces: bool,
    /// Size of each store's own file system, if it has one.
    pub image_bytes: Option<u64>,
    /// Size of commit log files.
    pub segment_bytes: u64,
    /// Old files may be deleted.
    pub retention: bool,
    /// A library that lets clocks jump, if any.
    pub clock_library: Option<PathBuf>,
    /// Name of a planted bug, for builds that hold some.
    pub plant: Option<String>,
    /// Chance for the proxies.
    pub seed: u64,
}

/// A cluster of real processes. Dropping it removes everything that it made.
#[derive(Debug)]
pub struct Cluster {
    /// Who is where.
    pub plan: Arc<Plan>,
    /// The settings it was made from.
    pub settings: Settings,
    /// The links between its members.
    pub links: Links,
    servers: Vec<Mutex<Server>>,
    proxies: Mutex<Vec<Proxy>>,
    images: Vec<Mutex<Option<Image>>>,
    namespaces: Option<Namespaces>,
    ledger: Ledger,
    work: PathBuf,
    boots: AtomicU64,
}

impl Cluster {
    /// Makes addresses, disks and configurations, and starts every server. On a tokio runtime.
    pub fn start(settings: Settings) -> Result<Self> {
        Ledger::clear_dead_runs()?;
        for binary in ["mqbroker", "mqnamesrv"] {
            let path = settings.binaries.join(binary);
            if !path.exists() {
                return Err(Error::BinaryMissing { path });
            }
        }
        let work = work_directory()?;
        let ledger = Ledger::open(&work)?;
        let (plan, links, namespaces, proxies) = network(&settings, &ledger)?;
        let mut cluster = Self {
            plan: Arc::new(plan),
            settings,
            links,
            servers: Vec::new(),
            proxies: Mutex::new(proxies),
            images: Vec::new(),
            namespaces,
            ledger,
            work,
            boots: AtomicU64::new(1),
        };
        cluster.furnish()?;
        for member in cluster.plan.names().chain(cluster.plan.brokers()) {
            cluster.start_member(member)?;
        }
        Ok(cluster)
    }

    /// Disks, configurations and commands of every member.
    fn furnish(&mut self) -> Result<()> {
        for member in self.plan.members() {
            let name = self.plan.name(member);
            let home = self.work.join(&name);
            make_directory(&home)?;
            let is_broker = member < self.plan.replicas;
            let store = self.store(member);
            let image = match self.settings.image_bytes.filter(|_| is_broker) {
                Some(bytes) => Some(Image::create(
                    self.work.join(format!("{name}.image")),
                    store.clone(),
                    bytes,
                    &self.ledger,
                )?),
                None => None,
            };
            self.images.push(Mutex::new(image));
            make_directory(&store)?;
            let keys = StoreKeys {
                segment_bytes: self.settings.segment_bytes,
                retention: self.settings.retention,
                shares_disk: self.settings.image_bytes.is_none(),
            };
            let (binary, text) = if is_broker {
                ("mqbroker", conf::broker(&self.plan, member, &self.root(member), keys))
            } else {
                ("mqnamesrv", conf::name_server(&self.plan, member, &home))
            };
            let file = self.settings.results.join(format!("{name}.properties"));
            write_file(&file, &text)?;
            self.servers.push(Mutex::new(self.server(member, binary, &file)?));
        }
        Ok(())
    }

    fn server(&self, member: Member, binary: &str, file: &Path) -> Result<Server> {
        let name = self.plan.name(member);
        let mut command: Vec<String> = Vec::new();
        if let Some(namespaces) = &self.namespaces {
            command.extend(["ip", "netns", "exec"].map(str::to_owned));
            command.push(namespaces.name(member));
        }
        if self.settings.image_bytes.is_some() && member < self.plan.replicas {
            self.new_boot(member)?;
            if self.namespaces.is_none() {
                command.extend(["unshare", "--mount"].map(str::to_owned));
            }
            // A mount that only this process sees, in the place where the kernel tells one boot from another.
            command.extend(["sh", "-c", BOOTS].map(str::to_owned));
            command.push(self.boot_file(member).display().to_string());
        }
        command.push(self.settings.binaries.join(binary).display().to_string());
        command.extend(["-c".to_owned(), file.display().to_string()]);
        let log = self.settings.results.join(format!("{name}.log"));
        let mut server = Server::new(name, command, binary.to_owned(), log);
        server.environment.push(("HOME".to_owned(), self.work.display().to_string()));
        server.environment.push(("ROCKETMQ_HOME".to_owned(), self.work.display().to_string()));
        if let Some(plant) = &self.settings.plant {
            server.environment.push(("TRIREME_PLANT".to_owned(), plant.clone()));
        }
        if let Some(library) = self.settings.clock_library.as_ref().filter(|_| member < self.plan.replicas) {
            let clock = self.clock_file(member);
            write_file(&clock, "+0s\n")?;
            server.environment.push(("LD_PRELOAD".to_owned(), library.display().to_string()));
            server.environment.push(("FAKETIME_TIMESTAMP_FILE".to_owned(), clock.display().to_string()));
            server.environment.push(("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()));
            server.environment.push(("FAKETIME_DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()));
        }
        Ok(server)
    }

    /// One server, for striking it.
    pub fn server_of(&self, member: Member) -> MutexGuard<'_, Server> {
        self.servers[member as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file system of a member, if it has one of its own.
    pub fn image_of(&self, member: Member) -> MutexGuard<'_, Option<Image>> {
        self.images[member as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a member, unless it runs.
    pub fn start_member(&self, member: Member) -> Result<()> {
        self.server_of(member).start(&self.ledger)
    }

    /// The members whose processes run and are not frozen.
    pub fn running(&self) -> Vec<Member> {
        self.plan.members().filter(|member| self.server_of(*member).state() == ServerState::Running).collect()
    }

    /// Where a member's disk is: everything below is lost with it.
    pub fn store(&self, member: Member) -> PathBuf {
        self.work.join(self.plan.name(member)).join("disk")
    }

    /// A member's `storePathRootDir`, one below the disk: an ext4 root holds `lost+found`.
    pub fn root(&self, member: Member) -> PathBuf {
        self.store(member).join("store")
    }

    /// A member's commit log.
    pub fn commit_log(&self, member: Member) -> PathBuf {
        self.root(member).join("commitlog")
    }

    /// The file by which a member's clock is moved.
    pub fn clock_file(&self, member: Member) -> PathBuf {
        self.work.join(self.plan.name(member)).join("clock")
    }

    /// A directory for the fault injector's own copies.
    pub fn scratch(&self, member: Member) -> PathBuf {
        self.work.join(self.plan.name(member)).join("scratch")
    }

    /// Lays a fault's effect on the links, and on the namespaces where there are any.
    pub fn lay(&self, fault: u32, effect: Effect) -> Result<()> {
        self.links.lay(fault, effect);
        self.cut_namespaces()
    }

    /// Takes a fault's effect away.
    pub fn lift(&self, fault: u32) -> Result<()> {
        self.links.lift(fault);
        self.cut_namespaces()
    }

    fn cut_namespaces(&self) -> Result<()> {
        let Some(namespaces) = &self.namespaces else { return Ok(()) };
        let cuts = self.links.cuts();
        for member in self.plan.members() {
            let deaf_to = cuts
                .iter()
                .filter(|(_, to)| *to == member)
                .map(|(from, _)| self.plan.addresses.member(*from));
            namespaces.cut(member, &deaf_to.collect::<Vec<_>>())?;
        }
        Ok(())
    }

    /// Notes servers that ended by themselves.
    pub fn survey(&self, now: u64, explained: bool) -> Vec<Member> {
        self.plan.members().filter(|member| self.server_of(*member).survey(now, explained)).collect()
    }

    /// Everything whole and everybody running.
    pub fn heal_all(&self) -> Result<()> {
        self.links.lift_all();
        self.cut_namespaces()?;
        for member in self.plan.members() {
            self.server_of(member).resume()?;
            self.start_member(member)?;
        }
        Ok(())
    }

    /// Freezes every broker.
    pub fn pause_all(&self) -> Result<()> {
        self.plan.brokers().try_for_each(|member| self.server_of(member).pause())
    }

    /// Kills every server.
    pub fn kill_all(&self) -> Result<()> {
        self.plan.members().try_for_each(|member| self.server_of(member).kill())
    }

    /// A power cut is another boot: what the kernel calls this boot changes for the member alone.
    pub fn new_boot(&self, member: Member) -> Result<()> {
        let mut dice = Dice::new(self.boots.fetch_add(1, Ordering::Relaxed) ^ u64::from(member) << 32);
        let (a, b) = (dice.roll(), dice.roll());
        let (first, second, third) = (a >> 32, a >> 16 & 0xffff, a & 0xfff);
        let id = format!(
            "{first:08x}-{second:04x}-4{third:03x}-{:04x}-{:012x}\n",
            b >> 48 & 0x3fff | 0x8000,
            b & 0xffff_ffff_ffff
        );
        write_file(&self.boot_file(member), &id)
    }

    fn boot_file(&self, member: Member) -> PathBuf {
        self.work.join(self.plan.name(member)).join("boot_id")
    }

    /// The logs of every server, for the panic check.
    pub fn logs(&self) -> Vec<ServerLog> {
        let log = |member| {
            let server = self.server_of(member);
            let ends = server
                .ends
                .iter()
                .map(|end| (format!("{} at {} us", end.how, end.at), end.explained))
                .collect();
            // Logs may hold bytes of messages: whatever is not text is replaced, not refused.
            let text =
                std::fs::read(&server.log).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            ServerLog { member: server.name.clone(), text, ends }
        };
        self.plan.members().map(log).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for server in &self.servers {
            let _ = server.lock().unwrap_or_else(PoisonError::into_inner).kill();
        }
        self.proxies.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for image in &self.images {
            image.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        self.namespaces.take();
        let _ = std::fs::remove_dir_all(&self.work);
    }
}

type Network = (Plan, Links, Option<Namespaces>, Vec<Proxy>);

/// Finds a free address range and builds the network on it.
fn network(settings: &Settings, ledger: &Ledger) -> Result<Network> {
    let mut dice = Dice::new(u64::from(std::process::id()));
    let mut last = Error::NoAddresses { tried: RANGES_TRIED };
    for _ in 0..RANGES_TRIED {
        let run = u8::try_from(dice.between(1, 250)).unwrap_or(1);
        let addresses = Addresses { run, namespaces: settings.namespaces };
        if Path::new(&format!("/sys/class/net/tjb{run}")).exists() {
            continue;
        }
        let plan = Plan {
            mode: settings.mode,
            replicas: settings.mode.replicas(),
            name_servers: settings.name_servers,
            addresses,
            topic: "JepsenTopic".to_owned(),
            queues: settings.queues,
        };
        match network_on(plan, settings, ledger) {
            Ok(network) => return Ok(network),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn network_on(plan: Plan, settings: &Settings, ledger: &Ledger) -> Result<Network> {
    let namespaces = if settings.namespaces {
        ledger.namespaces(plan.addresses.run)?;
        let members: Vec<_> = plan.members().map(|member| (member, plan.addresses.member(member))).collect();
        Some(Namespaces::create(plan.addresses.run, &members, plan.addresses.harness())?)
    } else {
        None
    };
    let links = Links::between(plan.replicas + plan.name_servers);
    let mut dice = Dice::new(settings.seed).fork("proxies");
    let mut proxies = Vec::new();
    for route in plan.routes() {
        let (Some(there), Some(back)) =
            (links.watch(route.from, route.to), links.watch(route.to, route.from))
        else {
            continue;
        };
        proxies.push(Proxy::start(route.listen, route.target, there, back, dice.roll())?);
    }
    Ok((plan, links, namespaces, proxies))
}

fn work_directory() -> Result<PathBuf> {
    let home = Ledger::home();
    make_directory(&home)?;
    let made = tempfile::Builder::new().prefix("run-").tempdir_in(&home);
    let made = made.map_err(|source| Error::File { doing: "making a directory in", path: home, source })?;
    Ok(made.keep())
}

fn make_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|source| Error::File {
        doing: "making",
        path: path.to_owned(),
        source,
    })
}

fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|source| Error::File {
        doing: "writing",
        path: path.to_owned(),
        source,
    })
}
