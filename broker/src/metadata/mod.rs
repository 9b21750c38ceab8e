//! What the broker knows besides messages: topics, groups, consumer offsets, progress of delayed messages.
//!
//! Always true: it changes through `Metadata::apply` alone, so that the same commands in the same order give the
//! same tables on every replica; commands carry their time, nothing here reads a clock.

mod auto_create;
mod command;
mod consumer_offsets;
mod delay_progress;
mod files;
mod group_table;
mod members;
mod state;
mod system_topics;
mod topic_table;
mod version;

pub use auto_create::inherit;
pub use command::{CommandError, MetadataCommand, OffsetCommit};
pub use consumer_offsets::{ConsumerOffsets, QueueOffsets};
pub use delay_progress::DelayProgress;
pub use files::{
    MetadataFiles, delays_body, groups_body, offsets_body, put_delays, put_offsets, topics_body,
};
pub use group_table::{Group, GroupTable, system_groups};
pub use members::Members;
pub use state::{Metadata, MetadataLimits};
pub use system_topics::{SystemTopicNames, system_topics};
pub use topic_table::{PutCounters, QueueCounters, Topic, TopicTable};
pub use version::Stamp;
