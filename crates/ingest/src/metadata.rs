//! What senders say of metric families: kind, help and unit, tenant by tenant.
//!
//! Senders repeat it by the minute, with every request even, so it is kept apart from the log: in memory, and in a file a
//! tenant that is written anew some seconds after something has changed (docs/formats/metadata.md). It is bounded, and what
//! does not fit or cannot be read is left out: it never costs a sample.

use longhaul_disk::{Fs, write_atomically};
use longhaul_model::{MetadataEntry, MetricKind, TenantId, WriteBatch};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};

/// Different things that senders say of one family: more than there are versions of a program under way at once. The oldest
/// goes when another comes.
const PER_FAMILY_MAX: usize = 4;
/// Bytes of a family's name, and of a unit, that are kept; longer ones are left out.
const NAME_BYTES_MAX: usize = 1024;
/// Bytes of a help text; longer ones are cut (Mimir's `max_metadata_length`).
const HELP_BYTES_MAX: usize = 1024;
/// Bytes of all texts of a tenant.
const TEXT_BYTES_MAX: usize = 32 << 20;
/// How long a change may wait for the disk, ms: changes come in bursts.
const SAVE_AFTER_MS: i64 = 10_000;
/// How the file of a tenant begins; a checksum follows.
const HEADER: &str = "longhaul metadata 1 ";
/// What follows a tenant's name in that of its file.
const FILE_ENDING: &str = ".metadata";

/// What is said of a metric family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FamilyMetadata {
    /// What kind of metric it is, in the words of `/api/v1/metadata`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A sentence for people.
    pub help: String,
    /// The unit.
    pub unit: String,
}

/// Families by name.
pub type Families = BTreeMap<String, Vec<FamilyMetadata>>;

/// One tenant's metadata.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    known: RwLock<Known>,
    /// Whether something is known that the file does not have.
    changed: AtomicBool,
    saved_ms: AtomicI64,
    saving: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    families: BTreeMap<Box<str>, VecDeque<Said>>,
    text_bytes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    kind: MetricKind,
    help: Box<str>,
    unit: Box<str>,
}

impl Metadata {
    /// Keeps what a request says; returns how many entries there was no room for.
    pub(crate) fn learn(&self, batch: &WriteBatch, families_max: usize) -> u64 {
        let told: Vec<_> = {
            let known = self.known.read();
            let told = batch.metadata.iter().filter_map(|entry| read(batch, entry));
            told.filter(|(family, said)| !known.has(family, said)).collect()
        };
        if told.is_empty() {
            return 0;
        }
        let mut known = self.known.write();
        let left_out = told.into_iter().filter(|(family, said)| !known.add(family, said.clone(), families_max)).count();
        self.changed.store(true, Relaxed);
        left_out as u64
    }

    /// What is known: of all families or of one, of as many as `families_max`, `per_family_max` things of each.
    pub(crate) fn families(&self, family: Option<&str>, families_max: usize, per_family_max: usize) -> Families {
        let known = self.known.read();
        let wanted = known.families.iter().filter(|(name, _)| family.is_none_or(|family| &***name == family));
        let plain = |said: &VecDeque<Said>| said.iter().take(per_family_max).map(Said::to_plain).collect();
        wanted.take(families_max).map(|(name, said)| (name.to_string(), plain(said))).collect()
    }

    /// Whether it is time to write the file anew.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.changed.load(Relaxed) && self.saved_ms.load(Relaxed).saturating_add(SAVE_AFTER_MS) <= now_ms
    }

    /// Whether the file lacks something.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed.load(Relaxed)
    }

    /// Writes the file. What fails is tried again the next time.
    pub(crate) fn save(&self, fs: &dyn Fs, path: &Path, now_ms: i64) -> io::Result<()> {
        let _saving = self.saving.lock();
        self.saved_ms.store(now_ms, Relaxed);
        self.changed.store(false, Relaxed); // before it is read: what comes meanwhile is a change
        let json = serde_json::to_string(&self.families(None, usize::MAX, usize::MAX)).map_err(io::Error::other)?;
        let file = format!("{HEADER}{:08x}\n{json}\n", crc32c::crc32c(json.as_bytes()));
        write_atomically(fs, path, file.as_bytes()).inspect_err(|_| self.changed.store(true, Relaxed))
    }

    /// Knows what a file holds; false if it is damaged.
    pub(crate) fn restore(&self, file: &[u8]) -> bool {
        let Some(read) = parse(file) else { return false };
        *self.known.write() = read;
        true
    }
}

