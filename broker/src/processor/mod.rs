//! One file a deed: what the broker does with each request. `dispatch` says which request is whose.

pub mod admin_broker;
pub mod admin_config;
pub mod admin_group;
pub mod admin_offset;
pub mod admin_reset;
pub mod admin_stats;
pub mod admin_topic;
pub mod ask_client;
pub mod client_manage;
pub mod consume_stats;
pub mod consumer_manage;
pub mod delayed;
pub mod lock_batch;
mod pull_answer;
mod pull_check;
pub mod pull_message;
pub mod query_message;
pub mod query_queue;
pub mod queue_offset;
pub mod reply_message;
mod runtime_info;
pub mod send_back;
pub mod send_message;
mod send_properties;
mod send_record;
mod send_reply;
