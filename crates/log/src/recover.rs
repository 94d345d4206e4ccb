//! From a directory to a log that can be replayed and appended to: what a crash left is checked and repaired here.
//!
//! Every segment is read once: all checksums, where definitions stand, what was refused. Three things can be wrong with
//! one, and they are never mixed up. Beyond the end that its successor notes lies what failed and was never
//! acknowledged: it counts for nothing. The last segment may end in a torn tail: the first damage that no later frame
//! proves to have been durable; it is cut off. All other damage is damage: reported, the file kept aside, read on.
//!
//! A recovered segment is never appended to (**I-LOG-3**); the next frame begins a new one.

use crate::reader::SegmentFile;
use crate::scan::scan;
use crate::segment::{self, HeaderCheck, SEGMENT_HEADER_BYTES, Seed, SegmentHeader, SegmentList};
use crate::{
    Batch, Damage, DamageReason, Deliver, LocalLog, LogError, LogSettings, Offset, Refused, Replay, SegmentInfo,
    Writer, aside, id_file,
};
use longhaul_disk::{Fs, ReadAt};
use longhaul_model::LogId;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A checked and repaired log, not yet appended to.
#[derive(Debug)]
pub struct Opened {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    settings: LogSettings,
    log_id: LogId,
    segments: Arc<Vec<ReadySegment>>,
    damage: Vec<Damage>,
    torn_tail: Option<TornTail>,
    refused: Arc<Refused>,
    end: Offset,
    leftovers: Vec<PathBuf>,
    last_number: u64,
}

/// The unfinished end of the last segment, which was cut off: nothing in it had been acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's number.
    pub segment: u64,
    /// Where it was cut, bytes from the start of the segment.
    pub at_bytes: u64,
    /// How much was cut off.
    pub size_bytes: u64,
}

/// What the segments turned out to hold.
#[derive(Debug, Default)]
struct Found {
    segments: Vec<ReadySegment>,
    damage: Vec<Damage>,
    torn_tail: Option<TornTail>,
    refused: Refused,
    /// The last offset that is known to have been given out.
    end: Offset,
    /// Files that count for nothing; removed once a newer segment exists.
    leftovers: Vec<PathBuf>,
}

/// A checked segment, ready to be replayed.
#[derive(Clone, Debug)]
pub(crate) struct ReadySegment {
    pub(crate) segment: SegmentFile,
    pub(crate) base: Offset,
    pub(crate) end: Offset,
    /// How much of the file counts.
    pub(crate) end_bytes: u64,
    /// Where definition frames start (positions in the stream).
    pub(crate) definitions: Vec<u64>,
}

/// Opens the log in `dir`, creating it with the id `new_log_id` if there is none. The caller holds the lock on the data
/// directory. Reads and checks every frame once, cuts a torn tail off, and keeps damaged segments aside.
pub fn open(fs: Arc<dyn Fs>, dir: PathBuf, settings: LogSettings, new_log_id: LogId) -> Result<Opened, LogError> {
    fs.create_dir_all(&dir).map_err(LogError::io("create", &dir))?;
    let parent = dir.parent().unwrap_or(Path::new("."));
    fs.sync_dir(parent).map_err(LogError::io("sync", parent))?;
    // A process that was killed may have left names that are visible and not yet durable.
    fs.sync_dir(&dir).map_err(LogError::io("sync", &dir))?;
    let entries = fs.list(&dir).map_err(LogError::io("list", &dir))?;
    let mut candidates = Vec::new();
    for number in entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| segment::file_number(&entry.name)) {
        candidates.push(Candidate::open(&*fs, dir.join(segment::file_name(number)), number)?);
    }
    let last_number = candidates.last().map_or(0, |candidate| candidate.number);
    let known = candidates.iter().find_map(|candidate| Some(candidate.header?.log_id));
    let (log_id, id_damaged) = id_file::read_or_create(&*fs, &dir, known, !candidates.is_empty(), new_log_id)?;
    let mut recovery = Recovery { fs: &*fs, dir: &dir, log_id, found: Found::default(), open_damage: None };
    if id_damaged {
        recovery.report(0, 0, DamageReason::LogId);
    }
    let found = recovery.run(candidates)?;
    for damage in &found.damage {
        tracing::error!(segment = damage.segment, at_bytes = damage.at_bytes, reason = ?damage.reason,
            frames_lost = damage.frames_lost, "the log is damaged");
    }
    let Found { segments, damage, torn_tail, refused, end, leftovers } = found;
    let (segments, refused) = (Arc::new(segments), Arc::new(refused));
    Ok(Opened { fs, dir, settings, log_id, segments, damage, torn_tail, refused, end, leftovers, last_number })
}

