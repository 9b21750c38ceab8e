//! Planted bugs stay where they belong: mistakes that the fault tests must catch are behind a cargo feature that nobody
//! turns on but the one build that jepsen makes for itself.

use std::path::Path;

use anyhow::Context;

/// The feature.
const FEATURE: &str = concat!("planted", "-bugs");

/// The lines of manifests that may name it: where it is made, and the one door to it.
const ALLOWED: &[(&str, &str)] = &[
    ("disk", concat!("planted", "-bugs = []")),
    ("broker", concat!("planted", "-bugs = [\"disk/planted", "-bugs\"]")),
];

/// The one caller of cargo that may ask for it.
const BUILDER: &str = "jepsen/src/run/build.rs";

/// Every place that would let a planted bug into a build that did not ask for one, as sentences.
pub(crate) fn faults(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let folder = entry?.path();
        let room = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = folder.join("Cargo.toml");
        if manifest.exists() {
            faults.extend(faults_of(&room, &read(&manifest)?));
        }
    }
    let builder = read(&root.join(BUILDER))?;
    if builder.matches(FEATURE).count() != 1 || !builder.contains("--target-dir") {
        faults
            .push(format!("{BUILDER} builds planted bugs in more than one way, or beside the real binaries"));
    }
    for script in ["Cargo.toml", "justfile", ".ci/run", ".cargo/config.toml"] {
        let path = root.join(script);
        if path.exists() && builds(&read(&path)?) {
            faults.push(format!("{script} names {FEATURE} where something is built"));
        }
    }
    Ok(faults)
}

/// Whether a script does more with the feature than to look whether it compiles.
fn builds(script: &str) -> bool {
    script.lines().map(str::trim).any(|line| line.contains(FEATURE) && !line.starts_with("cargo clippy "))
}

fn faults_of(room: &str, manifest: &str) -> Vec<String> {
    let names =
        manifest.lines().map(str::trim).filter(|line| !line.starts_with('#') && line.contains(FEATURE));
    let allowed = |line: &&str| ALLOWED.iter().any(|(at, text)| *at == room && text == line);
    names
        .filter(|line| !allowed(line))
        .map(|line| format!("{room}'s manifest lets planted bugs in: {line}"))
        .collect()
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_two_doors_may_name_the_feature() {
        for (room, line) in ALLOWED {
            assert!(faults_of(room, &format!("[features]\n{line}\n")).is_empty());
            assert_eq!(faults_of("local", &format!("[features]\n{line}\n")).len(), 1);
        }
        assert_eq!(faults_of("disk", &format!("[features]\ndefault = [\"{FEATURE}\"]\n")).len(), 1);
        let dependency =
            format!("[dependencies]\nbroker = {{ workspace = true, features = [\"{FEATURE}\"] }}\n");
        assert_eq!(faults_of("local", &dependency).len(), 1);
        assert!(faults_of("local", "[dependencies]\nbroker.workspace = true\n").is_empty());
        assert!(builds(&format!("cargo build --features {FEATURE}\n")));
        assert!(!builds(&format!("cargo clippy -p broker --features {FEATURE}\ncargo build\n")));
    }
}
