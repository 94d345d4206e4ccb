//! A query whose client goes away stops, whatever it is doing and however it was asked: over HTTP/1.1 and HTTP/2, as GET
//! and as POST, by a connection that is closed and by a stream that is reset.
//!
//! What counts is the work that is still done: the processor time of the server from the moment the client goes. Wall time
//! would tell what else the machine does.

use crate::support::client::Client;
use crate::support::process::Longhaul;
use crate::support::{now_ms, seconds, wait_for};
use longhaul_model::{Labels, Sample};
use reqwest::Method;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use url::form_urlencoded;

const SERIES: usize = 100_000;
/// Series a write.
const BATCH: usize = 10_000;
/// What a canceled query may still take, of each thread that evaluates.
const STOP_MAX: Duration = Duration::from_millis(100);
/// Threads that evaluate.
const THREADS: u32 = 2;
/// What the kernel's ticks of 10 ms and the server's own rounds add.
const MEASURING: Duration = Duration::from_millis(50);
/// What finding so many series takes at most, unoptimized: the rest is evaluation.
const SELECTED: Duration = Duration::from_secs(2);
/// How long the server is watched after the client has gone. A query that nobody stops works through all of it.
const WATCHED: Duration = Duration::from_secs(2);
const CONFIGURATION: &str = "self_scrape: {enabled: false}\nship: {cut_delay: 100y}\n\
                             query: {threads: 2, timeout: 10m, samples_max: 1000000000000, memory_max: 8GiB}\n";
const FORM: &str = "application/x-www-form-urlencoded";

/// A query that something works for, and the client that waits for it.
enum Asked {
    Connection(TcpStream),
    Request(tokio::task::JoinHandle<()>),
}

/// How the client goes away.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// HTTP/1.1: its connection is closed.
    Closed,
    /// HTTP/2: its stream is reset, the connection stays.
    Reset,
}

async fn ask(url: &str, method: &Method, way: Way, http2: &reqwest::Client, query: &str) -> Asked {
    let path = "/api/v1/query_range";
    match way {
        Way::Closed => {
            let (target, headers, body) = match *method {
                Method::POST => {
                    (path.to_owned(), format!("Content-Type: {FORM}\r\nContent-Length: {}\r\n", query.len()), query)
                }
                _ => (format!("{path}?{query}"), String::new(), ""),
            };
            let request = format!("{method} {target} HTTP/1.1\r\nHost: longhaul\r\n{headers}\r\n{body}");
            let mut connection = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
            connection.write_all(request.as_bytes()).await.unwrap();
            Asked::Connection(connection)
        }
        Way::Reset => {
            let request = match *method {
                Method::POST => http2.post(format!("{url}{path}")).header("Content-Type", FORM).body(query.to_owned()),
                _ => http2.get(format!("{url}{path}?{query}")),
            };
            Asked::Request(tokio::spawn(async move {
                let answer = request.send().await.unwrap();
                panic!("the query ended before its client went: {answer:?}");
            }))
        }
    }
}

impl Asked {
    async fn go_away(self) {
        match self {
            Self::Connection(connection) => drop(connection),
            Self::Request(request) => {
                request.abort();
                assert!(request.await.unwrap_err().is_cancelled());
            }
        }
    }
}

async fn load(client: &Client, now_ms: i64) {
    let samples: Vec<Sample> = (0..4).rev().map(|n| Sample::new(now_ms - n * 15_000, n as f64)).collect();
    for start in (0..SERIES).step_by(BATCH) {
        let labels = |n: usize| {
            let pod = format!("pod-{n}");
            Labels::from_pairs([("__name__", "heavy"), ("job", "test"), ("pod", pod.as_str())])
        };
        let batch: Vec<_> = (start..start + BATCH).map(|n| (labels(n), samples.as_slice())).collect();
        let answer = client.write(&batch).await;
        assert_eq!(answer.status, 204, "{}", answer.text);
    }
}

#[tokio::test]
async fn a_query_stops_when_its_client_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let (client, url) = (Client::new(&server.url), server.url.clone());
    let now_ms = now_ms();
    load(&client, now_ms).await;
    // A day in each of 10,000 steps of each series: minutes of work.
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", "sum(stddev_over_time(heavy[1d]))")
        .append_pair("start", &seconds(now_ms))
        .append_pair("end", &seconds(now_ms + 80_000_000))
        .append_pair("step", "8")
        .finish();
    let http2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let running = async || client.metric("longhaul_queries_running").await;

    for (way, method) in
        [Way::Closed, Way::Reset].into_iter().flat_map(|way| [Method::GET, Method::POST].map(|method| (way, method)))
    {
        let idle = server.process().cpu_time();
        let asked = ask(&url, &method, way, &http2, &query).await;
        wait_for("the query to be at work", Duration::from_secs(60), async || {
            running().await == 1.0 && server.process().cpu_time() > idle + SELECTED
        })
        .await;
        let busy = server.process().cpu_time();
        asked.go_away().await;
        // Not waiting for a condition: asking for one would itself be work.
        tokio::time::sleep(WATCHED).await;
        let work = server.process().cpu_time() - busy;
        println!("{method} {way:?}: {work:?} of processor time after the client had gone");
        assert_eq!(running().await, 0.0, "{way:?} {method}: the query goes on");
        assert!(work <= STOP_MAX * THREADS + MEASURING, "{way:?} {method}: {work:?} of work nobody waits for");
    }
    // Slots and threads are free again.
    assert_eq!(client.query("count(heavy)", &seconds(now_ms)).await["result"][0]["value"][1], SERIES.to_string());
}
