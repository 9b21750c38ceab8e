//! The matrix: which servers meet which clients, and what each meeting must show.
//!
//! Pure: it only names things. Rows that need a mode beyond the classic single master are asked for with `--with`.

use crate::server::Flavour;

/// Scenarios that leave each other alone, so that they run side by side in one JVM.
pub(crate) const SIDE_BY_SIDE: &[&str] = &[
    "orderly-locks",
    "rebalance",
    "retry-dlq",
    "delay",
    "sync",
    "bodies",
    "auto-create",
    "async",
    "one-way",
    "batch",
    "fast-port",
    "refusals",
    "push",
    "tags",
    "broadcast",
    "long-poll",
    "from-where",
    "lite-subscribe",
    "lite-assign",
    "request-reply",
    "trace",
    "namespace",
    "strategies",
    "pause",
    "from-timestamp",
    "ordered",
    "push-orderly",
    "orderly-suspend",
    "retry-once",
    "dlq-at-once",
    "admin-cluster",
    "admin-topics",
    "admin-groups",
    "admin-clients",
    "admin-namesrv",
    "admin-messages",
    "admin-offsets",
    "admin-offline-offsets",
];

/// Scenarios that change the servers under everybody's feet, one after the other.
pub(crate) const ALONE: &[&str] =
    &["admin-config", "admin-write-perm", "namesrv-restart", "restart-clean", "restart-kill"];

/// What shows that broker and name server of different hands understand each other.
const TOGETHER: &[&str] = &[
    "sync",
    "auto-create",
    "push",
    "push-orderly",
    "broadcast",
    "rebalance",
    "retry-dlq",
    "lite-subscribe",
    "admin-cluster",
    "admin-topics",
    "admin-groups",
    "admin-clients",
    "admin-namesrv",
];

/// The same, for a broker that comes and goes.
const TOGETHER_ALONE: &[&str] = &["admin-write-perm", "namesrv-restart", "restart-clean"];

const QUICK: &[&str] = &[
    "request-reply",
    "rebalance",
    "retry-dlq",
    "delay",
    "sync",
    "async",
    "one-way",
    "batch",
    "refusals",
    "push",
    "tags",
    "broadcast",
    "lite-subscribe",
    "lite-assign",
    "push-orderly",
    "admin-cluster",
    "admin-topics",
    "admin-clients",
    "admin-messages",
    "admin-offsets",
];

/// How a broker is made to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
}

impl End {
    /// The word for it in requests and names.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }
}

/// What rows call the Go client, where others name a version of the Java client.
pub(crate) const GO: &str = "go";

/// Scenarios of the Go client, side by side.
const GO_SCENARIOS: &[&str] = &[
    "go-send",
    "go-batch",
    "go-order",
    "go-delay",
    "go-tags",
    "go-push",
    "go-broadcast",
    "go-orderly",
    "go-pull",
    "go-retry-dlq",
    "go-request",
    "go-admin",
];

/// The same in a group: one word runs them side by side.
const GO_IN_A_GROUP: &[&str] = &[
    "go-send,go-batch,go-order,go-delay,go-tags,go-push,go-broadcast,go-orderly,go-pull,go-retry-dlq,go-request,go-admin",
    "go-rolling-restart",
];

/// Whose sample files a row starts brokers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Samples {
    /// `conf/` of this repository.
    Ours,
    /// RocketMQ's distribution, where 4.9.7 and 5.3.3 have the same.
    RocketMq,
}

impl Samples {
    /// The directory, from the workspace root.
    pub(crate) fn directory(self) -> &'static str {
        match self {
            Self::Ours => "conf",
            Self::RocketMq => "interop/samples",
        }
    }
}

