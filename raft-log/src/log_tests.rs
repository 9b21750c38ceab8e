//! The promises of `log`.

use std::any::Any;
use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use disk::MemDisk;

use super::*;
use crate::batch::{Batch, Placed, Proposal, ProposedBatch, Ticket};
use crate::config::{Fatal, FlushMode};
use crate::error::ProposeError;
use crate::manifest::Shape;
use crate::types::LeaderId;
use openraft::type_config::TypeConfigExt;

const SEGMENT_BYTES: u64 = 1024;

struct Nobody;

impl Ticket for Nobody {
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
    fn done(self: Box<Self>, _: Result<Placed, ProposeError>) {}
}

struct NoStamps;

impl Stamper for NoStamps {
    fn stamp(&mut self, _: u64, _: u64, _: u64, _: &mut Batch) {}
    fn reset(&mut self) {}
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term, node: 1, index }
}

fn entry(term: u64, index: u64) -> LogEntry {
    // Different sizes, so that segments end with different gaps.
    let records = BytesMut::from(&vec![index as u8; 20 + (index * 37 % 150) as usize][..]);
    let proposals = vec![Proposal { records, count: 1, ticket: Box::new(Nobody) }];
    let payload = Payload::Proposed(ProposedBatch::new(EntryKind::Records, Batch { proposals }));
    LogEntry { id: id(term, index).into(), payload }
}

fn open_with(disk: &MemDisk, flush: FlushMode) -> Result<Log, LogError> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let segments = Arc::new(Segments::open(shared.clone(), "/commitlog".into(), SEGMENT_BYTES)?);
    Log::open(Opening {
        disk: shared,
        directory: "/raft".into(),
        segments,
        shape: Shape { group: "g".to_owned(), node: 1, segment_bytes: SEGMENT_BYTES, prefix_end: 0 },
        flush,
        flush_interval: Duration::from_secs(3600),
        fatal: Fatal::new(|_| {}),
    })
}

fn open(disk: &MemDisk) -> Result<Log, LogError> {
    open_with(disk, FlushMode::Sync)
}

fn append(log: &Log, term: u64, indexes: Range<u64>) -> Result<(), LogError> {
    let entries: Vec<_> = indexes.map(|index| entry(term, index)).collect();
    log.append(entries, &mut NoStamps, IOFlushed::noop())?;
    log.flush().map(|_| ())
}

/// All visible entries, read back and checked.
fn ids(log: &Log) -> Vec<EntryId> {
    let entries = log.read(0..u64::MAX, usize::MAX).unwrap();
    let check = |entry: &LogEntry| {
        let Payload::Stored(stored) = &entry.payload else { panic!("entries come back as stored") };
        Envelope::check(&stored.bytes).unwrap().id
    };
    entries.iter().map(check).collect()
}

/// What a log goes through in the crash test.
#[derive(Debug, Clone)]
enum Deed {
    Append(u64, Range<u64>),
    TruncateAfter(EntryId),
    Vote(u64),
    Commit(EntryId),
    Purge(EntryId),
    Landmarks,
    Reset(EntryId, u64),
}

fn history() -> Vec<Deed> {
    vec![
        Deed::Vote(1),
        Deed::Append(1, 0..3),
        Deed::Commit(id(1, 1)),
        Deed::Append(1, 3..12),
        Deed::Landmarks,
        Deed::Append(1, 12..30),
        Deed::Landmarks,
        Deed::Vote(2),
        Deed::TruncateAfter(id(1, 9)),
        Deed::Append(2, 10..14),
        Deed::Landmarks,
        Deed::Purge(id(1, 5)),
        Deed::TruncateAfter(id(2, 12)),
        Deed::Landmarks,
        Deed::Append(3, 13..25),
        Deed::Commit(id(3, 20)),
        Deed::Landmarks,
        Deed::Purge(id(3, 14)),
        Deed::Landmarks,
        Deed::Vote(4),
        Deed::Reset(id(5, 100), 8 * SEGMENT_BYTES),
        Deed::Append(5, 101..110),
        Deed::Landmarks,
    ]
}

/// What must be there after a crash.
#[derive(Debug, Default, Clone)]
struct Model {
    entries: Vec<EntryId>,
    purged: Option<EntryId>,
    vote: Option<u64>,
}

