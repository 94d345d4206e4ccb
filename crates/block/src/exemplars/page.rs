//! A page: exemplars of series that follow each other, with the texts of all their labels. And the page's line in the
//! directory, against which what it holds is checked.

use super::{FILE, PAGE_BYTES, PAGE_LABEL_BYTES, PAGE_LABEL_BYTES_MAX};
use crate::cursor::{Cursor, checked, crc, push_text, push_uvarint, push_varint};
use crate::error::Result;
use hashbrown::HashMap;
use longhaul_model::{Exemplar, Labels};

/// A time, a value and a number of labels.
const EXEMPLAR_BYTES_MIN: usize = 10;

/// What the directory says of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageEntry {
    /// Where it begins, bytes.
    pub offset: u64,
    /// How long it is, checksum included.
    pub length: u32,
    /// The times of its first and last exemplar, ms.
    pub min_ms: i64,
    pub max_ms: i64,
    /// The least and the greatest name of its metrics.
    pub first_metric: Box<str>,
    pub last_metric: Box<str>,
}

/// A page that is being filled.
#[derive(Debug, Default)]
pub(super) struct PageWriter {
    texts: HashMap<String, u32>,
    text_bytes: Vec<u8>,
    /// The series that are closed.
    closed: Vec<u8>,
    series_closed: u64,
    /// The last one: its labels, how many exemplars it has on this page, and those.
    series: Option<Labels>,
    exemplars: u64,
    open: Vec<u8>,
    last_ms: i64,
    /// Bytes of all labels, written out.
    label_bytes: usize,
    times: Option<(i64, i64)>,
    metrics: Option<(Box<str>, Box<str>)>,
}

impl PageWriter {
    /// Adds an exemplar behind all before.
    pub fn push(&mut self, series: &Labels, exemplar: &Exemplar) {
        if self.series.as_ref() != Some(series) {
            self.close_series();
            self.series = Some(series.clone());
            let metric = series.metric_name();
            let (first, last) = self.metrics.get_or_insert_with(|| (metric.into(), metric.into()));
            if metric < &**first {
                *first = metric.into();
            }
            if metric > &**last {
                *last = metric.into();
            }
        }
        let mut open = std::mem::take(&mut self.open);
        push_varint(&mut open, exemplar.t_ms.wrapping_sub(self.last_ms));
        open.extend_from_slice(&exemplar.value.to_bits().to_be_bytes());
        self.push_labels(&exemplar.labels, &mut open);
        (self.open, self.last_ms) = (open, exemplar.t_ms);
        self.exemplars += 1;
        let (min_ms, max_ms) = self.times.unwrap_or((exemplar.t_ms, exemplar.t_ms));
        self.times = Some((min_ms.min(exemplar.t_ms), max_ms.max(exemplar.t_ms)));
    }

    /// Whether it is time for the next one.
    pub fn is_full(&self) -> bool {
        let size_bytes = self.text_bytes.len() + self.closed.len() + self.open.len();
        size_bytes >= PAGE_BYTES || self.label_bytes >= PAGE_LABEL_BYTES
    }

    /// Its bytes, and its line in the directory; None if nothing was pushed. It is empty afterwards.
    pub fn take(&mut self, offset: u64) -> Option<(Vec<u8>, PageEntry)> {
        self.close_series();
        let Self { texts, text_bytes, closed, series_closed, times, metrics, .. } = std::mem::take(self);
        let ((min_ms, max_ms), (first_metric, last_metric)) = times.zip(metrics)?;
        let mut page = Vec::with_capacity(text_bytes.len() + closed.len() + 32);
        push_uvarint(&mut page, texts.len() as u64);
        page.extend_from_slice(&text_bytes);
        push_uvarint(&mut page, series_closed);
        page.extend_from_slice(&closed);
        page.extend_from_slice(&crc(&page).to_be_bytes());
        // One exemplar beyond `PAGE_BYTES`, and no labels are near 4 GiB.
        let length = u32::try_from(page.len()).expect("pages are short");
        Some((page, PageEntry { offset, length, min_ms, max_ms, first_metric, last_metric }))
    }

