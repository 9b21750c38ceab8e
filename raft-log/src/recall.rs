//! Asks the members, while this node has no vote, whether they know of anything that its store acknowledged and does not have,
//! and what they hold.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::envelope::EntryId;
use crate::net::handshake::{Caller, Channel};
use crate::shared::Shared;
use crate::types::Node;

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon they are asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// How soon it is noticed that there is something to ask.
const IDLE: Duration = Duration::from_secs(1);

/// Runs as long as the log does: a vote can be lost at any time.
pub(crate) async fn run(shared: Arc<Shared>, caller: Caller) {
    loop {
        // A group of one has nobody to ask.
        shared.witness(None);
        let rest = if shared.probation.may_vote() {
            IDLE
        } else {
            ask_all(&shared, &caller).await;
            AGAIN
        };
        tokio::time::sleep(rest).await;
    }
}

async fn ask_all(shared: &Shared, caller: &Caller) {
    let (is_alone, members): (bool, Vec<(u64, Node)>) = {
        let nodes = shared.nodes.read();
        let is_alone = nodes.keys().eq([&shared.node]);
        let others = nodes.iter().filter(|(id, node)| **id != shared.node && node.store != 0);
        (is_alone, others.map(|(id, node)| (*id, node.clone())).collect())
    };
    let answers = join_all(members.iter().map(|(id, node)| ask(shared, caller, *id, node))).await;
    // Learners are asked as well: with one that does not answer, we wait longer than we must.
    // In a group of one nobody else could know of more.
    let has_all = is_alone || (!members.is_empty() && answers.iter().all(Option::is_some));
    let most = answers.into_iter().flatten().flatten().max().max(shared.log.last());
    if let Some(most) = most.filter(|_| has_all) {
        shared.probation.all_have_said(most);
    }
}

/// Asks one member what it remembers and what it holds.
async fn ask(shared: &Shared, caller: &Caller, id: u64, node: &Node) -> Option<Option<EntryId>> {
    let remembered = shared.memory.acknowledged(node.store);
    match caller.connect(id, node, Channel::Greeting, remembered, PATIENCE).await {
        Ok((_, welcome)) => {
            shared.told(id, welcome.remembered);
            Some(welcome.last)
        }
        Err(error) => {
            tracing::debug!(node = id, %error, "this member says nothing of us");
            None
        }
    }
}
