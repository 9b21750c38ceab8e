//! CPU time of other processes, from the kernel's own account.

use std::time::Duration;

/// Ticks a second in `/proc/<pid>/stat`; Linux shows user space 100 whatever it runs with.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time that these processes have used so far.
pub(crate) fn used(pids: &[u32]) -> anyhow::Result<Duration> {
    let mut ticks = 0;
    for pid in pids {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The command name may hold blanks; what follows its closing bracket does not.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        ticks += field(11) + field(12);
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}
