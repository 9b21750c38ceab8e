//! Every fault that the harness knows, by the name that the command line uses.

/// Which replicas a fault strikes, told by their role at the moment it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whom {
    /// The master of the moment.
    Leader,
    /// One that is not the master.
    Follower,
    /// Any one.
    One,
    /// The smallest majority, the master among them.
    Majority,
    /// Every replica.
    All,
}

/// A way to split the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    /// Two halves; chance says which half has the master.
    Halves,
    /// The master alone.
    Leader,
    /// One replica of chance alone.
    Single,
    /// Each replica sees only its neighbours: every one has a majority, no two the same.
    Ring,
    /// One replica sees all, the others see only it.
    Bridge,
    /// The master is heard by the others and hears nothing.
    LeaderDeaf,
    /// The master hears the others and is not heard.
    LeaderMute,
    /// One direction between two replicas of chance.
    OneWay,
}

/// What a bad link does to what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weather {
    /// 50 to 250 ms of delay with jitter, on every link.
    Slow,
    /// The links of the master are slow, the others are not.
    SlowLeader,
    /// Connections break now and then.
    Lossy,
    /// Connections break every few hundred milliseconds.
    ResetStorm,
    /// Connections stay open and carry nothing.
    HalfOpen,
    /// 64 KiB a second.
    Thin,
}

/// How files on disk are damaged while their replica is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Damage {
    /// One bit in the kept part of the log is flipped.
    BitFlip,
    /// The newest log file loses its end.
    Truncate,
    /// The whole directory is an older copy of itself.
    Stale,
    /// The directory is empty.
    Wipe,
}

/// How a disk refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// `fdatasync` and `fsync` answer EIO.
    SyncError,
    /// Writes answer ENOSPC: the file system is really full.
    Full,
    /// Each sync takes 300 ms more.
    SlowSync,
}

/// A fault of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// SIGKILL; started again at the end.
    Kill(Whom),
    /// SIGSTOP; SIGCONT at the end.
    Pause(Whom),
    /// A network split.
    Partition(Split),
    /// Slow links, and whoever is elected is cut off at once.
    CutElected,
    /// Whoever elected a master loses its power before it hears of that master again.
    PowerElectors,
    /// Bad links.
    Links(Weather),
    /// SIGKILL, and all that was not synced is gone.
    PowerCut(Whom),
    /// SIGKILL, files damaged, started again.
    Disk(Damage),
    /// The disk of a replica refuses.
    Refuse(Refusal, Whom),
    /// The wall clock of one replica jumps.
    ClockJump,
    /// SIGTERM; started again at the end.
    Stop(Whom),
    /// SIGTERM and start, one replica after the other.
    RollingRestart,
    /// The master is asked to hand over.
    Transfer,
    /// A replica leaves the group with its disk and a new one takes its place.
    Replace,
    /// The oldest files are deleted while a replica is down and lags.
    RetentionLag,
}

