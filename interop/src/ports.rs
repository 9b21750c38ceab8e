//! Free ports for servers that want several beside each other.
//!
//! A broker listens on its port, on port − 2 (the fast port) and on port + 1 (HA); a replica group needs one more each.
//! Candidates lie below the range from which the kernel takes ports for outgoing connections, so that none of them is
//! taken away between this look and the server's start; each is handed out once a process.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 12_000;
const LAST: u16 = 30_000;
const STEP: u16 = 8;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port with port − 2 … port + 3 free.
pub(crate) fn take() -> anyhow::Result<u16> {
    for _ in 0..(LAST - FIRST) / STEP {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        // Several runs on one machine start at different places.
        let spread = u16::try_from(std::process::id() % 997).unwrap_or(0);
        let slots = (LAST - FIRST) / STEP;
        let port = FIRST + 2 + ((nth + spread) % slots) * STEP;
        if (port - 2..port + 4).all(free) {
            return Ok(port);
        }
    }
    anyhow::bail!("no six free ports beside each other between {FIRST} and {LAST}")
}

fn free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok()
}
