//! Numbers, times and names as RocketMQ's tools print them. Pure: the time zone is an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Milliseconds since 1970, now.
pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A number with this many decimals, halves rounded up as Java's `%.2f` does.
pub(crate) fn fixed(value: f64, places: usize) -> String {
    if !value.is_finite() {
        return format!("{value}");
    }
    // Java rounds the shortest decimal that means the number, not the number itself.
    let shortest = format!("{value}");
    let decimals = shortest.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    if decimals <= places || !shortest.ends_with('5') {
        return format!("{value:.places$}");
    }
    if decimals == places + 1 {
        let nudged = format!("{}1", shortest).parse().unwrap_or(value);
        return format!("{nudged:.places$}");
    }
    format!("{value:.places$}")
}

/// A number as Java's `Double.toString` shows it.
pub(crate) fn double(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:E}");
    match text.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => text,
    }
}

/// `2026-11-22 19:38:44,140`
pub(crate) fn time_millis(millis: i64, zone: &TimeZone) -> String {
    shown(millis, zone, "%Y-%m-%d %H:%M:%S,%3f")
}

/// `2026-11-22 19:38:44`
pub(crate) fn time_seconds(millis: i64, zone: &TimeZone) -> String {
    shown(millis, zone, "%Y-%m-%d %H:%M:%S")
}

/// `20261122193844140`
pub(crate) fn time_digits(millis: i64, zone: &TimeZone) -> String {
    shown(millis, zone, "%Y%m%d%H%M%S%3f")
}

fn shown(millis: i64, zone: &TimeZone, format: &str) -> String {
    match Timestamp::from_millisecond(millis) {
        Ok(time) => Zoned::new(time, zone.clone()).strftime(format).to_string(),
        // A number that is no time of this era is shown as what it is.
        Err(_) => millis.to_string(),
    }
}

/// Reads a time as operators type it: `now`, milliseconds since 1970, or `2026-11-22#19:38:44:140`.
pub(crate) fn parse_time(text: &str, now: i64, zone: &TimeZone) -> anyhow::Result<i64> {
    if text == "now" {
        return Ok(now);
    }
    if let Ok(millis) = text.parse() {
        return Ok(millis);
    }
    let expected = || format!("time {text:?} is neither now, milliseconds, nor yyyy-MM-dd#HH:mm:ss:SSS");
    let (seconds, millis) = text.rsplit_once(':').with_context(expected)?;
    let time = DateTime::strptime("%Y-%m-%d#%H:%M:%S", seconds).with_context(expected)?;
    let millis: i64 = millis.parse().with_context(expected)?;
    let zoned = time.to_zoned(zone.clone()).with_context(expected)?;
    Ok(zoned.timestamp().as_millisecond() + millis)
}

/// The first characters of a name that is too long for its column.
pub(crate) fn front(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

/// A map as Java shows it: `{a=1, b=2}`.
pub(crate) fn java_map<'a>(
    pairs: impl IntoIterator<Item = (impl std::fmt::Display + 'a, impl std::fmt::Display + 'a)>,
) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// The lines `key=value` of a properties text: what GET_BROKER_CONFIG and GET_NAMESRV_CONFIG answer.
pub(crate) fn properties(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once('=').unwrap_or((line, "")))
}

/// The properties of a server, one a line.
pub(crate) fn property_lines(text: &str) -> String {
    let mut sorted: Vec<_> = properties(text).collect();
    sorted.sort_unstable();
    sorted.iter().map(|(key, value)| format!("{:<50}=  {}\n", key.trim(), value.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_up_as_in_java() {
        for (value, expected) in [
            (0.125, "0.13"),
            (0.1, "0.10"),
            (0.016_581, "0.02"),
            (1.005, "1.01"),
            (33.18, "33.18"),
            (0.0, "0.00"),
        ] {
            assert_eq!(fixed(value, 2), expected, "{value}");
        }
        assert_eq!(fixed(0.19, 4), "0.1900");
    }

    #[test]
    fn doubles_look_as_in_java() {
        for (value, expected) in
            [(0.0, "0.0"), (1.5, "1.5"), (1e7, "1.0E7"), (1.25e-4, "1.25E-4"), (-2.0, "-2.0")]
        {
            assert_eq!(double(value), expected);
        }
    }

    #[test]
    fn times_are_shown_and_read_in_the_zone() {
        let zone = TimeZone::UTC;
        assert_eq!(time_millis(1_795_376_324_140, &zone), "2026-11-22 19:38:44,140");
        assert_eq!(time_seconds(1_795_376_324_140, &zone), "2026-11-22 19:38:44");
        assert_eq!(time_seconds(i64::MAX, &zone), i64::MAX.to_string());
        assert_eq!(parse_time("2026-11-22#19:38:44:100", 0, &zone).unwrap(), 1_795_376_324_100);
        assert_eq!(parse_time("now", 7, &zone).unwrap(), 7);
        assert_eq!(parse_time("-1", 7, &zone).unwrap(), -1);
        assert!(parse_time("yesterday", 7, &zone).is_err());
    }

    #[test]
    fn long_names_are_cut_at_characters() {
        assert_eq!(front("abc", 3), "abc");
        assert_eq!(front("abcd", 3), "abc");
        assert_eq!(front("äöü", 2), "äö");
    }

    #[test]
    fn properties_come_sorted_and_comments_do_not() {
        assert_eq!(
            property_lines("#Sun Nov 22\nb=2\na = 1=1\n"),
            format!("{:<50}=  1=1\n{:<50}=  2\n", "a", "b")
        );
    }
}
