//! A small world of series, batches over it, and a log over a simulated disk.

use crate::reader::{FrameReader, SegmentFile, Step};
use crate::segment::Seed;
use crate::*;
use longhaul_disk::Fs;
use longhaul_model::{Labels, LogId, MatchOp, Matcher, TimeRange};
use longhaul_testkit::sim_fs::SimFs;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

pub(crate) const DIR: &str = "/data/log";
pub(crate) const LOG_ID: LogId = LogId::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);

/// All series and symbols there are, numbered as a process would.
#[derive(Debug)]
pub(crate) struct World {
    tenants: Vec<TenantId>,
    symbols: Vec<Vec<Arc<str>>>,
    /// Tenant and pairs of each series.
    series: Vec<(usize, Vec<(u32, u32)>)>,
}

impl World {
    /// `counts[i]` series for tenant `i`, numbered in turns.
    pub(crate) fn new(counts: &[usize]) -> Arc<Self> {
        let tenants = (0..counts.len()).map(|tenant| TenantId::parse(&format!("tenant-{tenant}")).unwrap()).collect();
        let mut world = Self { tenants, symbols: vec![Vec::new(); counts.len()], series: Vec::new() };
        let mut numbers = vec![BTreeMap::<String, u32>::new(); counts.len()];
        for i in 0..counts.iter().copied().max().unwrap_or(0) {
            for tenant in (0..counts.len()).filter(|tenant| i < counts[*tenant]) {
                let pairs = [
                    ("__name__", format!("metric_{}_total", i % 7)),
                    ("instance", format!("10.0.{}.{}:9100", i / 250, i % 250)),
                    ("job", "node".to_owned()),
                ];
                let mut symbol = |text: &str| {
                    let next = numbers[tenant].len() as u32;
                    *numbers[tenant].entry(text.to_owned()).or_insert_with(|| {
                        world.symbols[tenant].push(Arc::from(text));
                        next
                    })
                };
                let pairs = pairs.iter().map(|(name, value)| (symbol(name), symbol(value))).collect();
                world.series.push((tenant, pairs));
            }
        }
        Arc::new(world)
    }

    /// One tenant without series: for tests that lay batches and do not define anything.
    pub(crate) fn shared() -> Arc<Self> {
        Self::new(&[0])
    }

    pub(crate) fn tenant_of(&self, series: u32) -> usize {
        self.series[series as usize].0
    }

    pub(crate) fn labels(&self, series: u32) -> Labels {
        let (tenant, pairs) = &self.series[series as usize];
        let text = |symbol: &u32| &*self.symbols[*tenant][*symbol as usize];
        Labels::from_pairs(pairs.iter().map(|(name, value)| (text(name), text(value))))
    }

    pub(crate) fn batch(self: &Arc<Self>, entries: Vec<(u32, Vec<Sample>)>) -> TestBatch {
        let tenant = entries.first().map_or(0, |entry| self.tenant_of(entry.0));
        let others = vec![Vec::new(); entries.len()];
        let exemplars = vec![Vec::new(); entries.len()];
        TestBatch { world: Arc::clone(self), tenant, entries, others, exemplars }
    }

    /// [`Self::batch`] with other samples beside the floats: of entry n those of number n of `others`.
    pub(crate) fn mixed(
        self: &Arc<Self>,
        entries: Vec<(u32, Vec<Sample>)>,
        mut others: Vec<Vec<Measurement>>,
    ) -> TestBatch {
        others.resize(entries.len(), Vec::new());
        TestBatch { others, ..self.batch(entries) }
    }

