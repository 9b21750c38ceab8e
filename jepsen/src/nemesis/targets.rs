//! Whom a fault strikes: pure, from the roles of the moment and the dice of the plan.

use crate::net::Member;
use crate::schedule::{Dice, Whom};

/// What is known when a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scene {
    /// All brokers.
    pub(super) brokers: Vec<Member>,
    /// All name servers.
    pub(super) names: Vec<Member>,
    /// The master, if anybody says that he is.
    pub(super) leader: Option<Member>,
}

/// The brokers to strike, or why there are none.
pub(super) fn pick(whom: Whom, scene: &Scene, dice: &mut Dice) -> Result<Vec<Member>, &'static str> {
    let mut others: Vec<Member> =
        scene.brokers.iter().copied().filter(|member| Some(*member) != scene.leader).collect();
    dice.shuffle(&mut others);
    match whom {
        Whom::Leader => scene.leader.map(|leader| vec![leader]).ok_or("nobody leads"),
        Whom::Follower => others.first().map(|one| vec![*one]).ok_or("nobody follows"),
        Whom::One => dice.pick(&scene.brokers).map(|one| vec![*one]).ok_or("there is no broker"),
        Whom::Majority => {
            let count = scene.brokers.len() / 2 + 1;
            Ok(scene.leader.into_iter().chain(others).take(count).collect())
        }
        Whom::All => Ok(scene.brokers.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(brokers: u32, leader: Option<Member>) -> Scene {
        Scene { brokers: (0..brokers).collect(), names: vec![brokers], leader }
    }

    #[test]
    fn roles_decide_whom_a_fault_strikes() {
        for seed in 0..40 {
            let mut dice = Dice::new(seed);
            let three = scene(3, Some(1));
            assert_eq!(pick(Whom::Leader, &three, &mut dice), Ok(vec![1]));
            assert_ne!(pick(Whom::Follower, &three, &mut dice), Ok(vec![1]));
            let majority = pick(Whom::Majority, &three, &mut dice).unwrap();
            assert!(majority.len() == 2 && majority.contains(&1));
            assert_eq!(pick(Whom::All, &three, &mut dice), Ok(vec![0, 1, 2]));
            assert_eq!(pick(Whom::Majority, &scene(5, None), &mut dice).unwrap().len(), 3);
        }
    }

    #[test]
    fn a_role_that_nobody_has_is_no_target() {
        let mut dice = Dice::new(1);
        assert!(pick(Whom::Leader, &scene(3, None), &mut dice).is_err());
        assert!(pick(Whom::Follower, &scene(1, Some(0)), &mut dice).is_err());
    }
}
