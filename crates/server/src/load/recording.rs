//! A recorded stream of remote write requests: zstd (window log up to 27) over records of body length (u32, little
//! endian), samples (u32) and a `WriteRequest` that is not compressed.

use super::LoadError;
use super::source::Sink;
use bytes::Bytes;
use longhaul_model::{Sample, WriteBatch};
use longhaul_wire::WireError;
use longhaul_wire::remote_write::{DecodeLimits, decode};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, BufReader, Read};
use std::path::Path;

const WINDOW_LOG_MAX: u32 = 27;
/// No recorded request is larger, bytes.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// Sends the recording's requests to `sinks`, each series always to the same one. With `start_ms` all times move so that
/// the first sample is at that time.
pub fn encode(path: &Path, start_ms: Option<i64>, mut sinks: Vec<Sink>) {
    if let Err(error) = try_encode(path, start_ms, &mut sinks) {
        sinks[0].fail(error);
    }
}

fn try_encode(path: &Path, start_ms: Option<i64>, sinks: &mut [Sink]) -> Result<(), LoadError> {
    let in_file = |cause| LoadError::File { path: path.to_owned(), cause };
    let file = std::fs::File::open(path).map_err(in_file)?;
    let mut stream = zstd::Decoder::new(BufReader::new(file)).map_err(in_file)?;
    stream.window_log_max(WINDOW_LOG_MAX).map_err(in_file)?;
    let mut moved_by_ms = None;
    let mut moved = Vec::new();
    for record in 0.. {
        let Some(message) = next_message(&mut stream).map_err(in_file)? else { break };
        let batch =
            decode(message, &DecodeLimits::default()).map_err(|cause| LoadError::Recording { record, cause })?;
        let by_ms = *moved_by_ms.get_or_insert_with(|| shift_ms(&batch, start_ms));
        for series in &batch.series {
            let labels = batch.labels(series);
            moved.clear();
            moved.extend(batch.samples(series).iter().map(|s| Sample::new(s.t_ms.saturating_add(by_ms), s.value)));
            let mut hasher = DefaultHasher::new();
            hasher.write(labels.bytes());
            let connection = hasher.finish() as usize % sinks.len();
            sinks[connection].push(labels, &moved);
        }
        if !sinks.iter_mut().all(Sink::flush) {
            return Ok(());
        }
    }
    Ok(())
}

/// How far the samples move, by the first batch.
fn shift_ms(first: &WriteBatch, start_ms: Option<i64>) -> i64 {
    let first_ms = first.samples.iter().map(|sample| sample.t_ms).min();
    start_ms.zip(first_ms).map_or(0, |(start_ms, first_ms)| start_ms.saturating_sub(first_ms))
}

fn next_message(stream: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut header = [0; 8];
    if stream.read(&mut header[..1])? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..])?;
    let [a, b, c, d, ..] = header;
    let size_bytes = u32::from_le_bytes([a, b, c, d]) as usize;
    if size_bytes > MESSAGE_BYTES_MAX {
        let error = WireError::TooLarge { size_bytes: size_bytes as u64, size_bytes_max: MESSAGE_BYTES_MAX as u64 };
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let mut message = vec![0; size_bytes];
    stream.read_exact(&mut message)?;
    Ok(Some(Bytes::from(message)))
}
