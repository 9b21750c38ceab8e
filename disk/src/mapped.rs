//! The one room with `unsafe`: a file's bytes as shared `Bytes` over a read-only map.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use bytes::Bytes;
use memmap2::{Mmap, MmapOptions};

/// Maps the first `len` bytes of `file`. The map lives as long as any slice of the result does, even after the file is unlinked.
pub(crate) fn map(file: &File, len: usize) -> io::Result<Bytes> {
    // SAFETY: two things could go wrong with a shared map.
    // It could outlive its pages: `RealFile::set_len`, the only place that shortens a file, refuses to cut below what was
    // mapped, segments are only ever unlinked (which keeps mapped pages), and the directory lock keeps other brokers away.
    // Its bytes could change under a reader: every caller hands out only ranges that were written before, and writes a
    // range again only after `Segments::truncate`, which log owners call for bytes that no client was ever shown. A slice
    // of a cut tail that is still queued for a peer may show the new bytes; the peer's checksum refuses them.
    let map = unsafe { MmapOptions::new().len(len).map(file)? };
    Ok(Bytes::from_owner(Map(map)))
}

struct Map(Mmap);

impl AsRef<[u8]> for Map {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
