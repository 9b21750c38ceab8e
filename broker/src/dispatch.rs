//! Request code → processor: the one table, and the three ways in which a processor is run.

use crate::caller::Caller;
use crate::error::BrokerError;
use crate::node::Node;
use crate::processor::{
    admin_broker, admin_config, admin_group, admin_offset, admin_reset, admin_stats, admin_topic, ask_client,
    client_manage, consume_stats, consumer_manage, lock_batch, pull_message, query_message, query_queue,
    queue_offset, reply_message, send_back, send_message,
};
use crate::replication::admin as raft;
use crate::reply::{Answer, reply};
use protocol::{RemotingCommand, RequestCode};
use remoting::{Connection, Handler};
use std::sync::Arc;

/// A processor that answers with what it returns.
type Answering = fn(&Arc<Node>, &Arc<Connection>, &RemotingCommand) -> Answer;
/// A processor that answers by itself, maybe later.
type Owning = fn(&Arc<Node>, &Arc<Connection>, RemotingCommand);

/// How a request is served.
enum Deed {
    /// On the network thread, at once: look-ups in memory.
    Now(Answering),
    /// On a worker thread: it may wait for a disk, a name server or a log.
    Errand(Answering),
    /// The processor decides.
    Own(Owning),
}

/// The table.
fn deed(code: RequestCode) -> Option<Deed> {
    use Deed::{Errand, Now, Own};
    Some(match code {
        RequestCode::SendMessage | RequestCode::SendMessageV2 | RequestCode::SendBatchMessage => {
            Own(send_message::send)
        }
        RequestCode::SendReplyMessage | RequestCode::SendReplyMessageV2 => Own(reply_message::pass_on),
        RequestCode::PullMessage | RequestCode::LitePullMessage => Own(pull_message::pull),
        RequestCode::ConsumerSendMsgBack => Own(send_back::send_back),

        RequestCode::HeartBeat => Own(client_manage::heartbeat),
        RequestCode::UnregisterClient => Now(client_manage::unregister),
        RequestCode::CheckClientConfig => Now(client_manage::check_config),
        RequestCode::GetConsumerListByGroup => Now(consumer_manage::consumer_list),
        RequestCode::QueryConsumerOffset => Now(consumer_manage::query_offset),
        RequestCode::UpdateConsumerOffset => Now(consumer_manage::update_offset),
        RequestCode::LockBatchMq => Now(lock_batch::lock),
        RequestCode::UnlockBatchMq => Now(lock_batch::unlock),

        RequestCode::GetMaxOffset => Now(queue_offset::max),
        RequestCode::GetMinOffset => Now(queue_offset::min),
        RequestCode::SearchOffsetByTimestamp => Errand(queue_offset::by_time),
        RequestCode::GetEarliestMsgStoreTime => Errand(queue_offset::earliest_time),

        RequestCode::QueryMessage => Errand(query_message::by_key),
        RequestCode::ViewMessageById => Errand(query_message::by_id),
        RequestCode::QueryConsumeQueue => Errand(query_queue::units),

        RequestCode::UpdateAndCreateTopic => Errand(admin_topic::update),
        RequestCode::UpdateAndCreateTopicList => Errand(admin_topic::update_list),
        RequestCode::DeleteTopicInBroker => Errand(admin_topic::delete),
        RequestCode::GetAllTopicConfig => Errand(admin_topic::all),
        RequestCode::GetTopicConfig => Now(admin_topic::get),
        RequestCode::GetSystemTopicListFromBroker => Now(admin_topic::system_list),
        RequestCode::CleanUnusedTopic => Errand(admin_topic::clean_unused),

        RequestCode::UpdateAndCreateSubscriptionGroup => Errand(admin_group::update),
        RequestCode::UpdateAndCreateSubscriptionGroupList => Errand(admin_group::update_list),
        RequestCode::DeleteSubscriptionGroup => Errand(admin_group::delete),
        RequestCode::GetAllSubscriptionGroupConfig => Errand(admin_group::all),
        RequestCode::GetSubscriptionGroupConfig => Now(admin_group::get),
        RequestCode::UpdateAndGetGroupForbidden => Errand(admin_group::forbid),
        RequestCode::GetConsumerConnectionList => Now(admin_group::consumer_connections),
        RequestCode::GetProducerConnectionList => Now(admin_group::producer_connections),
        RequestCode::GetAllProducerInfo => Errand(admin_group::all_producers),
        RequestCode::QueryTopicConsumeByWho => Errand(admin_group::groups_of_topic),
        RequestCode::QueryTopicsByConsumer => Errand(admin_group::topics_of_group),
        RequestCode::QuerySubscriptionByConsumer => Now(admin_group::subscription),

        RequestCode::GetAllConsumerOffset => Errand(admin_offset::all),
        RequestCode::GetAllDelayOffset => Errand(admin_offset::all_delays),
        RequestCode::CloneGroupOffset => Errand(admin_offset::clone_group),
        RequestCode::QueryCorrectionOffset => Errand(admin_offset::correction),
        RequestCode::InvokeBrokerToResetOffset => Errand(admin_reset::reset),
        RequestCode::InvokeBrokerToGetConsumerStatus => Own(ask_client::consumer_status),
        RequestCode::GetConsumerRunningInfo => Own(ask_client::running_info),
        RequestCode::ConsumeMessageDirectly => Own(ask_client::consume_directly),

        RequestCode::GetTopicStatsInfo => Errand(admin_stats::topic_stats),
        RequestCode::ViewBrokerStatsData => Now(admin_stats::broker_stats),
        RequestCode::GetConsumeStats => Errand(consume_stats::of_group),
        RequestCode::GetBrokerConsumeStats => Errand(consume_stats::of_broker),
        RequestCode::QueryConsumeTimeSpan => Errand(consume_stats::time_span),

        RequestCode::GetBrokerRuntimeInfo => Errand(admin_broker::runtime_info),
        RequestCode::GetBrokerHaStatus => Now(admin_broker::ha_status),
        RequestCode::CleanExpiredConsumeQueue => Now(admin_broker::clean_expired_queues),
        RequestCode::DeleteExpiredCommitLog => Errand(admin_broker::delete_expired),
        RequestCode::GetBrokerConfig => Now(admin_config::get),
        RequestCode::UpdateBrokerConfig => Errand(admin_config::update),

        RequestCode::RaftStatus => Now(raft::status),
        RequestCode::RaftAddReplica => Own(raft::add_replica),
        RequestCode::RaftRemoveReplica => Own(raft::remove_replica),
        RequestCode::RaftTransferLeader => Own(raft::transfer_leader),
        RequestCode::RaftTrustReplica => Own(raft::trust_replica),
        _ => return None,
    })
}