impl Opened {
    /// The log's id.
    pub fn log_id(&self) -> LogId {
        self.log_id
    }

    /// The last offset that the log has given out, as far as it can tell; 0 if none. The next frame gets a larger one.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// Makes the next frame get an offset beyond `offset`, as if the log had given out that one. A new log that follows
    /// on a lost one so keeps later offsets higher than earlier ones, whichever log they are of.
    pub fn continue_after(&mut self, offset: Offset) {
        self.end = self.end.max(offset);
    }

    /// Damage found, oldest segment first. Found again at every start until the segment is released.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// The torn tail that was cut off, if there was one.
    pub fn torn_tail(&self) -> Option<TornTail> {
        self.torn_tail
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.segments.iter().map(ReadySegment::info).collect()
    }

    /// Every refusal in the log, known before the first batch is replayed.
    pub fn refused(&self) -> Arc<Refused> {
        Arc::clone(&self.refused)
    }

    /// The log's records from the oldest one on. Reads one frame at a time, and knows one segment's definitions. May be
    /// called again, and goes on while the log is appended to or released (the files it reads stay open).
    pub fn replay(&self) -> Replay {
        Replay::new(Arc::clone(&self.segments))
    }

    /// Spawns the writer thread. `deliver` runs on it.
    pub fn start<B: Batch, M: Send + 'static>(self, deliver: Deliver<B, M>) -> LocalLog<B, M> {
        let settings = self.settings.clone();
        LocalLog::start(self.into_writer(), &settings, deliver)
    }

    /// The synchronous core without a thread, for tests and simulations.
    pub fn into_writer<B: Batch, M>(self) -> Writer<B, M> {
        let previous = self.segments.last().map(|last| (last.segment.number, last.end_bytes));
        let list = SegmentList::new(self.fs, self.dir, self.segments.iter().map(ReadySegment::info).collect());
        Writer::new(Arc::new(list), self.settings, self.log_id, self.last_number, previous, self.end, self.leftovers)
    }
}

impl ReadySegment {
    fn info(&self) -> SegmentInfo {
        SegmentInfo { number: self.segment.number, base: self.base, end: self.end, size_bytes: self.segment.size_bytes }
    }
}

/// A segment file whose header was looked at.
#[derive(Debug)]
struct Candidate {
    number: u64,
    path: PathBuf,
    file: Arc<dyn ReadAt>,
    size_bytes: u64,
    header: Option<SegmentHeader>,
}

impl Candidate {
    fn open(fs: &dyn Fs, path: PathBuf, number: u64) -> Result<Self, LogError> {
        let file = fs.open(&path).map_err(LogError::io("open", &path))?;
        let size_bytes = file.len().map_err(LogError::io("read", &path))?;
        let mut bytes = vec![0; SEGMENT_HEADER_BYTES.min(size_bytes) as usize];
        file.read_exact_at(&mut bytes, 0).map_err(LogError::io("read", &path))?;
        let header = match SegmentHeader::decode(&bytes) {
            HeaderCheck::Good(header) if header.number != number => {
                return Err(LogError::Foreign { path, reason: format!("it is segment {} of a log", header.number) });
            }
            HeaderCheck::Good(header) => Some(header),
            HeaderCheck::UnknownVersion(found) => {
                return Err(LogError::Unknown { path, what: "version", found, at_bytes: 4 });
            }
            HeaderCheck::Bad => None,
        };
        Ok(Self { number, path, file, size_bytes, header })
    }
}

/// How a segment's end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is the last one.
    Open,
    /// Its successor says where it was left, bytes.
    Known(u64),
    /// Its successor is damaged or missing.
    Unknown,
    /// Nothing in it was ever acknowledged: its successor continues an older one, or it did not get as far as having a
    /// header (no frame is written before that is durable).
    Nothing,
}