/// What a row does.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// A name server, a broker, and scenarios.
    Serve {
        namesrv: Flavour,
        broker: Flavour,
        side_by_side: &'static [&'static str],
        alone: &'static [&'static str],
    },
    /// One store directory goes from broker to broker, and each checks all that those before it wrote.
    HandOver { brokers: [Flavour; 3], end: End },
    /// A slave follows a master, and their commit logs are compared.
    Replica { master: Flavour, slave: Flavour },
    /// A slave of ours joins a master under load, takes its place, and becomes a group.
    Migrate { from: Flavour },
    /// Two masters, with a slave each or without, from sample files as they are; one master dies and returns.
    Masters { samples: Samples, mode: &'static str },
    /// Three replicas, and clients that go on while leaders die.
    Group { flavour: Flavour, scenarios: &'static [&'static str] },
}

/// One row of the matrix.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is called.
    pub(crate) name: String,
    /// The version of the client that drives it.
    pub(crate) client: &'static str,
    /// Whether the Java client writes headers in RocketMQ's own binary form instead of JSON.
    pub(crate) is_binary: bool,
    /// What it does.
    pub(crate) plan: Plan,
}

impl Row {
    fn new(name: impl Into<String>, client: &'static str, plan: Plan) -> Self {
        Self { name: name.into(), client, is_binary: false, plan }
    }

    /// The same with binary headers.
    fn binary(self) -> Self {
        Self { name: format!("{}, binary headers", self.name), is_binary: true, ..self }
    }

    /// What is really started where the row names a flavour.
    pub(crate) fn actual(&self, named: &Flavour, reference: bool) -> Flavour {
        if reference && *named == Flavour::Ours { Flavour::reference(self.client) } else { named.clone() }
    }

    /// Every flavour the row starts.
    pub(crate) fn flavours(&self, reference: bool) -> Vec<Flavour> {
        let (namesrv, brokers) = self.parts();
        std::iter::once(namesrv).chain(brokers).map(|flavour| self.actual(&flavour, reference)).collect()
    }

    /// The packages of ours that the row starts.
    pub(crate) fn packages(&self, reference: bool) -> Vec<&'static str> {
        let (namesrv, brokers) = self.parts();
        let ours = |named: &Flavour| self.actual(named, reference) == Flavour::Ours;
        let mut packages = Vec::new();
        if ours(&namesrv) {
            packages.push("namesrv");
        }
        if brokers.iter().any(ours) {
            packages.push("broker");
        }
        packages
    }

    /// The name server and the brokers, as the matrix names them.
    fn parts(&self) -> (Flavour, Vec<Flavour>) {
        match &self.plan {
            Plan::Serve { namesrv, broker, .. } => (namesrv.clone(), vec![broker.clone()]),
            Plan::HandOver { brokers, .. } => (BYSTANDER, brokers.to_vec()),
            Plan::Replica { master, slave } => (BYSTANDER, vec![master.clone(), slave.clone()]),
            Plan::Migrate { from } => (BYSTANDER, vec![from.clone(), OURS]),
            Plan::Masters { .. } => (OURS, vec![OURS]),
            Plan::Group { flavour, .. } => (flavour.clone(), vec![flavour.clone()]),
        }
    }
}

/// The name server of rows that are about brokers only.
pub(crate) const BYSTANDER: Flavour = JAVA_5;
const JAVA_4: Flavour = Flavour::Java("4.9.7");
const JAVA_5: Flavour = Flavour::Java("5.3.3");
const OURS: Flavour = Flavour::Ours;

/// The rows of a run, in the order they are told.
pub(crate) fn matrix(quick: bool, with: &[String]) -> Vec<Row> {
    let mut rows = if quick { quick_rows() } else { classic_rows() };
    if with.iter().any(|mode| mode == "replica") {
        rows.extend(replica_rows());
    }
    if with.iter().any(|mode| mode == "migrate") {
        rows.extend(migrate_rows());
    }
    if with.iter().any(|mode| mode == "masters") {
        rows.extend(masters_rows());
    }
    if with.iter().any(|mode| mode == "group") {
        rows.extend(group_rows());
    }
    rows
}

