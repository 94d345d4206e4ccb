//! The estate has its sizes, requests are the same for the same seed, and a server that answers as servers do is driven
//! to the end.

use super::estate::Estate;
use super::value::Shape;
use super::*;
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use bytes::Bytes;
use longhaul_model::{ManualClock, SystemClock};
use longhaul_wire::remote_write::{DecodeLimits, decode};
use longhaul_wire::snappy;
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

fn write_arguments(url: &str) -> WriteArguments {
    let start = Some(1_700_000_000_000);
    WriteArguments {
        url: url.parse().unwrap(),
        series: 500,
        samples: 7,
        step: 15_000,
        samples_per_request: 100,
        connections: 2,
        start,
        recorded: None,
        seed: 1,
        tenant: Some("team-1".to_owned()),
        pid: Some(std::process::id()),
        settle: 1,
        ahead_mib: 1,
        json: false,
    }
}

#[test]
fn the_default_estate_has_the_series_that_the_figures_are_measured_on() {
    let mut of_metric: HashMap<String, usize> = HashMap::new();
    let (mut sections, mut pairs_total) = (HashSet::new(), 0);
    for index in 0..2 {
        let estate = Estate::new(1, 50_029, index, 2);
        for (_, section) in estate.iter() {
            let pairs: Vec<_> = section.pairs().map(Result::unwrap).collect();
            assert!(pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs.iter().all(|pair| !pair.1.is_empty()), "canonical");
            assert_eq!(pairs[0].0, b"__name__");
            *of_metric.entry(String::from_utf8(pairs[0].1.to_vec()).unwrap()).or_default() += 1;
            pairs_total += pairs.len();
            assert!(sections.insert(section.bytes().to_vec()), "twice: {section:?}");
        }
    }
    assert_eq!(sections.len(), 50_029);
    assert_eq!(of_metric["http_requests_total"], 8_168);
    assert_eq!(of_metric["http_request_duration_seconds_bucket"], 12_252);
    let labels_a_series = pairs_total as f64 / 50_029.0;
    assert!((12.0..=16.0).contains(&labels_a_series), "{labels_a_series}");
    assert!(of_metric.keys().any(|name| name.starts_with("kube_")) && of_metric.contains_key("node_cpu_seconds_total"));
}

#[test]
fn an_estate_of_any_size_has_just_so_many_series() {
    for total in [0, 1, 48, 49, 50, 1_000] {
        let of =
            |connections| (0..connections).map(|n| Estate::new(3, total, n, connections).iter().count()).sum::<usize>();
        assert_eq!((of(1), of(3)), (total as usize, total as usize));
    }
}

#[test]
fn counters_never_fall_and_buckets_stay_cumulative() {
    let counter = Shape::Counter { per_second: 0.7, scale: 100.0 };
    let bucket = |share| Shape::Bucket { per_second: 9.3, share };
    let shapes = [counter, bucket(0.2), bucket(0.5), bucket(1.0)];
    let mut values = shapes.map(|shape| shape.first(1, 2, 3));
    for step in 0..1_000 {
        let next = std::array::from_fn(|n| shapes[n].next(values[n], 1, 2, 3, step, 15.0));
        assert!(next.iter().zip(&values).all(|(next, value)| next >= value));
        values = next;
        assert!(values[1] <= values[2] && values[2] <= values[3]);
        assert!(values[1..].iter().all(|value| value.fract() == 0.0));
    }
    assert!(values[3] > 100_000.0);
}

/// A receiver that keeps what it acknowledges, and refuses the third request twice before it takes it.
type Received = Arc<Mutex<Vec<(u64, String, i64, u64)>>>;

async fn receiver(received: Received) -> String {
    let requests = Arc::new(Mutex::new(0));
    let push = move |headers: HeaderMap, body: Bytes| async move {
        let mut requests = requests.lock().unwrap();
        *requests += 1;
        if *requests == 3 {
            return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]);
        }
        if *requests == 4 {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]);
        }
        assert_eq!(headers["content-encoding"], "snappy");
        assert_eq!(headers["x-scope-orgid"], "team-1");
        let batch = decode(snappy::decompress(&body, 1 << 24).unwrap(), &DecodeLimits::default()).unwrap();
        let mut received = received.lock().unwrap();
        for series in &batch.series {
            let name = batch.labels(series).pairs().map(|pair| format!("{:?}", pair.unwrap())).collect::<String>();
            received.extend(batch.samples(series).iter().map(|s| (*requests, name.clone(), s.t_ms, s.value.to_bits())));
        }
        (StatusCode::NO_CONTENT, [("retry-after", "0")])
    };
    let query =
        || async { r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}"# };
    let refuse = || async { (StatusCode::UNPROCESSABLE_ENTITY, r#"{"status":"error","error":"no such thing"}"#) };
    let app = Router::new()
        .route("/push", post(push))
        .route("/bad", post(|| async { (StatusCode::BAD_REQUEST, "never") }))
        .route("/prometheus/api/v1/query", get(query))
        .route("/prometheus/api/v1/query_range", get(refuse));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::start())
}

