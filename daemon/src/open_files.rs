//! How many files and sockets the process may have open, and how they are shared out.
//!
//! A server that lets clients have the last descriptor cannot open its own files any more, and a store that cannot open a
//! file has failed. So the limit is raised as far as the system lets us, and a part of it is never given to clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of open files to the hard one, and tells how many there may be now.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        match setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
            Ok(()) => return maximum.unwrap_or(u64::MAX),
            Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
        }
    }
    current.unwrap_or(u64::MAX)
}

/// How many connections may be served when `limit` files may be open and the server itself wants `own` of them: as many as
/// were `wanted`, or what is left. A server with too small a limit takes half of it for itself.
pub fn connections_within(limit: u64, wanted: usize, own: u64) -> usize {
    let left = limit - own.min(limit / 2);
    wanted.min(usize::try_from(left).unwrap_or(usize::MAX)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_the_system_lets_us() {
        let raised = raise_open_files();
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!((current, current.unwrap_or(u64::MAX)), (maximum, raised));
    }

    #[test]
    fn clients_never_get_the_last_descriptors() {
        for (limit, wanted, own, allowed) in [
            (1_000_000, 20_000, 2_000, 20_000),
            (20_000, 20_000, 2_000, 18_000),
            (1_024, 20_000, 2_000, 512),
            (256, 20, 2_000, 20),
            (u64::MAX, 20_000, 2_000, 20_000),
            (1, 20, 2_000, 1),
        ] {
            assert_eq!(connections_within(limit, wanted, own), allowed, "{limit} {wanted} {own}");
        }
    }
}
