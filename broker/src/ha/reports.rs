//! What a slave tells its master: where its log ends. The thread that stored the bytes says it itself, because waking a task
//! for eight bytes would cost more than the bytes, and a SYNC_MASTER's sends wait for them.
//!
//! Always true: reports leave whole, one after the other, and never say less than the one before; an end that was told
//! already is not told again until the heartbeat is due. What the socket does not take at once, the task writes.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use store::StoreError;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Notify;

use super::frame::REPORT_BYTES;
use super::slave::SlaveStatus;

/// The reports of one connection.
pub(super) struct Reports {
    socket: OwnedWriteHalf,
    status: Arc<SlaveStatus>,
    line: Mutex<Line>,
    /// Something is left for the task.
    left: Notify,
    /// The log took bytes, so it may have room for more.
    taken: Notify,
}

struct Line {
    /// Where our log ends.
    end: u64,
    /// The last report, and how many of its bytes have not left.
    report: [u8; REPORT_BYTES],
    unsent: usize,
    /// The end that it says.
    reported: u64,
    failed: Option<Error>,
}

impl Reports {
    /// Of a connection to which nothing was said yet; the task says `end` first.
    pub(super) fn new(socket: OwnedWriteHalf, status: Arc<SlaveStatus>, end: u64) -> Self {
        let line = Line { end, report: [0; REPORT_BYTES], unsent: 0, reported: end, failed: None };
        Self { socket, status, line: Mutex::new(line), left: Notify::new(), taken: Notify::new() }
    }

    /// The log ends there now, or could not be appended to. Called on the log's threads.
    pub(super) fn tell(&self, appended: std::result::Result<u64, StoreError>) {
        let mut line = self.line.lock();
        let said = match appended {
            Ok(end) => {
                line.end = line.end.max(end);
                self.say(&mut line, false)
            }
            Err(error) => Err(Error::other(error)),
        };
        let is_done = matches!(said, Ok(true));
        line.failed = line.failed.take().or_else(|| said.err());
        drop(line);
        if !is_done {
            self.left.notify_one();
        }
        self.taken.notify_one();
    }

    /// Waits until the log took bytes of this connection since this was last asked, for `patience` at most.
    pub(super) async fn taken(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.taken.notified()).await;
    }

    /// Says hello, then what the log's threads could not, and something every `heartbeat`; ends with the first error.
    pub(super) async fn run(&self, heartbeat: Duration) -> Result<()> {
        let mut is_due = true;
        loop {
            while !self.say_rest(is_due)? {
                is_due = false;
                self.socket.writable().await?;
            }
            is_due = tokio::time::timeout(heartbeat, self.left.notified()).await.is_err();
        }
    }

    fn say_rest(&self, is_due: bool) -> Result<bool> {
        let mut line = self.line.lock();
        match line.failed.take() {
            Some(error) => Err(error),
            None => self.say(&mut line, is_due),
        }
    }

    /// Writes what the socket takes now; false when something is left. One more report is made when there is a new end, or
    /// one is due anyway.
    fn say(&self, line: &mut Line, is_due: bool) -> Result<bool> {
        let mut is_due = is_due;
        loop {
            if line.unsent == 0 {
                if line.end == line.reported && !is_due {
                    return Ok(true);
                }
                is_due = false;
                line.report = line.end.to_be_bytes();
                (line.unsent, line.reported) = (REPORT_BYTES, line.end);
            }
            match self.socket.try_write(&line.report[REPORT_BYTES - line.unsent..]) {
                Ok(written) => line.unsent -= written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if line.unsent == 0 {
                self.status.wrote(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};

    async fn pair() -> (TcpStream, Reports) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, writing) = stream.into_split();
        let master = listener.accept().await.unwrap().0;
        (master, Reports::new(writing, Arc::default(), 7))
    }

    async fn heard(master: &mut TcpStream) -> u64 {
        master.read_u64().await.unwrap()
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn an_end_is_said_by_who_tells_it_and_only_once() {
        let (mut master, reports) = pair().await;
        tokio::select! {
            ended = reports.run(LONG) => panic!("{ended:?}"),
            hello = heard(&mut master) => assert_eq!(hello, 7),
        }
        // Nobody runs the task here.
        for end in [10, 10, 30, 20, 31] {
            reports.tell(Ok(end));
        }
        for expected in [10, 30, 31] {
            assert_eq!(heard(&mut master).await, expected);
        }
    }

    #[tokio::test]
    async fn when_there_is_nothing_new_the_end_is_said_again_after_the_heartbeat() {
        let (mut master, reports) = pair().await;
        tokio::select! {
            ended = reports.run(Duration::from_millis(1)) => panic!("{ended:?}"),
            () = async { for _ in 0..3 { assert_eq!(heard(&mut master).await, 7) } } => {}
        }
    }

    #[tokio::test]
    async fn a_master_that_does_not_read_is_told_the_newest_end_by_the_task() {
        let (mut master, reports) = pair().await;
        // More than two sockets hold, so that many of these find no room and the last bytes of one are stuck.
        let ends = 2_000_000;
        for end in 8..ends {
            reports.tell(Ok(end));
        }
        let mut last = 0;
        tokio::select! {
            ended = reports.run(LONG) => panic!("{ended:?}"),
            () = async {
                while last + 1 < ends {
                    let end = heard(&mut master).await;
                    assert!(end > last || end == 7, "{end} after {last}");
                    last = end;
                }
            } => {}
        }
    }

    #[tokio::test]
    async fn an_error_of_the_log_ends_the_task() {
        let (_master, reports) = pair().await;
        reports.tell(Err(StoreError::Failed));
        assert!(reports.run(LONG).await.is_err());
    }
}