#[tokio::test]
async fn every_sample_arrives_once_in_order_and_the_same_for_the_same_seed() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let received = Received::default();
        let url = receiver(received.clone()).await;
        let report = send::run(&write_arguments(&format!("{url}/push")), clock()).await.unwrap();
        assert_eq!((report.samples, report.retries, report.refused_samples), (3_500, 2, 0));
        assert!(report.process.is_some() && report.settled.is_some() && report.verdict().is_ok());
        assert!(report.to_string().contains("3500 samples"));
        let mut all = received.lock().unwrap().clone();
        let mut last_ms: HashMap<&str, i64> = HashMap::new();
        for (_, series, t_ms, _) in &all {
            assert!(last_ms.insert(series, *t_ms).is_none_or(|last_ms| *t_ms == last_ms + 15_000));
        }
        assert_eq!(last_ms.len(), 500);
        all.iter_mut().for_each(|sample| sample.0 = 0);
        all.sort_unstable();
        runs.push(all);
    }
    assert!(runs[0] == runs[1]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_counted_and_said() {
    let url = receiver(Received::default()).await;
    let report = send::run(&write_arguments(&format!("{url}/bad")), clock()).await.unwrap();
    assert_eq!((report.samples, report.refused_samples), (0, 3_500));
    let error = report.verdict().unwrap_err().to_string();
    assert_eq!(error, "36 of 36 requests refused, first with 400 Bad Request never");
}

#[tokio::test]
async fn a_recording_is_sent_as_it_is_or_from_a_given_start() {
    let sample = |t_ms| longhaul_model::Sample::new(t_ms, 1.5);
    let section = |name| longhaul_model::Labels::from_pairs([("__name__", name)]);
    let mut stream = Vec::new();
    for t_ms in [5_000, 20_000] {
        let message =
            longhaul_wire::remote_write::encode(&[(section("a"), &[sample(t_ms)]), (section("b"), &[sample(t_ms)])]);
        stream.extend((message.len() as u32).to_le_bytes());
        stream.extend(2u32.to_le_bytes());
        stream.extend(message);
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &zstd::encode_all(&stream[..], 1).unwrap()).unwrap();
    for (start, expected) in [(None, [5_000, 5_000, 20_000, 20_000]), (Some(7_000), [7_000, 7_000, 22_000, 22_000])] {
        let received = Received::default();
        let url = receiver(received.clone()).await;
        let arguments =
            WriteArguments { start, recorded: Some(file.path().into()), ..write_arguments(&format!("{url}/push")) };
        let report = send::run(&arguments, clock()).await.unwrap();
        let mut times: Vec<_> = received.lock().unwrap().iter().map(|sample| sample.2).collect();
        times.sort_unstable();
        assert_eq!((report.samples, &times[..]), (4, &expected[..]));
    }
    let missing = WriteArguments { recorded: Some("/nowhere/at-all".into()), ..write_arguments("http://127.0.0.1:9/") };
    assert!(matches!(send::run(&missing, clock()).await, Err(LoadError::File { .. })));
}

#[tokio::test]
async fn queries_are_asked_and_failures_told() {
    let url = receiver(Received::default()).await;
    let arguments = ReadArguments {
        url: format!("{url}/prometheus").parse().unwrap(),
        query: vec!["up".to_owned()],
        queries: None,
        range: None,
        step: 15_000,
        end: Some(1_700_000_000_000),
        repetitions: 3,
        parameters: vec![("nocache".to_owned(), "1".to_owned())],
        tenant: None,
        pid: None,
        json: true,
    };
    let report = read::run(&arguments, Arc::new(ManualClock::at(0))).await.unwrap();
    assert_eq!((report.queries[0].series, report.queries[0].error.as_deref()), (1, None));
    assert!(report.verdict().is_ok());
    let report = read::run(&ReadArguments { range: Some(60_000), ..arguments }, clock()).await.unwrap();
    assert!(report.verdict().unwrap_err().to_string().ends_with("422 Unprocessable Entity no such thing"));
}

#[test]
fn arguments_are_read_as_people_write_them() {
    assert_eq!(parse_duration_ms("15s"), Ok(15_000));
    assert_eq!(parse_duration_ms("1h 30m"), Ok(5_400_000));
    assert!(parse_duration_ms("fifteen").is_err() && parse_duration_ms("-1s").is_err());
    assert_eq!(parse_time_ms("1700000000.5"), Ok(1_700_000_000_500));
    assert_eq!(parse_time_ms("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000));
    assert_eq!(parse_parameter("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
}
