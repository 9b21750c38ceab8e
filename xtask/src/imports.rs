//! Who may import whom: the levels of the design, read from the manifests.

use std::path::Path;

use anyhow::Context;

/// Room, its level, and, where the design names them, the only rooms it may import.
const ROOMS: &[(&str, u8, Option<&[&str]>)] = &[
    ("disk", 0, Some(&[])),
    ("protocol", 0, Some(&[])),
    ("daemon", 0, Some(&[])),
    ("raft-log", 1, Some(&["disk"])),
    ("store", 1, Some(&["disk", "protocol"])),
    ("remoting", 1, Some(&["protocol"])),
    ("broker", 2, None),
    ("namesrv", 2, None),
    ("client", 2, None),
    ("local", 3, None),
    ("admin", 3, None),
    ("bench", 3, None),
    ("jepsen", 3, None),
    ("interop", 3, None),
    ("xtask", 3, Some(&[])),
];

/// Libraries that one room alone may name.
const OWNED: &[(&str, &str)] = &[("openraft", "raft-log"), ("bincode", "raft-log"), ("memmap2", "disk")];

/// Every import edge that the design does not allow, as sentences.
pub(crate) fn faults(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for (room, _, _) in ROOMS {
        let manifest = root.join(room).join("Cargo.toml");
        let text =
            std::fs::read_to_string(&manifest).with_context(|| format!("reading {}", manifest.display()))?;
        for import in imports(&text) {
            faults.extend(fault(room, &import));
        }
    }
    Ok(faults)
}

/// The names on the left side of every dependency table of a manifest.
fn imports(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            inside = table.ends_with("dependencies");
            if let Some((head, name)) = table.rsplit_once('.')
                && head.ends_with("dependencies")
            {
                names.push(name.to_owned());
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                names.push(name.to_owned());
            }
        }
    }
    names
}

fn fault(room: &str, import: &str) -> Option<String> {
    if let Some((_, owner)) = OWNED.iter().find(|(library, _)| import.starts_with(library))
        && *owner != room
    {
        return Some(format!("{room} imports {import}, which only {owner} may name"));
    }
    let (_, level, allowed) = ROOMS.iter().find(|(name, _, _)| *name == room)?;
    let (_, import_level, _) = ROOMS.iter().find(|(name, _, _)| *name == import)?;
    let fits = allowed.map_or(import_level < level, |allowed| allowed.contains(&import));
    (!fits).then(|| format!("{room} (level {level}) may not import {import} (level {import_level})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_that_points_upwards_is_a_fault() {
        assert!(fault("store", "broker").is_some());
        assert!(fault("store", "raft-log").is_some());
        assert!(fault("broker", "client").is_some());
        assert!(fault("broker", "openraft").is_some());
        assert!(fault("broker", "store").is_none());
        assert!(fault("raft-log", "openraft-rt").is_none());
        assert!(fault("store", "bytes").is_none());
    }

    #[test]
    fn every_way_to_write_a_dependency_is_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n# c = 1\n\
                        [dev-dependencies]\nd = { path = \"../d\" }\n[dependencies.e]\nversion = \"1\"\n[lints]\nworkspace = true\n";
        assert_eq!(imports(manifest), ["a", "b", "d", "e"]);
    }
}
