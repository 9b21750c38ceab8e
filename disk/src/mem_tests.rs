//! The promises of `mem`.

use super::*;

fn content(disk: &MemDisk, path: &str) -> Option<Vec<u8>> {
    crate::read_whole(disk, Path::new(path)).unwrap()
}

#[test]
fn a_crash_takes_unsynced_bytes_and_unsynced_names() {
    let disk = MemDisk::new();
    let file = disk.open(Path::new("/kept"), OpenHow::Create).unwrap();
    file.write_at(0, b"synced").unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    file.write_at(6, b"unsynced").unwrap();
    let nameless = disk.open(Path::new("/nameless"), OpenHow::Create).unwrap();
    nameless.write_at(0, b"x").unwrap();
    nameless.sync_data().unwrap();
    disk.crash();
    assert_eq!(content(&disk, "/kept").unwrap(), b"synced");
    assert_eq!(content(&disk, "/nameless"), None);
    assert_eq!(file.write_at(0, b"late").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_removed_name_comes_back_unless_the_directory_was_synced() {
    let disk = MemDisk::new();
    disk.open(Path::new("/a"), OpenHow::Create).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.remove(Path::new("/a")).unwrap();
    disk.crash();
    assert!(disk.exists(Path::new("/a")));
    disk.remove(Path::new("/a")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.crash();
    assert!(!disk.exists(Path::new("/a")));
}

#[test]
fn a_seed_tears_the_same_write_the_same_way_and_seeds_differ() {
    let torn = |seed| {
        let disk = MemDisk::new();
        let file = disk.open(Path::new("/a"), OpenHow::Create).unwrap();
        file.allocate(8192).unwrap();
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_at(0, &[1; 8192]).unwrap();
        disk.crash_with(seed);
        content(&disk, "/a").unwrap()
    };
    assert_eq!(torn(3), torn(3));
    let outcomes: std::collections::HashSet<Vec<u8>> = (0..50).map(torn).collect();
    assert!(outcomes.contains(&vec![0; 8192]) && outcomes.contains(&vec![1; 8192]) && outcomes.len() > 10);
}

#[test]
fn the_nth_sync_fails_and_what_it_covered_never_reaches_the_platter() {
    let disk = MemDisk::new();
    let file = disk.open(Path::new("/a"), OpenHow::Create).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk.fail_sync(2);
    file.write_at(0, b"a").unwrap();
    file.sync_data().unwrap();
    file.write_at(1, b"b").unwrap();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(content(&disk, "/a").unwrap(), b"ab");
    disk.crash();
    assert_eq!(content(&disk, "/a").unwrap(), b"a", "a retried sync does not bring the bytes back");
}

#[test]
fn a_full_disk_refuses_growth_and_takes_overwrites() {
    let disk = MemDisk::new();
    disk.set_capacity(Some(100));
    let file = disk.open(Path::new("/a"), OpenHow::Create).unwrap();
    file.allocate(100).unwrap();
    file.write_at(50, &[1; 50]).unwrap();
    assert_eq!(file.write_at(51, &[1; 50]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.space(Path::new("/")).unwrap(), Space { total: 100, available: 0, used: 100 });
    disk.fail_write(2, io::ErrorKind::StorageFull);
    file.write_at(0, b"a").unwrap();
    assert_eq!(file.write_at(0, b"a").unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.write_at(0, b"a").unwrap();
}

#[test]
fn after_the_power_is_off_nothing_works_until_the_crash() {
    let disk = MemDisk::new();
    let file = disk.open(Path::new("/a"), OpenHow::Create).unwrap();
    disk.power_off_after(1);
    file.write_at(0, b"a").unwrap();
    assert!(
        file.write_at(1, b"b").is_err()
            && file.sync_data().is_err()
            && disk.sync_dir(Path::new("/")).is_err()
    );
    disk.crash();
    disk.open(Path::new("/a"), OpenHow::CreateNew).unwrap();
}

#[test]
fn a_lock_is_exclusive_and_a_crash_frees_it() {
    let disk = MemDisk::new();
    let lock = disk.lock(Path::new("/lock")).unwrap();
    assert_eq!(disk.lock(Path::new("/lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    disk.crash();
    let second = disk.lock(Path::new("/lock")).unwrap();
    drop(lock);
    assert_eq!(disk.lock(Path::new("/lock")).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(second);
    disk.lock(Path::new("/lock")).unwrap();
}