fn serve(namesrv: Flavour, broker: Flavour, all: bool) -> Plan {
    let (side_by_side, alone) = if all { (SIDE_BY_SIDE, ALONE) } else { (TOGETHER, TOGETHER_ALONE) };
    Plan::Serve { namesrv, broker, side_by_side, alone }
}

fn quick_rows() -> Vec<Row> {
    let short =
        |namesrv, broker| Plan::Serve { namesrv, broker, side_by_side: QUICK, alone: &["restart-kill"] };
    let meeting = |namesrv, broker| Plan::Serve {
        namesrv,
        broker,
        side_by_side: &["sync", "push", "rebalance", "admin-topics"],
        alone: &[],
    };
    let short_binary = Plan::Serve {
        namesrv: OURS,
        broker: OURS,
        side_by_side: &["sync", "batch", "push", "tags", "lite-subscribe", "admin-topics", "admin-messages"],
        alone: &[],
    };
    vec![
        Row::new("serve: ours, client 4.9.8", "4.9.8", short(OURS, OURS)),
        Row::new("serve: ours, client 5.5.0", "5.5.0", short(OURS, OURS)),
        go_row(),
        Row::new("serve: ours, client 5.5.0", "5.5.0", short_binary).binary(),
        Row::new("meet: our broker, name server 5.3.3", "5.5.0", meeting(JAVA_5, OURS)),
        Row::new("meet: broker 4.9.7, our name server", "4.9.8", meeting(OURS, JAVA_4)),
        hand_over([JAVA_5, OURS, JAVA_5], End::Kill),
    ]
}

fn classic_rows() -> Vec<Row> {
    vec![
        Row::new("serve: ours, client 4.9.8", "4.9.8", serve(OURS, OURS, true)),
        Row::new("serve: ours, client 5.5.0", "5.5.0", serve(OURS, OURS, true)),
        go_row(),
        Row::new("serve: ours, client 4.9.8", "4.9.8", serve(OURS, OURS, true)).binary(),
        Row::new("serve: ours, client 5.5.0", "5.5.0", serve(OURS, OURS, true)).binary(),
        Row::new("meet: our broker, name server 4.9.7", "4.9.8", serve(JAVA_4, OURS, false)),
        Row::new("meet: our broker, name server 5.3.3", "5.5.0", serve(JAVA_5, OURS, false)),
        Row::new("meet: broker 4.9.7, our name server", "4.9.8", serve(OURS, JAVA_4, false)),
        Row::new("meet: broker 5.3.3, our name server", "5.5.0", serve(OURS, JAVA_5, false)),
        hand_over([JAVA_4, OURS, JAVA_4], End::Stop),
        hand_over([JAVA_5, OURS, JAVA_5], End::Stop),
        hand_over([OURS, JAVA_4, OURS], End::Stop),
        hand_over([OURS, JAVA_5, OURS], End::Stop),
        hand_over([JAVA_4, OURS, JAVA_4], End::Kill),
        hand_over([JAVA_5, OURS, JAVA_5], End::Kill),
        hand_over([OURS, JAVA_5, OURS], End::Kill),
    ]
}

fn go_row() -> Row {
    let plan = Plan::Serve { namesrv: OURS, broker: OURS, side_by_side: GO_SCENARIOS, alone: &[] };
    Row::new("serve: ours, Go client", GO, plan)
}

fn hand_over(brokers: [Flavour; 3], end: End) -> Row {
    let path: Vec<&str> = brokers.iter().map(called).collect();
    let name = format!("store: {}, {}", path.join(" → "), end.word());
    // A 5.x client wants requests that a 4.9 broker does not know.
    let client = if brokers.contains(&JAVA_4) { "4.9.8" } else { "5.5.0" };
    Row::new(name, client, Plan::HandOver { brokers, end })
}

