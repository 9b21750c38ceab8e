//! The promises of `group_flush`.

use std::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

fn broken() -> DiskError {
    DiskError::io("sync", "/log".as_ref(), std::io::ErrorKind::Other.into())
}

#[test]
fn who_comes_while_a_sync_runs_shares_the_next_one() {
    let (started, starts) = mpsc::channel();
    let (go, gate) = mpsc::channel::<()>();
    let (told, tells) = mpsc::channel();
    let sync = move |from, to| {
        started.send((from, to)).unwrap();
        gate.recv().unwrap();
        Ok(())
    };
    let flush =
        GroupFlush::start("flush", 5, None, sync, move |end| told.send(end.unwrap()).unwrap()).unwrap();
    flush.request(10);
    assert_eq!(starts.recv_timeout(PATIENCE).unwrap(), (5, 10));
    for position in 11..=500 {
        flush.request(position);
    }
    go.send(()).unwrap();
    assert_eq!(starts.recv_timeout(PATIENCE).unwrap(), (10, 500));
    go.send(()).unwrap();
    assert_eq!([tells.recv_timeout(PATIENCE).unwrap(), tells.recv_timeout(PATIENCE).unwrap()], [10, 500]);
    drop(flush);
    assert!(starts.recv().is_err(), "nothing was left to sync");
}

#[test]
fn the_first_error_is_the_last_callback() {
    let (told, tells) = mpsc::channel();
    let sync = move |_, to| if to == 2 { Err(broken()) } else { Ok(()) };
    let flush = GroupFlush::start("flush", 0, None, sync, move |end| told.send(end).unwrap()).unwrap();
    flush.request(1);
    assert_eq!(tells.recv_timeout(PATIENCE).unwrap().unwrap(), 1);
    flush.request(2);
    assert!(tells.recv_timeout(PATIENCE).unwrap().is_err());
    flush.request(3);
    assert!(matches!(flush.flush(), Err(DiskError::FlushFailed)));
    assert_eq!(flush.synced(), 1);
    drop(flush);
    assert!(tells.recv().is_err());
}

#[test]
fn what_is_only_marked_is_synced_after_the_interval_on_flush_and_at_the_end() {
    let (told, tells) = mpsc::channel();
    let teller = told.clone();
    let quick = Some(Duration::from_millis(1));
    let flush =
        GroupFlush::start("flush", 0, quick, |_, _| Ok(()), move |end| teller.send(end.unwrap()).unwrap())
            .unwrap();
    flush.mark(7);
    assert_eq!(tells.recv_timeout(PATIENCE).unwrap(), 7);
    drop(flush);
    let flush =
        GroupFlush::start("flush", 0, None, |_, _| Ok(()), move |end| told.send(end.unwrap()).unwrap())
            .unwrap();
    flush.mark(8);
    assert_eq!(flush.flush().unwrap(), 8);
    flush.mark(9);
    drop(flush);
    assert_eq!([tells.recv_timeout(PATIENCE).unwrap(), tells.recv_timeout(PATIENCE).unwrap()], [8, 9]);
}

#[test]
fn after_a_rewind_the_same_positions_are_synced_again() {
    let (told, tells) = mpsc::channel();
    let sync = move |from, to| {
        told.send((from, to)).unwrap();
        Ok(())
    };
    let flush = GroupFlush::start("flush", 0, None, sync, |_| {}).unwrap();
    flush.mark(10);
    flush.flush().unwrap();
    flush.rewind(4);
    flush.mark(6);
    flush.flush().unwrap();
    flush.restart_at(100);
    flush.mark(101);
    flush.flush().unwrap();
    assert_eq!(tells.try_iter().collect::<Vec<_>>(), [(0, 10), (4, 6), (100, 101)]);
}
