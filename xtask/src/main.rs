//! The house rules that a machine can check.
//!
//! `cargo run -p xtask -- check` reads manifests and sources and fails on the first kind of
//! disorder it knows: an import edge that points upwards, a file without its `//!` header,
//! a room that grew past its walls, or a word that says somebody stopped half-way.
//! The same checks run as tests, so `cargo test --workspace` holds them too.

mod imports;
mod planted;
mod sources;

use std::path::{Path, PathBuf};

fn main() -> anyhow::Result<()> {
    let command = std::env::args().nth(1).unwrap_or_default();
    match command.as_str() {
        "check" => check(&root()),
        other => anyhow::bail!("unknown command {other:?}; there is: check"),
    }
}

fn check(root: &Path) -> anyhow::Result<()> {
    let mut faults = imports::faults(root)?;
    faults.extend(sources::faults(root)?);
    faults.extend(planted::faults(root)?);
    if faults.is_empty() {
        return Ok(());
    }
    anyhow::bail!("{} house rules broken:\n  {}", faults.len(), faults.join("\n  "))
}

/// The workspace this binary was built from.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_in_order() {
        check(&root()).unwrap();
    }
}
