//! The HTTP API as a client sees it.

use super::values::{Matrix, matrix};
use longhaul_model::{Labels, Sample};
use longhaul_wire::{remote_write, snappy};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// The header that names the tenant.
pub const TENANT_HEADER: &str = "X-Scope-OrgID";

/// Speaks to a Prometheus-compatible server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    tenant: Option<String>,
}

/// An answer to a write.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Client {
    /// A client of the server at `url`. Each request has its own connection: a server that is killed and comes back
    /// leaves none behind that is dead.
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Self { http, url: url.to_owned(), tenant: None }
    }

    /// The same for a tenant.
    pub fn of_tenant(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.to_owned()), ..self.clone() }
    }

    /// Writes series with their samples.
    pub async fn write(&self, series: &[(Labels, &[Sample])]) -> Answer {
        self.write_bytes(snappy::compress(&remote_write::encode(series)), &[]).await
    }

    /// Posts a body to the push endpoint; headers override the usual ones, an empty value leaves one out.
    pub async fn write_bytes(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> Answer {
        self.try_write_bytes(body, headers).await.unwrap()
    }

    /// The same; an error if there is no answer.
    pub async fn try_write_bytes(&self, body: Vec<u8>, headers: &[(&str, &str)]) -> reqwest::Result<Answer> {
        let mut request = self.http.post(format!("{}/api/v1/push", self.url)).body(body);
        let usual = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
        let overridden = |name: &str| headers.iter().any(|header| header.0.eq_ignore_ascii_case(name));
        for (name, value) in usual.iter().filter(|header| !overridden(header.0)).chain(headers) {
            if !value.is_empty() {
                request = request.header(*name, *value);
            }
        }
        if let Some(tenant) = &self.tenant {
            request = request.header(TENANT_HEADER, tenant);
        }
        let answer = request.send().await?;
        Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), text: answer.text().await? })
    }

    /// GETs an API path with parameters; the status and the JSON document.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> (u16, Value) {
        let mut url = url::Url::parse(&format!("{}/api/v1/{path}", self.url)).unwrap();
        url.query_pairs_mut().extend_pairs(parameters);
        let mut request = self.http.get(url);
        if let Some(tenant) = &self.tenant {
            request = request.header(TENANT_HEADER, tenant);
        }
        let answer = request.send().await.unwrap();
        let (status, bytes) = (answer.status().as_u16(), answer.bytes().await.unwrap());
        let document = serde_json::from_slice(&bytes)
            .unwrap_or_else(|error| panic!("{path} {parameters:?}: {error}: {}", String::from_utf8_lossy(&bytes)));
        (status, document)
    }

    /// The `data` of an instant query at `time`, which must succeed without a warning.
    pub async fn query(&self, query: &str, time: &str) -> Value {
        self.data("query", &[("query", query), ("time", time)]).await
    }

    /// The `data` of a request that must succeed without a warning.
    pub async fn data(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let (status, mut answer) = self.get(path, parameters).await;
        assert_eq!(status, 200, "{path} {parameters:?}: {answer}");
        assert!(answer.get("warnings").is_none(), "{path} {parameters:?}: {}", answer["warnings"]);
        answer["data"].take()
    }

    /// The raw samples of a selector in `(time - range, time]`.
    pub async fn samples(&self, selector: &str, range: &str, time: &str) -> Matrix {
        matrix(&self.query(&format!("{selector}[{range}]"), time).await)
    }

    /// The server's own metric, as it reports it now.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.http.get(format!("{}/metrics", self.url)).send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let line = line.unwrap_or_else(|| panic!("no metric {name}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}
