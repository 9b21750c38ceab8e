//! Names of the version numbers that clients and brokers send. Source: RocketMQ 5.3.3 `MQVersion.Version`, whose ordinals these are.

/// The 3.0.0 family, which follows no rule.
const FIRST: [&str; 16] = [
    "V3_0_0_SNAPSHOT",
    "V3_0_0_ALPHA1",
    "V3_0_0_BETA1",
    "V3_0_0_BETA2",
    "V3_0_0_BETA3",
    "V3_0_0_BETA4",
    "V3_0_0_BETA5",
    "V3_0_0_BETA6_SNAPSHOT",
    "V3_0_0_BETA6",
    "V3_0_0_BETA7_SNAPSHOT",
    "V3_0_0_BETA7",
    "V3_0_0_BETA8_SNAPSHOT",
    "V3_0_0_BETA8",
    "V3_0_0_BETA9_SNAPSHOT",
    "V3_0_0_BETA9",
    "V3_0_0_FINAL",
];

/// Numbers from here on are all one.
const HIGHER: i32 = 612;

/// A run of versions: the ordinal of its first snapshot, its major and first minor number, the first patch of each minor, patches per minor.
/// Each release is preceded by its snapshot, so a release takes two ordinals.
const RUNS: [(i32, i32, i32, i32, i32); 5] =
    [(16, 3, 0, 1, 15), (46, 3, 1, 0, 10), (86, 3, 3, 1, 9), (212, 4, 0, 0, 10), (412, 5, 0, 0, 10)];

/// The name of a version number.
pub(crate) fn name(number: i32) -> String {
    if number >= HIGHER {
        return "HIGHER_VERSION".to_owned();
    }
    let Some((start, major, minor, patch, per_minor)) = RUNS.into_iter().rev().find(|run| run.0 <= number)
    else {
        let index = usize::try_from(number).unwrap_or_default();
        return FIRST[index.min(FIRST.len() - 1)].to_owned();
    };
    let release = (number - start) / 2;
    let snapshot = if (number - start) % 2 == 0 { "_SNAPSHOT" } else { "" };
    format!("V{major}_{}_{}{snapshot}", minor + release / per_minor, patch + release % per_minor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinals_of_rocketmq_have_their_names() {
        for (number, expected) in [
            (0, "V3_0_0_SNAPSHOT"),
            (15, "V3_0_0_FINAL"),
            (28, "V3_0_7_SNAPSHOT"),
            (37, "V3_0_11"),
            (62, "V3_1_8_SNAPSHOT"),
            (121, "V3_4_9"),
            (213, "V4_0_0"),
            (317, "V4_5_2"),
            (401, "V4_9_4"),
            (409, "V4_9_8"),
            (413, "V5_0_0"),
            (479, "V5_3_3"),
            (611, "V5_9_9"),
            (612, "HIGHER_VERSION"),
            (9999, "HIGHER_VERSION"),
        ] {
            assert_eq!(name(number), expected);
        }
        assert_eq!(name(-1), "V3_0_0_SNAPSHOT");
    }
}
