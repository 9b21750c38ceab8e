//! The promises of `segments`.

use proptest::prelude::*;

use super::*;
use crate::MemDisk;

const SEGMENT_BYTES: u64 = 64;

fn open(disk: &MemDisk) -> Result<Segments, DiskError> {
    Segments::open(Arc::new(disk.clone()), "/log".into(), SEGMENT_BYTES)
}

fn put(disk: &MemDisk, name: &str, bytes: &[u8]) {
    disk.create_dir_all(Path::new("/log")).unwrap();
    disk.open(&Path::new("/log").join(name), OpenHow::Create).unwrap().write_at(0, bytes).unwrap();
}

fn write(segments: &Segments, position: u64, bytes: &[u8]) {
    segments.write_at(position, &[IoSlice::new(bytes)]).unwrap();
}

#[test]
fn a_foreign_file_is_named_and_the_volume_directory_is_not_foreign() {
    for name in ["notes.txt", "00000000000000000001", "0000000000000000064", "abort"] {
        let disk = MemDisk::new();
        put(&disk, name, &[0; 64]);
        let error = open(&disk).unwrap_err();
        assert!(matches!(&error, DiskError::ForeignFile { name: named, .. } if named == name), "{error}");
    }
    let disk = MemDisk::new();
    disk.create_dir_all(Path::new("/log/lost+found")).unwrap();
    open(&disk).unwrap();
    disk.create_dir_all(Path::new("/log/00000000000000000064")).unwrap();
    assert!(matches!(open(&disk), Err(DiskError::ForeignFile { .. })));
}

#[test]
fn a_gap_and_a_wrong_size_are_errors_and_a_short_last_segment_is_extended() {
    let disk = MemDisk::new();
    put(&disk, "00000000000000000064", &[1; 64]);
    put(&disk, "00000000000000000192", &[1; 64]);
    assert!(matches!(open(&disk), Err(DiskError::SegmentGap { missing: 128, next: 192, .. })));
    put(&disk, "00000000000000000128", &[1; 63]);
    assert!(matches!(open(&disk), Err(DiskError::SegmentSize { bytes: 63, .. })));
    put(&disk, "00000000000000000128", &[1; 64]);
    put(&disk, "00000000000000000256", &[1; 3]);
    let segments = open(&disk).unwrap();
    assert_eq!((segments.start(), segments.end()), (64, 320));
    assert_eq!(segments.read(256, 64).unwrap()[..4], [1, 1, 1, 0]);
    put(&disk, "00000000000000000256", &[1; 65]);
    assert!(matches!(open(&disk), Err(DiskError::SegmentSize { bytes: 65, .. })));
}

#[test]
fn an_empty_log_begins_where_it_is_first_written() {
    let disk = MemDisk::new();
    let segments = open(&disk).unwrap();
    assert_eq!((segments.start(), segments.end()), (0, 0));
    write(&segments, 640 + 7, b"x");
    assert_eq!((segments.start(), segments.end()), (640, 704));
    assert_eq!((open(&disk).unwrap().start(), open(&disk).unwrap().end()), (640, 704));
    segments.clear().unwrap();
    assert_eq!((segments.start(), segments.end()), (640, 640));
    write(&segments, 64, b"y");
    assert_eq!((segments.start(), segments.end()), (64, 128));
}

#[test]
fn writes_and_reads_outside_or_across_segments_are_refused() {
    let segments = open(&MemDisk::new()).unwrap();
    write(&segments, 0, &[1; 64]);
    let slices = [IoSlice::new(&[2; 8])];
    assert!(matches!(
        segments.write_at(60, &slices),
        Err(DiskError::OutOfRange { position: 60, len: 8, .. })
    ));
    assert!(matches!(segments.write_at(128, &slices), Err(DiskError::OutOfRange { start: 0, end: 64, .. })));
    assert!(segments.read(60, 8).is_err() && segments.read(64, 1).is_err());
    assert_eq!(segments.read(64, 0).unwrap(), Bytes::new());
    write(&segments, 64, &[2; 8]);
    segments.drop_before(64).unwrap();
    assert!(
        segments.write_at(0, &slices).is_err()
            && segments.read(0, 1).is_err()
            && segments.truncate(3).is_err()
    );
}

