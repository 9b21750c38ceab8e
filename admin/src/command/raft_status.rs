//! `raftStatus`: how every replica of a Raft group sees it. Trireme's own.

use anyhow::Context;
use protocol::body::RaftStatusBody;
use protocol::{RemotingCommand, RequestCode};

use crate::call::{Call, Command};
use crate::options::Opt;

pub(crate) const COMMAND: Command = Command {
    name: "raftStatus",
    about: "Show the replicas of a Raft group: roles, term, and how far each log is.",
    options: &[
        Opt::value("b", "brokerAddr", "as this replica sees it").one_of(),
        Opt::value("c", "clusterName", "every replica of this cluster").one_of(),
    ],
    run: |call| Box::pin(run(call)),
};

async fn run(call: Call<'_>) -> anyhow::Result<()> {
    let mut failed = None;
    for address in call.brokers().await? {
        let request = RemotingCommand::request(RequestCode::RaftStatus);
        match call.session.body_of::<RaftStatusBody>(&address, request).await {
            Ok(status) => call.out.write_all(text(&address, &status).as_bytes())?,
            // The others' view is what an operator needs most when one does not answer.
            Err(error) => {
                writeln!(call.out, "#Replica\t{address}\tno answer: {error}\n")?;
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), |error| Err(error).context("not every replica answered"))
}

fn text(address: &str, status: &RaftStatusBody) -> String {
    let or_none = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
    let mut text = format!("#Replica\t{} ({address})\n#Group\t{}\n", status.node, status.group);
    text += &format!(
        "#Role\t{}{}{}\n#Leader\t{}\n#Term\t{}\n",
        status.role,
        if status.ready { ", serves" } else { "" },
        if status.on_probation { ", on probation" } else { "" },
        or_none(&status.leader),
        status.term
    );
    text += &format!(
        "#Index\tlast {}, committed {}, applied {}\n",
        status.last, status.committed, status.applied
    );
    text += &format!(
        "#Position\tfirst {}, last {}, applied {}\n",
        status.first_position, status.last_position, status.applied_position
    );
    text += &format!(
        "{:<16}  {:<22}  {:<22}  {:<8} {:>16} {:>16}\n",
        "#Node", "#RaftAddr", "#BrokerAddr", "#Votes", "#Matched", "#Behind"
    );
    for peer in &status.peers {
        let (matched, behind) = match peer.matched {
            0.. => (peer.matched.to_string(), (status.last - peer.matched).max(0).to_string()),
            _ => ("-".to_owned(), "-".to_owned()),
        };
        text += &format!(
            "{:<16}  {:<22}  {:<22}  {:<8} {matched:>16} {behind:>16}\n",
            peer.node,
            peer.address,
            or_none(&peer.broker_address),
            if peer.is_voter { "yes" } else { "no" },
        );
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use protocol::body::RaftPeerStatus;

    use super::*;

    #[test]
    fn every_peer_has_a_line_with_how_far_it_is_behind() {
        let peer = |node: &str, matched, is_voter| RaftPeerStatus {
            address: format!("{node}:40911"),
            broker_address: String::new(),
            is_voter,
            matched,
            node: node.to_owned(),
        };
        let status = RaftStatusBody {
            group: "broker-a".to_owned(),
            node: "n0".to_owned(),
            role: "LEADER".to_owned(),
            leader: "n0".to_owned(),
            ready: true,
            term: 3,
            last: 10,
            committed: 9,
            applied: 9,
            last_position: 1000,
            applied_position: 900,
            peers: vec![peer("n0", 10, true), peer("n1", 8, true), peer("n2", -1, false)],
            ..RaftStatusBody::default()
        };
        let expected = "\
#Replica\tn0 (h:1)
#Group\tbroker-a
#Role\tLEADER, serves
#Leader\tn0
#Term\t3
#Index\tlast 10, committed 9, applied 9
#Position\tfirst 0, last 1000, applied 900
#Node             #RaftAddr               #BrokerAddr             #Votes           #Matched          #Behind
n0                n0:40911                none                    yes                    10                0
n1                n1:40911                none                    yes                     8                2
n2                n2:40911                none                    no                      -                -

";
        assert_eq!(text("h:1", &status), expected);
    }
}
