//! Repairs a log whose durable part cannot be read back: a flipped bit, a lost file, a truncated segment.
//!
//! The bad entries are fetched from a peer as raw bytes, checked against their own checksum and against the entry before,
//! and written where they belong. Nothing is ever cut. Called before `RaftLog::start`, which refuses a damaged log.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use disk::{Disk, Segments};

use crate::codec;
use crate::config::RaftLogConfig;
use crate::envelope::{ENVELOPE_BYTES, Envelope};
use crate::error::{GroupError, LogError};
use crate::landmarks::Landmarks;
use crate::log::write_raw;
use crate::manifest::{Manifest, ManifestFile, Shape};
use crate::net::connection::Connection;
use crate::net::frame::{Control, FrameType};
use crate::net::handshake::{CallError, Caller, Channel};
use crate::net::snapshot::{RAW_BYTES_MAX, decode_raw};
use crate::recovery::{Recovered, Start, walk, walk_on};
use crate::slot_file::SlotFile;
use crate::start::frame_bytes_max;
use crate::types::Node;

/// How long a peer may take for one answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What was repaired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Repaired {
    /// Entries that were fetched.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A log that is to be repaired; it must not be running.
#[derive(Debug)]
struct Patient {
    segments: Arc<Segments>,
    manifest: Manifest,
    durable: u64,
}

/// Whether a log that does not run is damaged, as far as a start would notice: where, and up to where it was durable. For
/// whoever builds something on the log's bytes, and must not do so before they are good.
pub fn damage(
    config: &RaftLogConfig,
    disk: &Arc<dyn Disk>,
    segments: &Arc<Segments>,
) -> Result<Option<(u64, u64)>, LogError> {
    if !disk.exists(&config.directory) {
        return Ok(None);
    }
    let Patient { manifest, durable, .. } = Patient::examine(config, &**disk, segments.clone())?;
    if manifest.is_resetting {
        return Ok(None);
    }
    let start =
        Start { last: manifest.purged, last_crc: manifest.purged_crc, position: manifest.first_position };
    let mut found = Recovered::at(start);
    Landmarks::open(disk.clone(), config.directory.join("landmarks"))?.advance(segments, &mut found)?;
    let durable = durable.max(found.end);
    match walk_on(segments, found, durable) {
        Ok(_) => Ok(None),
        Err(LogError::Damaged { position, durable }) => Ok(Some((position, durable))),
        Err(error) => Err(error),
    }
}

/// Repairs the log of `config` with entries from `peers` (node and address). Answers what was fetched, nothing when the log
/// was good; fails when no peer holds what is missing.
pub async fn repair(
    config: &RaftLogConfig,
    disk: Arc<dyn Disk>,
    segments: Arc<Segments>,
    peers: &[(u64, String)],
) -> Result<Repaired, GroupError> {
    let patient = Patient::examine(config, &*disk, segments)?;
    let caller = Caller {
        group: config.group.clone(),
        node: config.node,
        store: patient.manifest.store,
        segment_bytes: patient.manifest.segment_bytes,
        frame_bytes_max: frame_bytes_max(config),
        addresses: std::sync::Arc::default(),
    };
    let mut repaired = Repaired::default();
    let mut last_error = GroupError::Refused("there is no peer to ask".to_owned());
    for (node, address) in peers {
        let target = Node { address: address.clone(), store: 0 };
        let connected = caller.connect(*node, &target, Channel::Control, None, PATIENCE).await;
        let treated = match connected {
            Ok((connection, _)) => patient.treat(connection, &mut repaired).await,
            Err(error) => Err(error.into()),
        };
        match treated {
            Ok(()) => return Ok(repaired),
            Err(Treatment::Log(error)) => return Err(error.into()),
            Err(Treatment::Call(error)) => {
                let (address, reason) = (address.clone(), error.to_string());
                last_error = GroupError::PeerUnreachable { node: *node, address, reason };
            }
        }
    }
    match patient.damage()? {
        None => Ok(repaired),
        Some(_) => Err(last_error),
    }
}

/// Why a treatment ended.
enum Treatment {
    /// This machine's own disk failed.
    Log(LogError),
    /// The peer did not help; another one may.
    Call(CallError),
}

