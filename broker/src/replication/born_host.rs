//! Whose message a forwarded send is: the client's that sent it, not the replica's that forwarded it.
//!
//! Always true: what a request says of its client is believed only when it comes from the machine of another replica.

use std::net::{IpAddr, SocketAddr};

use protocol::RemotingCommand;
use remoting::Connection;

use super::group::Group;
use crate::node::Node;

/// Names the client in a forwarded request.
const BORN_HOST: &str = "bornHost";

/// Notes in a request that is about to be forwarded whose it is.
pub(super) fn note(request: &mut RemotingCommand, client: &Connection) {
    request.ext_fields.insert(BORN_HOST, &client.peer().to_string());
}

/// Where the client is that sent this request, here or to a replica that forwarded it.
pub(crate) fn of(node: &Node, connection: &Connection, request: &RemotingCommand) -> SocketAddr {
    let peer = connection.peer();
    let Some(group) = &node.group else { return peer };
    let told = request.ext_fields.get(BORN_HOST).and_then(|told| told.parse().ok());
    told.filter(|_| is_a_replicas(group, node, peer.ip().to_canonical())).unwrap_or(peer)
}

/// Whether a replica is known to be there: by its address in `dLegerPeers`, or by where it sent its clients.
fn is_a_replicas(group: &Group, node: &Node, ip: IpAddr) -> bool {
    let is_there = |address: &str| {
        let host = address.rsplit_once(':').map(|(host, _)| host.trim_matches(['[', ']']));
        host.and_then(|host| host.parse().ok()) == Some(ip)
    };
    group.peers.iter().any(|peer| is_there(&peer.address))
        || node.metadata.members.all().values().any(|address| is_there(address))
}
