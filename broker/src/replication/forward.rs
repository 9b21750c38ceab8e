//! A follower's way of answering: ask the leader and hand on what it says.
//!
//! Always true: a request is forwarded at most once (a forwarded one that meets no leader is refused, never sent
//! round); while there is no leader, requests wait, but neither many nor long; a refusal "not served" is said only
//! while the request has not left this process, afterwards the outcome is unknown and is called so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use protocol::RemotingCommand;
use protocol::header::PullMessageRequestHeader;
use remoting::{ClientConfig, Connection, NoRequests, RemotingClient, RemotingError};
use tokio::runtime::Handle;

use super::standing::{Place, Standing};
use crate::caller::Caller;
use crate::error::BrokerError;

/// Marks a forwarded request.
const FORWARDED: &str = "forwardedBy";
/// How long a request waits for a leader: clients give up after 3 s (reference 10.1).
const PARKED_FOR: Duration = Duration::from_millis(2_000);
/// Requests that wait for a leader.
const PARKED_MAX: usize = 10_000;
/// Their bytes.
const PARKED_BYTES_MAX: usize = 64 << 20;
/// How long a forwarded request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A request that has not left yet.
struct Waiting {
    caller: Caller,
    request: RemotingCommand,
    until: Instant,
}

#[derive(Default)]
struct Parked {
    requests: VecDeque<Waiting>,
    bytes: usize,
}

/// Forwards requests to whoever leads.
pub(crate) struct Forwarder {
    standing: Arc<Standing>,
    client: Arc<RemotingClient>,
    runtime: Handle,
    parked: Mutex<Parked>,
    own_address: String,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder").field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl Forwarder {
    /// Must be made on the runtime that serves connections.
    pub(crate) fn new(standing: Arc<Standing>, own_address: String) -> Self {
        let config = ClientConfig { connect_timeout: Duration::from_millis(500), ..ClientConfig::default() };
        Self {
            standing,
            client: Arc::new(RemotingClient::new(config, Arc::new(NoRequests))),
            runtime: Handle::current(),
            parked: Mutex::default(),
            own_address,
        }
    }

    /// Takes a request of a client; it will be answered.
    pub(crate) fn forward(&self, connection: &Arc<Connection>, request: RemotingCommand) {
        let caller = Caller::of(connection, &request);
        if request.ext_fields.get(FORWARDED).is_some() {
            return caller.answer(Err(BrokerError::NotLeader));
        }
        self.send_or_park(Waiting { caller, request, until: Instant::now() + PARKED_FOR });
    }

    fn send_or_park(&self, waiting: Waiting) {
        match self.standing.place() {
            Place::Follows { leader: Some(address), .. } if address != self.own_address => {
                self.send(address, waiting)
            }
            _ => self.park(waiting),
        }
    }

    fn park(&self, waiting: Waiting) {
        let bytes = waiting.request.body.len();
        let mut parked = self.parked.lock();
        if parked.requests.len() >= PARKED_MAX || parked.bytes + bytes > PARKED_BYTES_MAX {
            drop(parked);
            return waiting.caller.answer(Err(BrokerError::Busy));
        }
        parked.bytes += bytes;
        parked.requests.push_back(waiting);
    }

    /// Takes everything that waits for a leader: the place changed.
    pub(crate) fn take_parked(&self) -> Vec<(Arc<Connection>, RemotingCommand)> {
        let requests = std::mem::take(&mut *self.parked.lock()).requests;
        requests.into_iter().map(|waiting| (waiting.caller.connection.clone(), waiting.request)).collect()
    }

    /// Refuses what has waited too long.
    pub(crate) fn expire(&self, now: Instant) {
        let mut expired = Vec::new();
        {
            let mut parked = self.parked.lock();
            while parked.requests.front().is_some_and(|waiting| waiting.until <= now) {
                if let Some(waiting) = parked.requests.pop_front() {
                    parked.bytes -= waiting.request.body.len();
                    expired.push(waiting);
                }
            }
        }
        for waiting in expired {
            waiting.caller.answer(Err(BrokerError::NotLeader));
        }
    }

    /// Sends over the open connection, or makes one first.
    fn send(&self, address: String, mut waiting: Waiting) {
        // Only what leaves bears the mark: what was parked may still be served here, or forwarded, when a leader is found.
        waiting.request.ext_fields.insert(FORWARDED, &self.own_address);
        if let Some(leader) = self.client.connected(&address) {
            return hand_over(&leader, waiting);
        }
        let client = Arc::clone(&self.client);
        self.runtime.spawn(async move {
            match client.connect(&address).await {
                Ok(leader) => hand_over(&leader, waiting),
                Err(error) => {
                    tracing::debug!(address, %error, "the leader cannot be reached");
                    waiting.caller.answer(Err(BrokerError::NotLeader));
                }
            }
        });
    }
}

fn hand_over(leader: &Arc<Connection>, waiting: Waiting) {
    let Waiting { caller, request, .. } = waiting;
    if caller.is_oneway() {
        let _ = leader.oneway(request);
        return;
    }
    let timeout = patience(&request);
    leader.call_with(request, timeout, move |outcome| match outcome {
        Ok(answer) => caller.answer(Ok(answer)),
        Err(RemotingError::TooManyCalls { .. } | RemotingError::PeerSlow { .. }) => {
            caller.answer(Err(BrokerError::Busy))
        }
        Err(error) => {
            tracing::debug!(%error, "the leader did not answer a forwarded request");
            caller.answer(Err(BrokerError::OutcomeUnknown));
        }
    });
}

/// A pull may be held by the leader for as long as it asked for.
fn patience(request: &RemotingCommand) -> Duration {
    let hold = request
        .header::<PullMessageRequestHeader>()
        .ok()
        .and_then(|header| u64::try_from(header.suspend_timeout_millis).ok())
        .unwrap_or(0);
    ANSWER_WITHIN + Duration::from_millis(hold.min(60_000))
}
