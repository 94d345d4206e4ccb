//! A page: the cells of a column of a run of series, equal ones once; and a checksum.

use super::FILE;
use crate::cursor::{Cursor, checked, crc, push_uvarint};
use crate::error::Result;
use bytes::Bytes;
use hashbrown::HashMap;

/// A page that is being filled: a tag a stretch of series with one cell, and the cell where it is a new one.
///
/// Tag 0 is a new cell, tag n the n-th distinct cell before (1: the last), both times two, plus one if the number of further
/// series with the same cell follows.
#[derive(Default)]
pub(super) struct PageWriter {
    body: Vec<u8>,
    /// The distinct cells by their numbers, rising from 0.
    cells: HashMap<Vec<u8>, u64>,
    /// The cell of the last series, and of how many before it as well.
    open: Option<(u64, u64)>,
    /// The bytes of the open cell, if it is new.
    new: Option<Vec<u8>>,
    /// Whether any cell is not empty.
    filled: bool,
}

impl PageWriter {
    /// Adds the cell of the next series; an empty one says that it has nothing in this column.
    pub fn push(&mut self, cell: &[u8]) {
        self.filled |= !cell.is_empty();
        let known = self.cells.get(cell).copied();
        if let Some((open, more)) = &mut self.open
            && known == Some(*open)
        {
            *more += 1;
            return;
        }
        self.close();
        let number = known.unwrap_or_else(|| {
            let number = self.cells.len() as u64;
            self.cells.insert(cell.to_owned(), number);
            self.new = Some(cell.to_owned());
            number
        });
        self.open = Some((number, 0));
    }

    fn close(&mut self) {
        let Some((number, more)) = self.open.take() else { return };
        let new = self.new.take();
        // The distinct cells that were there when this one began.
        let known = self.cells.len() as u64 - u64::from(new.is_some());
        let tag = if new.is_some() { 0 } else { known - number };
        push_uvarint(&mut self.body, tag << 1 | u64::from(more > 0));
        if more > 0 {
            push_uvarint(&mut self.body, more);
        }
        if let Some(cell) = new {
            push_uvarint(&mut self.body, cell.len() as u64);
            self.body.extend_from_slice(&cell);
        }
    }

    /// The page, after which the next one is begun; empty if no series has anything in the column.
    pub fn take(&mut self) -> Vec<u8> {
        self.close();
        let mut page = std::mem::take(self);
        if !page.filled {
            return Vec::new();
        }
        let crc = crc(&page.body);
        page.body.extend_from_slice(&crc.to_be_bytes());
        page.body
    }
}

/// The cells of a page, one a series; none at all where the run has no such page.
#[derive(Clone, Debug, Default)]
pub(super) struct Page {
    bytes: Bytes,
    /// Where each series' cell lies.
    cells: Vec<(u32, u32)>,
    offset: u64,
}

impl Page {
    /// Reads the page with the cells of `series` series, which lies at `offset`.
    pub fn open(bytes: Bytes, offset: u64, series: usize) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let body = checked(&bytes, FILE, offset)?;
        let mut cursor = Cursor::new(body, FILE, offset);
        let mut distinct: Vec<(u32, u32)> = Vec::new();
        let mut cells = Vec::with_capacity(series);
        while cells.len() < series {
            let head = cursor.uvarint()?;
            let more = if head & 1 != 0 { cursor.uvarint()? } else { 0 };
            let cell = match head >> 1 {
                0 => {
                    let length = cursor.count(1)?;
                    let begin = cursor.at();
                    cursor.bytes(length)?;
                    distinct.push((begin as u32, (begin + length) as u32));
                    distinct.len() - 1
                }
                back => usize::try_from(back)
                    .ok()
                    .and_then(|back| distinct.len().checked_sub(back))
                    .ok_or_else(|| cursor.corrupt("a cell refers to one that is not there"))?,
            };
            let end = usize::try_from(more).ok().and_then(|more| cells.len().checked_add(more)?.checked_add(1));
            let end = end.filter(|end| *end <= series);
            cells.resize(end.ok_or_else(|| cursor.corrupt("a page has more cells than series"))?, distinct[cell]);
        }
        cursor.finish()?;
        Ok(Self { bytes, cells, offset })
    }

    /// The cell of a series of the run; None if it has nothing in the column.
    pub fn cell(&self, series: usize) -> Option<Cursor<'_>> {
        let (begin, end) = *self.cells.get(series)?;
        let offset = self.offset + u64::from(begin);
        (begin < end).then(|| Cursor::new(&self.bytes[begin as usize..end as usize], FILE, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cells_come_back(cells in prop::collection::vec(prop::collection::vec(0u8..3, 0..3), 1..80)) {
            let mut writer = PageWriter::default();
            cells.iter().for_each(|cell| writer.push(cell));
            let bytes = writer.take();
            prop_assert_eq!(bytes.is_empty(), cells.iter().all(Vec::is_empty));
            let page = Page::open(bytes.into(), 100, cells.len()).unwrap();
            for (series, cell) in cells.iter().enumerate() {
                let found = page.cell(series).map(|mut cursor| cursor.bytes(cursor.remaining()).unwrap().to_vec());
                prop_assert_eq!(found.unwrap_or_default(), cell.clone());
            }
            prop_assert!(writer.take().is_empty(), "the next page begins anew");
        }

        #[test]
        fn any_bytes_end_in_an_answer(mut bytes in prop::collection::vec(any::<u8>(), 1..60), series in 1usize..100) {
            let crc = crc(&bytes);
            bytes.extend_from_slice(&crc.to_be_bytes());
            let _ = Page::open(bytes.into(), 0, series);
        }
    }

    #[test]
    fn a_cell_that_all_share_is_written_once() {
        let mut writer = PageWriter::default();
        (0..1000).for_each(|_| writer.push(&[7; 20]));
        assert!(writer.take().len() <= 28);
    }
}
