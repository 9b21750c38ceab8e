//! What a replica's files hold, read by a walker of our own: the code under test must not be the
//! judge of its own files.
//!
//! The layout is RocketMQ's (big-endian; total size and magic first) and, in Raft mode, an
//! envelope of 64 bytes in the same form around each batch of records.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hasher;
use std::path::{Path, PathBuf};

use crate::check::log::Drain;
use crate::check::replicas::{BLOCK_BYTES, ReplicaDigest};
use crate::error::{Error, Result};
use crate::history::Answer;
use crate::workload::body;

/// Magic of a record, version 1 and 2.
const RECORD_MAGICS: [u32; 2] = [0xdaa3_20a7, 0xdaa3_20ab];
/// Magic of the filler at the end of a segment.
const FILLER_MAGIC: u32 = 0xcbd4_3194;
/// Magic of a Raft envelope, `TRIR`.
const ENVELOPE_MAGIC: u32 = 0x5452_4952;
/// Bytes of an envelope before its body.
const ENVELOPE_BYTES: usize = 64;
/// Where an envelope says what its body is; 1 is messages.
const ENVELOPE_KIND_AT: usize = 13;
const ENVELOPE_KIND_MESSAGES: u8 = 1;
/// Where an envelope says which entry it is, of which term, and where it stands.
const ENVELOPE_INDEX_AT: usize = 16;
const ENVELOPE_TERM_AT: usize = 24;
const ENVELOPE_POSITION_AT: usize = 40;

/// One message, as far as the harness cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its topic.
    pub topic: String,
    /// Its queue.
    pub queue: u32,
    /// Its queue offset.
    pub offset: u64,
    /// Its physical offset, as it says itself.
    pub physical: u64,
    /// Its value, or [`Answer::GARBLED`].
    pub value: u64,
}

/// Everything that was found in one replica's log.
#[derive(Debug)]
pub struct Found {
    /// The digest for comparison.
    pub digest: ReplicaDigest,
    /// The messages in the order of the log.
    pub messages: Vec<Kept>,
}

/// Reads a commit log directory.
pub fn read_log(name: &str, directory: &Path) -> Result<Found> {
    let files = segments(directory)?;
    let first = files.first().map_or(0, |(start, _)| *start);
    let digest = ReplicaDigest {
        name: name.to_owned(),
        first,
        end: first,
        blocks: Vec::new(),
        faults: Vec::new(),
        repeats: Vec::new(),
    };
    let mut walk = Walk::new(digest);
    let mut expected = first;
    for (start, path) in files {
        if start != expected {
            walk.found.digest.faults.push(format!("a file begins at {start}, expected was {expected}"));
        }
        let bytes = std::fs::read(&path).map_err(|source| Error::File {
            doing: "reading",
            path: path.clone(),
            source,
        })?;
        expected = start + bytes.len() as u64;
        if !walk.file(start, &bytes) {
            break;
        }
    }
    let Walk { mut found, hasher, .. } = walk;
    found.digest.blocks = hasher.finish();
    found.digest.repeats = repeats(&found.messages);
    Ok(found)
}