/// The name, the kind and whether `mix` may pick it, in the order of the help text.
const TABLE: &[(&str, FaultKind, bool)] = &[
    ("kill-leader", FaultKind::Kill(Whom::Leader), true),
    ("kill-follower", FaultKind::Kill(Whom::Follower), true),
    ("kill-majority", FaultKind::Kill(Whom::Majority), true),
    ("kill-all", FaultKind::Kill(Whom::All), true),
    ("pause-leader", FaultKind::Pause(Whom::Leader), true),
    ("pause-follower", FaultKind::Pause(Whom::Follower), true),
    ("pause-majority", FaultKind::Pause(Whom::Majority), true),
    ("pause-all", FaultKind::Pause(Whom::All), true),
    ("partition-halves", FaultKind::Partition(Split::Halves), true),
    ("partition-leader", FaultKind::Partition(Split::Leader), true),
    ("partition-single", FaultKind::Partition(Split::Single), true),
    ("partition-ring", FaultKind::Partition(Split::Ring), false),
    ("partition-bridge", FaultKind::Partition(Split::Bridge), true),
    ("partition-leader-deaf", FaultKind::Partition(Split::LeaderDeaf), true),
    ("partition-leader-mute", FaultKind::Partition(Split::LeaderMute), true),
    ("partition-oneway", FaultKind::Partition(Split::OneWay), true),
    ("partition-elected", FaultKind::CutElected, false),
    ("power-electors", FaultKind::PowerElectors, false),
    ("slow-links", FaultKind::Links(Weather::Slow), true),
    ("slow-leader", FaultKind::Links(Weather::SlowLeader), true),
    ("lossy-links", FaultKind::Links(Weather::Lossy), true),
    ("reset-storm", FaultKind::Links(Weather::ResetStorm), true),
    ("half-open", FaultKind::Links(Weather::HalfOpen), true),
    ("thin-links", FaultKind::Links(Weather::Thin), true),
    ("power-one", FaultKind::PowerCut(Whom::One), true),
    ("power-leader", FaultKind::PowerCut(Whom::Leader), true),
    ("power-two", FaultKind::PowerCut(Whom::Majority), true),
    ("power-all", FaultKind::PowerCut(Whom::All), true),
    ("wipe-follower", FaultKind::Disk(Damage::Wipe), false),
    ("bitflip-follower", FaultKind::Disk(Damage::BitFlip), false),
    ("truncate-follower", FaultKind::Disk(Damage::Truncate), false),
    ("stale-follower", FaultKind::Disk(Damage::Stale), false),
    ("fsync-eio-leader", FaultKind::Refuse(Refusal::SyncError, Whom::Leader), false),
    ("fsync-eio-follower", FaultKind::Refuse(Refusal::SyncError, Whom::Follower), false),
    ("disk-full-leader", FaultKind::Refuse(Refusal::Full, Whom::Leader), false),
    ("disk-full-follower", FaultKind::Refuse(Refusal::Full, Whom::Follower), false),
    ("fsync-slow-leader", FaultKind::Refuse(Refusal::SlowSync, Whom::Leader), false),
    ("fsync-slow-follower", FaultKind::Refuse(Refusal::SlowSync, Whom::Follower), false),
    ("clock-jump", FaultKind::ClockJump, false),
    ("stop-leader", FaultKind::Stop(Whom::Leader), true),
    ("stop-follower", FaultKind::Stop(Whom::Follower), true),
    ("rolling-restart", FaultKind::RollingRestart, false),
    ("transfer-leader", FaultKind::Transfer, true),
    ("replace-replica", FaultKind::Replace, false),
    ("retention-lag", FaultKind::RetentionLag, false),
];

impl FaultKind {
    /// The name on the command line and in the history.
    pub fn name(self) -> &'static str {
        TABLE.iter().find(|(_, kind, _)| *kind == self).map_or("unnamed", |(name, _, _)| name)
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|(known, _, _)| *known == name).map(|(_, kind, _)| *kind)
    }

    /// All names, in the order of the table.
    pub fn names() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(name, _, _)| *name)
    }

    /// What `mix` picks from: faults that may overlap others and leave nothing that they cannot undo.
    pub fn mixable() -> Vec<Self> {
        TABLE.iter().filter(|(_, _, mixes)| *mixes).map(|(_, kind, _)| *kind).collect()
    }

    /// Whether the store must stand on an image of its own.
    pub fn wants_image(self) -> bool {
        matches!(self, Self::PowerCut(_) | Self::PowerElectors | Self::Refuse(Refusal::Full, _))
    }

    /// Whether a process may end by itself while this fault is on, as the design demands.
    pub fn may_end_a_process(self) -> bool {
        matches!(self, Self::Refuse(..) | Self::Disk(_))
    }

    /// Whether it takes hold when its strike begins. The others take their time, and hold when it ends.
    pub fn strikes_at_once(self) -> bool {
        matches!(
            self,
            Self::Kill(_) | Self::Pause(_) | Self::PowerCut(_) | Self::Partition(_) | Self::Links(_)
        )
    }

    /// How long it lasts by default, in milliseconds, around the interval that the run asks for.
    pub fn lasting(self, interval_ms: u64) -> u64 {
        match self {
            Self::Transfer | Self::RollingRestart | Self::Replace => 0,
            Self::Kill(_) | Self::PowerCut(_) | Self::Stop(_) => interval_ms / 2,
            _ => interval_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_fault_has_one_name_and_every_name_one_fault() {
        let names: BTreeSet<_> = FaultKind::names().collect();
        assert_eq!(names.len(), TABLE.len());
        let kinds: BTreeSet<_> = TABLE.iter().map(|(_, kind, _)| kind).collect();
        assert_eq!(kinds.len(), TABLE.len());
        for name in names {
            assert_eq!(FaultKind::named(name).unwrap().name(), name);
        }
        assert!(FaultKind::named("meteor").is_none());
    }
}
