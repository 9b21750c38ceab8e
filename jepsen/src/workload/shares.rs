//! Which queues a member of a group owns: RocketMQ's averaging rule. Pure.

/// The queues of `me` when the members of a group share `queues` queues.
pub(super) fn shares(members: &[String], me: &str, queues: u32) -> Vec<u32> {
    let Some(index) = members.iter().position(|member| member == me) else { return Vec::new() };
    let (index, count) = (u32::try_from(index).unwrap_or(0), u32::try_from(members.len()).unwrap_or(1));
    let (each, more) = (queues / count, queues % count);
    let first = index * each + index.min(more);
    (first..first + each + u32::from(index < more)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_queue_has_one_owner() {
        for count in 1..7 {
            let members: Vec<String> = (0..count).map(|index| format!("c{index}")).collect();
            let mut all: Vec<u32> = members.iter().flat_map(|member| shares(&members, member, 8)).collect();
            all.sort_unstable();
            assert_eq!(all, (0..8).collect::<Vec<_>>());
        }
        assert!(shares(&["a".to_owned()], "b", 8).is_empty());
    }
}
