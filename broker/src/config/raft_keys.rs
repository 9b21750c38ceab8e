//! The keys of Raft mode, under the names that DLedger gave them, so that a DLedger file runs as it is. What DLedger does
//! not know begins with `raft`.

use daemon::{Millis, Seconds};
use std::fmt;
use std::net::SocketAddr;

daemon::settings! {
    /// Whether the broker is a replica of a Raft group, and of which.
    pub struct RaftKeys {
        /// Whether the commit log is replicated by Raft.
        enabled: bool = false, "enableDLegerCommitLog", important;
        /// Name of the group.
        group: String = String::new(), "dLegerGroup", important;
        /// The replicas: `n0-host:port;n1-host:port;…`.
        peers: String = String::new(), "dLegerPeers", important;
        /// Which of the peers this process is.
        self_id: String = String::new(), "dLegerSelfId", important;
        /// Which of the peers should lead when it can.
        preferred_leaders: String = String::new(), "preferredLeaderIds";
        /// The same, by DLedger's older name.
        preferred_leader: String = String::new(), "preferredLeaderId";
        /// How long a stopping replica goes on forwarding after it gave the lead away, while producers are connected, in
        /// seconds: they ask for their routes every 30 s.
        hand_over_wait: Seconds = Seconds(35), "handOverWaitTimeSeconds" in 0..=3_600;
        /// How often a leader is heard, in milliseconds; a round trip between replicas must take less.
        heartbeat: Millis = Millis(50), "raftHeartbeatInterval" in 5..=60_000;
        /// The shortest time without a leader before an election, in milliseconds.
        election_min: Millis = Millis(150), "raftElectionTimeoutMin" in 10..=600_000;
        /// The longest, in milliseconds. Also how long a leader that is cut off may go on: nobody else is elected before.
        election_max: Millis = Millis(300), "raftElectionTimeoutMax" in 20..=600_000;
    }
}

/// One replica of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RaftPeer {
    /// Its id, such as `n0`.
    pub id: String,
    /// Where its Raft port is.
    pub address: String,
}

/// What is wrong with the keys of Raft mode: the key, its value, what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongKey {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: &'static str,
}

impl RaftKeys {
    /// The replicas of the group, in the order of the file.
    pub fn peer_list(&self) -> Result<Vec<RaftPeer>, WrongKey> {
        let wrong = |value: &dyn fmt::Display| WrongKey {
            key: "dLegerPeers",
            value: value.to_string(),
            allowed: "n0-host:port;n1-host:port;n2-host:port with different ids and addresses",
        };
        let mut peers: Vec<RaftPeer> = Vec::new();
        for word in self.peers.split(';').map(str::trim).filter(|word| !word.is_empty()) {
            let peer = parse_peer(word).ok_or_else(|| wrong(&word))?;
            if peers.iter().any(|other| other.id == peer.id || other.address == peer.address) {
                return Err(wrong(&self.peers));
            }
            peers.push(peer);
        }
        if peers.is_empty() { Err(wrong(&self.peers)) } else { Ok(peers) }
    }

    /// The ids that should lead, most wanted first.
    pub fn preferred(&self) -> Vec<&str> {
        let keys = [&self.preferred_leaders, &self.preferred_leader];
        let words = keys.into_iter().flat_map(|key| key.split([';', ',']));
        words.map(str::trim).filter(|word| !word.is_empty()).collect()
    }

    /// All that is wrong, or nothing when Raft mode is off.
    pub fn wrong(&self) -> Vec<WrongKey> {
        if !self.enabled {
            return Vec::new();
        }
        let mut wrong = Vec::new();
        if self.group.trim().is_empty() {
            let allowed = "the name of the group";
            wrong.push(WrongKey { key: "dLegerGroup", value: self.group.clone(), allowed });
        }
        let peers = match self.peer_list() {
            Ok(peers) => peers,
            Err(error) => {
                wrong.push(error);
                return wrong;
            }
        };
        let known = |id: &str| peers.iter().any(|peer| peer.id == id);
        if !known(&self.self_id) {
            let allowed = "one of the ids in dLegerPeers";
            wrong.push(WrongKey { key: "dLegerSelfId", value: self.self_id.clone(), allowed });
        }
        let times = [
            ("raftElectionTimeoutMin", self.heartbeat, self.election_min),
            ("raftElectionTimeoutMax", self.election_min, self.election_max),
        ];
        for (key, _, time) in times.into_iter().filter(|(_, shorter, time)| shorter >= time) {
            let allowed = "raftHeartbeatInterval < raftElectionTimeoutMin < raftElectionTimeoutMax";
            wrong.push(WrongKey { key, value: time.0.to_string(), allowed });
        }
        for id in self.preferred().into_iter().filter(|id| !known(id)) {
            let allowed = "ids of dLegerPeers";
            wrong.push(WrongKey { key: "preferredLeaderIds", value: id.to_owned(), allowed });
        }
        wrong
    }
}

/// `n0-host:port`; a host may itself contain dashes.
fn parse_peer(word: &str) -> Option<RaftPeer> {
    let (id, address) = word.split_once('-')?;
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let names_a_host = !host.is_empty() || address.parse::<SocketAddr>().is_ok();
    let fits = !id.is_empty() && names_a_host && port > 0;
    fits.then(|| RaftPeer { id: id.to_owned(), address: address.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(peers: &str, self_id: &str) -> RaftKeys {
        RaftKeys {
            enabled: true,
            group: "RaftNode00".to_owned(),
            peers: peers.to_owned(),
            self_id: self_id.to_owned(),
            ..RaftKeys::default()
        }
    }

    const PEERS: &str = "n0-127.0.0.1:40911;n1-my-host:40912;n2-127.0.0.1:40913";

    #[test]
    fn a_dledger_file_names_its_replicas() {
        let peers = keys(PEERS, "n1").peer_list().expect("well formed");
        assert_eq!(peers[1], RaftPeer { id: "n1".to_owned(), address: "my-host:40912".to_owned() });
        assert!(keys(PEERS, "n1").wrong().is_empty());
    }

    #[test]
    fn everything_wrong_is_named() {
        let named = |keys: &RaftKeys| keys.wrong().into_iter().map(|wrong| wrong.key).collect::<Vec<_>>();
        assert_eq!(named(&keys(PEERS, "n7")), ["dLegerSelfId"]);
        for peers in ["", "n0", "n0-host", "n0-:1", "n0-h:0", "-h:1", "n0-h:1;n0-h:2", "n0-h:1;n1-h:1"] {
            assert_eq!(named(&keys(peers, "n0")), ["dLegerPeers"], "{peers}");
        }
        let mut all = keys(PEERS, "");
        all.group.clear();
        all.preferred_leaders = "n0;n9".to_owned();
        assert_eq!(named(&all), ["dLegerGroup", "dLegerSelfId", "preferredLeaderIds"]);
        all.election_min = all.heartbeat;
        all.election_max = all.heartbeat;
        assert_eq!(named(&all)[2..4], ["raftElectionTimeoutMin", "raftElectionTimeoutMax"]);
        all.enabled = false;
        assert!(all.wrong().is_empty());
    }
}
