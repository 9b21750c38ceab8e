//! Whether this node may vote: not while it may lack entries that it acknowledged, since its vote could then elect a leader
//! without them.
//!
//! Two things take entries away: a power cut under ASYNC_FLUSH, which the boot id tells, and a disk that was set back, which
//! a vote older than the log tells, or else only those to whom the entries were acknowledged. So whoever was a member before asks when it starts, and votes
//! once as many others as a majority needs have said that it lacks nothing. Who lacks something votes again once it has
//! committed everything that a leader held after the restart; that it has to is durable. Until then it votes in one case
//! only: when every voter has said what it holds, for a candidate that holds the most of all. So a group whose machines all
//! lost power comes back with everything that survived anywhere.

use std::collections::BTreeSet;

use disk::DiskError;
use parking_lot::Mutex;

use crate::envelope::EntryId;
use crate::slot_file::SlotFile;
use crate::types::VoteOf;

/// Whether this node may vote, shared.
#[derive(Debug)]
pub(crate) struct Probation {
    state: Mutex<State>,
    /// One byte: whether there is something to catch up with.
    file: Mutex<SlotFile>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Over,
    /// Which members said that nothing is missing here.
    Asking(BTreeSet<u64>),
    Behind {
        /// Which leader was heard since, and the last index that it held then.
        heard: Option<(VoteOf, u64)>,
        /// The most that any voter holds, once all have said.
        most: Option<EntryId>,
    },
}

const BEHIND: State = State::Behind { heard: None, most: None };

/// How a node begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// It was no member of a group, and has acknowledged nothing.
    New,
    /// It was a member and knows of no loss.
    Member,
    /// It lost what was not flushed.
    Behind,
}

impl Probation {
    /// Opens the file's record and begins.
    pub(crate) fn open(
        (mut file, record): (SlotFile, Option<Vec<u8>>),
        beginning: Beginning,
    ) -> Result<Self, DiskError> {
        let was_behind = record.is_some_and(|record| record == [1]);
        let state = match beginning {
            Beginning::New => State::Over,
            Beginning::Member if !was_behind => State::Asking(BTreeSet::new()),
            Beginning::Member | Beginning::Behind => BEHIND,
        };
        if matches!(state, State::Behind { .. }) && !was_behind {
            file.write(&[1], true)?;
        }
        Ok(Self { state: Mutex::new(state), file: Mutex::new(file) })
    }

    pub(crate) fn may_vote(&self) -> bool {
        *self.state.lock() == State::Over
    }

    /// Whether a candidate with this last entry may have this node's vote; for itself as for others.
    pub(crate) fn may_vote_for(&self, last: Option<EntryId>) -> bool {
        match *self.state.lock() {
            State::Over => true,
            State::Asking(_) => false,
            State::Behind { most, .. } => most.is_some() && last >= most,
        }
    }

    /// Every voter has said what it holds: this is the most.
    pub(crate) fn all_have_said(&self, held: EntryId) {
        if let State::Behind { most, .. } = &mut *self.state.lock()
            && most.is_none()
        {
            tracing::warn!(?held, "every voter was heard: voting for whoever holds the most");
            *most = Some(held);
        }
    }

