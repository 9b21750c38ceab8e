//! How a running server is found and asked to stop: `mqshutdown broker|namesrv`.
//!
//! The convention: a server runs as a program called `mqbroker` or `mqnamesrv`, or as
//! `mqlocal broker` / `mqlocal namesrv`. It is found by its command line in `/proc` and gets a
//! SIGTERM, which starts its orderly stop. Called by `mqshutdown`; tests feed command lines.

use std::path::Path;

use rustix::process::{Pid, Signal};

/// What can be asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `mqbroker`.
    Broker,
    /// `mqnamesrv`.
    Namesrv,
}

impl Role {
    /// From the word that `mqshutdown` is given.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "broker" => Some(Self::Broker),
            "namesrv" => Some(Self::Namesrv),
            _ => None,
        }
    }

    /// The name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Broker => "mqbroker",
            Self::Namesrv => "mqnamesrv",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Namesrv => "namesrv",
        }
    }

    /// Whether a process with these arguments plays this role.
    pub fn is_played_by(self, arguments: &[&str]) -> bool {
        let Some(program) = arguments.first() else { return false };
        let program = program.rsplit('/').next().unwrap_or(program);
        let first = arguments.get(1).copied().unwrap_or_default();
        program == self.program()
            || (program == "mqlocal" && (first == self.word() || first == self.program()))
    }
}

/// The processes that play this role, this one left out, in ascending order.
pub fn find(role: Role) -> Vec<u32> {
    find_in(Path::new("/proc"), role, std::process::id())
}

fn find_in(proc: &Path, role: Role, myself: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(proc) else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let plays = |pid: &u32| {
        // A process that ended meanwhile, or that belongs to somebody else, is not ours to stop.
        let Ok(line) = std::fs::read(proc.join(pid.to_string()).join("cmdline")) else { return false };
        let line = String::from_utf8_lossy(&line);
        role.is_played_by(&line.split('\0').collect::<Vec<_>>())
    };
    let mut pids: Vec<u32> = numbers.filter(|pid| *pid != myself).filter(plays).collect();
    pids.sort_unstable();
    pids
}

/// Sends SIGTERM.
pub fn terminate(pid: u32) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(std::io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::kill_process(pid, Signal::TERM)?)
}

/// All of `mqshutdown`: what it says, line by line, and its exit status, as RocketMQ's script.
pub fn shut_down(
    word: &str,
    find: impl Fn(Role) -> Vec<u32>,
    stop: impl Fn(u32) -> std::io::Result<()>,
) -> (Vec<String>, u8) {
    let Some(role) = Role::from_word(word) else {
        return (vec!["Usage: mqshutdown broker | namesrv".to_owned()], 1);
    };
    let program = role.program();
    let pids = find(role);
    if pids.is_empty() {
        return (vec![format!("No {program} running.")], 1);
    }
    let named = pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let mut lines = vec![format!("The {program}({named}) is running...")];
    for pid in pids {
        if let Err(error) = stop(pid) {
            lines.push(format!("Send shutdown request to {program}({pid}) failed: {error}"));
            return (lines, 1);
        }
    }
    lines.push(format!("Send shutdown request to {program}({named}) OK"));
    (lines, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_program_or_by_the_part_it_plays() {
        for arguments in [&["mqbroker"][..], &["/opt/mq/bin/mqbroker", "-c", "x"], &["./mqlocal", "broker"]] {
            assert!(Role::Broker.is_played_by(arguments), "{arguments:?}");
            assert!(!Role::Namesrv.is_played_by(arguments), "{arguments:?}");
        }
        for arguments in
            [&[][..], &["vim", "mqbroker"], &["mqbroker-old"], &["mqlocal", "--demo"], &["mqlocal"]]
        {
            assert!(!Role::Broker.is_played_by(arguments), "{arguments:?}");
        }
        assert!(Role::Namesrv.is_played_by(&["target/release/mqnamesrv", ""]));
    }

    #[test]
    fn processes_are_found_by_their_command_lines() {
        let proc = tempfile::tempdir().unwrap();
        for (pid, line) in
            [("30", "mqbroker\0-c\0a\0"), ("4", "bin/mqbroker\0"), ("5", "sh\0"), ("self", "mqbroker\0")]
        {
            std::fs::create_dir(proc.path().join(pid)).unwrap();
            std::fs::write(proc.path().join(pid).join("cmdline"), line).unwrap();
        }
        std::fs::create_dir(proc.path().join("6")).unwrap();
        assert_eq!(find_in(proc.path(), Role::Broker, 1), [4, 30]);
        assert_eq!(find_in(proc.path(), Role::Broker, 30), [4], "never itself");
        assert_eq!(find_in(proc.path(), Role::Namesrv, 1), [0; 0]);
    }

    #[test]
    fn mqshutdown_says_what_rocketmq_says() {
        let (lines, status) = shut_down("broker", |_| vec![7, 8], |_| Ok(()));
        assert_eq!(lines, ["The mqbroker(7 8) is running...", "Send shutdown request to mqbroker(7 8) OK"]);
        assert_eq!(status, 0);
        assert_eq!(
            shut_down("namesrv", |_| vec![], |_| Ok(())),
            (vec!["No mqnamesrv running.".to_owned()], 1)
        );
        assert_eq!(shut_down("proxy", |_| vec![], |_| Ok(())).1, 1);
        let refused = shut_down("broker", |_| vec![7], |_| Err(std::io::ErrorKind::PermissionDenied.into()));
        assert_eq!(refused.1, 1);
    }

    #[test]
    fn a_process_that_was_asked_to_stop_stops() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        terminate(child.id()).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(terminate(0).is_err());
    }
}
