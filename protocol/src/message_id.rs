//! The two ids of a message, both upper-case hex.
//!
//! The *offset message id* says where a message lies: store host and physical offset; a client opens that very address to view it, and
//! END_TRANSACTION takes the physical offset out of it. The *unique key* is made by the client (by the broker when it is missing).

use std::net::{IpAddr, SocketAddr};

use crate::error::MessageError;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Characters of an offset message id with an IPv4 store host.
pub const OFFSET_ID_V4_LEN: usize = (4 + 4 + 8) * 2;
/// Characters of an offset message id with an IPv6 store host.
pub const OFFSET_ID_V6_LEN: usize = (16 + 4 + 8) * 2;

/// Where a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffsetMessageId {
    /// The broker that stored it.
    pub store_host: SocketAddr,
    /// Where in its commit log.
    pub physical_offset: u64,
}

impl OffsetMessageId {
    /// The id's text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(OFFSET_ID_V6_LEN);
        self.append(&mut text);
        text
    }

    /// Appends the id's text, for the comma-joined ids of a batch.
    pub fn append(&self, out: &mut String) {
        match self.store_host.ip() {
            IpAddr::V4(ip) => push_hex(out, &ip.octets()),
            IpAddr::V6(ip) => push_hex(out, &ip.octets()),
        }
        push_hex(out, &u32::from(self.store_host.port()).to_be_bytes());
        push_hex(out, &self.physical_offset.to_be_bytes());
    }

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let malformed = || MessageError::Id(text.chars().take(2 * OFFSET_ID_V6_LEN).collect());
        let bytes = from_hex(text).ok_or_else(malformed)?;
        let (ip, rest) = match bytes.len() {
            16 => (IpAddr::from(*bytes.first_chunk::<4>().ok_or_else(malformed)?), &bytes[4..]),
            28 => (IpAddr::from(*bytes.first_chunk::<16>().ok_or_else(malformed)?), &bytes[16..]),
            _ => return Err(malformed()),
        };
        let (port, offset) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let port = u16::try_from(u32::from_be_bytes(*port)).map_err(|_| malformed())?;
        let physical_offset = u64::from_be_bytes(offset.try_into().map_err(|_| malformed())?);
        Ok(Self { store_host: SocketAddr::new(ip, port), physical_offset })
    }
}

/// What a unique key is made of. The maker fills it once and counts up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UniqueKey {
    /// The maker's address.
    pub ip: IpAddr,
    /// Low 16 bits of its process id.
    pub pid: u16,
    /// Something that differs between makers of one process; Java takes the class loader's hash.
    pub loader_hash: u32,
    /// Milliseconds since the start of the month.
    pub month_millis: u32,
    /// Counts up, wrapping.
    pub counter: u16,
}

impl UniqueKey {
    /// The key's text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity((16 + 12) * 2);
        match self.ip {
            IpAddr::V4(ip) => push_hex(&mut text, &ip.octets()),
            IpAddr::V6(ip) => push_hex(&mut text, &ip.octets()),
        }
        push_hex(&mut text, &self.pid.to_be_bytes());
        push_hex(&mut text, &self.loader_hash.to_be_bytes());
        push_hex(&mut text, &self.month_millis.to_be_bytes());
        push_hex(&mut text, &self.counter.to_be_bytes());
        text
    }

    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let malformed = || MessageError::Id(text.chars().take(2 * OFFSET_ID_V6_LEN).collect());
        let bytes = from_hex(text).ok_or_else(malformed)?;
        let (ip, rest) = match bytes.len() {
            16 => (IpAddr::from(*bytes.first_chunk::<4>().ok_or_else(malformed)?), &bytes[4..]),
            28 => (IpAddr::from(*bytes.first_chunk::<16>().ok_or_else(malformed)?), &bytes[16..]),
            _ => return Err(malformed()),
        };
        let rest: &[u8; 12] = rest.try_into().map_err(|_| malformed())?;
        Ok(Self {
            ip,
            pid: u16::from_be_bytes([rest[0], rest[1]]),
            loader_hash: u32::from_be_bytes([rest[2], rest[3], rest[4], rest[5]]),
            month_millis: u32::from_be_bytes([rest[6], rest[7], rest[8], rest[9]]),
            counter: u16::from_be_bytes([rest[10], rest[11]]),
        })
    }
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 0xF)] as char);
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || text.len() > OFFSET_ID_V6_LEN {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_message_id_is_host_port_and_offset() {
        let id = OffsetMessageId { store_host: "10.0.0.1:10911".parse().unwrap(), physical_offset: 0x1234 };
        assert_eq!(id.text(), "0A00000100002A9F0000000000001234");
        assert_eq!(OffsetMessageId::parse(&id.text()), Ok(id));
        let id = OffsetMessageId { store_host: "[::1]:10911".parse().unwrap(), physical_offset: 7 };
        assert_eq!(id.text().len(), OFFSET_ID_V6_LEN);
        assert_eq!(OffsetMessageId::parse(&id.text()), Ok(id));
    }

    #[test]
    fn a_unique_key_reads_back() {
        let key = UniqueKey {
            ip: "10.0.0.1".parse().unwrap(),
            pid: 0xABCD,
            loader_hash: 0x1234_5678,
            month_millis: 1_700_000,
            counter: 65535,
        };
        assert_eq!(key.text(), "0A000001ABCD123456780019F0A0FFFF");
        assert_eq!(UniqueKey::parse(&key.text()), Ok(key));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in [
            "",
            "0",
            "zz",
            "0A00000100002A9F00000000000012",
            "0A000001FFFFFFFF0000000000001234",
            &"é".repeat(16),
            &"A".repeat(1 << 20),
        ] {
            assert!(OffsetMessageId::parse(text).is_err());
        }
    }
}
