//! The segment that is being written: lays frames into its buffer, writes them, and completes it in the end.

use crate::definitions::Defined;
use crate::frame::{Head, Kind};
use crate::page::{PageWriter, file_length, file_position};
use crate::segment::{SEGMENT_HEADER_BYTES, Seed, SegmentHeader, SegmentList, remove};
use crate::{Batch, LogError, LogSettings, Offset};
use longhaul_disk::File;
use std::collections::VecDeque;
use std::path::PathBuf;

/// How far behind a definition its second copy is laid, at least: farther than what one bad spot of a disk or one lost
/// write destroys. What waits to be copied is kept in memory, so this bounds that, too.
pub(crate) const COPY_DISTANCE_BYTES: u64 = 512 << 10;

/// A segment open for appending. After an error it must not be used again.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    pub(crate) number: u64,
    path: PathBuf,
    file: Box<dyn File>,
    seed: Seed,
    pages: PageWriter,
    /// The last offset laid (not necessarily written).
    last: Offset,
    /// Length of the file up to the last group that was committed.
    committed_bytes: u64,
    /// Length of the file that has been synced.
    durable_bytes: u64,
    defined: Defined,
    definition_bytes: u64,
    /// Definitions that stand in the segment once, with where they do.
    copies: VecDeque<(u64, Vec<u8>)>,
}

impl OpenSegment {
    /// Creates the file; when this returns, header and name are durable. `buffer` is for reuse.
    pub(crate) fn create(list: &SegmentList, header: SegmentHeader, buffer: Vec<u8>) -> Result<Self, LogError> {
        let path = list.path(header.number);
        let seed = Seed::new(header.log_id, header.number);
        let mut file = list.fs.create(&path).map_err(LogError::io("create", &path))?;
        let written = file
            .append(&header.encode())
            .and_then(|()| file.sync_data())
            .map_err(LogError::io("write", &path))
            .and_then(|()| list.fs.sync_dir(&list.dir).map_err(LogError::io("sync", &list.dir)));
        if let Err(error) = written {
            drop(file);
            let _ = remove(&*list.fs, &list.dir, &path); // if it stays, it counts for nothing
            return Err(error);
        }
        Ok(Self {
            number: header.number,
            path,
            file,
            seed,
            pages: PageWriter::new(seed, buffer),
            last: header.base - 1,
            committed_bytes: SEGMENT_HEADER_BYTES,
            durable_bytes: SEGMENT_HEADER_BYTES,
            defined: Defined::default(),
            definition_bytes: 0,
            copies: VecDeque::new(),
        })
    }

    /// Lays a frame that has the offset `offset`.
    pub(crate) fn lay(&mut self, kind: Kind, offset: Offset, payload: &[u8]) {
        self.last = offset;
        self.push(kind, payload);
    }

    /// Lays what the segment does not know yet of the batch that is laid next, and second copies that are due.
    pub(crate) fn lay_definitions<B: Batch>(&mut self, batch: &B) {
        while let Some((at, _)) = self.copies.front()
            && self.pages.stream_bytes() - at >= COPY_DISTANCE_BYTES
        {
            self.lay_copy();
        }
        let mut defined = std::mem::take(&mut self.defined);
        defined.define(batch, &mut |payload| {
            self.copies.push_back((self.pages.stream_bytes(), payload.clone()));
            self.definition_bytes += 2 * payload.len() as u64;
            self.push(Kind::Series, &payload);
        });
        self.defined = defined;
    }

    fn lay_copy(&mut self) {
        if let Some((_, payload)) = self.copies.pop_front() {
            self.push(Kind::Series, &payload);
        }
    }

    fn push(&mut self, kind: Kind, payload: &[u8]) {
        let position = file_position(self.pages.stream_bytes());
        let head = Head::new(self.seed, position, kind, self.last, self.durable_bytes, payload);
        self.pages.push_frame(&[&head.encode(self.seed, position), payload]);
    }

    /// Bytes laid and not yet written.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pages.pending().len()
    }

    /// Writes what is laid; returns how many bytes that were.
    pub(crate) fn write(&mut self) -> Result<u64, LogError> {
        self.file.append(self.pages.pending()).map_err(LogError::io("write", &self.path))?;
        let written = self.pages.pending().len() as u64;
        self.pages.clear_pending();
        Ok(written)
    }

    /// Makes what is written durable.
    pub(crate) fn sync(&mut self) -> Result<(), LogError> {
        self.file.sync_data().map_err(LogError::io("sync", &self.path))?;
        self.durable_bytes = file_length(self.pages.stream_bytes());
        Ok(())
    }

    /// Notes that everything written so far is going to be acknowledged.
    pub(crate) fn committed(&mut self) {
        self.committed_bytes = file_length(self.pages.stream_bytes());
    }

    /// Length of the file up to the last committed group; only the header, if there was none.
    pub(crate) fn committed_bytes(&self) -> u64 {
        self.committed_bytes
    }

    /// Whether something was written since the last sync.
    pub(crate) fn is_ahead_of_sync(&self) -> bool {
        self.durable_bytes < self.committed_bytes
    }

    /// Whether the segment is long enough for the next one to begin.
    pub(crate) fn is_full(&self, settings: &LogSettings) -> bool {
        let wanted = settings.segment_size_bytes.max(10 * self.definition_bytes);
        self.committed_bytes >= wanted.min(settings.segment_size_bytes_max.max(settings.segment_size_bytes))
    }

    /// Lays the second copies that are left, syncs, and seals: the seal's head tells that all before it was durable.
    pub(crate) fn complete(&mut self, group_size_bytes: usize) -> Result<(), LogError> {
        while !self.copies.is_empty() {
            self.lay_copy();
            if self.pending_bytes() >= group_size_bytes {
                self.write()?;
            }
        }
        self.write()?;
        self.sync()?;
        self.push(Kind::Seal, &[]);
        self.write()?;
        self.sync()?;
        self.committed();
        Ok(())
    }

    /// Gives memory back that one group needed and others will not.
    pub(crate) fn trim_buffer(&mut self, keep_bytes: usize) {
        self.pages.trim_buffer(keep_bytes);
    }

    /// Gives the buffer back.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.pages.into_buffer()
    }
}
