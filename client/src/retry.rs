//! When a failed send is tried again, and which brokers are passed over meanwhile. Pure: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use protocol::ResponseCode;

use crate::error::ClientError;

/// How a send failed, as far as trying again is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Certainly nothing was stored, and soon it may work: no connection, no leader, no route, broker busy.
    NotDone,
    /// It may have been stored, as the answer is missing or says little. Trying again can store it twice.
    Unknown,
    /// The broker has a reason that will not pass.
    Final,
}

impl Failure {
    /// Reads a failure off its error.
    pub fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Remoting(error) if error.is_unsent() => Self::NotDone,
            ClientError::Remoting(_) => Self::Unknown,
            ClientError::NameServers { .. }
            | ClientError::NoRoute { .. }
            | ClientError::NoQueue { .. }
            | ClientError::BrokerUnknown { .. } => Self::NotDone,
            ClientError::Refused { code, .. } => Self::of_code(*code),
            _ => Self::Final,
        }
    }

    /// What Java's producers retry (reference: `retryResponseCodes` 17, 14, 1, 16, 204, 205, 2, 1500), and codes by
    /// which a broker says that another one leads.
    fn of_code(code: i32) -> Self {
        match ResponseCode::try_from(code) {
            Ok(
                ResponseCode::ServiceNotAvailable
                | ResponseCode::SystemBusy
                | ResponseCode::NotLeaderForQueue
                | ResponseCode::FlowControl
                | ResponseCode::GoAway,
            ) => Self::NotDone,
            Ok(
                ResponseCode::SystemError
                | ResponseCode::TopicNotExist
                | ResponseCode::NoPermission
                | ResponseCode::NoBuyerId
                | ResponseCode::NotInCurrentUnit,
            ) => Self::Unknown,
            _ => Self::Final,
        }
    }
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask the route anew and try again after this pause.
    Again(Duration),
    /// Tell the application.
    GiveUp,
}

/// Pauses before the next attempts while nothing was done; the last one repeats. The first retry comes at once,
/// because another broker may be well; the later ones wait for an election.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(20), Duration::from_millis(50), Duration::from_millis(100)];

/// The rule of one send.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Time for everything.
    pub budget: Duration,
    /// Retries after failures that may have stored the message.
    pub unknown_max: u32,
}

impl RetryPolicy {
    /// Decides after an attempt failed. `unknowns` counts failures of that kind, this one included; `attempts` all.
    pub fn next(&self, failure: Failure, attempts: u32, unknowns: u32, elapsed: Duration) -> Next {
        let pause = PAUSES[(attempts.max(1) as usize - 1).min(PAUSES.len() - 1)];
        let allowed = match failure {
            Failure::NotDone => true,
            Failure::Unknown => unknowns <= self.unknown_max,
            Failure::Final => false,
        };
        if allowed && elapsed + pause < self.budget { Next::Again(pause) } else { Next::GiveUp }
    }
}

/// A broker that failed is passed over for so long, if there is another.
const AVOID: Duration = Duration::from_secs(2);

/// Brokers that failed lately.
#[derive(Debug, Default)]
pub struct Faults {
    until: HashMap<String, Instant>,
}

impl Faults {
    /// A send to the broker failed.
    pub fn note_failure(&mut self, broker: &str, now: Instant) {
        self.until.retain(|_, until| *until > now);
        self.until.insert(broker.to_owned(), now + AVOID);
    }

    /// A send to the broker succeeded.
    pub fn note_success(&mut self, broker: &str) {
        if !self.until.is_empty() {
            self.until.remove(broker);
        }
    }

    /// Whether the broker is better passed over.
    pub fn is_avoided(&self, broker: &str, now: Instant) -> bool {
        self.until.get(broker).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use remoting::RemotingError;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { budget: Duration::from_secs(3), unknown_max: 2 };

    fn refused(code: i32) -> ClientError {
        ClientError::Refused { peer: "b".to_owned(), code, remark: None }
    }

    #[test]
    fn failures_are_told_apart_by_whether_the_message_may_be_stored() {
        let connect = RemotingError::Connect {
            address: "b".to_owned(),
            source: Arc::new(std::io::ErrorKind::ConnectionRefused.into()),
        };
        let peer = ([127, 0, 0, 1], 1).into();
        let table = [
            (ClientError::from(connect), Failure::NotDone),
            (RemotingError::Closed { peer }.into(), Failure::Unknown),
            (RemotingError::Timeout { peer }.into(), Failure::Unknown),
            (refused(14), Failure::NotDone),
            (refused(2), Failure::NotDone),
            (refused(501), Failure::NotDone),
            (refused(1), Failure::Unknown),
            (refused(17), Failure::Unknown),
            (refused(13), Failure::Final),
            (refused(29), Failure::Final),
            (refused(123_456), Failure::Final),
            (ClientError::Stopped, Failure::Final),
        ];
        for (error, failure) in table {
            assert_eq!(Failure::of(&error), failure, "{error}");
        }
    }

    #[test]
    fn what_was_not_done_is_tried_again_until_the_budget_ends() {
        assert_eq!(POLICY.next(Failure::NotDone, 1, 0, Duration::ZERO), Next::Again(Duration::ZERO));
        assert_eq!(
            POLICY.next(Failure::NotDone, 30, 0, Duration::from_millis(2800)),
            Next::Again(Duration::from_millis(100))
        );
        assert_eq!(POLICY.next(Failure::NotDone, 30, 0, Duration::from_millis(2950)), Next::GiveUp);
    }

    #[test]
    fn what_may_be_stored_is_tried_again_only_so_often() {
        for unknowns in 1..=2 {
            assert!(matches!(
                POLICY.next(Failure::Unknown, unknowns, unknowns, Duration::ZERO),
                Next::Again(_)
            ));
        }
        assert_eq!(POLICY.next(Failure::Unknown, 3, 3, Duration::ZERO), Next::GiveUp);
        assert_eq!(POLICY.next(Failure::Final, 1, 0, Duration::ZERO), Next::GiveUp);
    }

    #[test]
    fn a_broker_that_failed_is_avoided_for_a_while_or_until_it_succeeds() {
        let (start, mut faults) = (Instant::now(), Faults::default());
        faults.note_failure("a", start);
        faults.note_failure("b", start);
        assert!(faults.is_avoided("a", start + Duration::from_secs(1)));
        assert!(!faults.is_avoided("c", start));
        faults.note_success("a");
        assert!(!faults.is_avoided("a", start + Duration::from_secs(1)));
        assert!(!faults.is_avoided("b", start + AVOID));
    }
}
