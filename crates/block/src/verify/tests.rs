//! Every damaged byte and every cut of a block is found, by the verifier and before a reader sees it.

use super::*;
use crate::testing::{Content, MemoryFiles, any_series, content, fleet, series, write_block};
use crate::{Block, Dump};
use longhaul_chunk::SeriesChunks;
use longhaul_model::Matcher;
use longhaul_testkit::measurements::{KINDS, measurement};
use std::sync::Arc;

fn small_block() -> (MemoryFiles, BlockMeta, Content) {
    let dir = tempfile::tempdir().unwrap();
    let mut all = fleet(2, 3, 2);
    let samples: Vec<_> = (0..KINDS).flat_map(|kind| (0..2).map(move |i| (kind, i))).collect();
    let samples: Vec<_> = samples.iter().zip(0..).map(|((kind, i), t_ms)| measurement(t_ms, *kind, *i)).collect();
    all.push(any_series(Labels::from_pairs([("of", "all kinds")]), &samples, 1));
    all.push(series(&[("ünï", "cødé")], &[&[(5, f64::NAN), (6, 1.0)]]));
    let meta = write_block(dir.path(), &all);
    (MemoryFiles::load(dir.path()), meta, content(all))
}

fn with(files: &MemoryFiles, file: BlockFile, bytes: Vec<u8>) -> MemoryFiles {
    let mut files = MemoryFiles { files: files.files.clone(), ..MemoryFiles::default() };
    files.files.insert(file, bytes.into());
    files
}

fn read_all(files: &Arc<MemoryFiles>, meta: &BlockMeta) -> [Option<Content>; 3] {
    let dump = || -> Result<Content> {
        let all = Dump::new(&**files)?.collect::<Result<Vec<_>>>()?;
        let chunks = |s: crate::DumpSeries| s.chunks.into_iter().map(|chunk| chunk.chunk).collect();
        Ok(content(all.into_iter().map(|s| SeriesChunks { labels: s.labels.clone(), chunks: chunks(s) })))
    };
    let select = |block: Block| -> Result<Content> {
        block.label_values("job", &[Matcher::equal("zone", "z1")])?;
        block.label_names(&[])?;
        Ok(content(block.select(&[], TimeRange::ALL)?.into_series().collect::<Result<Vec<_>>>()?))
    };
    let (files, meta) = (files.clone(), meta.clone());
    [
        dump().ok(),
        Block::open(files.clone(), meta.clone()).and_then(select).ok(),
        Block::open_from_index(files.clone(), meta).and_then(select).ok(),
    ]
}

/// I-BLOCK-1
#[test]
fn every_damaged_byte_is_found_and_none_reaches_a_reader() {
    let (files, meta, expected) = small_block();
    verify(&files, &meta).unwrap().sound().unwrap();
    let mut unlisted = meta.clone();
    unlisted.thanos = None;
    for (file, bytes) in files.files.iter().filter(|(file, _)| **file != BlockFile::Meta) {
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1 << (at % 8);
            let damaged = Arc::new(with(&files, *file, damaged));
            assert!(!verify(&*damaged, &meta).unwrap().problems.is_empty(), "{file} byte {at}");
            for (way, read) in read_all(&damaged, &meta).into_iter().enumerate() {
                assert!(read.is_none_or(|read| read == expected), "{file} byte {at} changes what way {way} reads");
            }
            // Without digests only bytes that mean nothing may go unnoticed: padding, and what no reader looks at.
            if verify(&*damaged, &unlisted).unwrap().problems.is_empty() {
                assert!(bytes[at] == 0 && *file == BlockFile::Index, "{file} byte {at} goes unnoticed");
            }
        }
    }
}

#[test]
fn every_cut_is_found() {
    let (files, meta, _) = small_block();
    let mut unlisted = meta.clone();
    unlisted.thanos = None;
    for (file, bytes) in files.files.iter().filter(|(file, _)| **file != BlockFile::Meta) {
        for length in (0..bytes.len()).step_by(7) {
            let cut = Arc::new(with(&files, *file, bytes[..length].to_vec()));
            assert!(!verify(&*cut, &unlisted).unwrap().problems.is_empty(), "{file} cut at {length}");
            read_all(&cut, &unlisted);
        }
        let grown = with(&files, *file, [bytes, &[0][..]].concat());
        assert!(!verify(&grown, &unlisted).unwrap().problems.is_empty(), "{file} with a byte more");
        let mut fewer = with(&files, *file, Vec::new());
        fewer.files.remove(file);
        let optional = [BlockFile::Lookup, BlockFile::Tombstones].contains(file);
        assert_eq!(verify(&fewer, &unlisted).unwrap().problems.is_empty(), optional, "{file} missing");
        assert!(!verify(&fewer, &meta).unwrap().problems.is_empty(), "{file} missing and listed");
    }
}

#[test]
fn a_damaged_meta_is_no_danger() {
    let (files, _, _) = small_block();
    let json = files.files[&BlockFile::Meta].clone();
    for at in 0..json.len() {
        let mut damaged = json.to_vec();
        damaged[at] ^= 1 << (at % 7);
        if let Ok(meta) = BlockMeta::parse(&damaged) {
            let files = Arc::new(with(&files, BlockFile::Meta, damaged));
            if at % 16 == 0 {
                verify(&*files, &meta).unwrap();
            }
            _ = Block::open(files, meta).and_then(|block| block.label_names(&[]));
        }
    }
}

#[test]
fn meta_must_tell_the_truth() {
    let (files, meta, _) = small_block();
    let spoil: [fn(&mut BlockMeta); 6] = [
        |meta| meta.stats.num_series += 1,
        |meta| meta.stats.num_samples -= 1,
        |meta| meta.stats.num_tombstones = 1,
        |meta| meta.end_ms -= 1,
        |meta| meta.longhaul.as_mut().unwrap().content_hash = ContentHash(1),
        |meta| meta.longhaul.as_mut().unwrap().lookup_footer_bytes += 1,
    ];
    for spoil in spoil {
        let mut meta = meta.clone();
        spoil(&mut meta);
        let report = verify(&files, &meta).unwrap();
        assert!(!report.problems.is_empty());
        assert!(report.sound().unwrap_err().is_corrupt());
    }
}
