//! Mends an entry of a running log: fetches it from another member, checks that it belongs there, writes it where it lies.
//!
//! What is mended was durable and applied, so it is the same on every replica and nobody changes it.

use bytes::Bytes;

use crate::error::{GroupError, LogError};
use crate::log::write_raw;
use crate::net::handshake::{CallError, Caller, Channel};
use crate::recovery::Start;
use crate::repair::{PATIENCE, fetch_entry};
use crate::shared::Shared;
use crate::types::Node;

/// Who mends.
#[derive(Debug)]
pub(crate) struct Mender {
    pub(crate) caller: Caller,
}

impl Mender {
    /// Mends the entry that begins at `position`; the entries before it are good.
    pub(crate) async fn mend(&self, shared: &Shared, position: u64) -> Result<(), GroupError> {
        let before = shared.log.before(position)?;
        let members: Vec<(u64, Node)> = {
            let nodes = shared.nodes.read();
            let others = nodes.iter().filter(|(id, node)| **id != shared.node && node.store != 0);
            others.map(|(id, node)| (*id, node.clone())).collect()
        };
        let mut last_error = GroupError::Refused("there is no member to ask".to_owned());
        for (id, node) in members {
            let error = match self.fetch(id, &node, position, before).await {
                Ok(bytes) => {
                    let log = shared.log.clone();
                    let bytes_len = bytes.len();
                    let write = move || {
                        write_raw(log.segments(), position, &bytes)?;
                        log.segments().sync(position, position + bytes.len() as u64).map_err(LogError::from)
                    };
                    tokio::task::spawn_blocking(write).await.map_err(|_| GroupError::Stopped)??;
                    tracing::error!(
                        position,
                        bytes = bytes_len,
                        from = id,
                        "the log was damaged here and is mended: have a look at this disk"
                    );
                    return Ok(());
                }
                Err(error) => error,
            };
            let (address, reason) = (node.address, error.to_string());
            last_error = GroupError::PeerUnreachable { node: id, address, reason };
        }
        Err(last_error)
    }

    async fn fetch(&self, id: u64, node: &Node, position: u64, before: Start) -> Result<Bytes, CallError> {
        let (mut connection, _) = self.caller.connect(id, node, Channel::Control, None, PATIENCE).await?;
        let (envelope, bytes) = fetch_entry(&mut connection, position).await?;
        let follows = before.last.is_none_or(|last| {
            envelope.id.index == last.index + 1 && envelope.previous_crc == before.last_crc
        });
        if follows { Ok(bytes.into()) } else { Err(CallError::Unexpected) }
    }
}