/// The name of a tenant's file.
pub(crate) fn file_name(tenant: &TenantId) -> String {
    format!("{tenant}{FILE_ENDING}")
}

/// Whose file has this name; None for names of other files.
pub(crate) fn tenant_of(file_name: &str) -> Option<TenantId> {
    TenantId::parse(file_name.strip_suffix(FILE_ENDING)?).ok()
}

fn parse(file: &[u8]) -> Option<Known> {
    let (check, json) = std::str::from_utf8(file).ok()?.strip_prefix(HEADER)?.split_once('\n')?;
    let json = json.strip_suffix('\n')?;
    if u32::from_str_radix(check, 16).ok()? != crc32c::crc32c(json.as_bytes()) {
        return None;
    }
    let mut known = Known::default();
    for (family, all) in serde_json::from_str::<Families>(json).ok()? {
        for said in all {
            let kind = MetricKind::ALL.into_iter().find(|kind| kind.as_str() == said.kind).unwrap_or_default();
            known.add(&family, Said { kind, help: said.help.into(), unit: said.unit.into() }, usize::MAX);
        }
    }
    Some(known)
}

impl Known {
    fn has(&self, family: &str, said: &Said) -> bool {
        self.families.get(family).is_some_and(|all| all.contains(said))
    }

    /// False if there is no room.
    fn add(&mut self, family: &str, said: Said, families_max: usize) -> bool {
        let is_new = !self.families.contains_key(family);
        let size_bytes = said.size_bytes() + if is_new { family.len() } else { 0 };
        if is_new && self.families.len() >= families_max || self.text_bytes + size_bytes > TEXT_BYTES_MAX {
            return false;
        }
        let all = self.families.entry(family.into()).or_default();
        if all.contains(&said) {
            return true;
        }
        self.text_bytes += size_bytes;
        all.push_back(said);
        if all.len() > PER_FAMILY_MAX {
            self.text_bytes -= all.pop_front().map_or(0, |oldest| oldest.size_bytes());
        }
        true
    }
}

impl Said {
    fn size_bytes(&self) -> usize {
        self.help.len() + self.unit.len()
    }

    fn to_plain(&self) -> FamilyMetadata {
        FamilyMetadata { kind: self.kind.as_str().into(), help: self.help.to_string(), unit: self.unit.to_string() }
    }
}