#[test]
fn the_next_segment_can_be_prepared_once_by_another_thread() {
    let disk = MemDisk::new();
    let segments = open(&disk).unwrap();
    segments.prepare_next(0).unwrap();
    assert_eq!(segments.end(), 0, "there is no segment yet that another could follow");
    write(&segments, 5, b"x");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| segments.prepare_next(5).unwrap());
        }
    });
    assert_eq!(segments.end(), 128);
    let changes = disk.changes();
    write(&segments, 64, b"y");
    assert_eq!(disk.changes(), changes + 1, "only the write itself was left to do");
}

#[test]
fn a_full_disk_fails_the_new_segment_and_leaves_the_log_usable() {
    let disk = MemDisk::new();
    let segments = open(&disk).unwrap();
    write(&segments, 0, &[1; 64]);
    disk.set_capacity(Some(100));
    let error = segments.write_at(64, &[IoSlice::new(b"x")]).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(segments.end(), 64);
    assert_eq!(open(&disk).unwrap().end(), 64, "a restart does not need the room that was not there");
    disk.set_capacity(None);
    write(&segments, 64, b"x");
    assert_eq!(open(&disk).unwrap().end(), 128);
}

#[test]
fn a_short_last_segment_of_the_only_copy_gets_its_size_only_while_it_is_blank() {
    let open_whole = |disk: &MemDisk| Segments::open_whole(Arc::new(disk.clone()), "/log".into(), 64);
    for (content, is_opened) in [(&[][..], true), (&[0; 20], true), (b"a record", false)] {
        let disk = MemDisk::new();
        disk.create_dir_all("/log".as_ref()).unwrap();
        let path = Path::new("/log/00000000000000000000");
        disk.open(path, OpenHow::Create).unwrap().write_at(0, content).unwrap();
        match open_whole(&disk) {
            Ok(segments) => assert_eq!((is_opened, segments.end()), (true, 64)),
            Err(error) => {
                assert!(
                    matches!(error, DiskError::SegmentSize { bytes: 8, segment_bytes: 64, .. }),
                    "{error}"
                );
                assert!(!is_opened);
                let kept = crate::read_whole(&disk, path).unwrap().unwrap();
                assert_eq!(kept, content, "nothing was touched");
            }
        }
    }
}

#[test]
fn rebuildable_segments_cost_no_sync() {
    let disk = MemDisk::new();
    let segments =
        Segments::open_rebuildable(Arc::new(disk.clone()), "/queue".into(), SEGMENT_BYTES).unwrap();
    for index in 0..10 {
        write(&segments, index * SEGMENT_BYTES, b"x");
    }
    assert_eq!(disk.syncs(), 0);
    assert_eq!(segments.end(), 640);
}

/// What a test does to the log; positions are taken modulo what the log has.
#[derive(Debug, Clone)]
enum Deed {
    Append(u8, u8),
    Sync,
    Truncate(u16),
    DropBefore(u16),
    Prepare,
    Crash(u64),
    CutPower(u8, u64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => (1..30_u8, any::<u8>()).prop_map(|(len, fill)| Deed::Append(len, fill | 1)),
        3 => Just(Deed::Sync),
        1 => any::<u16>().prop_map(Deed::Truncate),
        1 => any::<u16>().prop_map(Deed::DropBefore),
        1 => Just(Deed::Prepare),
        1 => any::<u64>().prop_map(Deed::Crash),
        1 => (0..12_u8, any::<u64>()).prop_map(|(changes, seed)| Deed::CutPower(changes, seed)),
    ]
}

