//! What is said of metric families outlives the process, and costs nothing else.

use super::site::*;
use crate::housekeeper;
use crate::{Families, Ingester, WriteLimits};
use longhaul_model::{MetadataEntry, MetricKind, WriteBatch};
use std::path::Path;

/// A request with a sample, or none, that says something of the family `name`.
async fn say(ingester: &Ingester, name: &str, samples: usize) {
    let series = [("up".to_owned(), vec![sample(START_MS, 1.0); samples])];
    let mut batch = batch(&series[..samples]);
    let (start, mut buffer) = (batch.buffer.len() as u32, batch.buffer.to_vec());
    buffer.extend_from_slice(name.as_bytes());
    let family = start..buffer.len() as u32;
    batch.metadata.push(MetadataEntry { family, kind: MetricKind::Gauge, help: 0..0, unit: 0..0 });
    let batch = WriteBatch { buffer: buffer.into(), ..batch };
    let report = ingester.write(&tenant(0), &batch, &WriteLimits::default()).await.unwrap();
    assert_eq!((report.stored, report.refusals.count()), (samples as u64, 0));
}

fn said(ingester: &Ingester) -> Families {
    ingester.metadata(&tenant(0), None, usize::MAX, usize::MAX)
}

#[tokio::test]
async fn it_is_saved_after_a_while_and_when_the_server_stops() {
    let site = Site::new(1);
    let ingester = site.open().await;
    say(&ingester, "up", 1).await;
    say(&ingester, "down", 0).await;
    assert_eq!(said(&ingester).len(), 2);
    assert!(housekeeper::tick(ingester.inner()).await);
    say(&ingester, "late", 0).await;
    assert!(housekeeper::tick(ingester.inner()).await);

    let killed = site.killed();
    let again = killed.open().await;
    assert_eq!(said(&again).keys().collect::<Vec<_>>(), ["down", "up"], "what came last was not due yet");
    assert!(again.metadata(&tenant(1), None, 9, 9).is_empty());
    again.close().await;
    ingester.close().await;
    assert_eq!(said(&site.killed().open().await).len(), 3);
}

#[tokio::test]
async fn a_damaged_file_costs_nothing_else() {
    let site = Site::new(1);
    let ingester = site.open().await;
    say(&ingester, "up", 1).await;
    ingester.close().await;
    let site = site.killed();
    site.fs.damage(Path::new("/var/longhaul/metadata/tenant-0.metadata"), |bytes| bytes[3] ^= 1);
    let ingester = site.open().await;
    assert!(said(&ingester).is_empty());
    assert_eq!(read(&ingester, &tenant(0)).await.value("up", START_MS), Some(1.0));
    say(&ingester, "up", 0).await;
    ingester.close().await;
    assert_eq!(said(&site.killed().open().await).len(), 1);
}
