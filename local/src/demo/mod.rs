//! `mqlocal --demo`: sends and consumes through sockets, kills the leader of a group meanwhile, and accounts for every
//! message.

mod body;
mod failover;
mod ledger;
mod load;
mod report;
mod run;

pub(crate) use run::{Plan, run};