/// The segment files of a directory, in order.
fn segments(directory: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let failed = |source| Error::File { doing: "listing", path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == 20
            && let Ok(start) = name.parse()
        {
            files.push((start, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

struct Walk {
    found: Found,
    hasher: Blocks,
    /// Index and term of the last envelope.
    last: Option<(u64, u64)>,
}

impl Walk {
    fn new(digest: ReplicaDigest) -> Self {
        let hasher = Blocks::new(digest.first);
        Self { found: Found { digest, messages: Vec::new() }, hasher, last: None }
    }

    /// Walks one file; says whether the next one may hold more.
    fn file(&mut self, start: u64, bytes: &[u8]) -> bool {
        let mut at = 0;
        while at + 8 <= bytes.len() {
            let (size, magic) = (word(bytes, at) as usize, word(bytes, at + 4));
            if size == 0 {
                return false;
            }
            if at + size > bytes.len() || size < 8 {
                self.fault(start, at, &format!("claims {size} bytes, {} are left", bytes.len() - at));
                return false;
            }
            let record = &bytes[at..at + size];
            match magic {
                FILLER_MAGIC => {
                    // What follows a filler's head is undefined, and differs between replicas rightly.
                    self.hasher.put(&record[..8]);
                    self.hasher.skip(size - 8);
                }
                ENVELOPE_MAGIC => {
                    self.hasher.put(record);
                    self.envelope(start, at, record);
                }
                magic if RECORD_MAGICS.contains(&magic) => {
                    self.hasher.put(record);
                    self.record(start, at, record);
                }
                other => {
                    self.fault(start, at, &format!("has magic {other:#x}"));
                    return false;
                }
            }
            at += size;
            self.found.digest.end = start + at as u64;
        }
        true
    }

    fn envelope(&mut self, start: u64, at: usize, envelope: &[u8]) {
        if envelope.len() < ENVELOPE_BYTES {
            self.fault(start, at, "is an envelope shorter than its head");
            return;
        }
        self.chain(start, at, envelope);
        if envelope[ENVELOPE_KIND_AT] != ENVELOPE_KIND_MESSAGES {
            return;
        }
        let mut inside = ENVELOPE_BYTES;
        while inside + 8 <= envelope.len() {
            let size = word(envelope, inside) as usize;
            if size < 8 || inside + size > envelope.len() {
                self.fault(start, at + inside, "is a torn record in an envelope");
                return;
            }
            self.record(start, at + inside, &envelope[inside..inside + size]);
            inside += size;
        }
    }

    /// Entries follow each other by one, in terms that never fall, each where it says that it stands.
    fn chain(&mut self, start: u64, at: usize, envelope: &[u8]) {
        let number = |at| u64_at(envelope, at).unwrap_or(0);
        let (index, term) = (number(ENVELOPE_INDEX_AT), number(ENVELOPE_TERM_AT));
        let position = number(ENVELOPE_POSITION_AT);
        if position != start + at as u64 {
            self.fault(start, at, &format!("says that it stands at {position}"));
        }
        if let Some((before, term_before)) = self.last.replace((index, term)) {
            if index != before + 1 {
                self.fault(start, at, &format!("is entry {index} behind entry {before}"));
            }
            if term < term_before {
                self.fault(start, at, &format!("is of term {term} behind one of term {term_before}"));
            }
        }
    }

    fn record(&mut self, start: u64, at: usize, record: &[u8]) {
        let position = start + at as u64;
        match parse(record) {
            Some(kept) => {
                if kept.physical != position {
                    self.fault(start, at, &format!("says that it stands at {}", kept.physical));
                }
                self.found.messages.push(kept);
            }
            None => self.fault(start, at, "is a record whose lengths do not fit"),
        }
    }

    fn fault(&mut self, start: u64, at: usize, what: &str) {
        self.found.digest.faults.push(format!("the record at {} {what}", start + at as u64));
    }
}

/// The parts of a record that the harness needs; the layout is rocketmq.md, 3.2.
fn parse(record: &[u8]) -> Option<Kept> {
    let sys_flag = u32_at(record, 36)?;
    let born = if sys_flag & 0x10 == 0 { 8 } else { 20 };
    let stored = if sys_flag & 0x20 == 0 { 8 } else { 20 };
    let body_length_at = 48 + born + 8 + stored + 4 + 8;
    let body_length = u32_at(record, body_length_at)? as usize;
    let body_bytes = record.get(body_length_at + 4..body_length_at + 4 + body_length)?;
    let topic_at = body_length_at + 4 + body_length;
    let (topic_length, topic_at) = if u32_at(record, 4)? == RECORD_MAGICS[0] {
        (usize::from(*record.get(topic_at)?), topic_at + 1)
    } else {
        (usize::from(u16::from_be_bytes([*record.get(topic_at)?, *record.get(topic_at + 1)?])), topic_at + 2)
    };
    let topic = std::str::from_utf8(record.get(topic_at..topic_at + topic_length)?).ok()?;
    Some(Kept {
        topic: topic.to_owned(),
        queue: u32_at(record, 12)?,
        offset: u64_at(record, 20)?,
        physical: u64_at(record, 28)?,
        value: body::value(body_bytes).unwrap_or(Answer::GARBLED),
    })
}

/// The records of a pull's body, back to back; `None` if they do not fit it.
pub fn records(body: &[u8]) -> Option<Vec<Kept>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < body.len() {
        let size = u32_at(body, at)? as usize;
        let record = body.get(at..at + size).filter(|record| record.len() >= 8)?;
        kept.push(parse(record)?);
        at += size;
    }
    Some(kept)
}

/// Where a log ends, found by reading its newest file alone.
pub fn log_end(directory: &Path) -> Result<u64> {
    for (start, path) in segments(directory)?.into_iter().rev() {
        let bytes = std::fs::read(&path).map_err(|source| Error::File {
            doing: "reading",
            path: path.clone(),
            source,
        })?;
        if word(&bytes, 0) == 0 {
            continue;
        }
        let digest = ReplicaDigest {
            name: String::new(),
            first: start,
            end: start,
            blocks: vec![],
            faults: vec![],
            repeats: vec![],
        };
        let mut walk = Walk::new(digest);
        walk.file(start, &bytes);
        return Ok(walk.found.digest.end);
    }
    Ok(0)
}

/// Messages at queue offsets that the same log has given out before.
fn repeats(messages: &[Kept]) -> Vec<String> {
    let mut known: HashMap<(&str, u32, u64), u64> = HashMap::new();
    let mut repeats = Vec::new();
    for kept in messages {
        let place = (kept.topic.as_str(), kept.queue, kept.offset);
        if let Some(first) = known.insert(place, kept.physical) {
            let (topic, queue, offset) = place;
            repeats.push(format!(
                "{topic}/{queue} offset {offset} is at {first} and again at {}",
                kept.physical
            ));
        }
    }
    repeats
}

/// The messages of one topic as final drains of one source.
pub fn drains(source: &str, messages: &[Kept], topic: &str) -> Vec<Drain> {
    let mut queues: BTreeMap<u32, BTreeMap<u64, u64>> = BTreeMap::new();
    let mut drains = Vec::new();
    // Of two messages at one offset the first is drained; `repeats` names the second.
    for kept in messages.iter().filter(|kept| kept.topic == topic) {
        queues.entry(kept.queue).or_default().entry(kept.offset).or_insert(kept.value);
    }
    for (queue, offsets) in queues {
        let (Some(first), Some(last)) = (offsets.keys().next(), offsets.keys().next_back()) else { continue };
        let values = (*first..=*last).map(|offset| offsets.get(&offset).copied()).collect();
        drains.push(Drain { source: source.to_owned(), queue, first: *first, values });
    }
    drains
}

/// Digests of blocks that begin at multiples of [`BLOCK_BYTES`].
struct Blocks {
    position: u64,
    hasher: std::hash::DefaultHasher,
    done: Vec<u64>,
}

impl Blocks {
    fn new(first: u64) -> Self {
        let whole = usize::try_from(first / BLOCK_BYTES).unwrap_or(0);
        Self { position: first, hasher: std::hash::DefaultHasher::new(), done: vec![0; whole] }
    }

    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = usize::try_from(BLOCK_BYTES - self.position % BLOCK_BYTES).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.hasher.write(now);
            self.step(now.len());
            bytes = rest;
        }
    }

    fn skip(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let room = usize::try_from(BLOCK_BYTES - self.position % BLOCK_BYTES).unwrap_or(usize::MAX);
            let now = room.min(bytes);
            self.step(now);
            bytes -= now;
        }
    }

    fn step(&mut self, bytes: usize) {
        self.position += bytes as u64;
        if self.position.is_multiple_of(BLOCK_BYTES) {
            self.done.push(self.hasher.finish());
            self.hasher = std::hash::DefaultHasher::new();
        }
    }

    fn finish(mut self) -> Vec<u64> {
        if !self.position.is_multiple_of(BLOCK_BYTES) {
            self.done.push(self.hasher.finish());
        }
        self.done
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32_at(bytes, at).unwrap_or(0)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
