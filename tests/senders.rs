//! Senders that nobody here wrote, against the real server: OpenTelemetry's SDK over HTTP and gRPC, Prometheus' and InfluxDB's
//! clients. Each says what it has measured, and queries must say the same: at once, after a SIGKILL, and from the bucket.

use crate::support::client::Client;
use crate::support::process::Longhaul;
use crate::support::{now_ms, peers, seconds};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Command;

/// Nothing of our own in the database, nothing cut before its time.
const CONFIGURATION: &str = "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n";

/// What a sender says that must be found.
#[derive(Default)]
struct Said {
    /// The one value of each query.
    values: BTreeMap<String, f64>,
    /// The id of the trace of one exemplar of each selector.
    exemplars: BTreeMap<String, String>,
}

/// Runs a sender to its end. None where there is no Python environment.
fn send(script: &str, arguments: &[&str]) -> Option<Said> {
    let python = peers::program("venv/bin/python")?;
    let script = format!("{}/tests/senders/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    // Libraries of senders say here what they do not like about answers.
    assert_eq!(errors, "", "{out}");
    let mut said: Value = serde_json::from_str(&out).unwrap();
    Some(Said {
        values: serde_json::from_value(said["values"].take()).unwrap(),
        exemplars: serde_json::from_value(said["exemplars"].take()).unwrap_or_default(),
    })
}

impl Said {
    async fn check(&self, client: &Client, t_ms: i64, after: &str) {
        for (query, value) in &self.values {
            let data = client.query(query, &seconds(t_ms)).await;
            let results = data["result"].as_array().unwrap();
            let got: Vec<f64> =
                results.iter().map(|result| result["value"][1].as_str().unwrap().parse().unwrap()).collect();
            let is_same = matches!(got[..], [one] if (one - value).abs() <= 1e-9 * value.abs());
            assert!(is_same, "{after}: {query} must be {value}: {data}");
        }
        let (start, end) = (seconds(t_ms - 600_000), seconds(t_ms));
        for (query, trace_id) in &self.exemplars {
            let parameters = [("query", query.as_str()), ("start", &start), ("end", &end)];
            let data = client.data("query_exemplars", &parameters).await;
            let all = data.as_array().unwrap().iter().flat_map(|series| series["exemplars"].as_array().unwrap());
            let found = all.filter(|exemplar| exemplar["labels"]["trace_id"] == trace_id.as_str()).count();
            assert_eq!(found, 1, "{after}: {query} must have {trace_id}: {data}");
        }
    }

    async fn check_everywhere(&self, server: &mut Longhaul) {
        let (client, t_ms) = (Client::new(&server.url), now_ms());
        self.check(&client, t_ms, "at once").await;
        server.kill();
        server.start_again().await;
        self.check(&client, t_ms, "after SIGKILL").await;
        server.flush().await;
        self.check(&client, t_ms, "after the flush").await;
        println!("{} values and {} exemplars", self.values.len(), self.exemplars.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opentelemetry_measures_is_what_queries_find() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let mut all = Said::default();
    for protocol in ["http", "grpc"] {
        let Some(said) = send("sdk.py", &[protocol, &server.url]) else { return };
        all.values.extend(said.values);
        all.exemplars.extend(said.exemplars);
    }
    all.check_everywhere(&mut server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_write_as_text_is_what_queries_find() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let Some(said) = send("texts.py", &[&server.url]) else { return };
    said.check_everywhere(&mut server).await;
    let Value::Array(hosts) = Client::new(&server.url).data("label/host/values", &[]).await else { panic!() };
    assert_eq!(hosts, ["server 01, a=b"]);
}
