//! What a load has found, as text for people and as JSON for scripts.

use super::LoadError;
use super::process::Usage;
use serde::Serialize;
use std::fmt;
use std::io::Write;

/// `load write`.
#[derive(Debug, Serialize)]
pub struct WriteReport {
    /// Requests answered.
    pub requests: u64,
    /// Samples acknowledged.
    pub samples: u64,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Acknowledged samples over those seconds.
    pub samples_per_second: f64,
    /// All bodies, compressed.
    pub body_bytes: u64,
    /// Times a request was sent again.
    pub retries: u64,
    /// Requests refused for good.
    pub refused_requests: u64,
    /// Samples of those.
    pub refused_samples: u64,
    /// Status and text of the first refusal.
    pub first_refusal: Option<String>,
    /// Of every attempt.
    pub latency: Latencies,
    /// The server's process at the last answer.
    pub process: Option<Cost>,
    /// The server's process after settling.
    pub settled: Option<Cost>,
}

/// `load read`.
#[derive(Debug, Serialize)]
pub struct ReadReport {
    /// In the order in which they were asked.
    pub queries: Vec<QueryReport>,
    /// The server's process over all of them.
    pub process: Option<Cost>,
}

/// One query.
#[derive(Debug, Serialize)]
pub struct QueryReport {
    /// As it was asked.
    pub query: String,
    /// The first time.
    pub first_ms: f64,
    /// Every other time.
    pub latency: Latencies,
    /// CPU time of the server's process for one of them.
    pub cpu_ms: Option<f64>,
    /// Series of the answer.
    pub series: usize,
    /// Length of the answer.
    pub answer_bytes: usize,
    /// Status and text, if there was no answer.
    pub error: Option<String>,
}

/// What a process spent between two looks, and what it holds at the second one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// CPU seconds.
    pub cpu_seconds: f64,
    /// CPU seconds for each million of acknowledged samples.
    pub cpu_seconds_per_million_samples: Option<f64>,
    /// Resident memory.
    pub resident_mib: f64,
    /// The most that was ever resident.
    pub resident_peak_mib: f64,
}

impl Cost {
    /// The cost of `samples` samples; of none, there is no cost a sample.
    pub fn between(before: Usage, now: Usage, samples: u64) -> Self {
        let cpu_seconds = now.cpu_s - before.cpu_s;
        Self {
            cpu_seconds,
            cpu_seconds_per_million_samples: (samples > 0).then(|| cpu_seconds * 1e6 / samples as f64),
            resident_mib: now.resident_kib as f64 / 1024.0,
            resident_peak_mib: now.resident_peak_kib as f64 / 1024.0,
        }
    }
}

/// Percentiles, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latencies {
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Latencies {
    /// Percentiles by the nearest rank; zeros if there is nothing.
    pub fn of(mut all_ns: Vec<u64>) -> Self {
        all_ns.sort_unstable();
        let rank = |share: f64| {
            let rank = (share * all_ns.len() as f64).ceil() as usize;
            all_ns.get(rank.max(1) - 1).map_or(0.0, |ns| *ns as f64 / 1e6)
        };
        Self { p50_ms: rank(0.5), p90_ms: rank(0.9), p99_ms: rank(0.99), max_ms: rank(1.0) }
    }
}

impl WriteReport {
    /// An error if something was refused for good.
    pub fn verdict(&self) -> Result<(), LoadError> {
        match &self.first_refusal {
            Some(first) => {
                Err(LoadError::Refused { refused: self.refused_requests, sent: self.requests, first: first.clone() })
            }
            None => Ok(()),
        }
    }
}

impl ReadReport {
    /// An error if a query was not answered.
    pub fn verdict(&self) -> Result<(), LoadError> {
        let failed: Vec<_> = self.queries.iter().filter_map(|query| query.error.clone()).collect();
        match failed.first() {
            Some(first) => Err(LoadError::Refused {
                refused: failed.len() as u64,
                sent: self.queries.len() as u64,
                first: first.clone(),
            }),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p90_ms, p99_ms, max_ms } = self;
        write!(f, "p50 {p50_ms:.1} ms, p90 {p90_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms")
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} CPU seconds", self.cpu_seconds)?;
        if let Some(per_million) = self.cpu_seconds_per_million_samples {
            write!(f, " ({per_million:.3} a million samples)")?;
        }
        write!(f, ", {:.0} MiB resident (peak {:.0})", self.resident_mib, self.resident_peak_mib)
    }
}

impl fmt::Display for WriteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, samples, seconds, samples_per_second, body_bytes, retries, latency, .. } = self;
        writeln!(f, "{samples} samples in {requests} requests and {seconds:.2} s: {samples_per_second:.0} samples/s")?;
        let bytes_a_sample = *body_bytes as f64 / (*samples).max(1) as f64;
        writeln!(f, "bodies   {body_bytes} bytes, {bytes_a_sample:.2} a sample; {retries} sent again")?;
        writeln!(f, "latency  {latency}")?;
        if let Some(cost) = &self.process {
            writeln!(f, "process  {cost}")?;
        }
        if let Some(cost) = &self.settled {
            writeln!(f, "settled  {cost}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ReadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for QueryReport { query, first_ms, latency, cpu_ms, series, answer_bytes, error } in &self.queries {
            writeln!(f, "{query}")?;
            match error {
                Some(error) => writeln!(f, "  {error}")?,
                None => {
                    let cpu = cpu_ms.map(|ms| format!("; {ms:.1} ms CPU")).unwrap_or_default();
                    writeln!(
                        f,
                        "  first {first_ms:.1} ms, then {latency}{cpu}; {series} series, {answer_bytes} bytes"
                    )?;
                }
            }
        }
        match &self.process {
            Some(cost) => writeln!(f, "process  {cost}"),
            None => Ok(()),
        }
    }
}

/// Prints a report on standard output. A reader that went away is no error.
pub fn print(report: &(impl Serialize + fmt::Display), json: bool) {
    let text = match serde_json::to_string_pretty(report) {
        Ok(text) if json => text + "\n",
        _ => report.to_string(),
    };
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
}
