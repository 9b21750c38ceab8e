//! Hand-made register histories, and the cross-check with the slow model.

use proptest::prelude::*;

use super::*;
use crate::check::Verdict;
use crate::check::wgl::{Step, Timed, linearizable};

fn key() -> Key {
    Key("k".to_owned())
}

fn write(value: u64, invoked: u64, returned: u64, outcome: Outcome) -> Operation {
    let call = Call::Write { key: key(), value };
    let answer = (outcome == Outcome::Ok).then_some(Answer::Done);
    Operation { op: value, process: 0, invoked, returned: Some(returned), outcome, call, answer, error: None }
}

fn read(value: Option<u64>, invoked: u64, returned: u64) -> Operation {
    let call = Call::Read { key: key() };
    let answer = Some(Answer::Value(value));
    Operation {
        op: 0,
        process: 1,
        invoked,
        returned: Some(returned),
        outcome: Outcome::Ok,
        call,
        answer,
        error: None,
    }
}

fn verdict(operations: &[Operation]) -> Verdict {
    check(operations, SearchLimits::default()).verdict
}

#[test]
fn a_register_that_behaves_is_valid() {
    let run = [read(None, 1, 2), write(5, 3, 4, Outcome::Ok), read(Some(5), 5, 6)];
    assert_eq!(verdict(&run), Verdict::Valid);
}

#[test]
fn a_stale_read_is_invalid() {
    let run = [write(5, 1, 2, Outcome::Ok), write(6, 3, 4, Outcome::Ok), read(Some(5), 5, 6)];
    assert_eq!(verdict(&run), Verdict::Invalid);
    assert_eq!(verdict(&[write(5, 1, 2, Outcome::Ok), read(None, 3, 4)]), Verdict::Invalid);
}

#[test]
fn an_unknown_write_may_take_effect_or_not_but_not_come_and_go() {
    let unseen = [write(5, 1, 2, Outcome::Unknown), read(None, 3, 4), read(None, 5, 6)];
    assert_eq!(verdict(&unseen), Verdict::Valid);
    let late = [write(5, 1, 2, Outcome::Unknown), read(None, 3, 4), read(Some(5), 5, 6)];
    assert_eq!(verdict(&late), Verdict::Valid);
    let gone = [write(5, 1, 2, Outcome::Unknown), read(Some(5), 3, 4), read(None, 5, 6)];
    assert_eq!(verdict(&gone), Verdict::Invalid);
}

#[test]
fn a_refused_write_that_is_read_is_invalid() {
    assert_eq!(verdict(&[write(5, 1, 2, Outcome::Fail), read(Some(5), 3, 4)]), Verdict::Invalid);
    assert_eq!(verdict(&[read(Some(9), 3, 4)]), Verdict::Invalid);
    assert_eq!(verdict(&[read(Some(5), 1, 2), write(5, 3, 4, Outcome::Unknown)]), Verdict::Invalid);
}

#[test]
fn a_search_that_is_too_long_is_unknown_and_not_a_pass() {
    let run: Vec<_> = (0..20).map(|value| write(value, 2 * value, 2 * value + 1, Outcome::Ok)).collect();
    let limits =
        SearchLimits { offsets_may_go_back: false, operations_max: 10, timeout: Duration::from_secs(1) };
    assert_eq!(check(&run, limits).verdict, Verdict::Unknown);
    assert_eq!(verdict(&[]), Verdict::Unknown);
}

#[test]
fn many_unknown_writes_do_not_make_the_search_explode() {
    let mut run = Vec::new();
    for value in 0..400 {
        let at = 10 * value;
        let outcome = if value % 3 == 0 { Outcome::Unknown } else { Outcome::Ok };
        run.push(write(value, at, at + 3, outcome));
        run.push(read(Some(value), at + 4, at + 6));
    }
    assert_eq!(verdict(&run), Verdict::Valid);
}

impl Step<Option<u64>> for Deed {
    fn apply(&self, state: &Option<u64>) -> Option<Option<u64>> {
        match self {
            Self::Write(value) => Some(Some(*value)),
            Self::Read(value) => (value == state).then_some(*state),
        }
    }
}

fn slow_verdict(operations: &[Operation]) -> bool {
    let mut timed = Vec::new();
    for operation in operations {
        let step = match (&operation.call, &operation.answer) {
            (Call::Write { value, .. }, _) => Deed::Write(*value),
            (_, Some(Answer::Value(value))) => Deed::Read(*value),
            _ => continue,
        };
        match operation.outcome {
            Outcome::Fail => {}
            Outcome::Unknown => timed.push(Timed { invoked: operation.invoked, returned: None, step }),
            Outcome::Ok => {
                timed.push(Timed { invoked: operation.invoked, returned: operation.returned, step })
            }
        }
    }
    linearizable(&timed, &None, &|_: &Option<u64>| true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_search_and_the_slow_model_agree(script in prop::collection::vec((0_u8..8, 0_u64..30, 1_u64..12, 0_u64..5), 1..7)) {
        let mut run = Vec::new();
        for (index, (what, invoked, length, value)) in (0_u64..).zip(script) {
            let (invoked, returned) = (2 * invoked, 2 * (invoked + length) + 1);
            run.push(match what {
                0..=2 => write(index, invoked, returned, Outcome::Ok),
                3 => write(index, invoked, returned, Outcome::Unknown),
                4 => write(index, invoked, returned, Outcome::Fail),
                5 => read(None, invoked, returned),
                _ => read(Some(value), invoked, returned),
            });
        }
        prop_assert_eq!(verdict(&run) != Verdict::Invalid, slow_verdict(&run), "{:?}", run);
    }
}