/// Serves the connections of one broker.
#[derive(Debug)]
pub struct Dispatch {
    node: Arc<Node>,
}

impl Dispatch {
    /// Serves this node.
    pub fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Serves one request, or has it served.
    pub fn serve(&self, connection: &Arc<Connection>, request: RemotingCommand) {
        match request.request_code().and_then(deed) {
            None => reply(connection, &request, Err(BrokerError::CodeUnsupported(request.code))),
            Some(Deed::Now(processor)) => {
                reply(connection, &request, processor(&self.node, connection, &request))
            }
            Some(Deed::Errand(processor)) => run_errand(&self.node, connection, request, processor),
            Some(Deed::Own(processor)) => processor(&self.node, connection, request),
        }
    }
}

/// Runs a processor on a worker thread, or says that there are too many before it.
pub fn run_errand(
    node: &Arc<Node>,
    connection: &Arc<Connection>,
    request: RemotingCommand,
    processor: Answering,
) {
    let caller = Caller::of(connection, &request);
    let (node_there, connection_there) = (Arc::clone(node), Arc::clone(connection));
    let job = Box::new(move || {
        let answer = processor(&node_there, &connection_there, &request);
        reply(&connection_there, &request, answer);
    });
    if node.errands.try_do(job).is_err() {
        caller.answer(Err(BrokerError::Busy));
    }
}

impl Handler for Dispatch {
    fn handle(&self, connection: &Arc<Connection>, requests: &mut Vec<RemotingCommand>) {
        for request in requests.drain(..) {
            self.serve(connection, request);
        }
    }

    fn closed(&self, connection: &Arc<Connection>) {
        client_manage::closed(&self.node, connection);
    }
}