fn called(flavour: &Flavour) -> &'static str {
    match flavour {
        Flavour::Ours => "ours",
        Flavour::Java(version) => version,
    }
}

fn replica_rows() -> Vec<Row> {
    let pair = |master: Flavour, slave: Flavour| {
        let name = format!("replica: {} follows {}", called(&slave), called(&master));
        let client = if master == JAVA_4 || slave == JAVA_4 { "4.9.8" } else { "5.5.0" };
        Row::new(name, client, Plan::Replica { master, slave })
    };
    vec![
        pair(OURS, JAVA_4),
        pair(OURS, JAVA_5),
        pair(JAVA_4, OURS),
        pair(JAVA_5, OURS),
        pair(OURS, OURS),
        pair(JAVA_4, JAVA_4),
        pair(JAVA_5, JAVA_5),
    ]
}

fn migrate_rows() -> Vec<Row> {
    vec![
        Row::new("migrate: 4.9.7 → ours → a group", "4.9.8", Plan::Migrate { from: JAVA_4 }),
        Row::new("migrate: 5.3.3 → ours → a group", "5.5.0", Plan::Migrate { from: JAVA_5 }),
    ]
}

fn masters_rows() -> Vec<Row> {
    let row = |samples, mode, client| {
        let whose = if samples == Samples::Ours { "our" } else { "RocketMQ's" };
        Row::new(format!("masters: {whose} {mode}, client {client}"), client, Plan::Masters { samples, mode })
    };
    vec![
        row(Samples::Ours, "2m-2s-sync", "5.5.0"),
        row(Samples::RocketMq, "2m-2s-sync", "4.9.8"),
        row(Samples::Ours, "2m-2s-async", "4.9.8"),
        row(Samples::RocketMq, "2m-2s-async", "5.5.0"),
        row(Samples::Ours, "2m-noslave", "5.5.0"),
        row(Samples::RocketMq, "2m-noslave", "4.9.8"),
    ]
}

fn group_rows() -> Vec<Row> {
    let plan = |scenarios| Plan::Group { flavour: OURS, scenarios };
    vec![
        Row::new("group: leaders killed, client 5.5.0", "5.5.0", plan(&["leader-kill"])),
        Row::new("group: leaders paused, client 5.5.0", "5.5.0", plan(&["leader-pause"])),
        Row::new("group: leaders restarted, client 5.5.0", "5.5.0", plan(&["leader-restart"])),
        Row::new("group: leaders killed, client 4.9.8", "4.9.8", plan(&["leader-kill"])),
        Row::new("group: rolling restart, client 5.5.0", "5.5.0", plan(&["rolling-restart"])),
        Row::new("group: rolling restart, client 4.9.8", "4.9.8", plan(&["rolling-restart"])),
        Row::new("group: everything, and a rolling restart, Go client", GO, plan(GO_IN_A_GROUP)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_rows_have_one_name() {
        let all = matrix(false, &["replica", "migrate", "masters", "group"].map(str::to_owned));
        let names: BTreeSet<&str> = all.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn the_quick_scenarios_are_some_of_all() {
        for name in QUICK.iter().chain(TOGETHER) {
            assert!(SIDE_BY_SIDE.contains(name), "{name}");
        }
        for name in TOGETHER_ALONE {
            assert!(ALONE.contains(name), "{name}");
        }
    }

    #[test]
    fn a_group_serves_the_go_client_all_that_a_single_master_does() {
        assert_eq!(GO_IN_A_GROUP[0], GO_SCENARIOS.join(","));
    }

    #[test]
    fn every_classic_row_has_something_of_ours() {
        let classic = [matrix(true, &[]), matrix(false, &[])].concat();
        assert!(classic.iter().all(|row| row.flavours(false).contains(&Flavour::Ours)));
        assert!(classic.iter().all(|row| !row.flavours(true).contains(&Flavour::Ours)));
    }
}
