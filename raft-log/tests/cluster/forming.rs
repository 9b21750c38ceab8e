//! How a group begins: with a majority, once, whoever is missing and whoever tries.

use raft_log::{FlushMode, Founding, GroupError};

use crate::group::{Group, Shape};
use crate::numbers;

async fn form(group: &Group, founder: u64) -> Result<(), GroupError> {
    group.replicas[&founder].log().initialize(group.addresses(), Founding::Majority).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_of_three_form_a_group_and_the_third_gets_its_vote_when_it_comes() {
    for (founder, absent) in [(1, 3), (2, 1), (3, 2)] {
        let mut group = Group::unformed(3, &Shape { flush: FlushMode::Sync, ..Shape::default() });
        group.replica(absent).kill();
        form(&group, founder).await.unwrap();
        group.write_many(0, 200, 500).await;
        let there: Vec<u64> = (1..=3).filter(|node| *node != absent).collect();
        group.voters_are(&there).await;
        group.replica(absent).start();
        group.voters_are(&[1, 2, 3]).await;
        group.converge().await;
        // From here on it is a group of three like any other: any one may go.
        group.outlive_the_leader(200, 100, 500).await;
        group.assert_holds(absent, &numbers(0, 300));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_of_three_forms_nothing_and_everybody_can_be_demanded() {
    let mut group = Group::unformed(3, &Shape::default());
    group.replica(3).kill();
    let everybody = group.replicas[&1].log().initialize(group.addresses(), Founding::Everybody).await;
    assert!(matches!(everybody, Err(GroupError::PeerUnreachable { node: 3, .. })), "{everybody:?}");
    group.replica(2).kill();
    let alone = form(&group, 1).await;
    assert!(matches!(alone, Err(GroupError::TooFewMembers { present: 1, needed: 2, .. })), "{alone:?}");
    assert!(group.replicas[&1].status().peers.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn several_founders_at_once_end_in_one_group() {
    for absent in [None, Some(3)] {
        let mut group = Group::unformed(3, &Shape::default());
        if let Some(absent) = absent {
            group.replica(absent).kill();
        }
        let founders = group.running().map(|replica| form(&group, replica.node));
        let outcomes = futures_util::future::join_all(founders).await;
        assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
        group.write_many(0, 100, 300).await;
        if let Some(absent) = absent {
            group.replica(absent).start();
        }
        group.voters_are(&[1, 2, 3]).await;
        group.converge().await;
        group.assert_identical();
        assert!(group.running().all(|replica| replica.fatal.lock().unwrap().is_none()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_wiped_member_and_one_that_never_came_found_no_second_group_while_a_member_is_heard() {
    let mut group = Group::unformed(3, &Shape::default());
    group.replica(3).kill();
    form(&group, 1).await.unwrap();
    group.write_many(0, 50, 300).await;
    group.voters_are(&[1, 2]).await;
    group.replica(2).wipe();
    group.replica(2).start();
    group.replica(3).start();
    for founder in [2, 3] {
        let refused = form(&group, founder).await;
        assert!(matches!(refused, Err(GroupError::AlreadyFormed)), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_was_not_heard_when_a_second_group_formed_keeps_its_log_and_belongs_to_neither() {
    let mut group = Group::unformed(3, &Shape::default());
    group.replica(3).kill();
    form(&group, 1).await.unwrap();
    group.write_many(0, 50, 300).await;
    group.voters_are(&[1, 2]).await;
    group.converge().await;
    // One disk is lost, the other machine with the data is down, the third member never came: nobody is left who knows.
    group.replica(1).kill();
    group.replica(2).wipe();
    group.replica(2).start();
    group.replica(3).start();
    form(&group, 2).await.unwrap();
    group.write_many(100, 50, 300).await;
    let before = group.numbers(1);
    group.replica(1).start();
    group.write_many(150, 50, 300).await;
    assert_eq!(group.numbers(1), before);
    assert!(group.replicas[&1].status().last.is_some_and(|last| last > 0));
    assert!(!group.replicas[&1].status().ready);
    group.voters_are(&[2, 3]).await;
}
