//! Indices that Prometheus wrote are written again, byte by byte; forged bytes end in an answer.

use super::*;
use crate::testing::{MemoryFiles, blocks_below, conformance, fleet, open_dir, seed, write_block};
use crate::{BlockFile, Dump};
use longhaul_chunk::SeriesChunks;
use longhaul_disk::RealFs;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// Chunks as Prometheus 2.53 laid them out, the same symbols (it adds the empty one), series and postings.
#[test]
fn what_prometheus_wrote_is_written_again() {
    let Some(fixtures) = conformance("fixtures/oracle-2.53.3") else { return };
    let mut compared = 0;
    for dir in blocks_below(&fixtures) {
        let (theirs, _) = open_dir(&dir);
        let whole = |series: crate::DumpSeries| SeriesChunks {
            labels: series.labels,
            chunks: series.chunks.into_iter().map(|chunk| chunk.chunk).collect(),
        };
        let ours = tempfile::tempdir().unwrap();
        let series = Dump::new(&*theirs).unwrap().map(|series| series.map(whole));
        crate::write(Arc::new(RealFs), ours.path(), seed(), series).unwrap();
        let segment = |dir: &std::path::Path| std::fs::read(dir.join("chunks/000001")).unwrap();
        assert_eq!(segment(ours.path()), segment(&dir), "{}", dir.display());
        let (ours, _) = open_dir(ours.path());
        let (ours, theirs) = (IndexReader::open(&*ours).unwrap(), IndexReader::open(&*theirs).unwrap());
        // It keeps symbols that nobody uses any more.
        let known: BTreeSet<_> = theirs.symbols().collect();
        assert!(ours.symbols().all(|symbol| known.contains(symbol)));
        let lists = |index: &IndexReader<'_>| -> Vec<_> {
            let all = index.all_series().unwrap();
            let ordinals = |list: Vec<u32>| list.iter().map(|r| all.binary_search(r).unwrap()).collect::<Vec<_>>();
            let table = index.postings_table().unwrap().into_iter();
            table.map(|entry| (entry.name, entry.value, ordinals(index.postings(entry.offset).unwrap()))).collect()
        };
        assert_eq!(lists(&ours), lists(&theirs), "{}", dir.display());
        compared += 1;
    }
    assert!(compared >= 9);
}

static BLOCK: LazyLock<MemoryFiles> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    write_block(dir.path(), &fleet(3, 20, 2));
    MemoryFiles::load(dir.path())
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Checksums protect from accidents, not from intent: an index that was made to mislead must end in an error or
    /// in an answer.
    #[test]
    fn forged_bytes_end_in_an_answer(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = BLOCK.files[&BlockFile::Index].to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for range in IndexReader::open(&*BLOCK).unwrap().sealed() {
            let sum = crc32c::crc32c(&bytes[range.clone()]).to_be_bytes();
            bytes[range.end..range.end + 4].copy_from_slice(&sum);
        }
        let mut files = MemoryFiles { files: BLOCK.files.clone(), ..MemoryFiles::default() };
        files.files.insert(BlockFile::Index, bytes.into());
        let (meta, files) = (crate::BlockMeta::parse(&files.files[&BlockFile::Meta]).unwrap(), Arc::new(files));
        _ = crate::verify(&*files, &meta).unwrap();
        _ = Dump::new(&*files).map(Iterator::count);
        if let Ok(block) = crate::Block::open_from_index(files, meta) {
            _ = block.select(&[], longhaul_model::TimeRange::ALL).map(Iterator::count);
        }
    }
}
