//! What partitions and bad weather do to links: pure.

use std::time::Duration;

use super::targets::Scene;
use crate::net::{Effect, Flow, Member};
use crate::schedule::{Dice, Split, Weather};

/// Links, the brokers that suffer, and a sentence; or why it cannot be.
pub(super) type Laid = Result<(Effect, Vec<Member>, String), &'static str>;

/// The effect of a partition.
pub(super) fn partition(split: Split, scene: &Scene, dice: &mut Dice) -> Laid {
    let brokers = &scene.brokers;
    if brokers.len() < 2 && scene.names.is_empty() {
        return Err("there is nobody to cut off from");
    }
    match split {
        Split::Halves => {
            let mut shuffled = brokers.clone();
            dice.shuffle(&mut shuffled);
            let side = shuffled[..(shuffled.len() / 2).max(1)].to_vec();
            Ok(isolated(side, scene, dice))
        }
        Split::Leader => Ok(isolated(vec![scene.leader.ok_or("nobody leads")?], scene, dice)),
        Split::Single => Ok(isolated(vec![*dice.pick(brokers).ok_or("there is no broker")?], scene, dice)),
        Split::Ring => ring(brokers, dice),
        Split::Bridge => bridge(brokers, dice),
        Split::LeaderDeaf => one_sided(scene, false),
        Split::LeaderMute => one_sided(scene, true),
        Split::OneWay => {
            let mut pair = brokers.clone();
            dice.shuffle(&mut pair);
            let [from, to] =
                pair.get(..2).and_then(|pair| pair.try_into().ok()).ok_or("one broker has no links")?;
            Ok((vec![(from, to, Flow::CUT)], vec![from, to], format!("n{to} does not hear n{from}")))
        }
    }
}

/// One side against the rest; each name server falls to a side by chance.
fn isolated(side: Vec<Member>, scene: &Scene, dice: &mut Dice) -> (Effect, Vec<Member>, String) {
    let mut inside = side.clone();
    inside.extend(scene.names.iter().copied().filter(|_| dice.chance(50)));
    let everybody = || scene.brokers.iter().chain(&scene.names).copied();
    let mut effect = Effect::new();
    for one in everybody().filter(|one| inside.contains(one)) {
        for other in everybody().filter(|other| !inside.contains(other)) {
            effect.push((one, other, Flow::CUT));
            effect.push((other, one, Flow::CUT));
        }
    }
    let told = format!("brokers {side:?} are cut off, with name servers {:?}", &inside[side.len()..]);
    (effect, side, told)
}

/// With five and more, each sees its two neighbours. With fewer, each hears only the one before it.
fn ring(brokers: &[Member], dice: &mut Dice) -> Laid {
    if brokers.len() < 3 {
        return Err("a ring needs three brokers");
    }
    let mut circle = brokers.to_vec();
    dice.shuffle(&mut circle);
    let count = circle.len();
    let mut effect = Effect::new();
    for from in 0..count {
        for to in (0..count).filter(|to| *to != from) {
            let next = (from + 1) % count == to;
            let neighbours = next || (to + 1) % count == from;
            if !(if count >= 5 { neighbours } else { next }) {
                effect.push((circle[from], circle[to], Flow::CUT));
            }
        }
    }
    Ok((effect, brokers.to_vec(), format!("a ring {circle:?}")))
}

fn bridge(brokers: &[Member], dice: &mut Dice) -> Laid {
    if brokers.len() < 3 {
        return Err("a bridge needs three brokers");
    }
    let mut shuffled = brokers.to_vec();
    dice.shuffle(&mut shuffled);
    let (middle, ends) = (shuffled[0], &shuffled[1..]);
    let (left, right) = ends.split_at(ends.len() / 2);
    let mut effect = Effect::new();
    for one in left {
        for other in right {
            effect.push((*one, *other, Flow::CUT));
            effect.push((*other, *one, Flow::CUT));
        }
    }
    Ok((effect, ends.to_vec(), format!("{left:?} and {right:?} see only n{middle}")))
}

fn one_sided(scene: &Scene, mute: bool) -> Laid {
    let leader = scene.leader.ok_or("nobody leads")?;
    let others: Vec<_> = scene.brokers.iter().copied().filter(|member| *member != leader).collect();
    if others.is_empty() {
        return Err("one broker has no links");
    }
    let cut = |other: &Member| if mute { (leader, *other, Flow::CUT) } else { (*other, leader, Flow::CUT) };
    let told = format!("n{leader} leads and {}", if mute { "is not heard" } else { "hears nothing" });
    Ok((others.iter().map(cut).collect(), vec![leader], told))
}

