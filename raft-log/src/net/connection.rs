//! One TCP connection that carries frames: bounded, without delay, and quick to notice that the other end is gone.

use std::io::{self, IoSlice};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::net::frame::FrameType;

/// A peer that acknowledges nothing for this long is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(2);

/// A peer that says nothing for this long is asked by the kernel whether it is there: who only reads has nothing under way
/// that `USER_TIMEOUT` could miss.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How soon it is asked again, and how often; where `USER_TIMEOUT` holds, as on Linux, the first question counts alone.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Length 4, type 1.
const HEAD_BYTES: usize = 5;

/// The reading half.
#[derive(Debug)]
pub(crate) struct Reader {
    half: OwnedReadHalf,
    buffer: BytesMut,
    frame_bytes_max: usize,
}

/// The writing half.
#[derive(Debug)]
pub(crate) struct Writer {
    half: OwnedWriteHalf,
}

/// Both halves.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

impl Connection {
    /// Takes a connected socket.
    pub(crate) fn over(stream: TcpStream, frame_bytes_max: usize) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let keepalive = socket2::TcpKeepalive::new().with_time(SILENCE_MAX);
        let keepalive = keepalive.with_interval(PROBE_INTERVAL).with_retries(PROBES);
        let socket = socket2::SockRef::from(&stream);
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        let (read, write) = stream.into_split();
        let reader = Reader { half: read, buffer: BytesMut::with_capacity(16 * 1024), frame_bytes_max };
        Ok(Self { reader, writer: Writer { half: write } })
    }

    /// Connects to an address within the time given.
    pub(crate) async fn connect(
        address: &str,
        frame_bytes_max: usize,
        patience: Duration,
    ) -> io::Result<Self> {
        let stream = tokio::time::timeout(patience, TcpStream::connect(address)).await;
        Self::over(stream.map_err(|_| io::ErrorKind::TimedOut)??, frame_bytes_max)
    }

    /// Sends one frame and waits for the next one.
    pub(crate) async fn call(&mut self, frame: FrameType, payload: &[u8]) -> io::Result<(FrameType, Bytes)> {
        self.writer.write(frame, payload).await?;
        self.reader.read().await
    }
}

impl Reader {
    /// Reads the next frame. Dropping the future loses nothing: what was read stays in the buffer.
    pub(crate) async fn read(&mut self) -> io::Result<(FrameType, Bytes)> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(frame);
            }
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn take_frame(&mut self) -> io::Result<Option<(FrameType, Bytes)>> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else {
            self.buffer.reserve(HEAD_BYTES);
            return Ok(None);
        };
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let frame = FrameType::from_number(head[4]).filter(|_| len <= self.frame_bytes_max);
        let Some(frame) = frame else { return Err(io::ErrorKind::InvalidData.into()) };
        if self.buffer.len() < HEAD_BYTES + len {
            self.buffer.reserve(HEAD_BYTES + len - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        Ok(Some((frame, self.buffer.split_to(len).freeze())))
    }
}

impl Writer {
    /// Writes one frame.
    pub(crate) async fn write(&mut self, frame: FrameType, payload: &[u8]) -> io::Result<()> {
        self.write_slices(frame, payload, &[]).await
    }

    /// Writes one frame of a head and slices, without gathering them.
    pub(crate) async fn write_slices(
        &mut self,
        frame: FrameType,
        head: &[u8],
        slices: &[Bytes],
    ) -> io::Result<()> {
        let len = head.len() + slices.iter().map(Bytes::len).sum::<usize>();
        let mut first = [0; HEAD_BYTES];
        let claimed = u32::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?;
        first[..4].copy_from_slice(&claimed.to_be_bytes());
        first[4] = frame.number();
        let mut all: Vec<IoSlice<'_>> = Vec::with_capacity(slices.len() + 2);
        all.push(IoSlice::new(&first));
        all.push(IoSlice::new(head));
        all.extend(slices.iter().map(|slice| IoSlice::new(slice)));
        let mut left = all.as_mut_slice();
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let written = self.half.write_vectored(left).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut left, written);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_peer_that_vanished_is_noticed_by_who_called_and_by_who_only_reads() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let made = Connection::connect(&address, 1024, Duration::from_secs(20)).await.unwrap();
        let accepted = Connection::over(listener.accept().await.unwrap().0, 1024).unwrap();
        for connection in [made, accepted] {
            let socket = socket2::SockRef::from(connection.reader.half.as_ref());
            assert!(socket.keepalive().unwrap());
            let times = (socket.tcp_keepalive_time().unwrap(), socket.tcp_keepalive_interval().unwrap());
            assert_eq!(times, (SILENCE_MAX, PROBE_INTERVAL));
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), PROBES);
        }
    }
}