    /// A batch of one sample each for `series`, all at `t_ms`.
    pub(crate) fn scrape(self: &Arc<Self>, series: Range<u32>, t_ms: i64) -> TestBatch {
        let value = |series: u32| (t_ms + i64::from(series)) as f64 / 4.0;
        self.batch(series.map(|series| (series, vec![Sample::new(t_ms, value(series))])).collect())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct TestBatch {
    pub(crate) world: Arc<World>,
    pub(crate) tenant: usize,
    pub(crate) entries: Vec<(u32, Vec<Sample>)>,
    pub(crate) others: Vec<Vec<Measurement>>,
    pub(crate) exemplars: Vec<Vec<Exemplar>>,
}

impl TestBatch {
    /// The same with exemplars: of entry n those of number n.
    pub(crate) fn with_exemplars(self, mut exemplars: Vec<Vec<Exemplar>>) -> Self {
        exemplars.resize(self.entries.len(), Vec::new());
        Self { exemplars, ..self }
    }
}

impl Batch for TestBatch {
    fn tenant(&self) -> &TenantId {
        &self.world.tenants[self.tenant]
    }

    fn tenant_number(&self) -> u32 {
        self.tenant as u32
    }

    fn entries(&self) -> usize {
        self.entries.len()
    }

    fn series_number(&self, entry: usize) -> u32 {
        self.entries[entry].0
    }

    fn label_symbols(&self, entry: usize, out: &mut Vec<(u32, u32)>) {
        out.extend_from_slice(&self.world.series[self.entries[entry].0 as usize].1);
    }

    fn symbol(&self, symbol: u32) -> Arc<str> {
        Arc::clone(&self.world.symbols[self.tenant][symbol as usize])
    }

    fn samples(&self, entry: usize) -> &[Sample] {
        &self.entries[entry].1
    }

    fn is_mixed(&self) -> bool {
        self.others.iter().any(|others| !others.is_empty())
    }

    fn others(&self, entry: usize) -> &[Measurement] {
        &self.others[entry]
    }

    fn has_exemplars(&self) -> bool {
        self.exemplars.iter().any(|exemplars| !exemplars.is_empty())
    }

    fn exemplars(&self, entry: usize) -> &[Exemplar] {
        &self.exemplars[entry]
    }
}

/// A record in a form that can be compared: (tenant, entries with labels and the bits of their samples).
pub(crate) type Plain = (String, Vec<PlainEntry>);
type PlainEntry = (u32, Labels, Vec<(i64, u64)>);

fn bits(samples: &[Sample], others: &[Measurement], exemplars: &[Exemplar]) -> Vec<(i64, u64)> {
    let floats = samples.iter().map(|sample| (sample.t_ms, sample.value.to_bits()));
    let others = others.iter().flat_map(|sample| {
        let mut canonical = Vec::new();
        sample.value.canonical(&mut canonical);
        [(sample.t_ms, sample.start_ms as u64), (canonical.len() as i64, crc32c::crc32c(&canonical).into())]
    });
    let exemplars = exemplars.iter().flat_map(|it| {
        let labels = it.labels.to_string();
        [(it.t_ms, it.value.to_bits()), (labels.len() as i64, crc32c::crc32c(labels.as_bytes()).into())]
    });
    floats.chain(others).chain(exemplars).collect()
}

pub(crate) fn plain(batch: &TestBatch) -> Plain {
    let entries = batch.entries.iter().zip(&batch.others).zip(&batch.exemplars).enumerate();
    let entries = entries.map(|(entry, (((series, samples), others), exemplars))| {
        (entry as u32, batch.world.labels(*series), bits(samples, others, exemplars))
    });
    (batch.tenant().to_string(), entries.collect())
}

/// What the log gives back, by offset; refusals and deletions as entries that no batch has.
pub(crate) fn replayed(opened: &Opened) -> BTreeMap<Offset, Plain> {
    let mut all = BTreeMap::new();
    for record in opened.replay() {
        let record = record.unwrap();
        let plain = match record.kind {
            RecordKind::Samples(series) => {
                let entry =
                    |it: &ReplaySeries| (it.entry, it.labels.clone(), bits(&it.samples, &it.others, &it.exemplars));
                series.iter().map(entry).collect()
            }
            RecordKind::Refusals { batch, samples } => {
                assert!(samples.iter().all(|refused| opened.refused().of(batch).contains(refused)));
                plain_refusals(batch, &samples)
            }
            RecordKind::Deletion(deletion) => plain_deletion(&deletion),
        };
        assert!(all.last_key_value().is_none_or(|(last, _)| *last < record.offset), "offsets rise");
        all.insert(record.offset, (record.tenant.to_string(), plain));
    }
    all
}

pub(crate) fn plain_refusals(batch: Offset, samples: &[(u32, u32)]) -> Vec<PlainEntry> {
    let refused = samples.iter().map(|(entry, sample)| (i64::from(*entry), u64::from(*sample))).collect();
    vec![(batch as u32, Labels::empty(), refused)]
}

pub(crate) fn deletion(n: i64) -> Deletion {
    let (tenant, id) = (TenantId::parse("tenant-0").unwrap(), n as u128);
    let range = if n % 2 == 0 { TimeRange::ALL } else { TimeRange::new(-n, n) };
    let matchers = vec![
        Matcher::equal("__name__", format!("metric_{n}")),
        Matcher::new("job", [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual][n as usize % 3], "a|ä").unwrap(),
    ];
    Deletion { tenant, id, tombstone: Tombstone { matchers, range }, since_ms: n }
}

pub(crate) fn plain_deletion(deletion: &Deletion) -> Vec<PlainEntry> {
    let Deletion { id, tombstone: Tombstone { matchers, range }, since_ms, .. } = deletion;
    let selector = matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(",");
    let numbers = vec![(range.start_ms, range.end_ms as u64), (*since_ms, *id as u64)];
    vec![(0, Labels::from_pairs([("deleted", selector.as_str())]), numbers)]
}

pub(crate) fn settings() -> LogSettings {
    LogSettings::default()
}

pub(crate) fn small_segments(segment_size_bytes: u64) -> LogSettings {
    LogSettings { segment_size_bytes, segment_size_bytes_max: segment_size_bytes, ..settings() }
}

pub(crate) fn new_disk() -> SimFs {
    let fs = SimFs::new();
    fs.create_dir_all(Path::new("/data")).unwrap();
    fs.fork() // the data directory is there, durably, before there is a log
}

pub(crate) fn try_open(fs: &SimFs, settings: LogSettings) -> Result<Opened, LogError> {
    open(Arc::new(fs.clone()), DIR.into(), settings, LOG_ID)
}

pub(crate) fn open_log(fs: &SimFs, settings: LogSettings) -> Opened {
    try_open(fs, settings).unwrap()
}

pub(crate) fn open_writer(fs: &SimFs, settings: LogSettings) -> Writer<TestBatch, u32> {
    open_log(fs, settings).into_writer()
}

pub(crate) fn commit(
    writer: &mut Writer<TestBatch, u32>,
    mut appends: Vec<Append<TestBatch, u32>>,
) -> Vec<Delivery<TestBatch, u32>> {
    let mut deliveries = Vec::new();
    writer.commit(&mut appends, &mut |delivery| deliveries.push(delivery));
    assert!(appends.is_empty());
    deliveries
}

/// Commits one batch by itself; its offset, or `None` if it failed.
pub(crate) fn commit_batch(writer: &mut Writer<TestBatch, u32>, batch: TestBatch) -> Option<Offset> {
    match commit(writer, vec![Append::Batch(batch)]).pop() {
        Some(Delivery::Batch { offset, .. }) => Some(offset),
        Some(Delivery::Failed { .. }) => None,
        other => panic!("unexpected delivery: {other:?}"),
    }
}

pub(crate) fn segment_path(number: u64) -> PathBuf {
    Path::new(DIR).join(segment::file_name(number))
}

/// A frame of a good segment and the bytes of the file that are its (page headers between them left out).
#[derive(Debug)]
pub(crate) struct FramePlace {
    pub(crate) kind: frame::Kind,
    pub(crate) offset: Offset,
    pub(crate) at: u64,
    pub(crate) stream_bytes: u64,
}

impl FramePlace {
    /// Positions in the file of the frame's bytes.
    pub(crate) fn positions(&self) -> impl Iterator<Item = u64> {
        (self.at..self.at + self.stream_bytes).map(page::file_position)
    }
}

pub(crate) fn frames(fs: &SimFs, number: u64) -> Vec<FramePlace> {
    let path = segment_path(number);
    let file = fs.open(&path).unwrap();
    let size_bytes = file.len().unwrap();
    let segment = SegmentFile { number, path, file, size_bytes, seed: Seed::new(LOG_ID, number) };
    let mut reader = FrameReader::new(segment, size_bytes);
    let mut frames = Vec::new();
    loop {
        match reader.next().unwrap() {
            Step::Frame { at, kind, head } => {
                let stream_bytes = frame::HEAD_BYTES as u64 + u64::from(head.length);
                frames.push(FramePlace { kind, offset: head.offset, at, stream_bytes });
            }
            Step::Bad { at, .. } => panic!("damage at {at} of a segment that should be good"),
            Step::End => return frames,
        }
    }
}