/// The effect of bad links.
pub(super) fn weather(weather: Weather, scene: &Scene, dice: &mut Dice) -> Laid {
    let millis = Duration::from_millis;
    let (flow, told) = match weather {
        Weather::Slow | Weather::SlowLeader => {
            let delay = dice.between(50, 250);
            (
                Flow { delay: millis(delay), jitter: millis(delay / 2), ..Flow::default() },
                format!("{delay} ms slower"),
            )
        }
        Weather::Lossy => {
            let life = dice.between(1_500, 6_000);
            (
                Flow { reset_after: Some(millis(life)), ..Flow::default() },
                format!("connections live {life} ms"),
            )
        }
        Weather::ResetStorm => {
            let life = dice.between(50, 400);
            (
                Flow { reset_after: Some(millis(life)), ..Flow::default() },
                format!("connections live {life} ms"),
            )
        }
        Weather::HalfOpen => (Flow::CUT, "connections stay open and carry nothing".to_owned()),
        Weather::Thin => {
            (Flow { bytes_per_second: Some(64 << 10), ..Flow::default() }, "64 KiB a second".to_owned())
        }
    };
    let all: Vec<(Member, Member)> = pairs(&scene.brokers);
    let chosen: Vec<(Member, Member)> = match weather {
        Weather::SlowLeader => {
            let leader = scene.leader.ok_or("nobody leads")?;
            all.into_iter().filter(|(from, to)| *from == leader || *to == leader).collect()
        }
        // All links dead would be no half-open network but no network: one broker's are.
        Weather::HalfOpen => {
            let one = *dice.pick(&scene.brokers).ok_or("there is no broker")?;
            all.into_iter().filter(|(from, to)| *from == one || *to == one).collect()
        }
        Weather::Slow | Weather::Lossy | Weather::ResetStorm | Weather::Thin => all,
    };
    if chosen.is_empty() {
        return Err("one broker has no links");
    }
    let mut nodes: Vec<Member> = chosen.iter().map(|(from, _)| *from).collect();
    nodes.sort_unstable();
    nodes.dedup();
    Ok((chosen.into_iter().map(|(from, to)| (from, to, flow)).collect(), nodes, told))
}

pub(super) fn pairs(members: &[Member]) -> Vec<(Member, Member)> {
    let with = |from: &Member| {
        let from = *from;
        members.iter().filter(move |to| **to != from).map(move |to| (from, *to))
    };
    members.iter().flat_map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(brokers: u32) -> Scene {
        Scene { brokers: (0..brokers).collect(), names: vec![brokers], leader: Some(1) }
    }

    fn cuts(effect: &Effect, from: Member, to: Member) -> bool {
        effect.iter().any(|(a, b, flow)| (*a, *b) == (from, to) && flow.cut)
    }

    #[test]
    fn an_isolated_leader_is_cut_both_ways_from_every_broker() {
        let (effect, nodes, _) = partition(Split::Leader, &scene(3), &mut Dice::new(1)).unwrap();
        assert_eq!(nodes, [1]);
        for other in [0, 2] {
            assert!(cuts(&effect, 1, other) && cuts(&effect, other, 1));
        }
        assert!(!cuts(&effect, 0, 2) && !cuts(&effect, 2, 0));
    }

    #[test]
    fn a_bridge_is_seen_by_all_and_the_others_only_see_it() {
        for seed in 0..20 {
            let (effect, ends, _) = partition(Split::Bridge, &scene(3), &mut Dice::new(seed)).unwrap();
            assert_eq!(effect.len(), 2);
            assert!(cuts(&effect, ends[0], ends[1]) && cuts(&effect, ends[1], ends[0]));
        }
    }

    #[test]
    fn in_a_ring_of_five_everybody_sees_two_others() {
        let (effect, _, _) = partition(Split::Ring, &scene(5), &mut Dice::new(1)).unwrap();
        for from in 0..5 {
            assert_eq!((0..5).filter(|to| *to != from && !cuts(&effect, from, *to)).count(), 2);
        }
        let (effect, _, _) = partition(Split::Ring, &scene(3), &mut Dice::new(1)).unwrap();
        assert_eq!(effect.len(), 3);
    }

    #[test]
    fn a_mute_leader_hears_and_a_deaf_one_is_heard() {
        let (mute, _, _) = partition(Split::LeaderMute, &scene(3), &mut Dice::new(1)).unwrap();
        assert!(cuts(&mute, 1, 0) && !cuts(&mute, 0, 1));
        let (deaf, _, _) = partition(Split::LeaderDeaf, &scene(3), &mut Dice::new(1)).unwrap();
        assert!(!cuts(&deaf, 1, 0) && cuts(&deaf, 0, 1));
    }

    #[test]
    fn what_one_broker_cannot_suffer_is_refused() {
        let alone = Scene { brokers: vec![0], names: vec![1], leader: Some(0) };
        let mut dice = Dice::new(1);
        for split in [Split::Ring, Split::Bridge, Split::LeaderMute, Split::OneWay] {
            assert!(partition(split, &alone, &mut dice).is_err());
        }
        assert!(weather(Weather::Slow, &alone, &mut dice).is_err());
    }

    #[test]
    fn weather_strikes_the_links_it_says() {
        let mut dice = Dice::new(3);
        assert_eq!(weather(Weather::Slow, &scene(3), &mut dice).unwrap().0.len(), 6);
        assert_eq!(weather(Weather::SlowLeader, &scene(3), &mut dice).unwrap().0.len(), 4);
        assert_eq!(weather(Weather::HalfOpen, &scene(3), &mut dice).unwrap().0.len(), 4);
    }
}
