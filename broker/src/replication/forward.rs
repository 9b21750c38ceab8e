//! A follower's way of answering: ask the leader and hand on what it says.
//!
//! Always true: a request that another replica forwarded is never forwarded again (when this replica does not lead after
//! all, it goes back, and whoever it came from asks the next leader); while there is no leader, requests wait, but neither
//! many nor long, and so does what a leader took and could not put into the log any more; a refusal "not served" is said only while nobody can have served the request, afterwards the outcome is
//! unknown and is called so, except for reads, which are asked again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use disk::{Bug, planted};
use parking_lot::Mutex;
use protocol::header::PullMessageRequestHeader;
use protocol::{RemotingCommand, RequestCode};
use remoting::{ClientConfig, Connection, NoRequests, RemotingClient, RemotingError};
use tokio::runtime::Handle;

use super::born_host;
use super::standing::{Place, Standing};
use crate::caller::Caller;
use crate::error::BrokerError;
use crate::reply::refusal;

/// Marks a forwarded request.
const FORWARDED: &str = "forwardedBy";
/// Marks the answer of a replica that does not lead after all: nothing was done.
const WENT_BACK: &str = "notLeader";
/// Marks a request that the log refused before anything of it was kept, with the time until which it is tried again, in
/// milliseconds of the epoch.
const TRIED_UNTIL: &str = "triedUntil";
/// In an answer that came from the leader: clients of ours look for their route again.
const ANSWERED_BY: &str = "forwardedTo";
/// How long a request waits for a leader: clients give up after 3 s (reference 10.1).
const PARKED_FOR: Duration = Duration::from_millis(2_000);
/// How long a forwarded request waits here for this replica to lead: whoever it came from waits too.
const GUEST_PARKED_FOR: Duration = Duration::from_millis(500);
/// Requests that wait for a leader.
const PARKED_MAX: usize = 10_000;
/// Their bytes.
const PARKED_BYTES_MAX: usize = 64 << 20;
/// A leader that could not be reached is not tried again for so long, however many wait for it.
const UNREACHABLE_FOR: Duration = Duration::from_millis(50);
/// How long a forwarded request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// A request that nobody serves yet.
pub(crate) struct Waiting {
    /// Who is to be answered.
    pub(crate) caller: Caller,
    /// As the client sent it, or the replica that it comes from.
    pub(crate) request: RemotingCommand,
    until: Instant,
}

impl Waiting {
    fn is_guest(&self) -> bool {
        self.request.ext_fields.contains(FORWARDED)
    }
}

#[derive(Default)]
struct Parked {
    requests: VecDeque<Waiting>,
    bytes: usize,
}

/// Forwards requests to whoever leads; clones share what waits.
#[derive(Clone)]
pub(crate) struct Forwarder {
    inner: Arc<Inner>,
}

/// What answers that come back need.
struct Inner {
    standing: Arc<Standing>,
    client: RemotingClient,
    runtime: Handle,
    parked: Mutex<Parked>,
    /// The leader that could not be reached last, and until when it is left alone.
    unreachable: Mutex<Option<(String, Instant)>>,
    own_address: String,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder").field("standing", &self.inner.standing).finish_non_exhaustive()
    }
}

impl Forwarder {
    /// Must be made on the runtime that serves connections.
    pub(crate) fn new(standing: Arc<Standing>, own_address: String) -> Self {
        let config = ClientConfig { connect_timeout: Duration::from_millis(500), ..ClientConfig::default() };
        let client = RemotingClient::new(config, Arc::new(NoRequests));
        let runtime = Handle::current();
        let (parked, unreachable) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { standing, client, runtime, parked, unreachable, own_address }) }
    }

    /// Takes a request of a client or of another replica; it will be answered.
    pub(crate) fn forward(&self, connection: &Arc<Connection>, request: RemotingCommand) {
        let patience = if request.ext_fields.contains(FORWARDED) { GUEST_PARKED_FOR } else { PARKED_FOR };
        let caller = Caller::of(connection, &request);
        self.again(Waiting { caller, request, until: Instant::now() + patience });
    }

    /// Looks once more where a request belongs that is not served here.
    pub(crate) fn again(&self, waiting: Waiting) {
        Inner::send_or_park(&self.inner, waiting);
    }

    /// Takes back a request that the log refused before anything of it was kept: whoever leads by now gets it, be it this
    /// replica. What comes back again and again is refused in the end.
    pub(crate) fn take_back(&self, caller: Caller, mut request: RemotingCommand) {
        let now_ms = crate::clock::now_ms();
        let tried_until = request.ext_fields.get(TRIED_UNTIL).and_then(|until| until.parse().ok());
        let tried_until = tried_until.unwrap_or_else(|| {
            let until_ms = now_ms + PARKED_FOR.as_millis() as i64;
            request.ext_fields.insert_i64(TRIED_UNTIL, until_ms);
            until_ms
        });
        let left = Duration::from_millis(u64::try_from(tried_until - now_ms).unwrap_or(0)).min(PARKED_FOR);
        let waiting = Waiting { caller, request, until: Instant::now() + left };
        // Whoever a guest comes from has the same patience, and knows as much of who leads.
        if left.is_zero() || waiting.is_guest() { refuse(waiting) } else { self.again(waiting) }
    }

    /// Takes everything that waits for a leader.
    pub(crate) fn take_parked(&self) -> VecDeque<Waiting> {
        std::mem::take(&mut *self.inner.parked.lock()).requests
    }

    /// Whether anything waits for a leader.
    pub(crate) fn has_parked(&self) -> bool {
        !self.inner.parked.lock().requests.is_empty()
    }

    /// Refuses what has waited too long.
    pub(crate) fn expire(&self, now: Instant) {
        let mut expired = Vec::new();
        {
            let mut parked = self.inner.parked.lock();
            let (over, left) = std::mem::take(&mut parked.requests)
                .into_iter()
                .partition::<VecDeque<_>, _>(|waiting| waiting.until <= now);
            parked.requests = left;
            parked.bytes -= over.iter().map(|waiting| waiting.request.body.len()).sum::<usize>();
            expired.extend(over);
        }
        expired.into_iter().for_each(refuse);
    }
}

