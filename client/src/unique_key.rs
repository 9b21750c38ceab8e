//! Makes unique keys, the ids that clients give to messages.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::message_id::UniqueKey;

/// A maker of keys. Two makers of one process differ by their number, two of one machine by the process.
#[derive(Debug)]
pub struct UniqueKeys {
    ip: IpAddr,
    pid: u16,
    number: u32,
    counter: AtomicU32,
}

static MAKERS: AtomicU32 = AtomicU32::new(0);

impl UniqueKeys {
    /// A maker for a process at this address.
    #[expect(clippy::cast_possible_truncation, reason = "the low 16 bits are what the format takes")]
    pub fn new(ip: IpAddr) -> Self {
        let now = now_millis() as u32;
        // The start time keeps a restarted process with the same pid apart, as Java's loader hash does.
        let number = now.rotate_left(7) ^ MAKERS.fetch_add(0x9E37_79B9, Ordering::Relaxed);
        Self { ip, pid: std::process::id() as u16, number, counter: AtomicU32::new(0) }
    }

    /// The next key.
    #[expect(clippy::cast_possible_truncation, reason = "the counter wraps after 65536 keys, as Java's does")]
    pub fn make(&self) -> String {
        let key = UniqueKey {
            ip: self.ip,
            pid: self.pid,
            loader_hash: self.number,
            month_millis: month_millis(now_millis()),
            counter: self.counter.fetch_add(1, Ordering::Relaxed) as u16,
        };
        key.text()
    }
}

/// Milliseconds since 1970.
pub fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The address by which others on the network see us; the loopback if there is none.
pub fn local_ip() -> IpAddr {
    // Connecting a datagram socket sends nothing, but chooses the interface.
    let chosen = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    chosen.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

/// Milliseconds since the month began, in UTC.
fn month_millis(now: i64) -> u32 {
    const DAY: i64 = 86_400_000;
    let day_of_month = civil_day(now.div_euclid(DAY)) - 1;
    u32::try_from(day_of_month * DAY + now.rem_euclid(DAY)).unwrap_or_default()
}

/// Day of the month of a day since 1970: the Gregorian calendar counted from March, so that leap days come last.
fn civil_day(days: i64) -> i64 {
    let of_era = (days + 719_468).rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    of_year - (153 * month + 2) / 5 + 1
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_never_repeat_across_makers() {
        let (one, other) = (UniqueKeys::new(local_ip()), UniqueKeys::new(local_ip()));
        let keys: HashSet<String> = (0..1000).flat_map(|_| [one.make(), other.make()]).collect();
        assert_eq!(keys.len(), 2000);
        assert!(keys.iter().all(|key| UniqueKey::parse(key).is_ok()));
    }

    #[test]
    fn the_month_is_counted_from_its_first_millisecond() {
        // 2024-03-01T00:00:00Z, 2024-02-29T00:00:00Z, 1970-01-01T00:00:00.001Z, 2023-12-31T00:00:00Z
        let table = [(1_709_251_200_000, 0), (1_709_164_800_000, 28), (1, 0), (1_703_980_800_000, 30)];
        for (millis, days) in table {
            assert_eq!(i64::from(month_millis(millis)) / 86_400_000, days, "{millis}");
        }
    }
}
