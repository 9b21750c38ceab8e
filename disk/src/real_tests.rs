//! The promises of `real`.

use super::*;
use crate::{DiskError, Segments, replace_file};

#[test]
fn bytes_read_from_a_map_show_what_was_written_and_outlive_the_file() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("segment");
    let file = RealDisk.open(&path, OpenHow::CreateNew).unwrap();
    file.allocate(1 << 20).unwrap();
    file.write_vectored_at(100, &[IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")]).unwrap();
    let bytes = file.read_bytes(100, 6).unwrap();
    file.write_at(106, b"three").unwrap();
    assert_eq!(file.read_bytes(106, 5).unwrap(), b"three"[..], "the map shows later writes");
    RealDisk.remove(&path).unwrap();
    drop(file);
    assert_eq!(bytes, b"onetwo"[..]);
}

#[test]
fn more_slices_than_one_system_call_takes_are_written_whole() {
    let home = tempfile::tempdir().unwrap();
    let file = RealDisk.open(&home.path().join("file"), OpenHow::Create).unwrap();
    let pieces: Vec<[u8; 2]> = (0..3000_u16).map(u16::to_be_bytes).collect();
    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    file.write_vectored_at(7, &slices).unwrap();
    let mut read = vec![0; 6000];
    assert_eq!(file.read_at(7, &mut read).unwrap(), 6000);
    assert_eq!(read, pieces.concat());
}

#[test]
fn a_mapped_file_is_not_made_shorter_and_a_grown_one_is_mapped_again() {
    let home = tempfile::tempdir().unwrap();
    let file = RealDisk.open(&home.path().join("file"), OpenHow::Create).unwrap();
    file.write_at(0, b"abc").unwrap();
    let early = file.read_bytes(0, 3).unwrap();
    assert_eq!(file.set_len(1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(file.read_bytes(2, 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    file.write_at(3, b"def").unwrap();
    assert_eq!(file.read_bytes(2, 4).unwrap(), b"cdef"[..]);
    assert_eq!(early, b"abc"[..]);
}

#[test]
fn zero_clears_a_range_and_keeps_the_size() {
    let home = tempfile::tempdir().unwrap();
    let file = RealDisk.open(&home.path().join("file"), OpenHow::Create).unwrap();
    file.write_at(0, &[7; 10_000]).unwrap();
    file.zero(100, 9_000).unwrap();
    let read = file.read_bytes(0, 10_000).unwrap();
    assert!(read[..100].iter().all(|byte| *byte == 7) && read[9_100..].iter().all(|byte| *byte == 7));
    assert!(read[100..9_100].iter().all(|byte| *byte == 0));
    write_zeros(&File::options().write(true).open(home.path().join("file")).unwrap(), 0, 10_000).unwrap();
    assert!(read.iter().all(|byte| *byte == 0));
}

#[test]
fn a_lock_keeps_the_second_broker_of_the_same_process_away_until_it_is_dropped() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lock");
    let lock = RealDisk.lock(&path).unwrap();
    assert_eq!(RealDisk.lock(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    RealDisk.lock(&path).unwrap();
}

#[test]
fn space_and_listing_tell_the_truth() {
    let home = tempfile::tempdir().unwrap();
    let space = RealDisk.space(home.path()).unwrap();
    assert!(space.total >= space.available && space.available > 0);
    assert!((0.0..=1.0).contains(&space.used_ratio()));
    let deep = home.path().join("a/b/c");
    RealDisk.create_dir_all(&deep).unwrap();
    RealDisk.create_dir_all(&deep).unwrap();
    replace_file(&RealDisk, &deep.join("2"), b"22").unwrap();
    replace_file(&RealDisk, &deep.join("1"), b"1").unwrap();
    let names: Vec<_> =
        RealDisk.list(&deep).unwrap().into_iter().map(|entry| (entry.name, entry.bytes)).collect();
    assert_eq!(names, [("1".to_owned(), 1), ("2".to_owned(), 2)]);
    RealDisk.remove_dir_all(&home.path().join("a")).unwrap();
    assert!(!RealDisk.exists(&deep));
}

/// A Java broker makes its commit log by mapping sparse files of 1 GiB, one ahead of the one it writes.
#[test]
fn segments_written_by_a_java_broker_open() {
    const GIB: u64 = 1 << 30;
    let home = tempfile::tempdir().unwrap();
    for start in [5 * GIB, 6 * GIB] {
        let file = File::create(home.path().join(format!("{start:020}"))).unwrap();
        file.set_len(GIB).unwrap();
        file.write_all_at(b"record", 0).unwrap();
    }
    let segments = Segments::open(Arc::new(RealDisk), home.path().to_path_buf(), GIB).unwrap();
    assert_eq!((segments.start(), segments.end()), (5 * GIB, 7 * GIB));
    assert_eq!(segments.read(6 * GIB, 6).unwrap(), b"record"[..]);
    segments.write_at(5 * GIB + 6, &[IoSlice::new(b"more")]).unwrap();
    assert_eq!(segments.read(5 * GIB, 10).unwrap(), b"recordmore"[..]);
    segments.truncate(5 * GIB + 3).unwrap();
    assert_eq!(segments.end(), 6 * GIB);
    assert_eq!(segments.read(5 * GIB, 6).unwrap(), b"rec\0\0\0"[..]);
}

#[test]
fn readers_keep_the_bytes_of_a_dropped_segment() {
    let home = tempfile::tempdir().unwrap();
    let segments = Segments::open(Arc::new(RealDisk), home.path().join("log"), 4096).unwrap();
    segments.write_at(10, &[IoSlice::new(b"kept")]).unwrap();
    segments.write_at(4096, &[IoSlice::new(b"next")]).unwrap();
    let bytes = segments.read(10, 4).unwrap();
    assert_eq!(segments.drop_before(8191).unwrap(), [0]);
    assert!(matches!(segments.read(10, 4), Err(DiskError::OutOfRange { start: 4096, .. })));
    assert_eq!(bytes, b"kept"[..]);
    assert_eq!(segments.list().unwrap().len(), 1);
}
