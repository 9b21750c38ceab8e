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
            let error = match self.fetch(shared, (id, &node), position, before).await {
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

    async fn fetch(
        &self,
        shared: &Shared,
        (id, node): (u64, &Node),
        position: u64,
        before: Start,
    ) -> Result<Bytes, CallError> {
        let remembered = shared.memory.acknowledged(node.store);
        let connect = self.caller.connect(id, node, Channel::Control, remembered, PATIENCE);
        let (mut connection, _) = connect.await?;
        let (envelope, bytes) = fetch_entry(&mut connection, position).await?;
        let follows = before.last.is_none_or(|last| {
            envelope.id.index == last.index + 1 && envelope.previous_crc == before.last_crc
        });
        if follows { Ok(bytes.into()) } else { Err(CallError::Unexpected) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use tokio::net::TcpListener;

    use super::*;
    use crate::codec;
    use crate::lone::{Lone, SEGMENT_BYTES};
    use crate::net::connection::Connection;
    use crate::net::handshake::Hello;
    use crate::probation::Beginning;

    #[tokio::test]
    async fn who_is_asked_for_an_entry_hears_what_its_store_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Lone::new(2).shared(Beginning::Member);
        shared.nodes.write().insert(1, Node { address, store: 7 });
        shared.memory.stand(true, None);
        shared.memory.of(7).note(100);
        let caller = Caller {
            group: "g".to_owned(),
            node: 2,
            store: shared.log.manifest().store,
            segment_bytes: SEGMENT_BYTES,
            frame_bytes_max: 1024,
            addresses: Arc::new(HashMap::new()),
        };
        let mender = Mender { caller };
        let asked = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut connection = Connection::over(stream, 1024).unwrap();
            connection.reader.read().await.unwrap().1
        };
        let (mended, hello) = tokio::join!(mender.mend(&shared, 0), asked);
        assert!(mended.is_err());
        let hello: Hello = codec::decode("greeting", &hello).unwrap();
        assert_eq!(hello.remembered, Some(100));
    }
}