impl Model {
    fn perform(&mut self, deed: &Deed) {
        match deed {
            Deed::Append(term, indexes) => self.entries.extend(indexes.clone().map(|index| id(*term, index))),
            Deed::TruncateAfter(last) => self.entries.retain(|entry| entry.index <= last.index),
            Deed::Vote(term) => self.vote = Some(*term),
            Deed::Commit(_) | Deed::Landmarks => {}
            Deed::Purge(upto) => {
                self.purged = Some(*upto);
                self.entries.retain(|entry| entry.index > upto.index);
            }
            Deed::Reset(last, _) => {
                self.purged = Some(*last);
                self.entries.clear();
            }
        }
    }

    /// Whether a log looks like this, or like this on its way through `deed`.
    fn allows(&self, log: &Log, deed: &Deed) -> bool {
        let mut after = self.clone();
        after.perform(deed);
        let (found, purged, vote) = (ids(log), log.purged(), log.vote().map(|vote| vote.leader_id.term));
        let is_known_vote = vote == self.vote || vote == after.vote;
        let is_between = match deed {
            // Some of the new entries may have made it, or not all of the cut ones may be gone.
            Deed::Append(..) => after.entries.starts_with(&found) && found.len() >= self.entries.len(),
            Deed::TruncateAfter(_) => self.entries.starts_with(&found) && found.len() >= after.entries.len(),
            _ => {
                (purged == self.purged && found == self.entries)
                    || (purged == after.purged && found == after.entries)
            }
        };
        is_known_vote && is_between
    }
}

fn perform(log: &Log, deed: &Deed) -> Result<(), LogError> {
    match deed.clone() {
        Deed::Append(term, indexes) => append(log, term, indexes),
        Deed::TruncateAfter(last) => log.truncate_after(Some(last)),
        Deed::Vote(term) => {
            log.save_vote(&VoteOf { leader_id: LeaderId { term, node_id: 1 }, committed: false })
        }
        Deed::Commit(id) => log.save_committed(Some(id)),
        Deed::Landmarks => log.keep_landmarks(),
        Deed::Purge(upto) => {
            log.purge(upto)?;
            log.keep_purged()
        }
        Deed::Reset(last, next_position) => {
            log.reset(Reset { last, last_crc: 77, next_position, is_copied: false })
        }
    }
}

#[test]
fn a_power_cut_at_any_change_keeps_what_was_durable_and_the_log_goes_on() {
    for seed in 0..4 {
        for step in 0.. {
            let disk = MemDisk::new();
            let log = open(&disk).unwrap();
            disk.power_off_after(step);
            let mut model = Model::default();
            let failed = history().into_iter().find(|deed| {
                let is_failed = perform(&log, deed).is_err();
                if !is_failed {
                    model.perform(deed);
                }
                is_failed
            });
            drop(log);
            let Some(deed) = failed else { break };
            if seed == 0 {
                disk.crash()
            } else {
                disk.crash_with(seed)
            }
            let log = open(&disk).unwrap_or_else(|error| panic!("seed {seed} step {step} {deed:?}: {error}"));
            assert!(
                model.allows(&log, &deed),
                "seed {seed} step {step} {deed:?}: {model:?}, found {:?} {:?} {:?}",
                ids(&log),
                log.purged(),
                log.vote()
            );
            let last = log.last().map_or(0, |last| last.index + 1);
            append(&log, 9, last..last + 20).unwrap();
            drop(log);
            disk.crash();
            let again = open(&disk).unwrap();
            assert_eq!(again.last(), Some(id(9, last + 19)), "seed {seed} step {step}");
        }
    }
}

#[test]
fn damage_below_the_durable_mark_is_an_error_and_a_torn_tail_is_cut() {
    let disk = MemDisk::new();
    let log = open(&disk).unwrap();
    append(&log, 1, 0..20).unwrap();
    let (position, end) = (log.envelope(7).unwrap().unwrap().position, log.end());
    // A record that was written and never synced: the durable mark does not cover it.
    let torn = [IoSlice::new(&[0x11; 80])];
    log.segments().write_at(end, &torn).unwrap();
    drop(log);
    assert_eq!(ids(&open(&disk).unwrap()).len(), 20);
    let segment = format!("/commitlog/{:020}", position - position % SEGMENT_BYTES);
    disk.damage(Path::new(&segment), position % SEGMENT_BYTES + 70);
    let error = open(&disk).unwrap_err();
    assert!(
        matches!(error, LogError::Damaged { position: found, durable } if found == position && durable == end),
        "{error}"
    );
    disk.damage(Path::new(&segment), position % SEGMENT_BYTES + 70);
    assert_eq!(ids(&open(&disk).unwrap()).len(), 20, "nothing was cut meanwhile");
}

