//! `longhaul load write|read`: drives any Prometheus-compatible server with the same bytes and says what that cost it.
//!
//! One tool for people who size a machine and for the comparison in `benches/peers.sh`. A write load is a stream of
//! remote write 1.0 requests (a seeded Kubernetes estate, or a recorded file), encoded ahead of the clock on threads of
//! their own, so that what is measured is the server. Same seed, same requests, byte for byte.
//!
//! [`run`] is the whole surface: `source` makes requests out of an `estate` or a `recording`, `send` posts them, `read`
//! asks queries, `process` looks at the server's process, `report` renders.

mod estate;
mod process;
mod read;
mod recording;
mod report;
mod send;
mod source;
mod value;

use longhaul_model::Clock;
use std::path::PathBuf;
use std::sync::Arc;

/// What `longhaul load` does.
#[derive(Debug, clap::Subcommand)]
pub enum LoadCommand {
    /// Send remote write requests and measure what they cost the server.
    Write(WriteArguments),
    /// Ask queries again and again and measure how long the answers take.
    Read(ReadArguments),
}

/// `longhaul load write`.
#[derive(Clone, Debug, clap::Args)]
pub struct WriteArguments {
    /// Where to post remote write 1.0, e.g. http://localhost:9009/api/v1/push.
    #[arg(long)]
    pub url: url::Url,
    /// Series of the generated estate (49 a pod).
    #[arg(long, default_value_t = 50_029)]
    pub series: u32,
    /// Samples of each series.
    #[arg(long, default_value_t = 480)]
    pub samples: u32,
    /// Time between two samples of a series.
    #[arg(long, default_value = "15s", value_parser = parse_duration_ms)]
    pub step: i64,
    /// Samples of a request.
    #[arg(long, default_value_t = 2_000)]
    pub samples_per_request: u32,
    /// Connections that send at the same time; each has its own series.
    #[arg(long, default_value_t = 2)]
    pub connections: u32,
    /// Time of the first sample, RFC 3339 or Unix seconds; without it the last sample is of now.
    #[arg(long, value_parser = parse_time_ms)]
    pub start: Option<i64>,
    /// Send this recording instead of an estate: a zstd stream of (body bytes u32, samples u32, WriteRequest).
    /// Its times are kept unless --start is given.
    #[arg(long, value_name = "FILE")]
    pub recorded: Option<PathBuf>,
    /// What all randomness derives from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Tenant, sent as X-Scope-OrgID.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The server's process: its CPU time and memory are reported.
    #[arg(long)]
    pub pid: Option<u32>,
    /// Wait this long after the last answer before looking at the process once more.
    #[arg(long, default_value = "0s", value_parser = parse_duration_ms)]
    pub settle: i64,
    /// Memory for requests that are encoded before the clock starts, MiB; what does not fit is encoded on the way.
    #[arg(long, default_value_t = 2_048)]
    pub ahead_mib: u32,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `longhaul load read`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReadArguments {
    /// The server's address with the prefix of its API, e.g. http://localhost:9009/prometheus.
    #[arg(long)]
    pub url: url::Url,
    /// A query; may be given again.
    #[arg(long = "query", required_unless_present = "queries")]
    pub query: Vec<String>,
    /// A file of queries, one a line; empty lines and lines that begin with # are skipped.
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// Ask for this much time up to the end (query_range); without it the queries are instant.
    #[arg(long, value_parser = parse_duration_ms)]
    pub range: Option<i64>,
    /// The step of a range query.
    #[arg(long, default_value = "15s", value_parser = parse_duration_ms)]
    pub step: i64,
    /// The last instant asked for, RFC 3339 or Unix seconds; without it, now.
    #[arg(long, value_parser = parse_time_ms)]
    pub end: Option<i64>,
    /// How often each query is asked.
    #[arg(short = 'n', default_value_t = 10)]
    pub repetitions: u32,
    /// Another parameter of every request, as name=value (VictoriaMetrics: nocache=1); may be given again.
    #[arg(long = "parameter", value_name = "NAME=VALUE", value_parser = parse_parameter)]
    pub parameters: Vec<(String, String)>,
    /// Tenant, sent as X-Scope-OrgID.
    #[arg(long)]
    pub tenant: Option<String>,
    /// The server's process: its CPU time and memory are reported.
    #[arg(long)]
    pub pid: Option<u32>,
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why a load ended early.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that cannot be read.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A recording that is not one.
    #[error("record {record} of the recording: {cause}")]
    Recording {
        /// The first one is 0.
        record: usize,
        /// Why.
        cause: longhaul_wire::WireError,
    },
    /// No process has the given pid.
    #[error("process {pid}: {cause}")]
    Process {
        /// The pid.
        pid: u32,
        /// Why.
        cause: std::io::Error,
    },
    /// The server could not be reached, or did not recover, for longer than makes sense.
    #[error("gave up: {0}")]
    GaveUp(String),
    /// The server refused samples or queries for good; the report says how many.
    #[error("{refused} of {sent} requests refused, first with {first}")]
    Refused {
        /// Requests refused.
        refused: u64,
        /// Requests sent.
        sent: u64,
        /// Status and text of the first one.
        first: String,
    },
}

/// Runs a load and prints its report on standard output.
pub async fn run(command: LoadCommand, clock: Arc<dyn Clock>) -> Result<(), LoadError> {
    match command {
        LoadCommand::Write(arguments) => {
            let report = send::run(&arguments, clock).await?;
            report::print(&report, arguments.json);
            report.verdict()
        }
        LoadCommand::Read(arguments) => {
            let report = read::run(&arguments, clock).await?;
            report::print(&report, arguments.json);
            report.verdict()
        }
    }
}

fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let duration: jiff::SignedDuration = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|ms| *ms >= 0)
        .ok_or_else(|| format!("{text} is no usable duration"))
}

fn parse_time_ms(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Ok((seconds * 1000.0).round() as i64);
    }
    text.parse::<jiff::Timestamp>().map(|time| time.as_millisecond()).map_err(|error| error.to_string())
}

fn parse_parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests;
