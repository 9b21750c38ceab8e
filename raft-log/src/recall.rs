//! Asks the members, after a start, whether they know of anything that this store acknowledged and does not have.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::net::handshake::{Caller, Channel};
use crate::shared::Shared;
use crate::types::Node;

/// How long a member may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How soon they are asked again.
const AGAIN: Duration = Duration::from_millis(100);

/// Runs until enough have answered, or one knew of something.
pub(crate) async fn run(shared: Arc<Shared>, caller: Caller) {
    loop {
        // A group of one has nobody to ask.
        shared.witness(None);
        if !shared.probation.is_asking() {
            return;
        }
        let members: Vec<(u64, Node)> = {
            let nodes = shared.nodes.read();
            let others = nodes.iter().filter(|(id, node)| **id != shared.node && node.store != 0);
            others.map(|(id, node)| (*id, node.clone())).collect()
        };
        join_all(members.iter().map(|(id, node)| ask(&shared, &caller, *id, node))).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn ask(shared: &Shared, caller: &Caller, id: u64, node: &Node) {
    let remembered = shared.memory.acknowledged(node.store);
    match caller.connect(id, node, Channel::Greeting, remembered, PATIENCE).await {
        Ok((_, welcome)) => shared.told(id, welcome.remembered),
        Err(error) => tracing::debug!(node = id, %error, "this member says nothing of us"),
    }
}