/// Where an entry lies, as a file and a place in it.
fn place_of(log: &Log, index: u64) -> (String, u64) {
    let position = log.envelope(index).unwrap().unwrap().position;
    (format!("/commitlog/{:020}", position - position % SEGMENT_BYTES), position % SEGMENT_BYTES)
}

#[test]
fn a_start_reads_what_was_written_since_the_last_landmark_and_no_more() {
    let disk = MemDisk::new();
    let log = open(&disk).unwrap();
    append(&log, 1, 0..40).unwrap();
    log.keep_landmarks().unwrap();
    append(&log, 1, 40..60).unwrap();
    let (described, later) = (place_of(&log, 7), place_of(&log, 45));
    let positions: Vec<_> = (0..60).map(|index| log.envelope(index).unwrap().unwrap().position).collect();
    drop(log);
    disk.crash();
    // A bit of what is described: this start does not look there, `scrub` will.
    disk.damage(Path::new(&described.0), described.1 + 70);
    let log = open(&disk).unwrap();
    assert_eq!((log.last(), log.purged()), (Some(id(1, 59)), None));
    // Every entry is found, through the sparse points of landmarks or the dense ones of what was walked.
    for (index, position) in (0..).zip(&positions) {
        let found = log.envelope(index).unwrap().unwrap();
        assert_eq!((found.id, found.position), (id(1, index), *position));
    }
    append(&log, 2, 60..70).unwrap();
    drop(log);
    disk.damage(Path::new(&later.0), later.1 + 70);
    assert!(matches!(open(&disk), Err(LogError::Damaged { .. })), "what is not described is read");
}

#[test]
fn a_log_described_to_its_end_goes_on_behind_it_and_one_without_landmarks_is_read_as_a_whole() {
    let disk = MemDisk::new();
    let log = open(&disk).unwrap();
    append(&log, 1, 0..40).unwrap();
    log.purge(id(1, 9)).unwrap();
    log.close().unwrap();
    let described = place_of(&log, 20);
    drop(log);
    let log = open(&disk).unwrap();
    append(&log, 1, 40..50).unwrap();
    assert_eq!(ids(&log), (10..50).map(|index| id(1, index)).collect::<Vec<_>>());
    drop(log);
    disk.damage(Path::new(&described.0), described.1 + 70);
    drop(open(&disk).unwrap());
    disk.remove_dir_all(Path::new("/raft/landmarks")).unwrap();
    assert!(matches!(open(&disk), Err(LogError::Damaged { .. })));
}

#[test]
fn stale_entries_behind_a_cut_are_never_taken_for_the_log() {
    let disk = MemDisk::new();
    let log = open(&disk).unwrap();
    append(&log, 1, 0..2).unwrap();
    append(&log, 3, 2..5).unwrap();
    let cut = log.envelope(2).unwrap().unwrap().position;
    let stale = log.raw(cut, 4096).unwrap();
    log.truncate_after(Some(id(1, 1))).unwrap();
    append(&log, 2, 2..3).unwrap();
    let end = log.end();
    // As if zeroing the tail had been lost. A leader of term 4 brought entry 2 of term 2: the stale entry 3 of term 3 then
    // has the right index, the right position, a good checksum and a term that may follow; only the chain tells.
    let behind = stale.slice((end - cut) as usize..);
    let found = Envelope::decode(&behind).unwrap();
    assert_eq!((found.id, found.position), (id(3, 3), end));
    log.segments().write_at(end, &[IoSlice::new(&behind)]).unwrap();
    drop(log);
    assert_eq!(ids(&open(&disk).unwrap()).last(), Some(&id(2, 2)));
}

