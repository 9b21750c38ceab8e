//! What a follower does with each request: a pure table.

use protocol::RequestCode;

/// A follower's part in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Serve it: the answer is about this process, or about bytes that are the same everywhere.
    Serve,
    /// Serve it when the message is here and committed, else the leader does.
    ServeIfHere,
    /// The leader serves it.
    Forward,
}

/// The table. Everything that changes anything, and everything whose answer may still change, is the leader's.
pub(crate) fn of(code: RequestCode) -> Duty {
    match code {
        // Consumers heartbeat all replicas: so a new leader knows them already.
        RequestCode::HeartBeat | RequestCode::UnregisterClient | RequestCode::CheckClientConfig => {
            Duty::Serve
        }
        // A message id names the replica that stored the message; the bytes are here too, at the same offset.
        RequestCode::ViewMessageById => Duty::Serve,
        RequestCode::GetBrokerRuntimeInfo
        | RequestCode::GetBrokerConfig
        | RequestCode::UpdateBrokerConfig
        | RequestCode::GetBrokerHaStatus
        | RequestCode::ViewBrokerStatsData
        | RequestCode::RaftStatus
        | RequestCode::RaftTrustReplica => Duty::Serve,
        RequestCode::PullMessage | RequestCode::LitePullMessage => Duty::ServeIfHere,
        _ => Duty::Forward,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_the_leaders() {
        for code in [
            RequestCode::SendMessage,
            RequestCode::SendMessageV2,
            RequestCode::SendBatchMessage,
            RequestCode::ConsumerSendMsgBack,
            RequestCode::UpdateConsumerOffset,
            RequestCode::QueryConsumerOffset,
            RequestCode::LockBatchMq,
            RequestCode::UpdateAndCreateTopic,
            RequestCode::GetMaxOffset,
            RequestCode::GetConsumerListByGroup,
        ] {
            assert_eq!(of(code), Duty::Forward, "{code:?}");
        }
    }
}
