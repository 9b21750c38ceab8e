//! The HA protocol's two messages (reference 4.1): a slave sends eight bytes, its end of the log; the
//! master sends the offset and the size of what follows. A size of zero is a heartbeat.

use bytes::{Buf, Bytes, BytesMut};

/// Offset 8, size 4. Source: RocketMQ 5.3.3 `DefaultHAConnection.TRANSFER_HEADER_SIZE`.
pub(super) const HEAD_BYTES: usize = 8 + 4;
/// A slave's report. Source: RocketMQ 5.3.3 `DefaultHAClient.REPORT_HEADER_SIZE`.
pub(super) const REPORT_BYTES: usize = 8;
/// The largest body that we take: a Java slave's read buffer holds 4 MiB, so no master sends more.
pub(super) const BODY_BYTES_MAX: u32 = 4 << 20;

/// The head of what a master sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Physical offset of the body's first byte.
    pub(super) position: u64,
    /// Bytes of the body.
    pub(super) bytes: u32,
}

impl Head {
    pub(super) fn encode(self) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        head[..8].copy_from_slice(&self.position.to_be_bytes());
        head[8..].copy_from_slice(&self.bytes.to_be_bytes());
        head
    }

    fn decode(mut head: &[u8]) -> Self {
        Self { position: head.get_u64(), bytes: head.get_u32() }
    }
}

/// A master sent a size that no master sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transfer at {position} claims {bytes} bytes")]
pub(super) struct Oversized {
    position: u64,
    bytes: u32,
}

/// Takes one whole transfer off the front of `buffer`, or nothing yet.
pub(super) fn take_transfer(buffer: &mut BytesMut) -> Result<Option<(Head, Bytes)>, Oversized> {
    if buffer.len() < HEAD_BYTES {
        return Ok(None);
    }
    let head = Head::decode(&buffer[..HEAD_BYTES]);
    if head.bytes > BODY_BYTES_MAX {
        return Err(Oversized { position: head.position, bytes: head.bytes });
    }
    if buffer.len() < HEAD_BYTES + head.bytes as usize {
        buffer.reserve(HEAD_BYTES + head.bytes as usize - buffer.len());
        return Ok(None);
    }
    buffer.advance(HEAD_BYTES);
    Ok(Some((head, buffer.split_to(head.bytes as usize).freeze())))
}

/// The newest report in `buffer`; older ones before it say nothing more.
pub(super) fn take_report(buffer: &mut BytesMut) -> Option<u64> {
    let whole = buffer.len() / REPORT_BYTES * REPORT_BYTES;
    let mut last = None;
    let mut reports = buffer.split_to(whole);
    while reports.has_remaining() {
        last = Some(reports.get_u64());
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_taken_only_when_it_is_whole() {
        let head = Head { position: 1 << 40, bytes: 3 };
        let wire = [&head.encode()[..], b"abc"].concat();
        for cut in 0..wire.len() {
            let mut buffer = BytesMut::from(&wire[..cut]);
            assert_eq!(take_transfer(&mut buffer), Ok(None));
            assert_eq!(buffer.len(), cut);
        }
        let mut buffer = BytesMut::from(&wire[..]);
        assert_eq!(take_transfer(&mut buffer), Ok(Some((head, Bytes::from_static(b"abc")))));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_transfer_has_the_bytes_that_java_writes() {
        let head = Head { position: 0x0102_0304_0506_0708, bytes: 0x0a0b_0c0d };
        assert_eq!(head.encode(), [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13]);
    }

    #[test]
    fn an_impossible_size_is_refused_before_it_is_believed() {
        let mut buffer = BytesMut::from(&Head { position: 0, bytes: u32::MAX }.encode()[..]);
        assert!(take_transfer(&mut buffer).is_err());
    }

    #[test]
    fn the_newest_of_several_reports_counts_and_a_torn_one_waits() {
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(&7u64.to_be_bytes());
        buffer.extend_from_slice(&9u64.to_be_bytes());
        buffer.extend_from_slice(&[0, 0]);
        assert_eq!(take_report(&mut buffer), Some(9));
        assert_eq!(buffer.len(), 2);
        assert_eq!(take_report(&mut buffer), None);
    }
}
