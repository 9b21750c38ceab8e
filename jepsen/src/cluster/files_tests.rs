//! Logs made by hand, byte by byte.

use super::*;

fn record(queue: u32, offset: u64, physical: u64, value: u64) -> Vec<u8> {
    let body = body::encode(value, 40);
    let mut record = vec![0; 88];
    record[4..8].copy_from_slice(&RECORD_MAGICS[0].to_be_bytes());
    record[12..16].copy_from_slice(&queue.to_be_bytes());
    record[20..28].copy_from_slice(&offset.to_be_bytes());
    record[28..36].copy_from_slice(&physical.to_be_bytes());
    record[84..88].copy_from_slice(&(body.len() as u32).to_be_bytes());
    record.extend_from_slice(&body);
    record.push(1);
    record.extend_from_slice(b"T\0\0");
    let size = record.len() as u32;
    record[0..4].copy_from_slice(&size.to_be_bytes());
    record
}

fn envelope(position: u64, records: &[(u32, u64, u64)]) -> Vec<u8> {
    entry(position, (0, 1), records)
}

fn entry(position: u64, (index, term): (u64, u64), records: &[(u32, u64, u64)]) -> Vec<u8> {
    let mut bytes = vec![0; ENVELOPE_BYTES];
    bytes[ENVELOPE_INDEX_AT..][..8].copy_from_slice(&index.to_be_bytes());
    bytes[ENVELOPE_TERM_AT..][..8].copy_from_slice(&term.to_be_bytes());
    bytes[ENVELOPE_POSITION_AT..][..8].copy_from_slice(&position.to_be_bytes());
    bytes[4..8].copy_from_slice(&ENVELOPE_MAGIC.to_be_bytes());
    bytes[ENVELOPE_KIND_AT] = ENVELOPE_KIND_MESSAGES;
    for (queue, offset, value) in records {
        let at = position + bytes.len() as u64;
        bytes.extend(record(*queue, *offset, at, *value));
    }
    let size = bytes.len() as u32;
    bytes[0..4].copy_from_slice(&size.to_be_bytes());
    bytes
}

fn write(directory: &Path, start: u64, mut bytes: Vec<u8>, size: usize) {
    bytes.resize(size, 0);
    std::fs::write(directory.join(format!("{start:020}")), bytes).unwrap();
}

#[test]
fn plain_records_and_envelopes_are_read_across_files() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = record(0, 0, 0, 10);
    let left = 1_000 - first.len();
    first.extend((left as u32).to_be_bytes());
    first.extend(FILLER_MAGIC.to_be_bytes());
    write(directory.path(), 0, first, 1_000);
    write(directory.path(), 1_000, envelope(1_000, &[(0, 1, 11), (1, 0, 12)]), 1_000);
    let found = read_log("n0", directory.path()).unwrap();
    assert!(found.digest.faults.is_empty(), "{:?}", found.digest.faults);
    assert_eq!(found.messages.iter().map(|kept| kept.value).collect::<Vec<_>>(), [10, 11, 12]);
    let drains = drains("n0", &found.messages, "T");
    assert_eq!(drains[0].values, [Some(10), Some(11)]);
    assert_eq!(drains[1].values, [Some(12)]);
    assert_eq!(found.digest.end, 1_000 + envelope(1_000, &[(0, 1, 11), (1, 0, 12)]).len() as u64);
}

#[test]
fn undefined_bytes_behind_a_filler_do_not_make_replicas_differ() {
    let log = |rubbish: u8| {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = record(0, 0, 0, 10);
        let left = 1_000 - bytes.len();
        bytes.extend((left as u32).to_be_bytes());
        bytes.extend(FILLER_MAGIC.to_be_bytes());
        bytes.resize(1_000, rubbish);
        write(directory.path(), 0, bytes, 1_000);
        read_log("n", directory.path()).unwrap().digest
    };
    assert_eq!(log(1), log(2));
}

#[test]
fn torn_and_misplaced_records_are_faults() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = record(0, 0, 0, 10);
    bytes.extend(record(0, 1, 9_999, 11));
    bytes.extend(5_000_u32.to_be_bytes());
    bytes.extend(RECORD_MAGICS[0].to_be_bytes());
    write(directory.path(), 0, bytes, 1_000);
    let found = read_log("n0", directory.path()).unwrap();
    assert_eq!(found.digest.faults.len(), 2, "{:?}", found.digest.faults);
}

#[test]
fn a_queue_offset_that_stands_twice_is_named() {
    let kept = |value, physical| Kept { topic: "T".to_owned(), queue: 0, offset: 0, physical, value };
    let twice = [kept(1, 100), kept(2, 200)];
    assert_eq!(repeats(&twice), ["T/0 offset 0 is at 100 and again at 200"]);
    assert_eq!(drains("n0", &twice, "T")[0].values, [Some(1)]);
    assert!(repeats(&twice[..1]).is_empty());
}

#[test]
fn a_changed_byte_changes_its_block_only() {
    let digest = |changed: bool| {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = Vec::new();
        let mut offset = 0;
        while bytes.len() < 3 << 20 {
            let value = if changed && offset == 1 { 999_999 } else { offset };
            bytes.extend(record(0, offset, bytes.len() as u64, value));
            offset += 1;
        }
        let size = bytes.len();
        write(directory.path(), 0, bytes, size);
        read_log("n", directory.path()).unwrap().digest
    };
    let (a, b) = (digest(false), digest(true));
    assert_ne!(a.blocks[0], b.blocks[0]);
    assert_eq!(a.blocks[1..], b.blocks[1..]);
}

#[test]
fn entries_out_of_line_are_named() {
    let faults = |ids: &[(u64, u64)]| {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Vec::new();
        for id in ids {
            log.extend(entry(log.len() as u64, *id, &[]));
        }
        write(directory.path(), 0, log, 4_000);
        read_log("n0", directory.path()).unwrap().digest.faults
    };
    assert!(faults(&[(7, 1), (8, 1), (9, 3)]).is_empty());
    assert!(faults(&[(7, 1), (9, 1)])[0].contains("entry 9 behind entry 7"));
    assert!(faults(&[(7, 3), (8, 2)])[0].contains("term 2 behind one of term 3"));
}