    /// Whether others have to be asked yet.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(*self.state.lock(), State::Asking(_))
    }

    /// Whether something is missing here, as far as anybody knows.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(*self.state.lock(), State::Behind { .. })
    }

    /// A member said that nothing is missing; it takes `needed` of them.
    pub(crate) fn lacks_nothing(&self, member: Option<u64>, needed: usize) {
        let mut state = self.state.lock();
        if let State::Asking(members) = &mut *state {
            members.extend(member);
            if members.len() >= needed {
                *state = State::Over;
            }
        }
    }

    /// Something is missing; tells whether that is news. Durable when it returns.
    pub(crate) fn falls_behind(&self) -> Result<bool, DiskError> {
        {
            let mut state = self.state.lock();
            if matches!(*state, State::Behind { .. }) {
                return Ok(false);
            }
            *state = BEHIND;
        }
        self.file.lock().write(&[1], true)?;
        Ok(true)
    }

    /// A leader spoke, and holds entries up to `last`.
    pub(crate) fn heard_leader(&self, vote: VoteOf, last: u64) {
        let mut state = self.state.lock();
        if let State::Behind { heard, .. } = &mut *state
            && vote.committed
            && heard.is_none_or(|(known, _)| known.leader_id < vote.leader_id)
        {
            tracing::info!(leader = %vote, last, "catching up before voting again");
            *heard = Some((vote, last));
        }
    }

    /// Ends it when everything that the leader held is committed here; tells whether it just ended.
    pub(crate) fn catches_up(&self, committed: Option<u64>) -> Result<bool, DiskError> {
        let is_done = matches!(
            *self.state.lock(),
            State::Behind { heard: Some((_, last)), .. } if committed >= Some(last)
        );
        if is_done {
            self.trust()?;
        }
        Ok(is_done)
    }

    /// Ends it, because an operator said so or nothing is missing any more; tells whether there was anything to end.
    pub(crate) fn trust(&self) -> Result<bool, DiskError> {
        let was = std::mem::replace(&mut *self.state.lock(), State::Over);
        if matches!(was, State::Behind { .. }) {
            self.file.lock().write(&[0], true)?;
        }
        Ok(was != State::Over)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use disk::MemDisk;

    use super::*;
    use crate::codec::PlainVote;

    fn leader(term: u64) -> VoteOf {
        PlainVote { term, node: 1, is_committed: true }.into()
    }

    fn open(disk: &MemDisk, beginning: Beginning) -> Probation {
        Probation::open(SlotFile::open(disk, Path::new("/probation")).unwrap(), beginning).unwrap()
    }

    #[test]
    fn a_member_votes_once_enough_others_say_that_it_lacks_nothing() {
        let disk = MemDisk::new();
        assert!(open(&disk, Beginning::New).may_vote());
        let member = open(&disk, Beginning::Member);
        assert!(member.is_asking() && !member.may_vote());
        member.lacks_nothing(Some(2), 2);
        member.lacks_nothing(Some(2), 2);
        assert!(!member.may_vote(), "one member is one witness");
        member.lacks_nothing(Some(3), 2);
        assert!(member.may_vote());
    }

    #[test]
    fn who_lacks_something_stays_without_a_vote_over_restarts_until_it_has_what_a_leader_had() {
        let disk = MemDisk::new();
        let member = open(&disk, Beginning::Member);
        assert!(member.falls_behind().unwrap());
        assert!(!member.falls_behind().unwrap());
        member.lacks_nothing(Some(2), 1);
        assert!(member.is_behind(), "who knows of nothing proves nothing against who does");
        let member = open(&disk, Beginning::Member);
        assert!(member.is_behind());
        assert!(!member.catches_up(Some(1000)).unwrap(), "no leader was heard yet");
        member.heard_leader(leader(5), 20);
        member.heard_leader(leader(5), 30);
        assert!(!member.catches_up(Some(19)).unwrap());
        assert!(member.catches_up(Some(20)).unwrap() && member.may_vote());
        assert!(open(&disk, Beginning::Member).is_asking());
    }

    #[test]
    fn when_every_voter_was_heard_whoever_holds_the_most_gets_the_vote() {
        let entry = |index| Some(EntryId { term: 3, node: 1, index });
        let member = open(&MemDisk::new(), Beginning::Behind);
        assert!(!member.may_vote_for(entry(9)));
        member.all_have_said(entry(7).unwrap());
        assert!(!member.may_vote() && !member.may_vote_for(entry(6)) && !member.may_vote_for(None));
        assert!(member.may_vote_for(entry(7)) && member.may_vote_for(entry(9)));
        member.all_have_said(entry(2).unwrap());
        assert!(!member.may_vote_for(entry(2)), "what was said first stands");
    }
}
