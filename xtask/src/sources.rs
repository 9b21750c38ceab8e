//! What every source file owes its reader: a header, walls, and no word left half-way.

use std::path::{Path, PathBuf};

/// Production lines past which a second thing probably lives in the file.
const LINES_MAX: usize = 500;

/// Words that say somebody stopped half-way. Spelt apart, so that this file may name them.
const UNFINISHED: &[&str] =
    &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!"), concat!("todo", "!(")];

/// Names that say nobody decided where a thing belongs.
const HOMELESS: &[&str] = &["common", "util", "utils", "helper", "helpers", "misc"];

/// Every broken rule, as sentences.
pub(crate) fn faults(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let folder = entry?.path();
        if folder.join("Cargo.toml").exists() {
            collect(&folder, &mut files)?;
        }
    }
    files.sort();
    let mut faults = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        faults.extend(faults_of(&name, &text));
    }
    Ok(faults)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, files)?;
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}

fn faults_of(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let first = text.lines().find(|line| !line.starts_with("#!"));
    if !first.is_some_and(|line| line.starts_with("//!")) {
        faults.push(format!("{name} does not open with a //! header"));
    }
    let proof =
        ["/tests/", "/benches/", "/examples/", "fuzz/", "_tests.rs"].iter().any(|part| name.contains(part));
    let lines = text.lines().take_while(|line| !line.starts_with("mod tests")).count();
    if !proof && lines > LINES_MAX {
        faults.push(format!("{name} has {lines} production lines, more than {LINES_MAX}"));
    }
    for word in UNFINISHED {
        if text.contains(word) {
            faults.push(format!("{name} says {word}"));
        }
    }
    let stem = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if HOMELESS.contains(&stem.as_str()) {
        faults.push(format!("{name} bears a name that says nobody decided"));
    }
    if text.contains(concat!("/wo", "rk/")) || text.contains(concat!("/ro", "ot/")) {
        faults.push(format!("{name} names a path of one machine"));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_named() {
        assert_eq!(faults_of("store/src/a.rs", "use x;\n").len(), 1);
        assert!(faults_of("store/src/a.rs", "//! Why.\nuse x;\n").is_empty());
    }

    #[test]
    fn a_room_past_its_walls_is_named_but_tests_may_be_long() {
        let long = format!("//! Why.\n{}", "let a = 1;\n".repeat(501));
        assert_eq!(faults_of("store/src/a.rs", &long).len(), 1);
        assert!(faults_of("store/src/a_tests.rs", &long).is_empty());
        assert!(
            faults_of("store/src/a.rs", &format!("//! Why.\nmod tests {{\n{}}}", "x();\n".repeat(600)))
                .is_empty()
        );
    }

    #[test]
    fn unfinished_work_is_named() {
        assert_eq!(faults_of("store/src/a.rs", &format!("//! Why.\n// {} later\n", UNFINISHED[0])).len(), 1);
    }
}
