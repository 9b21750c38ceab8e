//! What tools ask a Raft group; Trireme's own, RocketMQ has no such requests.

use crate::json::macros::bodies;

bodies! {
    /// One member of a group, as the replica that was asked sees it.
    RaftPeerStatus {
        /// `host:port` of its Raft transport.
        address: String => "address",
        /// Where its clients go; empty while nobody has heard of it.
        broker_address: String => "brokerAddress",
        /// Whether it votes; a learner does not.
        is_voter: bool => "isVoter",
        /// The last index known to be in its log; -1 when unknown. Only the leader knows.
        matched: i64 => "matched",
        /// Its name, such as `n0`.
        node: String => "node",
    }

    /// RAFT_STATUS: one replica's view of its group.
    RaftStatusBody {
        /// Index of the last applied entry; -1 before the first.
        applied: i64 => "applied",
        /// Physical offset where the last applied entry ends.
        applied_position: i64 => "appliedPosition",
        /// Index of the last committed entry; -1 before the first.
        committed: i64 => "committed",
        /// Physical offset of the first kept byte.
        first_position: i64 => "firstPosition",
        /// Name of the group.
        group: String => "group",
        /// Index of the last entry in the log; -1 before the first.
        last: i64 => "last",
        /// Physical offset where the log ends.
        last_position: i64 => "lastPosition",
        /// The leader's name; empty when there is none.
        leader: String => "leader",
        /// Name of the replica that was asked.
        node: String => "node",
        /// Whether it takes no part in elections, because its machine lost power and it has not caught up.
        on_probation: bool => "onProbation",
        /// All members.
        peers: Vec<RaftPeerStatus> => "peers",
        /// Whether it leads and serves.
        ready: bool => "ready",
        /// `LEADER`, `FOLLOWER`, `CANDIDATE`, `LEARNER` or `STOPPED`.
        role: String => "role",
        /// The current term.
        term: i64 => "term",
    }
}
