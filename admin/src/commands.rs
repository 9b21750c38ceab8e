//! The table of commands: what `mqadmin` without a word lists, and what a word is looked up in.

use crate::call::Command;
use crate::command::*;

/// All commands, in the order in which RocketMQ lists them; our own stand beside their kin.
pub(crate) const ALL: &[&Command] = &[
    &update_topic::COMMAND,
    &delete_topic::COMMAND,
    &update_sub_group::COMMAND,
    &delete_sub_group::COMMAND,
    &update_broker_config::COMMAND,
    &update_topic_perm::COMMAND,
    &topic_route::COMMAND,
    &topic_status::COMMAND,
    &topic_cluster_list::COMMAND,
    &add_replica::COMMAND,
    &remove_replica::COMMAND,
    &transfer_leader::COMMAND,
    &trust_replica::COMMAND,
    &raft_status::COMMAND,
    &broker_status::COMMAND,
    &query_msg_by_id::COMMAND,
    &query_msg_by_key::COMMAND,
    &query_msg_by_unique_key::COMMAND,
    &query_msg_by_offset::COMMAND,
    &print_msg::COMMAND,
    &print_msg_by_queue::COMMAND,
    &send_message::COMMAND,
    &consume_message::COMMAND,
    &broker_consume_stats::COMMAND,
    &producer_connection::COMMAND,
    &consumer_connection::COMMAND,
    &producer::COMMAND,
    &consumer_progress::COMMAND,
    &consumer_status::COMMAND,
    &get_consumer_config::COMMAND,
    &clone_group_offset::COMMAND,
    &cluster_list::COMMAND,
    &topic_list::COMMAND,
    &update_kv_config::COMMAND,
    &delete_kv_config::COMMAND,
    &wipe_write_perm::COMMAND,
    &add_write_perm::COMMAND,
    &reset_offset_by_time::COMMAND,
    &skip_accumulated_message::COMMAND,
    &update_order_conf::COMMAND,
    &clean_expired_cq::COMMAND,
    &clean_unused_topic::COMMAND,
    &delete_expired_commit_log::COMMAND,
    &stats_all::COMMAND,
    &get_namesrv_config::COMMAND,
    &update_namesrv_config::COMMAND,
    &get_broker_config::COMMAND,
    &query_cq::COMMAND,
    &ha_status::COMMAND,
];

/// The command with this name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    ALL.iter().copied().find(|command| command.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_commands_share_a_name_and_no_two_options_of_one_a_key() {
        let names: BTreeSet<&str> = ALL.iter().map(|command| command.name).collect();
        assert_eq!(names.len(), ALL.len());
        for command in ALL {
            let own = command.options.iter().map(|option| option.key());
            let keys: BTreeSet<&str> = own.chain(["h", "n"]).collect();
            assert_eq!(keys.len(), command.options.len() + 2, "{}", command.name);
        }
    }
}
