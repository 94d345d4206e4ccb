//! Who was told what, and when: the oracle for what may be read after a crash.

use super::site::{Content, Read, get};
use longhaul_model::{Sample, TimeRange};
use std::collections::BTreeMap;

/// One sample that was sent. Times are lengths of the disk's trace.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) series: String,
    pub(crate) t_ms: i64,
    pub(crate) bits: u64,
    sent_at: usize,
    answer: Option<(usize, Answer)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 204.
    Accepted,
    /// 400: a conflict.
    Refused,
    /// 503, or none: it may be there or not.
    Unclear,
}

/// A deletion of what one series had in a range, with how many samples had been sent before it.
#[derive(Clone, Debug)]
struct Deleted {
    series: String,
    range: TimeRange,
    after: usize,
    sent_at: usize,
    done_at: Option<usize>,
}

/// All that was sent to one tenant, one request after the other.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: Vec<Sent>,
    deleted: Vec<Deleted>,
}

/// By series and time: the value that was acknowledged, and those that are possible as well.
type Keys<'a> = BTreeMap<(&'a str, i64), (Option<u64>, Vec<u64>)>;

impl Deleted {
    fn apply(&self, prefix: usize, keys: &mut Keys<'_>) {
        let is_meant = |series: &str, t_ms: i64| series == self.series && self.range.contains(t_ms);
        for (_, (must, may)) in keys.iter_mut().filter(|((series, t_ms), _)| is_meant(series, *t_ms)) {
            match self.done_at.is_some_and(|at| at <= prefix) {
                true => (*must, *may) = (None, Vec::new()),
                false => may.extend(must.take()),
            }
        }
    }
}

impl Ledger {
    pub(crate) fn send(&mut self, now: usize, series: &str, sample: Sample) -> usize {
        let (series, bits) = (series.to_owned(), sample.value.to_bits());
        self.sent.push(Sent { series, t_ms: sample.t_ms, bits, sent_at: now, answer: None });
        self.sent.len() - 1
    }

    pub(crate) fn answer(&mut self, now: usize, number: usize, answer: Answer) {
        self.sent[number].answer = Some((now, answer));
    }

    pub(crate) fn delete(&mut self, now: usize, series: &str, range: TimeRange) {
        let (series, after) = (series.to_owned(), self.sent.len());
        self.deleted.push(Deleted { series, range, after, sent_at: now, done_at: None });
    }

    /// The last deletion was answered with success.
    pub(crate) fn deleted(&mut self, now: usize) {
        self.deleted.last_mut().unwrap().done_at = Some(now);
    }

    pub(crate) fn all(&self) -> &[Sent] {
        &self.sent
    }

    pub(crate) fn knows(&self, series: &str, t_ms: i64) -> bool {
        self.sent.iter().any(|it| it.t_ms == t_ms && it.series == series)
    }

    /// Acknowledged ⊆ readable ⊆ sent, to the bit, for a crash after `prefix` operations; says what is wrong.
    ///
    /// A value that was never answered, or with 503, may stand in place of an acknowledged one only if that one is in
    /// the bucket: only then is it a correction. What a deletion is about that was not answered, or with 503, may be there
    /// or not.
    pub(crate) fn check(&self, prefix: usize, read: &Read) -> Result<(), String> {
        let mut keys = Keys::new();
        let mut deletions = self.deleted.iter().filter(|it| it.sent_at < prefix).peekable();
        for (number, sent) in self.sent.iter().enumerate().filter(|(_, sent)| sent.sent_at < prefix) {
            while let Some(deleted) = deletions.next_if(|it| it.after <= number) {
                deleted.apply(prefix, &mut keys);
            }
            let (must, may) = keys.entry((&sent.series, sent.t_ms)).or_default();
            match sent.answer.filter(|(at, _)| *at <= prefix).map(|(_, answer)| answer) {
                Some(Answer::Accepted) => (*must, *may) = (Some(sent.bits), Vec::new()),
                Some(Answer::Refused) => {}
                Some(Answer::Unclear) | None => may.push(sent.bits),
            }
        }
        deletions.for_each(|deleted| deleted.apply(prefix, &mut keys));
        for ((series, t_ms), (must, may)) in &keys {
            let found = get(&read.all, series, *t_ms);
            let is_fine = match (must, found) {
                (Some(must), Some(found)) if *must == found => true,
                (Some(_), Some(found)) => may.contains(&found) && get(&read.in_blocks, series, *t_ms).is_some(),
                (Some(_), None) => false,
                (None, Some(found)) => may.contains(&found),
                (None, None) => true,
            };
            if !is_fine {
                let place = |content: &Content| get(content, series, *t_ms);
                return Err(format!(
                    "{series} at {t_ms}: acknowledged {must:x?}, possible {may:x?}, found {found:x?} (blocks {:x?}, parts \
                     {:x?}, head {:x?})",
                    place(&read.in_blocks),
                    place(&read.in_parts),
                    place(&read.in_head),
                ));
            }
        }
        let stray = |series: &str, t_ms: &i64| !keys.contains_key(&(series, *t_ms));
        match read.all.iter().flat_map(|(s, samples)| samples.keys().map(move |t| (s, t))).find(|(s, t)| stray(s, t)) {
            Some((series, t_ms)) => Err(format!("{series} at {t_ms} was never sent")),
            None => Ok(()),
        }
    }
}
