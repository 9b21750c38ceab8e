//! Promises of the call table.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;
use std::time::Duration;

use protocol::{RequestCode, ResponseCode};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn answer(opaque: i32) -> RemotingCommand {
    let mut request = RemotingCommand::request(RequestCode::HeartBeat);
    request.opaque = opaque;
    RemotingCommand::response(ResponseCode::Success).answers(&request)
}

fn closed() -> RemotingError {
    RemotingError::Closed { peer: ([127, 0, 0, 1], 1).into() }
}

fn second(n: u64) -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now) + Duration::from_secs(n)
}

fn enter(calls: &mut Calls, deadline: u64) -> i32 {
    calls.enter(second(deadline), None).map_err(|(refused, _)| refused).unwrap()
}

#[test]
fn an_answer_reaches_its_call_and_only_once() {
    let mut calls = Calls::new(4);
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    let first = enter(&mut calls, 3);
    let other = enter(&mut calls, 3);
    assert!(calls.poll(other, &mut cx).is_pending());
    assert!(calls.poll(first, &mut cx).is_pending());
    calls.complete(answer(other)).unwrap().tell();
    assert!(calls.complete(answer(other)).is_none());
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(calls.poll(first, &mut cx).is_pending());
    assert!(matches!(calls.poll(other, &mut cx), Poll::Ready(Ok(command)) if command.opaque == other));
    assert_eq!(calls.waiting(), 1);
}

#[test]
fn a_late_answer_never_reaches_the_call_that_took_the_place() {
    let mut calls = Calls::new(1);
    let first = enter(&mut calls, 1);
    calls.cancel(first);
    let again = enter(&mut calls, 1);
    assert_ne!(first, again);
    assert!(calls.complete(answer(first)).is_none());
    assert_eq!(calls.waiting(), 1);
}

#[test]
fn the_table_refuses_more_than_its_limit_and_takes_calls_again_afterwards() {
    let mut calls = Calls::new(2);
    let first = enter(&mut calls, 1);
    enter(&mut calls, 1);
    assert!(matches!(calls.enter(second(1), None), Err((Refused::Full, None))));
    calls.cancel(first);
    assert!(calls.enter(second(1), None).is_ok());
}

#[test]
fn calls_expire_at_their_own_deadline() {
    let mut calls = Calls::new(8);
    let near = enter(&mut calls, 1);
    let far = enter(&mut calls, 5);
    let mut told = Vec::new();
    calls.expire(second(0), closed, &mut told);
    assert_eq!(calls.waiting(), 2);
    calls.expire(second(2), closed, &mut told);
    assert_eq!((calls.waiting(), calls.due()), (1, Some(second(5))));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(calls.poll(near, &mut cx), Poll::Ready(Err(RemotingError::Closed { .. }))));
    assert!(calls.poll(far, &mut cx).is_pending());
}

#[test]
fn closing_ends_every_call_at_once_and_refuses_new_ones() {
    let mut calls = Calls::new(8);
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let count = count.clone();
        let told = move |outcome: Outcome| {
            assert!(outcome.is_err());
            count.fetch_add(1, Ordering::Relaxed);
        };
        assert!(calls.enter(second(1), Some(Box::new(told))).is_ok());
    }
    let mut told = Vec::new();
    calls.close(closed, &mut told);
    told.into_iter().for_each(Told::tell);
    assert_eq!(count.load(Ordering::Relaxed), 3);
    assert_eq!(calls.waiting(), 0);
    assert!(matches!(calls.enter(second(1), None), Err((Refused::Closed, None))));
}

#[test]
fn opaques_stay_positive_however_often_a_place_is_used() {
    let mut calls = Calls::new(1);
    for _ in 0..70_000 {
        let opaque = enter(&mut calls, 1);
        assert!(opaque >= 0);
        calls.cancel(opaque);
    }
}
