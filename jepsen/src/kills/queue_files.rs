//! Compares the files of consume queues with the commit log, both read by walkers of our own.

use std::collections::BTreeMap;
use std::path::Path;

use crate::cluster::files;
use crate::error::{Error, Result};

/// Bytes of a unit: physical offset 8, size 4, tags code 8. Source: reference 3.3.
const UNIT_BYTES: usize = 20;

/// Every difference between the commit log of a stopped store and its consume queues; and how many messages the log holds.
pub(super) fn compare(store: &Path) -> Result<(usize, Vec<String>)> {
    let found = files::read_log("n0", &store.join("commitlog"))?;
    let mut faults = found.digest.faults.clone();
    faults.extend(found.digest.repeats.iter().cloned());
    let mut queues: BTreeMap<(&str, u32), BTreeMap<u64, u64>> = BTreeMap::new();
    for kept in &found.messages {
        queues.entry((&kept.topic, kept.queue)).or_default().insert(kept.offset, kept.physical);
    }
    for ((topic, queue), messages) in queues {
        let directory = store.join("consumequeue").join(topic).join(queue.to_string());
        let units = units(&directory)?;
        let logged: Vec<u64> = messages.values().copied().collect();
        let is_dense = messages.keys().copied().eq(0..messages.len() as u64);
        if !is_dense || units != logged {
            let (units, logged) = (units.len(), logged.len());
            faults.push(format!(
                "{topic}/{queue}: {units} units stand for {logged} messages (dense: {is_dense})"
            ));
        }
    }
    Ok((found.messages.len(), faults))
}

/// The physical offsets of a queue's units, from offset 0 on.
fn units(directory: &Path) -> Result<Vec<u64>> {
    let failed = |source| Error::File { doing: "reading", path: directory.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        names.push(entry.map_err(failed)?.path());
    }
    names.sort();
    let mut offsets = Vec::new();
    for name in names {
        let bytes = std::fs::read(&name).map_err(failed)?;
        for unit in bytes.as_chunks::<UNIT_BYTES>().0 {
            let (head, rest) = unit.split_at(8);
            if rest[..4] == [0; 4] {
                return Ok(offsets);
            }
            offsets.push(head.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)));
        }
    }
    Ok(offsets)
}