#[test]
fn a_follower_refuses_entries_that_do_not_continue_its_log_byte_for_byte() {
    let (leader, follower) = (open(&MemDisk::new()).unwrap(), open(&MemDisk::new()).unwrap());
    append(&leader, 1, 0..6).unwrap();
    let sent = |range: Range<u64>| leader.read(range, usize::MAX).unwrap();
    follower.append(sent(0..3), &mut NoStamps, IOFlushed::noop()).unwrap();
    let skipped = follower.append(sent(4..5), &mut NoStamps, IOFlushed::noop()).unwrap_err();
    assert!(matches!(skipped, LogError::Diverged { index: 4, .. }), "{skipped}");
    let elsewhere = open(&MemDisk::new()).unwrap();
    append(&elsewhere, 2, 0..3).unwrap();
    let foreign = elsewhere.append(sent(3..4), &mut NoStamps, IOFlushed::noop()).unwrap_err();
    assert!(matches!(foreign, LogError::Diverged { what: "checksum of the entry before", .. }), "{foreign}");
    follower.append(sent(3..6), &mut NoStamps, IOFlushed::noop()).unwrap();
    assert_eq!(leader.raw(0, 1000).unwrap(), follower.raw(0, 1000).unwrap());
}

#[test]
fn an_fsync_error_is_fatal_once_and_completes_nothing() {
    let disk = MemDisk::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = told.clone();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let segments = Arc::new(Segments::open(shared.clone(), "/commitlog".into(), SEGMENT_BYTES).unwrap());
    let log = Log::open(Opening {
        disk: shared,
        directory: "/raft".into(),
        segments,
        shape: Shape { group: "g".to_owned(), node: 1, segment_bytes: SEGMENT_BYTES, prefix_end: 0 },
        flush: FlushMode::Sync,
        flush_interval: Duration::from_secs(1),
        fatal: Fatal::new(move |error| hear.lock().push(error.to_string())),
    })
    .unwrap();
    append(&log, 1, 0..2).unwrap();
    disk.fail_sync(1);
    let (tell, outcome) = Types::oneshot();
    log.append([entry(1, 2)], &mut NoStamps, IOFlushed::signal(tell)).unwrap();
    assert!(log.flush().is_err());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(outcome).unwrap().is_err());
    assert!(log.append([entry(1, 3)], &mut NoStamps, IOFlushed::noop()).is_ok());
    assert!(log.flush().is_err());
    assert_eq!(told.lock().len(), 1);
}

#[test]
fn a_machine_that_lost_power_is_told_from_a_process_that_was_killed() {
    let disk = MemDisk::new();
    let boot = Path::new("/proc/sys/kernel/random/boot_id");
    disk.create_dir_all(boot.parent().unwrap()).unwrap();
    let set_boot = |id: &[u8]| disk.open(boot, disk::OpenHow::Create).unwrap().write_at(0, id).unwrap();
    set_boot(b"first");
    let live = || {
        let log = open_with(&disk, FlushMode::Async).unwrap();
        log.begin_life(FlushMode::Async).unwrap();
        log
    };
    assert!(!live().lost_power);
    assert!(!live().lost_power, "killed, but the machine stayed up");
    set_boot(b"other");
    let log = live();
    assert!(log.lost_power);
    log.close().unwrap();
    drop(log);
    set_boot(b"third");
    assert!(!open_with(&disk, FlushMode::Async).unwrap().lost_power, "it was closed in order before");
}

#[test]
fn a_vote_is_durable_and_that_it_was_won_costs_no_sync() {
    let disk = MemDisk::new();
    let log = open(&disk).unwrap();
    let vote = |term, committed| VoteOf { leader_id: LeaderId { term, node_id: 2 }, committed };
    let before = disk.syncs();
    log.save_vote(&vote(3, false)).unwrap();
    let voted = disk.syncs();
    assert!(voted > before);
    log.save_vote(&vote(3, true)).unwrap();
    assert_eq!((disk.syncs(), log.vote()), (voted, Some(vote(3, true))));
    drop(log);
    disk.crash();
    let log = open(&disk).unwrap();
    assert_eq!(log.vote().map(|vote| vote.leader_id.term), Some(3));
    log.save_vote(&vote(4, false)).unwrap();
    drop(log);
    disk.crash();
    assert_eq!(open(&disk).unwrap().vote(), Some(vote(4, false)));
}
