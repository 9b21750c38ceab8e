# Reads only: what .ci/run checks first.
verify:
    cargo fmt --all -- --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
    cargo run -q -p xtask -- check
    cargo test --workspace

# Rewrites only.
fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty
