//! What is said once the cluster is ready: where everything listens, and what to type next. Pure.

use crate::layout::{CLUSTER_NAME, Layout, Shape};
use crate::words;

/// Where the servers listen. `pids` begins with the name server's.
pub(crate) fn places(layout: &Layout, pids: &[Option<u32>]) -> String {
    let nodes = std::iter::once(&layout.namesrv).chain(&layout.brokers);
    let rows = nodes.zip(pids).map(|(node, pid)| {
        let pid = pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        vec![node.name.clone(), node.address.clone(), pid, node.log.display().to_string()]
    });
    let heads = ["", "address", "pid", "log"].map(str::to_owned).to_vec();
    words::table(&std::iter::once(heads).chain(rows).collect::<Vec<_>>())
}

/// Commands and snippets to copy.
pub(crate) fn next_steps(layout: &Layout) -> String {
    let namesrv = &layout.namesrv.address;
    let mqadmin = "cargo run -q --release -p admin --bin mqadmin --";
    let group = match layout.shape {
        Shape::Single => String::new(),
        Shape::Group => format!(
            "  {mqadmin} raftStatus -n {namesrv} -c {CLUSTER_NAME}\n  kill -9 one of the replicas (pids above) and \
             watch the others go on; it is started again after 5 s.\n"
        ),
    };
    format!(
        r#"Look at it:
  {mqadmin} clusterList -n {namesrv}
  {mqadmin} sendMessage -n {namesrv} -t TopicTest -p hello
  {mqadmin} topicStatus -n {namesrv} -t TopicTest
{group}Java, org.apache.rocketmq:rocketmq-client 4.9 or 5.x:
  DefaultMQProducer producer = new DefaultMQProducer("quickstart");
  producer.setNamesrvAddr("{namesrv}");
  producer.start();
  System.out.println(producer.send(new Message("TopicTest", "hello".getBytes())));
  producer.shutdown();
Rust, the crate in client/:
  let client = Client::start(ClientConfig::new("{namesrv}"))?;
  let producer = Producer::start(&client, ProducerConfig::new("quickstart"))?;
  println!("{{:?}}", producer.send(Message::new("TopicTest", "hello")).await?);
Ctrl-C stops everything; what was sent stays in {directory}."#,
        directory = layout.directory.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Choice;

    #[test]
    fn what_is_said_names_the_real_addresses() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::write(directory.path(), Shape::Single, Choice::Free).unwrap();
        let places = places(&layout, &[Some(41), None]);
        assert_eq!(places.lines().count(), 3);
        assert!(places.contains(&layout.brokers[0].address) && places.contains("41"));
        let steps = next_steps(&layout);
        assert!(steps.contains(&format!("setNamesrvAddr(\"{}\")", layout.namesrv.address)));
        assert!(steps.contains(r#"println!("{:?}","#));
        assert!(!steps.contains("kill -9") && !steps.contains("raftStatus"));
    }
}
