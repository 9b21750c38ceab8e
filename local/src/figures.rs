//! What the brokers say of themselves, and the totals that follow from it.
//!
//! Asking is here; adding up is pure. Always true: totals never fall, whichever broker leads and however often it was
//! started again.

use std::time::Duration;

use client::Admin;
use protocol::body::{Body, KVTable, RaftStatusBody};
use protocol::{RemotingCommand, RequestCode};

use crate::layout::Shape;

/// A broker that does not answer for so long is shown as silent.
const PATIENCE: Duration = Duration::from_millis(800);

/// One broker at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Messages put since it started.
    pub(crate) put: u64,
    /// Messages read since it started.
    pub(crate) got: u64,
    /// How it sees its group.
    pub(crate) raft: Option<RaftStatusBody>,
}

impl Figures {
    /// Whether sends go here.
    pub(crate) fn leads(&self) -> bool {
        self.raft.as_ref().is_none_or(|raft| raft.ready)
    }

    fn term(&self) -> i64 {
        self.raft.as_ref().map_or(0, |raft| raft.term)
    }
}

/// Which of them leads: of several that think so, the one with the highest term.
pub(crate) fn leader(seen: &[Option<Figures>]) -> Option<usize> {
    let leading = seen.iter().enumerate().filter_map(|(number, figures)| {
        figures.as_ref().filter(|figures| figures.leads()).map(|figures| (figures.term(), number))
    });
    leading.max().map(|(_, number)| number)
}

/// Asks one broker; nothing if it does not answer.
pub(crate) async fn ask(admin: &Admin, address: &str, shape: Shape) -> Option<Figures> {
    let asked = async {
        let request = RemotingCommand::request(RequestCode::GetBrokerRuntimeInfo);
        let answer = admin.ask_raw(address, request).await.ok()?;
        let table = KVTable::decode(&answer.body).ok()?.table;
        let number = |key: &str| table.get(key).and_then(|text| text.parse().ok()).unwrap_or(0);
        let raft = match shape {
            Shape::Single => None,
            Shape::Group => Some(ask_raft(admin, address).await?),
        };
        Some(Figures { put: number("msgPutTotalTodayNow"), got: number("msgGetTotalTodayNow"), raft })
    };
    tokio::time::timeout(PATIENCE, asked).await.ok().flatten()
}

async fn ask_raft(admin: &Admin, address: &str) -> Option<RaftStatusBody> {
    let answer = admin.ask_raw(address, RemotingCommand::request(RequestCode::RaftStatus)).await.ok()?;
    RaftStatusBody::decode(&answer.body).ok()
}

/// Messages put and read since we started looking.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) put: u64,
    pub(crate) got: u64,
    last: Vec<(u64, u64)>,
}

impl Totals {
    /// Adds what the leader counted since it was last seen.
    pub(crate) fn take(&mut self, seen: &[Option<Figures>]) {
        self.last.resize(seen.len(), (0, 0));
        let leader = leader(seen);
        for (number, figures) in seen.iter().enumerate() {
            let Some(figures) = figures else { continue };
            let (put, got) = std::mem::replace(&mut self.last[number], (figures.put, figures.got));
            if leader == Some(number) {
                self.put += since(put, figures.put);
                self.got += since(got, figures.got);
            }
        }
    }
}

/// A counter that fell was started anew.
fn since(last: u64, now: u64) -> u64 {
    if now < last { now } else { now - last }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn replica(put: u64, ready: bool, term: i64, committed: i64) -> Option<Figures> {
        let raft = RaftStatusBody { ready, term, committed, ..RaftStatusBody::default() };
        Some(Figures { put, got: put / 2, raft: Some(raft) })
    }

    #[test]
    fn the_highest_term_decides_who_leads() {
        let seen = [replica(0, true, 3, 0), None, replica(0, true, 4, 0)];
        assert_eq!(leader(&seen), Some(2));
        assert_eq!(leader(&[replica(0, false, 4, 0), None]), None);
        assert_eq!(leader(&[Some(Figures::default())]), Some(0), "a single master leads itself");
    }

    #[test]
    fn totals_go_on_through_a_failover_and_a_restart() {
        let mut totals = Totals::default();
        totals.take(&[replica(100, true, 1, 0), replica(90, false, 1, 0)]);
        totals.take(&[None, replica(130, true, 2, 0)]);
        assert_eq!((totals.put, totals.got), (140, 70));
        totals.take(&[replica(20, true, 3, 0), replica(130, false, 2, 0)]);
        assert_eq!(totals.put, 160, "a broker that started again counts from zero");
    }
}
