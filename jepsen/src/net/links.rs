//! The directed links between servers, and which faults lie on them.
//!
//! Faults overlap: each lays an [`Effect`] on the links under its own number and takes it away by
//! that number; a link's flow is the sum of all that lies on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::flow::Flow;

/// A server, by its number in the run: replicas first, name servers after them.
pub type Member = u32;

/// What one fault does to links: a flow for each direction that it touches.
pub type Effect = Vec<(Member, Member, Flow)>;

/// All directed links of a run. Shared with the proxies, which watch them.
#[derive(Clone, Debug)]
pub struct Links {
    flows: Arc<BTreeMap<(Member, Member), watch::Sender<Flow>>>,
    effects: Arc<std::sync::Mutex<BTreeMap<u32, Effect>>>,
}

impl Links {
    /// Links between every two of `members`, all of them whole.
    pub fn between(members: u32) -> Self {
        let pairs = (0..members).flat_map(|from| (0..members).map(move |to| (from, to)));
        let flows =
            pairs.filter(|(from, to)| from != to).map(|pair| (pair, watch::Sender::new(Flow::default())));
        Self { flows: Arc::new(flows.collect()), effects: Arc::default() }
    }

    /// Lays a fault's effect on the links, in place of what the same fault laid before.
    pub fn lay(&self, fault: u32, effect: Effect) {
        let mut effects = self.effects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        effects.insert(fault, effect);
        self.apply(&effects);
    }

    /// Takes a fault's effect away.
    pub fn lift(&self, fault: u32) {
        let mut effects = self.effects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        effects.remove(&fault);
        self.apply(&effects);
    }

    /// Takes everything away.
    pub fn lift_all(&self) {
        let mut effects = self.effects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        effects.clear();
        self.apply(&effects);
    }

    /// Follows one direction.
    pub fn watch(&self, from: Member, to: Member) -> Option<watch::Receiver<Flow>> {
        self.flows.get(&(from, to)).map(watch::Sender::subscribe)
    }

    /// The directions that carry nothing now.
    pub fn cuts(&self) -> Vec<(Member, Member)> {
        self.flows.iter().filter(|(_, flow)| flow.borrow().cut).map(|(pair, _)| *pair).collect()
    }

    fn apply(&self, effects: &BTreeMap<u32, Effect>) {
        for (pair, sender) in self.flows.iter() {
            let laid = effects.values().flatten().filter(|(from, to, _)| (*from, *to) == *pair);
            let flow = laid.fold(Flow::default(), |sum, (_, _, flow)| sum.and(*flow));
            sender.send_if_modified(|current| std::mem::replace(current, flow) != flow);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn overlapping_faults_are_lifted_one_by_one() {
        let links = Links::between(3);
        let slow = Flow { delay: Duration::from_millis(9), ..Flow::default() };
        links.lay(1, vec![(0, 1, Flow::CUT)]);
        links.lay(2, vec![(0, 1, slow), (1, 0, slow)]);
        assert_eq!(links.cuts(), [(0, 1)]);
        links.lift(1);
        assert!(links.cuts().is_empty());
        assert_eq!(*links.watch(0, 1).unwrap().borrow(), slow);
        links.lift_all();
        assert_eq!(*links.watch(1, 0).unwrap().borrow(), Flow::default());
        assert!(links.watch(1, 1).is_none());
    }
}
