//! A tiny Wing-and-Gong search: the model that the fast checkers are measured against in tests.
//!
//! It knows one queue and one register, tries every order that real time allows, and is far too
//! slow for real histories, which is the point: there is nothing in it to get wrong.

/// What an operation does to the state, and what it must find.
pub(crate) trait Step<S> {
    /// The state after it, or `None` if it cannot happen in this state.
    fn apply(&self, state: &S) -> Option<S>;
}

/// One operation with its interval; `returned` is `None` if it may take effect at any later time or never.
#[derive(Clone, Debug)]
pub(crate) struct Timed<O> {
    pub(crate) invoked: u64,
    pub(crate) returned: Option<u64>,
    pub(crate) step: O,
}

/// Whether some order of all returned operations, and of any of the unreturned ones, is legal
/// and ends in a state that `accept` likes.
pub(crate) fn linearizable<S: Clone, O: Step<S>>(
    operations: &[Timed<O>],
    state: &S,
    accept: &dyn Fn(&S) -> bool,
) -> bool {
    search(operations, &mut vec![false; operations.len()], state, accept)
}

fn search<S: Clone, O: Step<S>>(
    operations: &[Timed<O>],
    done: &mut Vec<bool>,
    state: &S,
    accept: &dyn Fn(&S) -> bool,
) -> bool {
    let open = |index: &usize| !done[*index];
    let must: Vec<usize> =
        (0..operations.len()).filter(open).filter(|index| operations[*index].returned.is_some()).collect();
    if must.is_empty() && accept(state) {
        return true;
    }
    let first_return = must.iter().filter_map(|index| operations[*index].returned).min().unwrap_or(u64::MAX);
    for index in 0..operations.len() {
        if done[index] || operations[index].invoked > first_return {
            continue;
        }
        if let Some(next) = operations[index].step.apply(state) {
            done[index] = true;
            if search(operations, done, &next, accept) {
                return true;
            }
            done[index] = false;
        }
    }
    false
}