    fn close_series(&mut self) {
        let Some(series) = self.series.take() else { return };
        let mut closed = std::mem::take(&mut self.closed);
        self.push_labels(&series, &mut closed);
        push_uvarint(&mut closed, self.exemplars);
        closed.append(&mut self.open);
        self.closed = closed;
        self.series_closed += 1;
        (self.exemplars, self.last_ms) = (0, 0);
    }

    fn push_labels(&mut self, labels: &Labels, out: &mut Vec<u8>) {
        self.label_bytes += labels.size_bytes();
        push_uvarint(out, labels.len() as u64);
        for text in labels.iter().flat_map(|(name, value)| [name, value]) {
            let next = self.texts.len() as u32;
            let number = *self.texts.entry_ref(text).or_insert_with(|| {
                push_text(&mut self.text_bytes, text);
                next
            });
            push_uvarint(out, number.into());
        }
    }
}

/// What a page holds, in order; `bytes` are all of it.
pub(super) fn decode(bytes: &[u8], entry: &PageEntry) -> Result<Vec<(Labels, Exemplar)>> {
    let mut cursor = Cursor::new(checked(bytes, FILE, entry.offset)?, FILE, entry.offset);
    let mut texts = Vec::with_capacity(cursor.count(1)?);
    for _ in 0..texts.capacity() {
        texts.push(cursor.text()?);
    }
    let (mut all, mut label_bytes_left) = (Vec::<(Labels, Exemplar)>::new(), PAGE_LABEL_BYTES_MAX);
    let mut read_labels = |cursor: &mut Cursor<'_>| -> Result<Labels> {
        let labels = read_labels(cursor, &texts, label_bytes_left)?;
        label_bytes_left -= labels.size_bytes().min(label_bytes_left);
        Ok(labels)
    };
    for _ in 0..cursor.count(2)? {
        let series = read_labels(&mut cursor)?;
        if all.last().is_some_and(|(before, _)| *before >= series) {
            return Err(cursor.corrupt("series are out of order"));
        }
        let metric = series.metric_name();
        if metric < &*entry.first_metric || metric > &*entry.last_metric {
            return Err(cursor.corrupt("a metric that the directory does not have"));
        }
        let mut before: Option<Exemplar> = None;
        let count = cursor.count(EXEMPLAR_BYTES_MIN)?;
        if count == 0 {
            return Err(cursor.corrupt("a series without exemplars"));
        }
        for _ in 0..count {
            let difference_ms = cursor.varint()?;
            let t_ms = before.as_ref().map_or(0, |before| before.t_ms).wrapping_add(difference_ms);
            let value = f64::from_bits(cursor.u64()?);
            let exemplar = Exemplar { t_ms, value, labels: read_labels(&mut cursor)? };
            if before.as_ref().is_some_and(|before| *before >= exemplar) {
                return Err(cursor.corrupt("exemplars are out of order"));
            }
            if t_ms < entry.min_ms || t_ms > entry.max_ms {
                return Err(cursor.corrupt("a time that the directory does not have"));
            }
            all.push((series.clone(), exemplar.clone()));
            before = Some(exemplar);
        }
    }
    cursor.finish()?;
    Ok(all)
}

fn read_labels(cursor: &mut Cursor<'_>, texts: &[&str], bytes_max: usize) -> Result<Labels> {
    let mut size_bytes = 0;
    let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(cursor.count(2)?);
    for _ in 0..pairs.capacity() {
        let mut text = || {
            let number = cursor.uvarint()?;
            let text = usize::try_from(number).ok().and_then(|number| texts.get(number));
            text.copied().ok_or_else(|| cursor.corrupt("a text that the page does not have"))
        };
        let pair = (text()?, text()?);
        if pair.1.is_empty() || pairs.last().is_some_and(|before| before.0 >= pair.0) {
            return Err(cursor.corrupt("labels are out of order"));
        }
        size_bytes += pair.0.len() + pair.1.len();
        if size_bytes > bytes_max {
            return Err(cursor.corrupt("the labels of a page are too large"));
        }
        pairs.push(pair);
    }
    Ok(Labels::from_sorted(pairs))
}
