//! Writes `columns`, run by run as the series come.

use super::choice::columns_of;
use super::column::{Column, ColumnSet};
use super::page::PageWriter;
use super::series::{Cells, encode};
use super::{HEADER, MAGIC, RUN_SERIES, RUN_WINDOWS, SERIES_WINDOWS_MAX, VERSION};
use crate::cursor::push_uvarint;
use crate::error::{BlockError, Result};
use crate::sink::Sink;
use crate::tail;
use longhaul_downsample::{NumberedWindow, Resolution};
use longhaul_model::Labels;

/// The file that is being written.
pub(crate) struct ColumnsWriter<S> {
    sink: S,
    resolution: Resolution,
    pages: Vec<PageWriter>,
    cells: Cells,
    series: u64,
    /// Series and windows of the open run.
    open: (u64, u64),
    /// Series, windows, and the lengths of the pages of each run.
    runs: Vec<(u64, u64, Vec<u64>)>,
}

impl<S: Sink> ColumnsWriter<S> {
    /// Begins with the header.
    pub fn begin(mut sink: S, resolution: Resolution) -> Result<Self> {
        sink.append(&HEADER)?;
        Ok(Self {
            sink,
            resolution,
            pages: Column::ALL.iter().map(|_| PageWriter::default()).collect(),
            cells: Column::ALL.iter().map(|_| Vec::new()).collect(),
            series: 0,
            open: (0, 0),
            runs: Vec::new(),
        })
    }

    /// How many series were pushed.
    pub fn series(&self) -> u64 {
        self.series
    }

    /// Adds the windows of the next series of the block, by rising number; of what they hold, the `known` columns are there.
    pub fn push(&mut self, labels: &Labels, windows: &[NumberedWindow], known: ColumnSet) -> Result<()> {
        if windows.len() as u64 > SERIES_WINDOWS_MAX || windows.windows(2).any(|pair| pair[0].number >= pair[1].number)
        {
            return Err(BlockError::Refused(format!("the windows of {labels} do not rise, or are too many").into()));
        }
        let wanted = columns_of(labels, windows).intersection(known);
        encode(windows, self.resolution, wanted, &mut self.cells);
        for (page, cell) in self.pages.iter_mut().zip(&mut self.cells) {
            page.push(cell);
            cell.clear();
        }
        self.series += 1;
        self.open = (self.open.0 + 1, self.open.1 + windows.len() as u64);
        if self.open.0 >= RUN_SERIES || self.open.1 >= RUN_WINDOWS { self.close_run() } else { Ok(()) }
    }

    fn close_run(&mut self) -> Result<()> {
        let (series, windows) = std::mem::take(&mut self.open);
        if series == 0 {
            return Ok(());
        }
        let mut lengths = Vec::with_capacity(self.pages.len());
        for page in &mut self.pages {
            let bytes = page.take();
            self.sink.append(&bytes)?;
            lengths.push(bytes.len() as u64);
        }
        self.runs.push((series, windows, lengths));
        Ok(())
    }

    /// Writes what is left and the directory.
    pub fn finish(mut self) -> Result<S> {
        self.close_run()?;
        let mut directory = Vec::new();
        push_uvarint(&mut directory, self.resolution.length_ms() as u64);
        push_uvarint(&mut directory, self.runs.len() as u64);
        for (series, windows, lengths) in &self.runs {
            push_uvarint(&mut directory, *series);
            push_uvarint(&mut directory, *windows);
            let used = lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1);
            push_uvarint(&mut directory, used as u64);
            lengths[..used].iter().for_each(|length| push_uvarint(&mut directory, *length));
        }
        tail::push(&mut self.sink, &directory, MAGIC, VERSION)?;
        Ok(self.sink)
    }
}
