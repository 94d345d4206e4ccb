//! Requests as a test wants them: through the generated types, or byte by byte where those cannot hold what is wrong.

use longhaul_wire::proto::prometheus::{Label, Sample, TimeSeries};
use longhaul_wire::snappy;
use prost::Message;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A series as it is sent, and as it is expected.
pub type Series = TimeSeries;

/// How a series is called in an answer of the API.
pub trait Key {
    /// Its labels as the API writes them.
    fn key(&self) -> String;
}

impl Key for TimeSeries {
    fn key(&self) -> String {
        let labels: BTreeMap<&str, &str> = self.labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
        serde_json::to_value(labels).unwrap().to_string()
    }
}

/// A sample.
pub fn sample(t_ms: i64, value: f64) -> Sample {
    Sample { value, timestamp: t_ms }
}

/// A label.
pub fn label(name: &str, value: &str) -> Label {
    Label { name: name.to_owned(), value: value.to_owned() }
}

/// A series with its labels in the given order.
pub fn series(labels: &[(&str, &str)], samples: &[Sample]) -> Series {
    series_with_labels(labels.iter().map(|(name, value)| label(name, value)).collect(), samples)
}

/// A series of labels that are made by a program.
pub fn series_with_labels(labels: Vec<Label>, samples: &[Sample]) -> Series {
    TimeSeries { labels, samples: samples.to_vec(), ..TimeSeries::default() }
}

/// A `WriteRequest` of these series.
pub fn message(all: &[Series]) -> Vec<u8> {
    all.iter().flat_map(|series| field(1, &encode(series))).collect()
}

fn encode(series: &Series) -> Vec<u8> {
    let labels: Vec<_> = series.labels.iter().map(|label| (label.name.as_bytes(), label.value.as_bytes())).collect();
    let mut bytes = raw_series(&labels, &series.samples);
    bytes.extend(series.exemplars.iter().flat_map(|exemplar| field(3, &exemplar.encode_to_vec())));
    bytes.extend(series.histograms.iter().flat_map(|histogram| field(4, &histogram.encode_to_vec())));
    bytes
}

/// The body of a request with these series.
pub fn body(all: Vec<Series>) -> Vec<u8> {
    plain(&message(&all))
}

/// The body of a request with this message, whatever it is.
pub fn plain(message: &[u8]) -> Vec<u8> {
    snappy::compress(message)
}

/// A length-delimited field.
pub fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A `TimeSeries` message whose label names and values are any bytes.
pub fn raw_series(labels: &[(&[u8], &[u8])], samples: &[Sample]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in labels {
        bytes.extend(field(1, &[field(1, name), field(2, value)].concat()));
    }
    for sample in samples {
        // By hand: prost takes minus zero for zero, which it leaves out.
        let mut encoded = vec![0x09];
        encoded.extend(sample.value.to_le_bytes());
        encoded.push(0x10);
        prost::encoding::encode_varint(sample.timestamp as u64, &mut encoded);
        bytes.extend(field(2, &encoded));
    }
    bytes
}

/// A few bytes that claim to hold `size_bytes`.
pub fn bomb(size_bytes: u32) -> Vec<u8> {
    let mut body = Vec::new();
    prost::encoding::encode_varint(size_bytes.into(), &mut body);
    body.extend([0xfe, 1, 0].repeat(16));
    body
}

/// Posts a body of `size_bytes` zeros whose length is not declared; status and the whole answer.
pub async fn post_chunked(url: &str, size_bytes: usize) -> (u16, String) {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let head =
        "POST /api/v1/push HTTP/1.1\r\nHost: longhaul\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(format!("{size_bytes:x}\r\n").as_bytes()).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(&vec![0; size_bytes]).await;
    let _ = stream.write_all(b"\r\n0\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status in {answer:?}")), answer)
}