/// What each segment's successors say about it; and the segment missing right before it, if there is one.
fn ends(candidates: &[Candidate]) -> Vec<(End, Option<u64>)> {
    let mut known = Vec::with_capacity(candidates.len());
    let (mut successor, mut last) = (None::<Option<SegmentHeader>>, 0);
    for candidate in candidates.iter().rev() {
        let unborn = candidate.header.is_none() && candidate.size_bytes <= SEGMENT_HEADER_BYTES;
        let end = match successor {
            None if unborn => End::Nothing,
            None => End::Open,
            Some(Some(header)) if header.previous < candidate.number => End::Nothing,
            Some(Some(header)) if header.previous == candidate.number => End::Known(header.previous_end),
            Some(Some(header)) => {
                let (_, missing): &mut (End, Option<u64>) = &mut known[last];
                *missing = Some(header.previous);
                End::Unknown
            }
            Some(None) => End::Unknown,
        };
        if end != End::Nothing {
            successor = Some(candidate.header);
            last = known.len();
        }
        known.push((end, None));
    }
    known.reverse();
    known
}

/// A walk over all segments, oldest first.
struct Recovery<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    log_id: LogId,
    found: Found,
    /// Damage at the very end of a segment: how much it cost is known once the next segment's base is.
    open_damage: Option<usize>,
}

impl Recovery<'_> {
    fn run(mut self, candidates: Vec<Candidate>) -> Result<Found, LogError> {
        let ends = ends(&candidates);
        for (candidate, (end, missing)) in candidates.into_iter().zip(ends) {
            if let Some(header) = candidate.header.filter(|header| header.log_id != self.log_id) {
                let reason = format!("it is of log {}, this is log {}", header.log_id, self.log_id);
                return Err(LogError::Foreign { path: candidate.path, reason });
            }
            if let Some(number) = missing {
                self.report(number, 0, DamageReason::Missing);
                self.open_damage = Some(self.found.damage.len() - 1);
            }
            match end {
                End::Nothing => self.found.leftovers.push(candidate.path),
                _ => self.segment(candidate, end)?,
            }
        }
        Ok(self.found)
    }

    fn report(&mut self, segment: u64, at_bytes: u64, reason: DamageReason) {
        self.found.damage.push(Damage { segment, at_bytes, reason, frames_lost: 0 });
    }

    fn segment(&mut self, candidate: Candidate, end: End) -> Result<(), LogError> {
        let Candidate { number, path, file, size_bytes, header } = candidate;
        let seed = Seed::new(self.log_id, number);
        let mut segment = SegmentFile { number, path, file, size_bytes, seed };
        let base = header.map_or(self.found.end + 1, |header| header.base);
        if let Some(damage) = self.open_damage.take() {
            self.found.damage[damage].frames_lost += (base - 1).saturating_sub(self.found.end);
        }
        let mut end_bytes = match end {
            End::Known(end_bytes) => end_bytes.min(size_bytes),
            _ => size_bytes,
        };
        let mut scan = scan(&segment, end_bytes, base)?;
        let torn_at = scan.torn_at.filter(|_| end == End::Open);
        let short = matches!(end, End::Known(known) if size_bytes < known);
        let damaged = scan.damage.iter().any(|damage| torn_at.is_none_or(|torn_at| damage.at_bytes < torn_at));
        if damaged || short || header.is_none() {
            aside::keep(self.fs, self.dir, &segment);
        }
        if let Some(torn_at) = torn_at {
            let torn = TornTail { segment: number, at_bytes: torn_at, size_bytes: size_bytes - torn_at };
            tracing::warn!(?torn, "the log's torn tail is cut off; nothing in it had been acknowledged");
            self.found.torn_tail = Some(torn);
            end_bytes = torn_at;
        }
        if end == End::Open {
            // Also where nothing is torn: what a killed process wrote may be readable and not yet durable.
            self.fs.truncate(&segment.path, end_bytes).map_err(LogError::io("cut", &segment.path))?;
            segment.size_bytes = end_bytes;
        }
        if torn_at.is_some() {
            scan = self::scan(&segment, end_bytes, base)?;
        }
        if header.is_none() {
            self.report(number, 0, DamageReason::SegmentHeader);
        }
        self.found.damage.append(&mut scan.damage);
        if short {
            self.report(number, size_bytes, DamageReason::Short);
        }
        self.open_damage = (scan.ends_damaged || short).then(|| self.found.damage.len() - 1);
        for (batch, payload) in scan.refusals {
            self.found.refused.add(batch, payload);
        }
        let base = if header.is_some() { base } else { scan.first.unwrap_or(base) };
        let end = scan.next.max(base) - 1;
        self.found.end = self.found.end.max(end);
        self.found.segments.push(ReadySegment { segment, base, end, end_bytes, definitions: scan.definitions });
        Ok(())
    }
}
