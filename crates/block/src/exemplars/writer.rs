//! Writes `exemplars`, page by page as they come.

use super::page::{PageEntry, PageWriter};
use super::{HEADER, MAGIC, VERSION};
use crate::cursor::{push_text, push_uvarint, push_varint};
use crate::error::{BlockError, Result};
use crate::files::BlockFile;
use crate::meta::FileEntry;
use crate::sink::{FileSink, Sink};
use crate::tail;
use longhaul_disk::Fs;
use longhaul_model::{Exemplar, Labels, TimeRange};
use std::path::Path;

/// The file that is being written; there is none before the first exemplar.
#[derive(Default)]
pub(crate) struct ExemplarsWriter {
    sink: Option<FileSink>,
    page: PageWriter,
    pages: Vec<PageEntry>,
    last: Option<(Labels, Exemplar)>,
    count: u64,
    /// The least and the greatest time.
    times: Option<(i64, i64)>,
}

impl ExemplarsWriter {
    /// Adds an exemplar of a series, in the block directory `dir`: series in label order, the exemplars of one in theirs,
    /// none twice.
    pub fn push(&mut self, fs: &dyn Fs, dir: &Path, series: &Labels, exemplar: &Exemplar) -> Result<()> {
        if let Some((last_series, last)) = &self.last
            && (last_series, last) >= (series, exemplar)
        {
            return Err(BlockError::Refused(format!("an exemplar of {series} is out of order").into()));
        }
        self.page.push(series, exemplar);
        self.last = Some((series.clone(), exemplar.clone()));
        self.count += 1;
        let (min_ms, max_ms) = self.times.unwrap_or((exemplar.t_ms, exemplar.t_ms));
        self.times = Some((min_ms.min(exemplar.t_ms), max_ms.max(exemplar.t_ms)));
        if self.page.is_full() { self.close_page(fs, dir) } else { Ok(()) }
    }

    /// How many were pushed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hull of their times; empty if there are none.
    pub fn range(&self) -> TimeRange {
        self.times.map_or(TimeRange::new(0, 0), |(min_ms, max_ms)| TimeRange::inclusive(min_ms, max_ms))
    }

    /// Writes what is left; the file's line for the list in `meta.json`, if there is a file.
    pub fn finish(mut self, fs: &dyn Fs, dir: &Path) -> Result<Option<FileEntry>> {
        self.close_page(fs, dir)?;
        let Some(mut sink) = self.sink else { return Ok(None) };
        let mut directory = Vec::new();
        push_uvarint(&mut directory, self.count);
        push_uvarint(&mut directory, self.pages.len() as u64);
        for page in &self.pages {
            push_uvarint(&mut directory, page.length.into());
            push_varint(&mut directory, page.min_ms);
            push_uvarint(&mut directory, page.max_ms.wrapping_sub(page.min_ms) as u64);
            push_text(&mut directory, &page.first_metric);
            push_text(&mut directory, &page.last_metric);
        }
        tail::push(&mut sink, &directory, MAGIC, VERSION)?;
        sink.finish().map(Some)
    }

    fn close_page(&mut self, fs: &dyn Fs, dir: &Path) -> Result<()> {
        let offset = self.sink.as_ref().map_or(HEADER.len() as u64, FileSink::position);
        let Some((bytes, entry)) = self.page.take(offset) else { return Ok(()) };
        let sink = match &mut self.sink {
            Some(sink) => sink,
            none => {
                let mut sink = FileSink::create(fs, dir, BlockFile::Exemplars)?;
                sink.append(&HEADER)?;
                none.insert(sink)
            }
        };
        sink.append(&bytes)?;
        self.pages.push(entry);
        Ok(())
    }
}
