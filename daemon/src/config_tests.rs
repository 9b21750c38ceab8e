//! What a configuration file may rely on.

use super::*;

crate::setting_words! {
    /// Which side of the river.
    pub enum Bank {
        /// Left.
        Left = "LEFT_BANK",
        /// Right.
        Right = "RIGHT_BANK",
    }
}

crate::settings! {
    /// Two structs are fed by one file: this one…
    pub struct Ferry {
        /// TCP port that it listens on.
        listen_port: u16 = 9876, "listenPort" in 1..=65535, important;
        /// Longest wait for a passenger,
        /// in milliseconds.
        wait_max: Millis = Millis(500), "waitMax" in 10..=60_000, live;
        /// Whether it swims.
        swims: bool = true, "swims", important, live;
        /// Where it lies.
        bank: Bank = Bank::Left, "bank";
    }
}

crate::settings! {
    /// …and this one.
    pub struct Harbour {
        /// Its name.
        name: String = String::from("Piraeus"), "harbourName";
        /// Filled part that is too much.
        full_ratio: f64 = 0.75, "fullRatio" in 0.0..=1.0;
    }
}

fn bind(text: &str) -> Result<(Ferry, Harbour, Bound), DaemonError> {
    let properties = Properties::parse(text)?;
    let (mut ferry, mut harbour) = (Ferry::default(), Harbour::default());
    let bound = Binding::new(&properties).bind(&mut ferry).bind(&mut harbour).inert(&["useEpoll", "absent"]);
    Ok((ferry, harbour, bound.finish()?))
}

#[test]
fn one_file_feeds_several_structs() {
    let text = "listenPort = 1 \nbank=RIGHT_BANK\nharbourName=Ostia\nfullRatio=0.5\nswims=FALSE\nwaitMax=10";
    let (ferry, harbour, bound) = bind(text).unwrap();
    assert_eq!(ferry, Ferry { listen_port: 1, wait_max: Millis(10), swims: false, bank: Bank::Right });
    assert_eq!(harbour, Harbour { name: "Ostia".to_owned(), full_ratio: 0.5 });
    assert_eq!(bound.unknown, [""; 0]);
    assert_eq!(bound.set.len(), 6);
}

#[test]
fn keys_that_nobody_knows_are_named_and_inert_ones_are_apart() {
    let (_, _, bound) = bind("listenport=1\nuseEpoll=true\nzzz=\nswims=true").unwrap();
    assert_eq!(bound.unknown, ["listenport", "zzz"]);
    assert_eq!(bound.inert, ["useEpoll"]);
    assert_eq!(bound.set, ["swims"]);
}

#[test]
fn all_wrong_values_stand_in_one_error() {
    let text = "listenPort=70000\nwaitMax=9\nswims=yes\nbank=MIDDLE\nfullRatio=NaN\nharbourName=x";
    let DaemonError::ConfigWrong(wrong) = bind(text).unwrap_err() else { panic!() };
    let named: Vec<_> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(
        named,
        [
            "bank=MIDDLE (allowed: LEFT_BANK or RIGHT_BANK)",
            "listenPort=70000 (allowed: a whole number from 1 to 65535)",
            "swims=yes (allowed: true or false)",
            "waitMax=9 (allowed: a whole number of milliseconds from 10 to 60000)",
            "fullRatio=NaN (allowed: a number from 0 to 1)",
        ]
    );
}

#[test]
fn values_that_contradict_each_other_join_the_same_error() {
    let properties = Properties::parse("listenPort=x").unwrap();
    let mut ferry = Ferry::default();
    let error = Binding::new(&properties)
        .bind(&mut ferry)
        .check(false, "listenPort", 1, "never said, the key was named before")
        .check(false, "swims", false, "true for a ferry")
        .check(true, "bank", "", "fine")
        .finish();
    assert_eq!(
        error.unwrap_err().to_string(),
        "2 wrong configuration values: listenPort=x (allowed: a whole number from 1 to 65535); \
         swims=false (allowed: true for a ferry)"
    );
}

#[test]
fn effective_values_come_in_key_order_and_can_be_read_back() {
    let (ferry, harbour) = (Ferry::default(), Harbour::default());
    let all = effective(&[&ferry, &harbour], false);
    assert_eq!(
        all.to_text(),
        "bank=LEFT_BANK\nfullRatio=0.75\nharbourName=Piraeus\nlistenPort=9876\nswims=true\nwaitMax=500\n"
    );
    assert_eq!(effective(&[&ferry, &harbour], true).to_text(), "listenPort=9876\nswims=true\n");
    let (again, _, _) = bind(&all.to_text()).unwrap();
    assert_eq!(again, ferry);
}

#[test]
fn a_key_tells_what_it_means_and_takes() {
    let keys = Ferry::default().keys();
    assert_eq!(keys[1].doc, "Longest wait for a passenger, in milliseconds.");
    assert_eq!(keys[1].allowed, "a whole number of milliseconds from 10 to 60000");
    assert!(keys[1].is_live() && !keys[1].is_important());
    assert!(keys[2].is_live() && keys[2].is_important());
}

#[test]
fn a_missing_file_is_named() {
    let error = read_file(Path::new("no/such/file.conf")).unwrap_err();
    assert!(error.to_string().contains("no/such/file.conf"), "{error}");
}
