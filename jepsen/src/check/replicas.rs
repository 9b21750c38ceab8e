//! Replicas hold the same bytes at the same positions.
//!
//! Reading gigabytes is the cluster's part (`cluster::files`); here are only their digests, one
//! for each block of the log, so that the first difference can be named.

use super::finding::Finding;

/// Bytes behind one digest.
pub const BLOCK_BYTES: u64 = 1 << 20;

/// The log of one replica, digested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaDigest {
    /// Whose.
    pub name: String,
    /// First byte that is kept.
    pub first: u64,
    /// One past the last byte of the last record.
    pub end: u64,
    /// Digest of each block, block 0 beginning at position 0; blocks before `first` are 0.
    pub blocks: Vec<u64>,
    /// What a walk over the records stumbled on.
    pub faults: Vec<String>,
    /// Queue offsets that stand in the log twice.
    pub repeats: Vec<String>,
}

/// Judges all replicas against the first.
pub fn check(replicas: &[ReplicaDigest]) -> Finding {
    let mut finding = Finding::new("replicas");
    let Some(longest) = replicas.iter().max_by_key(|replica| replica.end) else {
        finding.doubt("no replica was read", || "the files are gone".to_owned());
        return finding;
    };
    finding.figure("replicas", replicas.len() as u64);
    finding.figure("bytes compared", longest.end);
    for replica in replicas {
        for fault in &replica.faults {
            finding.anomaly("a record is torn", || format!("{}: {fault}", replica.name));
        }
        for repeat in &replica.repeats {
            finding.anomaly("a queue offset was given out twice", || format!("{}: {repeat}", replica.name));
        }
        if replica.end != longest.end {
            finding.anomaly("replicas end differently", || {
                format!("{} at {}, {} at {}", replica.name, replica.end, longest.name, longest.end)
            });
        }
        let first = replica.first.max(longest.first).div_ceil(BLOCK_BYTES);
        // The last block of a shorter replica is cut short, so only whole ones are comparable.
        let last =
            if replica.end == longest.end { replica.blocks.len() as u64 } else { replica.end / BLOCK_BYTES };
        for block in first..last {
            let index = usize::try_from(block).unwrap_or(usize::MAX);
            if replica.blocks.get(index) != longest.blocks.get(index) {
                finding.anomaly("replicas differ", || {
                    format!(
                        "{} and {} between {} and {}",
                        replica.name,
                        longest.name,
                        block * BLOCK_BYTES,
                        (block + 1) * BLOCK_BYTES
                    )
                });
                break;
            }
        }
    }
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Verdict;

    fn replica(name: &str, first: u64, end: u64, blocks: &[u64]) -> ReplicaDigest {
        ReplicaDigest {
            name: name.to_owned(),
            first,
            end,
            blocks: blocks.to_vec(),
            faults: vec![],
            repeats: vec![],
        }
    }

    #[test]
    fn equal_bytes_are_valid_whatever_retention_took() {
        let whole = replica("n0", 0, 3 * BLOCK_BYTES, &[1, 2, 3]);
        let shortened = replica("n1", BLOCK_BYTES, 3 * BLOCK_BYTES, &[0, 2, 3]);
        assert_eq!(check(&[whole, shortened]).verdict, Verdict::Valid);
    }

    #[test]
    fn one_other_block_or_end_or_a_torn_record_is_invalid() {
        let whole = replica("n0", 0, 3 * BLOCK_BYTES, &[1, 2, 3]);
        assert_eq!(
            check(&[whole.clone(), replica("n1", 0, 3 * BLOCK_BYTES, &[1, 9, 3])]).of("replicas differ"),
            1
        );
        assert_eq!(
            check(&[whole.clone(), replica("n1", 0, 2 * BLOCK_BYTES, &[1, 2])])
                .of("replicas end differently"),
            1
        );
        let mut torn = whole.clone();
        torn.faults.push("record at 5".to_owned());
        assert_eq!(check(&[whole, torn]).of("a record is torn"), 1);
        assert_eq!(check(&[]).verdict, Verdict::Unknown);
    }
}
