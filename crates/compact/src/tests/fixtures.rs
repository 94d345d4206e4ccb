//! Blocks that Prometheus wrote and compacted itself: ours of the same inputs hold the same.

use super::site::*;
use longhaul_model::{Labels, Measurement, Value};
use std::path::{Path, PathBuf};

/// The folder of facts and test data; none outside of the project's own machines.
pub(super) fn conformance(path: &str) -> Option<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance"));
    if !root.exists() {
        assert!(std::env::var_os("CI").is_none(), "{} is missing", root.display());
        println!("skipped: {} is not here", root.display());
        return None;
    }
    Some(root.join(path))
}

/// The block directories in a folder.
pub(super) fn blocks_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut blocks: Vec<PathBuf> = entries.filter(|path| path.join("meta.json").exists()).collect();
    blocks.sort();
    blocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prometheus_compacted_we_compact_alike() {
    let Some(folder) = conformance("fixtures/oracle-2.53.3/compaction") else { return };
    let site = Site::new(1_717_200_000_000 + 30 * DAY_MS);
    let inputs = blocks_in(&folder.join("input"));
    assert_eq!(inputs.len(), 4);
    let mut sources = Vec::new();
    for input in &inputs {
        sources.push(site.ship(input).await);
    }
    let expected = read_dir(&blocks_in(&folder.join("output"))[0]);
    assert_eq!(site.read().await, expected, "before");

    let report = site.compactor("work").compact(None).await.unwrap();
    assert_eq!((report.tenants, report.jobs, report.blocks_in, report.blocks_out), (1, 1, 4, 1), "{report:?}");
    assert_eq!((report.samples_in, report.samples_out), (4098, 4098));
    assert_eq!(site.read().await, expected);
    site.verify(&[]).await;
    let manifest = site.manifest().await;
    let output = &manifest.blocks[0];
    assert_eq!((output.level, output.samples, output.series), (2, 4098, 10));
    assert_eq!(output.sources, sources);
    let retired: Vec<_> = manifest.retired.iter().map(|block| block.id).collect();
    assert_eq!(retired, sources, "I-COMPACT-2");
    let meta = site.tenant_store().block_meta(output.address()).await.unwrap();
    assert_eq!(meta.compaction.parents.iter().map(|parent| parent.ulid).collect::<Vec<_>>(), sources);
    assert_eq!((meta.min_ms, meta.end_ms), (1_717_200_000_000, 1_717_228_800_000));
    assert_eq!(site.published.lock().last().unwrap().version, manifest.version);
    assert!(site.left_in("work").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_tombstones_delete_is_gone_for_good() {
    let Some(folder) = conformance("fixtures/oracle-2.53.3/tombstones") else { return };
    let deleted = &blocks_in(&folder.join("deleted"))[0];
    let mut expected = read_dir(&blocks_in(&folder.join("cleaned"))[0]);
    assert_ne!(read_dir(&blocks_in(&folder.join("before"))[0]), expected);
    let first_ms = expected.values().flat_map(|samples| samples.keys()).min().copied().unwrap();
    let site = Site::new(first_ms + 30 * DAY_MS);
    site.ship(deleted).await;
    let ours = Labels::from_pairs([("__name__", "ours")]);
    let sample = Measurement { t_ms: first_ms, start_ms: 0, value: Value::Float(1.0) };
    expected.insert(ours.clone(), [canonical(&sample)].into());
    site.make(&Made { series: [(ours, vec![sample])].into(), to: 1, at_ms: first_ms }).await;

    let report = site.compactor("work").compact(Some(&tenant())).await.unwrap();
    assert_eq!((report.blocks_in, report.blocks_out), (2, 1), "{report:?}");
    assert_eq!(site.read().await, expected);
    site.verify(&[]).await;
}

/// Every byte of each input stands for one kind of damage; here one in some of every file.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_is_quarantined_while_the_rest_goes_on() {
    let Some(folder) = conformance("fixtures/oracle-2.53.3/compaction/input") else { return };
    let inputs = blocks_in(&folder);
    let (mut damaged, mut unread) = (0, 0);
    for (bad, input) in inputs.iter().enumerate() {
        for file in ["chunks/000001", "index", "meta.json"] {
            for place in [1, 2, 3] {
                let site = Site::new(1_717_200_000_000 + 30 * DAY_MS);
                let copy = site.dir.path().join("copy");
                copy_block(input, &copy);
                let mut expected = Content::new();
                let mut bad_id = None;
                for (n, input) in inputs.iter().enumerate() {
                    match n == bad {
                        true => bad_id = Some(site.ship(&copy).await),
                        false => {
                            site.ship(input).await;
                            overlay(&mut expected, read_dir(input));
                        }
                    }
                }
                let bad_id = bad_id.unwrap();
                let mut bytes = std::fs::read(copy.join(file)).unwrap();
                let at = bytes.len() * place / 4;
                bytes[at] ^= 0x55;
                site.overwrite(&format!("team-a/{bad_id}/{file}"), bytes).await;

                let report = site.compactor("work").compact(None).await.unwrap();
                let of = format!("{bad_id}/{file} at {at}: {report:?}");
                damaged += 1;
                assert_eq!((report.jobs, report.failures.len()), (1, 0), "{of}");
                if report.quarantined.is_empty() {
                    // A place that nobody reads, such as the list of label values in an index.
                    assert_ne!(file, "chunks/000001", "{of}");
                    overlay(&mut expected, read_dir(input));
                    assert_eq!((report.blocks_in, site.read().await), (4, expected), "{of}");
                    unread += 1;
                    continue;
                }
                assert_eq!(report.quarantined.len(), 1, "{of}");
                assert_eq!(report.quarantined[0].block, bad_id.to_string(), "{of}");
                assert_eq!(report.blocks_in, 3, "{of}");
                let manifest = site.manifest().await;
                assert_eq!(manifest.quarantined.len(), 1, "{of}");
                assert!(manifest.block(bad_id).is_some(), "it stays live");
                assert_eq!(site.read_but(&[bad_id]).await, expected, "{of}");
                site.verify(&[bad_id]).await;
                let again = site.compactor("again").compact(None).await.unwrap();
                assert_eq!((again.jobs, again.quarantined.len(), again.failures.len()), (0, 0, 0));
            }
        }
    }
    println!("{damaged} damaged blocks, {unread} of them in a place that does not matter");
    assert!(damaged - unread >= 24);
}

fn copy_block(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.join("chunks")).unwrap();
    for file in ["meta.json", "index", "tombstones", "chunks/000001"] {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
}
