//! Whether a master's log is the one that a slave's own log is the beginning of.
//!
//! The HA protocol does not say: a master that lost its tail (ASYNC_FLUSH and a power cut) and wrote on looks like any other
//! as soon as its log is the longer one, and with messages of one size even its records begin where ours do. So the slave
//! asks for the master's message where its own last one lies, with the request that clients use (33), and compares. Every
//! message bears its position and its time: logs that parted anywhere differ there. Who cannot be asked is believed.

use bytes::Bytes;
use protocol::header::ViewMessageRequestHeader;
use protocol::{RemotingCommand, RequestCode, ResponseCode};
use remoting::{ClientConfig, NoRequests, RemotingClient};
use std::sync::Arc;
use std::time::Duration;
use store::MessageStore;
use tokio::sync::watch;

/// How long the answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// How long name servers may take to say where the master serves clients: a slave with `haMasterAddress` connects sooner.
const ADDRESS_WITHIN: Duration = Duration::from_secs(3);

/// Our last message, and the master's in its place, are not the same.
#[derive(Debug, thiserror::Error)]
#[error(
    "the master's log parted from ours before {position}: nothing of it is joined, this slave needs an empty store"
)]
pub(super) struct Parted {
    position: u64,
}

/// Compares logs.
pub(super) struct Kinship {
    store: Arc<MessageStore>,
    client: RemotingClient,
    /// Where the master serves clients.
    address: watch::Receiver<Option<String>>,
    /// Whether anybody will say it.
    has_name_servers: bool,
}

impl Kinship {
    pub(super) fn new(
        store: &Arc<MessageStore>,
        address: watch::Receiver<Option<String>>,
        has_name_servers: bool,
    ) -> Self {
        let client = RemotingClient::new(ClientConfig::default(), Arc::new(NoRequests));
        Self { store: Arc::clone(store), client, address, has_name_servers }
    }

    /// Refuses a master that has another message where our last one is.
    pub(super) async fn check(&self) -> Result<(), Parted> {
        let Some(master) = whom_to_ask(&self.address, self.has_name_servers).await else { return Ok(()) };
        let Some((position, own)) = self.last_message().await else { return Ok(()) };
        let Some(theirs) = self.ask(&master, position).await else { return Ok(()) };
        if theirs == own { Ok(()) } else { Err(Parted { position }) }
    }

    async fn last_message(&self) -> Option<(u64, Bytes)> {
        let store = Arc::clone(&self.store);
        // It may lie on a disk.
        let read = tokio::task::spawn_blocking(move || store.last_message()).await.ok()?;
        read.inspect_err(|error| tracing::warn!(%error, "the last message cannot be read")).ok()?
    }

    async fn ask(&self, master: &str, position: u64) -> Option<Bytes> {
        let header = ViewMessageRequestHeader { offset: i64::try_from(position).ok()?, ..Default::default() };
        let request = RemotingCommand::request_with(RequestCode::ViewMessageById, &header);
        match self.client.call(master, request, ANSWER_WITHIN).await {
            Ok(answer) if ResponseCode::Success == answer.code => Some(answer.body),
            // It deleted the message, or has none there: its transfer will say more.
            Ok(answer) => {
                tracing::info!(master, position, answered = answer.code, "the master shows no message here");
                None
            }
            Err(error) => {
                tracing::info!(master, %error, "the master cannot be asked for its messages");
                None
            }
        }
    }
}

/// Where the master serves clients, as soon as that is known; at once when nobody will say it.
async fn whom_to_ask(address: &watch::Receiver<Option<String>>, has_name_servers: bool) -> Option<String> {
    let mut address = address.clone();
    let patience = if has_name_servers { ADDRESS_WITHIN } else { Duration::ZERO };
    let known = tokio::time::timeout(patience, address.wait_for(Option::is_some)).await;
    known.ok()?.ok()?.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by jepsen (async-master, power-leader): a slave that had just started followed a master whose log had parted.
    #[tokio::test]
    async fn a_slave_waits_until_a_name_server_has_said_whom_to_ask() {
        let (tell, told) = watch::channel(None);
        assert_eq!(whom_to_ask(&told, false).await, None);
        let (asked, ()) = tokio::join!(whom_to_ask(&told, true), async {
            tokio::task::yield_now().await;
            tell.send_replace(Some("master:10911".to_owned()));
        });
        assert_eq!(asked.as_deref(), Some("master:10911"));
        assert_eq!(whom_to_ask(&told, false).await.as_deref(), Some("master:10911"));
    }
}
