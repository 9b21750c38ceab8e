//! Disks that come back other than they went: flipped bits, cut files, old copies, nothing at all.
//! Always on one follower: a minority may lie, and nothing may come of it.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::act::{Struck, Undo};
use super::injector::Injector;
use crate::cluster::{Cluster, ServerState, files, tool};
use crate::error::{Error, Result};
use crate::net::Member;
use crate::schedule::{Damage, Dice};

/// A replica that refuses its disk does so within this.
const REFUSES_WITHIN: Duration = Duration::from_secs(5);

/// A slave that neither follows nor refuses (the master's log is still the shorter one) does one of them within this.
const PARTS_WITHIN: Duration = Duration::from_secs(20);

/// What a slave says whose log is not the beginning of its master's.
const NEEDS_AN_EMPTY_STORE: &str = "this slave needs an empty store";

/// A group that has a majority has a leader within this.
const LEADS_WITHIN: Duration = Duration::from_secs(10);

/// A replica that was removed must be taken back within this.
const JOINS_WITHIN: Duration = Duration::from_secs(30);

/// Kills the member, damages its files and starts it again at once.
pub(super) fn damage(injector: &Injector, damage: Damage, member: Member, dice: &mut Dice) -> Result<Struck> {
    let cluster = &injector.cluster;
    let what = match damage {
        Damage::Wipe => {
            cluster.server_of(member).kill()?;
            return Ok(match rebuild(injector, member)? {
                None => {
                    Struck::installed(vec![member], format!("n{member}: its disk is empty"), Undo::default())
                }
                Some(why) => Struck::indeterminate(vec![member], why, Undo::starting(&[member])),
            });
        }
        Damage::BitFlip => {
            cluster.server_of(member).kill()?;
            match flip(cluster, member, dice)? {
                Some(what) => what,
                None => {
                    return Ok(Struck::indeterminate(
                        vec![member],
                        "its log is empty",
                        Undo::starting(&[member]),
                    ));
                }
            }
        }
        Damage::Truncate => {
            cluster.server_of(member).kill()?;
            match truncate(cluster, member, dice)? {
                Some(what) => what,
                None => {
                    return Ok(Struck::indeterminate(
                        vec![member],
                        "its log is empty",
                        Undo::starting(&[member]),
                    ));
                }
            }
        }
        Damage::Stale => stale(injector, member)?,
    };
    cluster.start_member(member)?;
    let undo = Undo { start: vec![member], rebuild: vec![member], ..Undo::default() };
    Ok(Struck::installed(vec![member], format!("n{member}: {what}"), undo))
}