/// The log as it should be: every byte written, and how much of it must survive.
#[derive(Debug, Default)]
struct Model {
    start: u64,
    bytes: Vec<u8>,
    durable: u64,
    /// A cut that was under way when the power went: it may have happened or not.
    cutting: Option<u64>,
}

impl Model {
    fn end(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// After a crash all durable bytes are there, names are contiguous; the model goes on from what a log owner would keep.
    fn recover(&mut self, disk: &MemDisk) -> Segments {
        let segments = open(disk).unwrap();
        let keep = self.cutting.take().map_or(self.durable, |cut| cut.min(self.durable));
        assert!(segments.start() <= self.start, "a dropped segment may come back, a kept one must not go");
        if keep > self.start {
            assert!(segments.end() >= keep, "{} < {keep}", segments.end());
        }
        self.bytes.truncate(keep as usize);
        self.check(&segments);
        if segments.end() > segments.start() {
            segments.drop_before(self.start).unwrap();
            if segments.end() > keep && segments.start() <= keep {
                segments.truncate(keep).unwrap();
            }
        }
        self.durable = keep;
        segments
    }

    fn check(&self, segments: &Segments) {
        for position in self.start..self.end() {
            assert_eq!(
                segments.read(position, 1).unwrap()[0],
                self.bytes[position as usize],
                "at {position}"
            );
        }
    }
}

fn append(segments: &Segments, model: &mut Model, len: u8, fill: u8) -> Result<(), DiskError> {
    let left = SEGMENT_BYTES - model.end() % SEGMENT_BYTES;
    let len = u64::from(len).min(left) as usize;
    let (head, tail) = (vec![fill; len / 2], vec![fill; len - len / 2]);
    segments.write_at(model.end(), &[IoSlice::new(&head), IoSlice::new(&tail)])?;
    model.bytes.extend(std::iter::repeat_n(fill, len));
    Ok(())
}

fn perform(segments: &Segments, model: &mut Model, deed: &Deed) -> Result<(), DiskError> {
    match deed {
        Deed::Append(len, fill) => append(segments, model, *len, *fill)?,
        Deed::Sync => {
            segments.sync(model.durable, model.end())?;
            model.durable = model.end();
        }
        Deed::Truncate(to) if model.end() > model.start => {
            let to = model.start + u64::from(*to) % (model.end() - model.start + 1);
            model.cutting = Some(to);
            segments.truncate(to)?;
            model.cutting = None;
            model.bytes.truncate(to as usize);
            model.durable = model.durable.min(to);
        }
        // Retention drops durable bytes only.
        Deed::DropBefore(to) if model.durable > model.start => {
            let to = model.start + u64::from(*to) % (model.durable - model.start);
            // What is dropped is gone whether the call comes back or not.
            model.start = segments.segment_start(to);
            segments.drop_before(to)?;
        }
        Deed::Prepare => segments.prepare_next(model.end())?,
        Deed::Truncate(_) | Deed::DropBefore(_) | Deed::Crash(_) | Deed::CutPower(..) => {}
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn segments_keep_what_was_synced_through_any_crash(deeds in proptest::collection::vec(deed(), 1..60)) {
        let disk = MemDisk::new();
        let mut segments = open(&disk).unwrap();
        let mut model = Model::default();
        let mut crash_seed = None;
        for deed in &deeds {
            match deed {
                Deed::Crash(seed) => {
                    disk.crash_with(*seed);
                    segments = model.recover(&disk);
                }
                Deed::CutPower(changes, seed) if crash_seed.is_none() => {
                    disk.power_off_after(u64::from(*changes));
                    crash_seed = Some(*seed);
                }
                deed => {
                    if let Err(error) = perform(&segments, &mut model, deed) {
                        let seed = crash_seed.take().unwrap_or_else(|| panic!("{deed:?} failed by itself: {error}"));
                        disk.crash_with(seed);
                        segments = model.recover(&disk);
                    } else {
                        model.check(&segments);
                    }
                }
            }
            if matches!(deed, Deed::Crash(_)) {
                crash_seed = None;
            }
        }
    }
}
