//! One pass over a segment: checks every frame and remembers what replay must know beforehand.

use crate::frame::Kind;
use crate::page::{file_length, file_position};
use crate::reader::{FrameReader, SegmentFile, Step};
use crate::{Damage, DamageReason, LogError, Offset, deletions, refusals};

/// What a segment turned out to hold.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The offset of the first frame that has one.
    pub(crate) first: Option<Offset>,
    /// The offset behind the last one seen.
    pub(crate) next: Offset,
    /// Where definition frames start, in the stream.
    pub(crate) definitions: Vec<u64>,
    /// Payloads of refusal frames, with the offsets of the batches they speak of.
    pub(crate) refusals: Vec<(Offset, Box<[u8]>)>,
    /// What does not check out, in the order of the file.
    pub(crate) damage: Vec<Damage>,
    /// Whether the last damage has no frame behind it, so that only the next segment tells how much it cost.
    pub(crate) ends_damaged: bool,
    /// The first damaged frame that no frame proves to have been durable, as a file length to cut to.
    pub(crate) torn_at: Option<u64>,
}

/// Scans the first `end_bytes` of a segment whose offsets begin at `base`.
pub(crate) fn scan(segment: &SegmentFile, end_bytes: u64, base: Offset) -> Result<Scan, LogError> {
    let mut reader = FrameReader::new(segment.clone(), end_bytes);
    let mut scan = Scan {
        first: None,
        next: base,
        definitions: Vec::new(),
        refusals: Vec::new(),
        damage: Vec::new(),
        ends_damaged: false,
        torn_at: None,
    };
    let (mut bad_frames, mut durable_end) = (Vec::new(), 0);
    loop {
        match reader.next()? {
            Step::Frame { at, kind, head } => {
                durable_end = durable_end.max(head.durable_end);
                // A seal and definitions carry the offset of the last frame before them.
                scan.arrive(if kind.is_counted() { head.offset } else { head.offset + 1 });
                if kind.is_counted() {
                    scan.first.get_or_insert(head.offset);
                    scan.next = head.offset + 1;
                }
                match kind {
                    Kind::Series => scan.definitions.push(at),
                    Kind::Refusals => match refusals::decode(reader.payload()) {
                        Some(decoded) => scan.refusals.push((decoded.batch, reader.payload().into())),
                        None => scan.report(segment, at, DamageReason::FrameContent, 1),
                    },
                    Kind::Deletion if deletions::decode(reader.payload()).is_none() => {
                        scan.report(segment, at, DamageReason::FrameContent, 1);
                    }
                    Kind::Samples | Kind::Mixed | Kind::Exemplars | Kind::Deletion | Kind::Seal => {}
                }
            }
            Step::Bad { at, reason, head } => {
                bad_frames.push(at);
                let mut lost = 0;
                if let Some(head) = head {
                    durable_end = durable_end.max(head.durable_end);
                    if Kind::from_byte(head.kind).is_some_and(Kind::is_counted) {
                        scan.arrive(head.offset);
                        (scan.next, lost) = (head.offset + 1, 1);
                    }
                }
                scan.report(segment, at, reason, lost);
                scan.ends_damaged = head.is_none();
            }
            Step::End => break,
        }
    }
    for at_bytes in reader.bad_pages()? {
        let reason = DamageReason::PageHeader;
        scan.damage.push(Damage { segment: segment.number, at_bytes, reason, frames_lost: 0 });
    }
    scan.damage.sort_by_key(|damage| damage.at_bytes);
    scan.torn_at = bad_frames.into_iter().find(|at| file_position(*at) >= durable_end).map(file_length);
    Ok(scan)
}

impl Scan {
    /// Notes that the frame that comes now has `offset`: what is missing before it was lost in the damage before it.
    fn arrive(&mut self, offset: Offset) {
        if let Some(damage) = self.damage.last_mut().filter(|_| self.ends_damaged) {
            damage.frames_lost += offset.saturating_sub(self.next);
        }
        self.next = self.next.max(offset);
        self.ends_damaged = false;
    }

    fn report(&mut self, segment: &SegmentFile, at: u64, reason: DamageReason, frames_lost: u64) {
        self.damage.push(Damage { segment: segment.number, at_bytes: file_position(at), reason, frames_lost });
    }
}