/// A replica may refuse a disk that lies. What an operator does then is give it an empty one.
pub(super) fn rebuild_if_it_refuses(injector: &Injector, member: Member) -> Result<()> {
    let cluster = &injector.cluster;
    let deadline = Instant::now() + REFUSES_WITHIN;
    while Instant::now() < deadline {
        let ended = cluster.server_of(member).survey(0, true);
        if ended || cluster.server_of(member).state() == ServerState::Down {
            return rebuild(injector, member).map(|_| ());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A slave does not follow a master that lost messages which the slave has, and says so. What an operator does then is
/// give it an empty store.
pub(super) fn rebuild_if_logs_parted(injector: &Injector, slave: Member) -> Result<()> {
    let cluster = &injector.cluster;
    let log = cluster.server_of(slave).log.clone();
    let said = |log: &Path| std::fs::read(log).map_err(|source| failed(log, source));
    let (before, end) = (said(&log)?.len(), files::log_end(&cluster.commit_log(slave))?);
    let deadline = Instant::now() + PARTS_WITHIN;
    while Instant::now() < deadline && !injector.stopping() {
        let text = said(&log)?;
        let news = String::from_utf8_lossy(&text[before..]);
        if news.contains(NEEDS_AN_EMPTY_STORE) {
            return rebuild(injector, slave).map(|_| ());
        }
        if files::log_end(&cluster.commit_log(slave))? > end {
            return Ok(());
        }
        injector.wait(Duration::from_millis(100));
    }
    Ok(())
}

/// What an operator does with a lost disk: the replica leaves the group, starts empty, and joins again
/// under its new identity. Says why it could not be done, if it could not.
pub(super) fn rebuild(injector: &Injector, member: Member) -> Result<Option<String>> {
    let cluster = &injector.cluster;
    if !cluster.plan.mode.is_raft() {
        cluster.server_of(member).kill()?;
        wipe(cluster, member)?;
        cluster.start_member(member)?;
        return Ok(None);
    }
    let leader = injector.wait_for_leader(LEADS_WITHIN).filter(|leader| *leader != member);
    let Some(leader) = leader else { return Ok(Some("nobody else leads".to_owned())) };
    // A disk is emptied only once its replica is out: otherwise the next victim would cost the group its majority.
    if !remove_member(injector, leader, member) {
        return Ok(Some(format!("n{leader} does not remove n{member}, which keeps its disk")));
    }
    cluster.server_of(member).kill()?;
    wipe(cluster, member)?;
    cluster.start_member(member)?;
    let deadline = Instant::now() + JOINS_WITHIN;
    while Instant::now() < deadline && !injector.stopping() {
        let leader = injector.wait_for_leader(LEADS_WITHIN).unwrap_or(leader);
        if injector.block_on(injector.probe.add_replica(leader, member)) {
            return Ok(None);
        }
        injector.wait(Duration::from_millis(500));
    }
    Ok(Some(format!("n{member} was removed and is not taken back")))
}

/// Asks whoever leads to remove the member, until one does.
fn remove_member(injector: &Injector, leader: Member, member: Member) -> bool {
    let deadline = Instant::now() + JOINS_WITHIN;
    while Instant::now() < deadline && !injector.stopping() {
        let leader = injector.wait_for_leader(LEADS_WITHIN).unwrap_or(leader);
        if leader != member && injector.block_on(injector.probe.remove_replica(leader, member)) {
            return true;
        }
        injector.wait(Duration::from_millis(500));
    }
    false
}

fn wipe(cluster: &Cluster, member: Member) -> Result<()> {
    if let Some(image) = cluster.image_of(member).as_mut() {
        return image.wipe();
    }
    remove(&cluster.root(member))
}

/// Flips one bit somewhere in the first three quarters of the log: below what is durable.
fn flip(cluster: &Cluster, member: Member, dice: &mut Dice) -> Result<Option<String>> {
    let Some((first, end)) = extent(cluster, member)? else { return Ok(None) };
    let position = first + dice.below((end - first) * 3 / 4);
    let bit = dice.below(8);
    let file = open_holding(cluster, member, position)?;
    let mut byte = [0];
    file.0.read_exact_at(&mut byte, file.1).map_err(|source| failed(&cluster.commit_log(member), source))?;
    byte[0] ^= 1 << bit;
    file.0.write_all_at(&byte, file.1).map_err(|source| failed(&cluster.commit_log(member), source))?;
    Ok(Some(format!("bit {bit} of byte {position} of {first}..{end} is flipped")))
}

/// Cuts the newest file of the log somewhere inside what it holds.
fn truncate(cluster: &Cluster, member: Member, dice: &mut Dice) -> Result<Option<String>> {
    let Some((first, end)) = extent(cluster, member)? else { return Ok(None) };
    let position = end - 1 - dice.below((end - first) / 4 + 1);
    let file = open_holding(cluster, member, position)?;
    file.0.set_len(file.1).map_err(|source| failed(&cluster.commit_log(member), source))?;
    Ok(Some(format!("its log of {first}..{end} ends at {position}")))
}

/// Lets the member run on, then puts back its directory as it was before.
fn stale(injector: &Injector, member: Member) -> Result<String> {
    let cluster = &injector.cluster;
    let (root, copy) = (cluster.root(member), cluster.scratch(member));
    cluster.server_of(member).kill()?;
    remove(&copy)?;
    tool::run(&["cp", "-a", "--sparse=always", &root.display().to_string(), &copy.display().to_string()])?;
    cluster.start_member(member)?;
    injector.wait(Duration::from_secs(4));
    cluster.server_of(member).kill()?;
    remove(&root)?;
    tool::run(&["cp", "-a", "--sparse=always", &copy.display().to_string(), &root.display().to_string()])?;
    Ok("its disk is as it was four seconds ago".to_owned())
}

fn extent(cluster: &Cluster, member: Member) -> Result<Option<(u64, u64)>> {
    let directory = cluster.commit_log(member);
    if !directory.exists() {
        return Ok(None);
    }
    let digest = files::read_log("damaged", &directory)?.digest;
    Ok((digest.end > digest.first).then_some((digest.first, digest.end)))
}

/// The file that holds a position, and where in it.
fn open_holding(cluster: &Cluster, member: Member, position: u64) -> Result<(std::fs::File, u64)> {
    let segment_bytes = cluster.settings.segment_bytes;
    let start = position - position % segment_bytes;
    let path = cluster.commit_log(member).join(format!("{start:020}"));
    let file =
        OpenOptions::new().read(true).write(true).open(&path).map_err(|source| failed(&path, source))?;
    Ok((file, position - start))
}

fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path).map_err(|source| failed(path, source))?;
    }
    Ok(())
}

fn failed(path: &Path, source: std::io::Error) -> Error {
    Error::File { doing: "damaging", path: path.to_owned(), source }
}