/// Nobody led in time, and nothing was done.
fn refuse(waiting: Waiting) {
    let mut answer = refusal(&BrokerError::NotLeader);
    if waiting.is_guest() {
        answer.ext_fields.insert(WENT_BACK, "true");
    }
    waiting.caller.answer(Ok(answer));
}

impl Inner {
    fn send_or_park(this: &Arc<Self>, waiting: Waiting) {
        match this.standing.place() {
            Place::Follows { .. } if waiting.is_guest() => refuse(waiting),
            Place::Follows { leader: Some(address), .. } if address != this.own_address => {
                Self::send(this, address, waiting);
            }
            _ => this.park(waiting),
        }
    }

    fn park(&self, waiting: Waiting) {
        if waiting.until <= Instant::now() {
            return refuse(waiting);
        }
        let bytes = waiting.request.body.len();
        let mut parked = self.parked.lock();
        if parked.requests.len() >= PARKED_MAX || parked.bytes + bytes > PARKED_BYTES_MAX {
            drop(parked);
            return waiting.caller.answer(Err(BrokerError::Busy));
        }
        parked.bytes += bytes;
        parked.requests.push_back(waiting);
    }

    /// Sends over the open connection, or makes one first. A leader that cannot be reached is waited for like none.
    fn send(this: &Arc<Self>, address: String, waiting: Waiting) {
        if let Some(leader) = this.client.connected(&address) {
            return Self::hand_over(this, &leader, waiting);
        }
        let is_left_alone = |known: &(String, Instant)| known.0 == address && known.1 > Instant::now();
        if this.unreachable.lock().as_ref().is_some_and(is_left_alone) {
            return this.park(waiting);
        }
        let there = Arc::clone(this);
        this.runtime.spawn(async move {
            match there.client.connect(&address).await {
                Ok(leader) => Self::hand_over(&there, &leader, waiting),
                Err(error) => {
                    tracing::debug!(address, %error, "the leader cannot be reached");
                    *there.unreachable.lock() = Some((address, Instant::now() + UNREACHABLE_FOR));
                    there.park(waiting);
                }
            }
        });
    }

    fn hand_over(this: &Arc<Self>, leader: &Arc<Connection>, waiting: Waiting) {
        // Only what leaves bears the mark: what comes back may still be served here, or forwarded to another.
        let mut request = waiting.request.clone();
        request.ext_fields.insert(FORWARDED, &this.own_address);
        born_host::note(&mut request, &waiting.caller.connection);
        if waiting.caller.is_oneway() {
            let _ = leader.oneway(request);
            return;
        }
        let (there, leader_address) = (Arc::clone(this), leader.peer().to_string());
        leader.call_with(request, patience(&waiting.request), move |outcome| {
            there.answered(waiting, outcome, &leader_address);
        });
    }

    fn answered(
        &self,
        waiting: Waiting,
        outcome: Result<RemotingCommand, RemotingError>,
        leader_address: &str,
    ) {
        match outcome {
            Ok(answer) if answer.ext_fields.contains(WENT_BACK) => self.park(waiting),
            Ok(mut answer) => {
                answer.ext_fields.insert(ANSWERED_BY, leader_address);
                waiting.caller.answer(Ok(answer));
            }
            Err(RemotingError::TooManyCalls { .. } | RemotingError::PeerSlow { .. }) => {
                waiting.caller.answer(Err(BrokerError::Busy));
            }
            Err(error) => {
                tracing::debug!(%error, "the leader did not answer a forwarded request");
                match waiting.request.request_code() {
                    Some(_) if planted(Bug::AppendTwice) => {
                        self.park(Waiting { until: Instant::now() + PARKED_FOR, ..waiting });
                    }
                    Some(code) if is_read(code) && matches!(error, RemotingError::Closed { .. }) => {
                        self.park(waiting);
                    }
                    _ => waiting.caller.answer(Err(BrokerError::OutcomeUnknown)),
                }
            }
        }
    }
}

/// Requests that change nothing: when the leader dies over one, the next is asked the same.
fn is_read(code: RequestCode) -> bool {
    matches!(
        code,
        RequestCode::PullMessage
            | RequestCode::LitePullMessage
            | RequestCode::QueryConsumerOffset
            | RequestCode::GetMaxOffset
            | RequestCode::GetMinOffset
            | RequestCode::SearchOffsetByTimestamp
            | RequestCode::GetEarliestMsgStoreTime
            | RequestCode::GetConsumerListByGroup
            | RequestCode::QueryMessage
            | RequestCode::GetTopicConfig
            | RequestCode::GetAllTopicConfig
            | RequestCode::GetTopicStatsInfo
            | RequestCode::GetConsumeStats
    )
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