/// What an entry says, if it can be kept.
fn read<'a>(batch: &'a WriteBatch, entry: &MetadataEntry) -> Option<(&'a str, Said)> {
    let text = |range| std::str::from_utf8(batch.bytes(range)).ok();
    let (family, help, unit) = (text(&entry.family)?, text(&entry.help)?, text(&entry.unit)?);
    let is_kept = !family.is_empty() && family.len() <= NAME_BYTES_MAX && unit.len() <= NAME_BYTES_MAX;
    let help = &help[..help.floor_char_boundary(HELP_BYTES_MAX)];
    is_kept.then(|| (family, Said { kind: entry.kind, help: help.into(), unit: unit.into() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_testkit::sim_fs::SimFs;

    fn batch(all: &[(&str, MetricKind, &str, &str)]) -> WriteBatch {
        let (mut batch, mut buffer) = (WriteBatch::default(), Vec::new());
        let mut push = |text: &str| {
            let start = buffer.len() as u32;
            buffer.extend_from_slice(text.as_bytes());
            start..buffer.len() as u32
        };
        for (family, kind, help, unit) in all {
            batch.metadata.push(MetadataEntry {
                family: push(family),
                kind: *kind,
                help: push(help),
                unit: push(unit),
            });
        }
        batch.buffer = buffer.into();
        batch
    }

    fn names(families: &Families) -> Vec<&str> {
        families.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_is_said_is_known_once_and_bounded() {
        let metadata = Metadata::default();
        let up = ("up", MetricKind::Gauge, "Whether.", "");
        assert_eq!(metadata.learn(&batch(&[up, up, ("a_total", MetricKind::Counter, "", "bytes")]), 10), 0);
        assert!(metadata.is_due(SAVE_AFTER_MS));
        let all = metadata.families(None, 10, 10);
        assert_eq!(names(&all), ["a_total", "up"]);
        let plain = FamilyMetadata { kind: "gauge".into(), help: "Whether.".into(), unit: String::new() };
        assert_eq!(all["up"], [plain]);
        assert_eq!(
            metadata.learn(&batch(&[("b", MetricKind::Unknown, "", ""), up]), 2),
            1,
            "no room for a third family"
        );
        for n in 0..9 {
            metadata.learn(&batch(&[("up", MetricKind::Gauge, &n.to_string(), "")]), 2);
        }
        let helps: Vec<_> = metadata.families(Some("up"), 10, 10)["up"].iter().map(|it| it.help.clone()).collect();
        assert_eq!(helps, ["5", "6", "7", "8"], "the newest stay");
        assert_eq!(metadata.families(Some("up"), 10, 2)["up"].len(), 2);
        assert_eq!(names(&metadata.families(None, 1, 10)), ["a_total"]);
        assert!(metadata.families(Some("u"), 10, 10).is_empty());
        let long = "ä".repeat(HELP_BYTES_MAX);
        metadata.learn(&batch(&[("up", MetricKind::Gauge, &long, ""), (&long, MetricKind::Gauge, "", "")]), 10);
        assert_eq!(metadata.families(Some("up"), 1, 10)["up"][3].help.len(), HELP_BYTES_MAX);
        assert_eq!(names(&metadata.families(None, 10, 10)), ["a_total", "up"], "a name that is too long is left out");
    }

    #[test]
    fn texts_that_are_none_are_left_out() {
        let metadata = Metadata::default();
        let mut broken = batch(&[("up", MetricKind::Gauge, "x", ""), ("", MetricKind::Gauge, "", "")]);
        broken.buffer = vec![b'u', b'p', 0xff].into();
        assert_eq!(metadata.learn(&broken, 10), 0);
        assert!(metadata.families(None, 10, 10).is_empty() && !metadata.is_changed());
    }

    #[test]
    fn what_is_saved_is_read_and_what_is_damaged_is_not() {
        let (fs, path) = (SimFs::new(), Path::new("/up"));
        let metadata = Metadata::default();
        metadata.learn(
            &batch(&[("up", MetricKind::Gauge, "\"Whether\"\nit is.", ""), ("a", MetricKind::Info, "", "s")]),
            9,
        );
        metadata.save(&fs, path, 5).unwrap();
        assert!(!metadata.is_changed());
        let bytes = Fs::read(&fs, path).unwrap();
        let read = Metadata::default();
        assert!(read.restore(&bytes));
        assert_eq!(read.families(None, 9, 9), metadata.families(None, 9, 9));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(!read.restore(&damaged), "byte {at}");
            assert!(!read.restore(&bytes[..at]), "cut at {at}");
        }
        metadata.learn(&batch(&[("b", MetricKind::Gauge, "", "")]), 9);
        assert!(!metadata.is_due(SAVE_AFTER_MS + 4) && metadata.is_due(SAVE_AFTER_MS + 5));
        metadata.save(&fs, path, 9).unwrap();
        assert!(read.restore(&Fs::read(&fs, path).unwrap()));
        assert_eq!(read.families(None, 9, 9).len(), 3);
        let tenant = TenantId::parse("a.metadata").unwrap();
        assert_eq!(tenant_of(&file_name(&tenant)), Some(tenant));
        assert_eq!(tenant_of("a.metadata.tmp"), None);
    }
}
