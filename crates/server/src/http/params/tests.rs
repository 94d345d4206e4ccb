//! Parameters as Prometheus reads them, and its words for what it does not take.

use super::time::{MAX_MS, MIN_MS, parse_ms};
use super::*;
use axum::body::Body;

fn params(query: &str) -> Params {
    Params(Params::of(query.as_bytes()).collect())
}

fn text<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn times_are_seconds_or_rfc_3339() {
    let cases = [
        ("0", 0),
        ("-5", -5000),
        ("1704067503.25", 1_704_067_503_250),
        ("1704067500.1234", 1_704_067_500_123),
        ("1704067500.9996", 1_704_067_501_000),
        ("1.7040675e9", 1_704_067_500_000),
        ("-0.5", -500),
        ("-1.5", -1500),
        ("+.5", 500),
        ("2024-01-01T00:05:00.5Z", 1_704_067_500_500),
        ("2024-01-01T01:05:00.5+01:00", 1_704_067_500_500),
        ("2023-12-31T18:35:00-05:30", 1_704_067_500_000),
        ("1969-12-31T23:59:59.9999Z", -1),
        ("2024-01-01T00:00:00.123999999Z", 1_704_067_200_123),
        ("-292273086-05-16T16:47:06Z", MIN_MS),
        ("292277025-08-18T07:12:54.999999999Z", MAX_MS),
    ];
    for (text, ms) in cases {
        assert_eq!(parse_ms(text), Ok(ms), "{text}");
    }
    for ms in 0..1000 {
        assert_eq!(parse_ms(&format!("1704067200.{ms:03}")), Ok(1_704_067_200_000 + ms));
        assert_eq!(parse_ms(&format!("-0.{ms:03}")), Ok(-ms));
    }
}

#[test]
fn anything_else_is_no_time() {
    let cases = [
        "",
        "abc",
        " 1",
        "1s",
        "NaN",
        "Inf",
        "-Inf",
        "1e300",
        "9223372036854775807",
        "2024-01-01",
        "2024-01-01 00:00:00",
        "2024-13-01T00:00:00Z",
        "2024-02-30T00:00:00Z",
        "2024-01-01t00:00:00z",
        "2024-01-01T00:00:00",
        "ü024-01-01T00:00:00Z",
        "2024-01-01T00:00:00+01",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00Z",
        "2024-01-01T23:59:60Z",
        "2024-01-01T00:00:00Z[UTC]",
        "2024-01-01T00:00:00+01:00:00",
    ];
    for text in cases {
        assert_eq!(parse_ms(text), Err(format!("cannot parse {text:?} to a valid timestamp")));
    }
}

#[test]
fn durations_are_seconds_or_have_units() {
    let cases = [
        ("120", 120_000_000_000),
        ("0.000000001", 1),
        ("-1", -1_000_000_000),
        ("1m30s", 90_000_000_000),
        ("400ms", 400_000_000),
        ("0s", 0),
        ("1e-3", 1_000_000),
        ("292y", 292 * 365 * 86_400_000_000_000),
    ];
    for (text, ns) in cases {
        assert_eq!(DurationNs::parse(text), Ok(DurationNs(ns)), "{text}");
    }
    for text in ["", "abc", "1x", "30s1m", "-1m", "293y"] {
        assert_eq!(DurationNs::parse(text), Err(format!("cannot parse {text:?} to a valid duration")));
    }
    for text in ["1e300", "NaN", "-Inf", "9223372036.854775808"] {
        assert_eq!(
            DurationNs::parse(text),
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64")),
        );
    }
}

#[test]
fn errors_name_the_parameter_as_prometheus_does() {
    assert_eq!(
        text(params("start=x").time_ms("start")),
        "invalid parameter \"start\": cannot parse \"x\" to a valid timestamp"
    );
    assert_eq!(text(params("").time_ms("end")), "invalid parameter \"end\": cannot parse \"\" to a valid timestamp");
    assert_eq!(
        text(params("time=abc").optional_time_ms("time")),
        "invalid parameter \"time\": invalid time value for 'time': cannot parse \"abc\" to a valid timestamp"
    );
    assert_eq!(
        text(params("step=1%20m").duration("step")),
        "invalid parameter \"step\": cannot parse \"1 m\" to a valid duration"
    );
    assert_eq!(text(params("limit=-1").limit()), "invalid parameter \"limit\": limit must be non-negative");
    assert_eq!(
        text(params("limit=1.5").limit()),
        "invalid parameter \"limit\": strconv.Atoi: parsing \"1.5\": invalid syntax"
    );
    assert_eq!(
        text(params("limit=9223372036854775808").limit()),
        "invalid parameter \"limit\": strconv.Atoi: parsing \"9223372036854775808\": value out of range"
    );
    assert_eq!(text(params("limit_per_metric=x").number("limit_per_metric")), "limit_per_metric must be a number");
}

#[test]
fn limits_and_ranges() {
    for (query, limit) in [("", None), ("limit=", None), ("limit=0", None), ("limit=3", Some(3))] {
        assert_eq!(params(query).limit(), Ok(limit), "{query}");
    }
    assert_eq!(params("start=1&end=2").lookup_range(), Ok(TimeRange::new(1000, 2001)));
    assert_eq!(params("").lookup_range(), Ok(TimeRange::new(MIN_MS, MAX_MS + 1)));
}

#[test]
fn selectors_must_select() {
    let both = params("match[]=a&match%5B%5D=%7Bb%3D~%22c.%2B%22%7D").selectors().unwrap();
    assert_eq!(both.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    for (query, error) in [
        ("match[]=", "unknown position: parse error: "),
        ("match[]={}", "match[] must contain at least one non-empty matcher"),
        ("match[]=a&match[]={b=~\".*\"}", "match[] must contain at least one non-empty matcher"),
        ("match[]=foo{", "1:5: parse error: unexpected end of input inside braces"),
        ("match[]=a offset 1m", "1:3: parse error: unexpected <offset>"),
    ] {
        let found = params(query).selectors().unwrap_err();
        assert!(found.starts_with(error), "{query}: {found}");
    }
}

async fn read(method: Method, uri: &str, content_type: &str, body: impl Into<Body>) -> Result<Params, ApiError> {
    let request = Request::builder().method(method).uri(uri).header(CONTENT_TYPE, content_type);
    Params::from_request(request.body(body.into()).unwrap(), &()).await
}

#[tokio::test]
async fn a_form_goes_before_the_url() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let both = read(
        Method::POST,
        "/?query=1&match[]=a",
        "application/x-www-form-urlencoded; charset=utf-8",
        "query=2%2B3&match[]=b",
    );
    let both = both.await.unwrap();
    assert_eq!(both.get("query"), Some("2+3"));
    assert_eq!(both.all("match[]").collect::<Vec<_>>(), ["b", "a"]);
    for (method, content_type) in [(Method::GET, FORM), (Method::POST, "application/json")] {
        let one = read(method, "/?query=1", content_type, "query=2").await.unwrap();
        assert_eq!(one.all("query").collect::<Vec<_>>(), ["1"]);
    }
    let long = "x".repeat(FORM_BYTES_MAX as usize + 1);
    let error = text(read(Method::POST, "/", FORM, long).await);
    assert!(error.starts_with("error parsing form values: "), "{error}");
}
