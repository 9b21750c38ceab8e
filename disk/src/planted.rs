//! Mistakes that the fault tests must catch, for builds with the cargo feature `planted-bugs` and for no others.
//!
//! A harness that never found anything proves nothing, so jepsen builds the servers once more with these in them, and each
//! must be found. They live in the lowest room, so that every room above can ask with one word. Always true: without the
//! feature `planted` is a constant, no mistake is compiled, and not even the name of the variable is in the binary.

/// A mistake. Only one is made in a process: the one whose name `TRIREME_PLANT` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// An entry is reported as durable without a sync.
    EntryUnsynced,
    /// A vote is reported as saved without a sync.
    VoteUnsynced,
    /// A directory is not synced after a name in it was made or changed.
    DirectoryUnsynced,
    /// A leader acknowledges what it has appended itself, without waiting for a majority.
    AckBeforeQuorum,
    /// A new leader takes what earlier terms left in its log for committed, before an entry of its own term is.
    OldTermCommit,
    /// Tails and offsets are answered without asking whether one still leads.
    UncheckedRead,
    /// A follower keeps its conflicting tail and says that it has the leader's.
    TruncateForgotten,
    /// Consumer offsets are kept by the leader alone.
    OffsetsUnreplicated,
    /// A request that a lost leader left unanswered is sent to the next one, without asking whether the first did it.
    AppendTwice,
    /// A new leader gives queue offsets out again that the old one gave to entries which are not applied yet.
    QueueOffsetReused,
}

/// Whether this process makes that mistake: never.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use chosen::planted;

#[cfg(feature = "planted-bugs")]
mod chosen {
    use std::sync::LazyLock;

    use super::Bug;

    const NAMES: &[(&str, Bug)] = &[
        ("entry-unsynced", Bug::EntryUnsynced),
        ("vote-unsynced", Bug::VoteUnsynced),
        ("directory-unsynced", Bug::DirectoryUnsynced),
        ("ack-before-quorum", Bug::AckBeforeQuorum),
        ("old-term-commit", Bug::OldTermCommit),
        ("unchecked-read", Bug::UncheckedRead),
        ("truncate-forgotten", Bug::TruncateForgotten),
        ("offsets-unreplicated", Bug::OffsetsUnreplicated),
        ("append-twice", Bug::AppendTwice),
        ("queue-offset-reused", Bug::QueueOffsetReused),
    ];

    static CHOSEN: LazyLock<Option<Bug>> = LazyLock::new(|| {
        let name = std::env::var("TRIREME_PLANT").ok()?;
        let bug = NAMES.iter().find(|(known, _)| *known == name).map(|(_, bug)| *bug);
        assert!(bug.is_some(), "there is no planted bug {name}");
        tracing::warn!(name, "this process is broken on purpose");
        bug
    });

    /// Whether this process makes that mistake.
    pub fn planted(bug: Bug) -> bool {
        *CHOSEN == Some(bug)
    }
}
