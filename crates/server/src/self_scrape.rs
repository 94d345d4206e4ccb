//! Longhaul's own metrics, written into itself, so that a fresh start has something to show.

use crate::app::App;
use bytes::Bytes;
use longhaul_model::{LabelSection, Sample, SeriesEntry, TenantId, WriteBatch};
use std::sync::Arc;
use std::time::Duration;

/// Scrapes until the task is dropped.
pub(crate) async fn run(app: Arc<App>, tenant: TenantId) {
    let instance = app.config.http.listen.to_string();
    let mut ticks = tokio::time::interval(Duration::from_millis(app.config.self_scrape.interval.ms as u64));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let batch = batch_of(&app.metrics.render(), &instance, app.clock.now_ms());
        match app.ingester.write(&tenant, &batch, &app.write_limits(&tenant)).await {
            Ok(report) if report.refusals.is_empty() => {}
            Ok(report) => tracing::warn!(message = report.refusals.message(report.stored), "own metrics were refused"),
            Err(error) => tracing::warn!(%error, "own metrics could not be stored"),
        }
    }
}

/// Reads exposition text that this process rendered itself: one sample a line, no timestamps.
fn batch_of(text: &str, instance: &str, now_ms: i64) -> WriteBatch {
    let mut batch = WriteBatch::default();
    let mut sections = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse() else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let start = sections.len() as u32;
        for (name, value) in [("__name__", name), ("job", "longhaul"), ("instance", instance)] {
            LabelSection::push(&mut sections, name, value);
        }
        // Our label values are routes, statuses and bounds: none needs an escape.
        for pair in labels.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty()) {
            if let Some((name, value)) = pair.split_once('=') {
                LabelSection::push(&mut sections, name, value.trim_matches('"'));
            }
        }
        let sample = batch.samples.len() as u32;
        batch.samples.push(Sample::new(now_ms, value));
        batch.series.push(SeriesEntry {
            labels: start..sections.len() as u32,
            samples: sample..sample + 1,
            histograms: 0..0,
            exemplars: 0..0,
        });
    }
    batch.buffer = Bytes::from(sections);
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_text_becomes_samples() {
        let text = "# HELP a b\n# TYPE a counter\na_total 5\nb{route=\"/x/{y}\",le=\"+Inf\"} 1.5\n# EOF\n";
        let batch = batch_of(text, "localhost:1", 42);
        let read: Vec<(Vec<(String, String)>, f64)> = batch
            .series
            .iter()
            .map(|series| {
                let pairs = batch.labels(series).pairs().map(Result::unwrap);
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                (pairs.map(|(n, v)| (text(n), text(v))).collect(), batch.samples(series)[0].value)
            })
            .collect();
        let own =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        assert_eq!(read[0], (own(&[("__name__", "a_total"), ("job", "longhaul"), ("instance", "localhost:1")]), 5.0));
        assert_eq!(read[1].0[3..], own(&[("route", "/x/{y}"), ("le", "+Inf")]));
        assert_eq!(read.len(), 2);
    }
}
