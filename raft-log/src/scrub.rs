//! Reads the whole log again, slowly and over and over, and has mended what the disk gives back other than it was given.
//!
//! A start trusts what landmarks describe; this is who looks there, soon after the start and then every so often.

use std::sync::Arc;
use std::time::Duration;

use crate::error::LogError;
use crate::mend::Mender;
use crate::recovery::{Start, Verified};
use crate::shared::Shared;

/// How much is read in one go, and how long nothing is read then: 16 MiB a second, which no disk feels.
const STRIDE_BYTES: u64 = 4 * 1024 * 1024;
const REST: Duration = Duration::from_millis(250);
/// How long until damage is tried again that nobody could mend.
const AGAIN: Duration = Duration::from_secs(10);

/// Runs as long as the log does.
pub(crate) async fn run(shared: Arc<Shared>, mender: Arc<Mender>, interval: Duration) {
    loop {
        if let Err(error) = pass(&shared, &mender).await {
            tracing::warn!(%error, "the log could not be read again to its end");
        }
        tokio::time::sleep(interval).await;
    }
}

/// Reads everything that is applied and durable once.
async fn pass(shared: &Arc<Shared>, mender: &Mender) -> Result<(), LogError> {
    let mut cursor = shared.log.beginning();
    loop {
        if cursor.position < shared.log.segments().start() {
            // Retention has overtaken us.
            cursor = shared.log.beginning();
        }
        match stride(shared, cursor).await? {
            Verified::End => return Ok(()),
            Verified::Upto(upto) => {
                cursor = upto;
                tokio::time::sleep(REST).await;
            }
            Verified::Damaged(good, position) => {
                cursor = good;
                if cursor.position >= shared.log.segments().start()
                    && let Err(error) = mender.mend(shared, position).await
                {
                    tracing::error!(position, %error, "the log is damaged here, and nobody has mended it yet");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

async fn stride(shared: &Arc<Shared>, cursor: Start) -> Result<Verified, LogError> {
    let shared = shared.clone();
    let verify = move || {
        let limit = shared.applied.position().min(shared.log.durable());
        crate::recovery::verify(shared.log.segments(), cursor, limit, STRIDE_BYTES)
    };
    tokio::task::spawn_blocking(verify).await.unwrap_or(Ok(Verified::End))
}
