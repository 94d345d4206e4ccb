//! Who was told what, and when: the oracle for what may be read after a crash.

use super::site::{Content, Read, get};
use longhaul_model::Sample;
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

/// All that was sent to one tenant, one request after the other.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: Vec<Sent>,
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

    pub(crate) fn all(&self) -> &[Sent] {
        &self.sent
    }

    pub(crate) fn knows(&self, series: &str, t_ms: i64) -> bool {
        self.sent.iter().any(|it| it.t_ms == t_ms && it.series == series)
    }

    /// Acknowledged ⊆ readable ⊆ sent, to the bit, for a crash after `prefix` operations; says what is wrong.
    ///
    /// A value that was never answered, or with 503, may stand in place of an acknowledged one only if that one is in
    /// the bucket: only then is it a correction.
    pub(crate) fn check(&self, prefix: usize, read: &Read) -> Result<(), String> {
        type Acknowledged = Option<u64>;
        type Possible = Vec<u64>;
        let mut keys: BTreeMap<(&str, i64), (Acknowledged, Possible)> = BTreeMap::new();
        for sent in self.sent.iter().filter(|sent| sent.sent_at < prefix) {
            let (must, may) = keys.entry((&sent.series, sent.t_ms)).or_default();
            match sent.answer.filter(|(at, _)| *at <= prefix).map(|(_, answer)| answer) {
                Some(Answer::Accepted) => (*must, *may) = (Some(sent.bits), Vec::new()),
                Some(Answer::Refused) => {}
                Some(Answer::Unclear) | None => may.push(sent.bits),
            }
        }
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
