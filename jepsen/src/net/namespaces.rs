//! A network namespace for each server, joined by one bridge, as root.
//!
//! The harness stands on the bridge's own address; clients and proxies reach every server from
//! there. Names carry the number of the run, so that runs side by side do not meet.

use std::net::Ipv4Addr;

use super::links::Member;
use crate::cluster::tool;
use crate::error::Result;

/// The namespaces of one run; dropping them removes them.
#[derive(Debug)]
pub struct Namespaces {
    run: u8,
    made: Vec<Member>,
}

/// The file of firewall rules of one namespace, whole: it is replaced at every change.
fn rules(cut_from: &[Ipv4Addr]) -> String {
    let mut text =
        String::from("table inet jepsen\ndelete table inet jepsen\ntable inet jepsen {\n chain input {\n");
    text.push_str("  type filter hook input priority 0; policy accept;\n");
    for address in cut_from {
        text.push_str(&format!("  ip saddr {address} drop\n"));
    }
    text.push_str(" }\n}\n");
    text
}

impl Namespaces {
    /// Whether this machine lets us make namespaces at all.
    pub fn possible() -> bool {
        rustix::process::geteuid().is_root() && tool::exists("ip") && tool::exists("nft")
    }

    /// Makes the bridge and one namespace for each member. `run` is the third number of all addresses.
    pub fn create(run: u8, members: &[(Member, Ipv4Addr)], harness: Ipv4Addr) -> Result<Self> {
        let bridge = format!("tjb{run}");
        // The bridge is the lock of the range: whoever fails to make it made nothing to remove.
        tool::ip(&["link", "add", &bridge, "type", "bridge"])?;
        let mut namespaces = Self { run, made: Vec::new() };
        tool::ip(&["addr", "add", &format!("{harness}/24"), "dev", &bridge])?;
        tool::ip(&["link", "set", &bridge, "up"])?;
        for (member, address) in members {
            namespaces.made.push(*member);
            let (name, outside) = (namespaces.name(*member), format!("tjv{run}-{member}"));
            tool::ip(&["netns", "add", &name])?;
            tool::ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &name])?;
            tool::ip(&["link", "set", &outside, "master", &bridge, "up"])?;
            tool::ip(&["-n", &name, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
            tool::ip(&["-n", &name, "link", "set", "eth0", "up"])?;
            tool::ip(&["-n", &name, "link", "set", "lo", "up"])?;
        }
        Ok(namespaces)
    }

    /// The name of a member's namespace.
    pub fn name(&self, member: Member) -> String {
        format!("tj{}-{member}", self.run)
    }

    /// Lets a member hear everybody but those of `cut_from`.
    pub fn cut(&self, member: Member, cut_from: &[Ipv4Addr]) -> Result<()> {
        tool::fed(&["ip", "netns", "exec", &self.name(member), "nft", "-f", "-"], &rules(cut_from))
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for member in &self.made {
            let _ = tool::ip(&["netns", "del", &self.name(*member)]);
            // The pair goes with the namespace, but only once the last process in it is gone.
            let _ = tool::ip(&["link", "del", &format!("tjv{}-{member}", self.run)]);
        }
        let _ = tool::ip(&["link", "del", &format!("tjb{}", self.run)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_replace_the_whole_table_and_name_each_cut() {
        let text = rules(&[Ipv4Addr::new(10, 78, 1, 11)]);
        assert!(text.contains("delete table inet jepsen"));
        assert!(text.contains("ip saddr 10.78.1.11 drop"));
        assert!(!rules(&[]).contains("saddr"));
    }
}
