//! Command line options as RocketMQ's tools take them: `-t T`, `-tT`, `--topic T`, `--topic=T` and `-topic T` are the same.
//!
//! Pure; `help` prints the same declarations.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::Context;

/// Whether an option has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// It may be left out.
    Optional,
    /// It may not.
    Required,
    /// One of those that say so has to be given.
    OneOf,
}

/// One option of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opt {
    /// Its letter; some have none and are known by their long name alone.
    pub short: &'static str,
    /// Its long name.
    pub long: &'static str,
    /// Whether a value follows.
    pub takes_value: bool,
    /// Whether it has to be given.
    pub need: Need,
    /// One line for the help.
    pub about: &'static str,
}

impl Opt {
    /// An option with a value.
    pub const fn value(short: &'static str, long: &'static str, about: &'static str) -> Self {
        Self { short, long, takes_value: true, need: Need::Optional, about }
    }

    /// An option that is given or not.
    pub const fn flag(short: &'static str, long: &'static str, about: &'static str) -> Self {
        Self { takes_value: false, ..Self::value(short, long, about) }
    }

    /// The same, and it has to be given.
    pub const fn required(self) -> Self {
        Self { need: Need::Required, ..self }
    }

    /// The same, and one of all such has to be given.
    pub const fn one_of(self) -> Self {
        Self { need: Need::OneOf, ..self }
    }

    /// The name by which commands ask for it.
    pub fn key(&self) -> &'static str {
        if self.short.is_empty() { self.long } else { self.short }
    }
}

/// Of every command.
pub(crate) const HELP: Opt = Opt::flag("h", "help", "Print help");
/// Of every command.
pub(crate) const NAME_SERVERS: Opt =
    Opt::value("n", "namesrvAddr", "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'");

/// A command line that the command cannot take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misuse {
    /// No such option.
    Unknown(String),
    /// The option's value is missing.
    ValueMissing(&'static str),
    /// Options that have to be given.
    Missing(Vec<&'static str>),
    /// A word that belongs to no option.
    Stray(String),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(word) => write!(f, "Unrecognized option: {word}"),
            Self::ValueMissing(key) => write!(f, "Missing argument for option: {key}"),
            Self::Missing(keys) if keys.len() == 1 => write!(f, "Missing required option: {}", keys[0]),
            Self::Missing(keys) => write!(f, "Missing required options: {}", keys.join(", ")),
            Self::Stray(word) => write!(f, "Unexpected word: {word}"),
        }
    }
}

/// The options of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Given(BTreeMap<&'static str, String>);

impl Given {
    /// Reads the words after the command's name.
    pub fn parse(options: &[Opt], words: &[String]) -> Result<Self, Misuse> {
        let mut given = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (option, attached) = find(options, word)?;
            let value = match attached {
                _ if !option.takes_value => String::new(),
                Some(value) => value,
                None => words.next().cloned().ok_or_else(|| Misuse::ValueMissing(option.key()))?,
            };
            given.0.insert(option.key(), value.trim().to_owned());
        }
        let missing = given.missing(options);
        if missing.is_empty() { Ok(given) } else { Err(Misuse::Missing(missing)) }
    }

    fn missing(&self, options: &[Opt]) -> Vec<&'static str> {
        let of = |need: Need| options.iter().filter(move |option| option.need == need).map(Opt::key);
        let mut missing: Vec<&'static str> = of(Need::Required).filter(|key| !self.has(key)).collect();
        if !of(Need::OneOf).any(|key| self.has(key)) {
            missing.extend(of(Need::OneOf));
        }
        missing
    }

    /// Whether the option was given.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The option's value.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The value of an option that the command requires.
    pub fn need(&self, key: &str) -> &str {
        self.value(key).expect("only options that `parse` requires are asked for so")
    }

    /// The value as a number.
    pub fn number<T>(&self, key: &str) -> anyhow::Result<Option<T>>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(value) = self.value(key) else { return Ok(None) };
        value.parse().map(Some).with_context(|| format!("option -{key} has the value {value:?}"))
    }

    /// The value as a number, of an option that the command requires.
    pub fn need_number<T>(&self, key: &str) -> anyhow::Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let value = self.need(key);
        value.parse().with_context(|| format!("option -{key} has the value {value:?}"))
    }

    /// Whether the value is `true`; `None` when the option was not given.
    pub fn truth(&self, key: &str) -> Option<bool> {
        self.value(key).map(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// The option that a word names, and the value that is part of the word.
fn find(options: &[Opt], word: &str) -> Result<(Opt, Option<String>), Misuse> {
    let Some(name) =
        word.strip_prefix("--").or_else(|| word.strip_prefix('-')).filter(|name| !name.is_empty())
    else {
        return Err(Misuse::Stray(word.to_owned()));
    };
    let all = || options.iter().chain([&NAME_SERVERS, &HELP]);
    let (name, attached) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (name, None),
    };
    if let Some(option) = all().find(|option| option.short == name || option.long == name) {
        return Ok((*option, attached));
    }
    let glued = all().find(|option| {
        option.takes_value
            && !option.short.is_empty()
            && !word.starts_with("--")
            && name.starts_with(option.short)
    });
    match glued {
        Some(option) => Ok((*option, Some(word[1 + option.short.len()..].to_owned()))),
        None => Err(Misuse::Unknown(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: &[Opt] = &[
        Opt::value("b", "brokerAddr", "").one_of(),
        Opt::value("c", "clusterName", "").one_of(),
        Opt::value("t", "topic", "").required(),
        Opt::value("", "attributes", ""),
        Opt::flag("m", "moreStats", ""),
    ];

    fn parse(line: &str) -> Result<Given, Misuse> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Given::parse(OPTIONS, &words)
    }

    #[test]
    fn every_spelling_of_an_option_is_the_same() {
        let expected = parse("-c C -t T").unwrap();
        for line in [
            "-cC -tT",
            "--clusterName C --topic T",
            "--clusterName=C --topic=T",
            "-clusterName C -topic T",
            "-c=C -t=T",
        ] {
            assert_eq!(parse(line).as_ref(), Ok(&expected), "{line}");
        }
        assert_eq!(expected.value("t"), Some("T"));
    }

    #[test]
    fn a_value_may_begin_with_a_dash_or_hold_an_equals_sign() {
        assert_eq!(parse("-c C -t -1").unwrap().value("t"), Some("-1"));
        assert_eq!(parse("-c C -t T --attributes +a=b").unwrap().value("attributes"), Some("+a=b"));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        assert_eq!(parse("-t T"), Err(Misuse::Missing(vec!["b", "c"])));
        assert_eq!(parse("-c C").unwrap_err().to_string(), "Missing required option: t");
        assert_eq!(parse("").unwrap_err().to_string(), "Missing required options: t, b, c");
        assert_eq!(parse("-x 1 -t T").unwrap_err().to_string(), "Unrecognized option: -x");
        assert_eq!(parse("-c C -t").unwrap_err().to_string(), "Missing argument for option: t");
        assert_eq!(parse("-c C stray -t T").unwrap_err().to_string(), "Unexpected word: stray");
    }

    #[test]
    fn a_flag_takes_no_value_and_a_number_is_checked() {
        let given = parse("-m -c 12 -t T").unwrap();
        assert!(given.has("m"));
        assert_eq!(given.number::<u32>("c").unwrap(), Some(12));
        assert!(given.number::<u32>("t").is_err());
    }
}