impl From<LogError> for Treatment {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<CallError> for Treatment {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<std::io::Error> for Treatment {
    fn from(error: std::io::Error) -> Self {
        Self::Call(error.into())
    }
}

impl Patient {
    fn examine(config: &RaftLogConfig, disk: &dyn Disk, segments: Arc<Segments>) -> Result<Self, LogError> {
        let shape = Shape {
            group: config.group.clone(),
            node: config.node,
            segment_bytes: segments.segment_bytes(),
            prefix_end: config.prefix_end,
        };
        let directory: &PathBuf = &config.directory;
        let manifest = ManifestFile::open(disk, directory, &shape)?.manifest;
        let (_, marked) = SlotFile::open(disk, &directory.join("durable"))?;
        let durable = crate::log::position_of(marked.as_deref());
        Ok(Self { segments, manifest, durable })
    }

    /// Where the first bad entry begins, if one does, and the checksum of the entry before.
    fn damage(&self) -> Result<Option<(u64, u32)>, LogError> {
        let Manifest { purged, purged_crc, first_position, .. } = self.manifest;
        let start = Start { last: purged, last_crc: purged_crc, position: first_position };
        match walk(&self.segments, start, self.durable) {
            Ok(_) => Ok(None),
            Err(LogError::Damaged { position, .. }) => {
                // Walking up to the bad entry only is certainly good, and tells what comes before it.
                let found = walk(&self.segments, start, 0)?;
                Ok(Some((position.max(found.end), found.last_crc)))
            }
            Err(error) => Err(error),
        }
    }

    async fn treat(&self, mut connection: Connection, repaired: &mut Repaired) -> Result<(), Treatment> {
        while let Some((position, before)) = self.damage()? {
            let (envelope, bytes) = fetch_entry(&mut connection, position).await?;
            let follows = self.manifest.first_position == position || envelope.previous_crc == before;
            if !follows {
                return Err(CallError::Unexpected.into());
            }
            write_raw(&self.segments, position, &bytes)?;
            self.segments.sync(position, position + bytes.len() as u64).map_err(LogError::from)?;
            repaired.entries += 1;
            repaired.bytes += bytes.len() as u64;
        }
        Ok(())
    }
}

/// Fetches the entry that begins at `position`, checked.
pub(crate) async fn fetch_entry(
    connection: &mut Connection,
    position: u64,
) -> Result<(Envelope, Vec<u8>), CallError> {
    let head = fetch(connection, position, ENVELOPE_BYTES).await?;
    let envelope = Envelope::decode(&head).ok_or(CallError::Unexpected)?;
    let mut bytes = Vec::with_capacity(envelope.total as usize);
    while bytes.len() < envelope.total as usize {
        let left = (envelope.total as usize - bytes.len()).clamp(ENVELOPE_BYTES, RAW_BYTES_MAX);
        let part = fetch(connection, position + bytes.len() as u64, left).await?;
        bytes.extend_from_slice(&part[..part.len().min(envelope.total as usize - bytes.len())]);
    }
    let envelope = Envelope::check(&bytes).map_err(|_| CallError::Unexpected)?;
    if envelope.position == position { Ok((envelope, bytes)) } else { Err(CallError::Unexpected) }
}

/// Fetches raw bytes; at least as many as an envelope has, or the peer does not hold them.
async fn fetch(connection: &mut Connection, position: u64, len: usize) -> Result<bytes::Bytes, CallError> {
    let request = Control::Fetch { position, len: len as u32 };
    let request = codec::encode("request", &request).map_err(|_| CallError::Unexpected)?;
    let answer = tokio::time::timeout(PATIENCE, connection.call(FrameType::Control, &request)).await;
    match answer.map_err(|_| CallError::TimedOut)?? {
        (FrameType::Raw, payload) => match decode_raw(payload)? {
            (at, bytes) if at == position && !bytes.is_empty() => Ok(bytes),
            _ => Err(CallError::Failed("the peer does not hold these bytes".to_owned())),
        },
        (FrameType::Failed, payload) => {
            Err(CallError::Failed(String::from_utf8_lossy(&payload).into_owned()))
        }
        _ => Err(CallError::Unexpected),
    }
}
