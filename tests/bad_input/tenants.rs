//! Tenants by header: who says nothing gets nothing, and none sees another's.

use super::request::{body, sample, series};
use crate::support::client::{Client, TENANT_HEADER};
use crate::support::process::Longhaul;
use crate::support::values::Matrix;
use crate::support::{now_ms, seconds};
use std::collections::BTreeMap;

const CONFIGURATION: &str = "self_scrape: {enabled: false}\nauth: {mode: header}\nship: {cut_delay: 100y}\n";

#[tokio::test]
async fn tenants_are_asked_for_and_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Longhaul::configured(dir.path(), CONFIGURATION).await;
    let nobody = Client::new(&server.url);
    let now_ms = now_ms();
    let (t_ms, request_of) = (now_ms - 60_000, |value: f64| {
        body(vec![series(&[("__name__", "shared"), ("owner", "same")], &[sample(now_ms - 60_000, value)])])
    });

    let answer = nobody.write_bytes(request_of(1.0), &[]).await;
    assert_eq!(answer.status, 401, "{}", answer.text);
    assert!(answer.text.contains(TENANT_HEADER), "{}", answer.text);
    let long = "x".repeat(151);
    let invalid = [".", "..", "a/b", "a|b", "a b", "ümlaut", "_longhaul", "__mimir_cluster", long.as_str()];
    for tenant in invalid {
        let answer = nobody.write_bytes(request_of(1.0), &[(TENANT_HEADER, tenant)]).await;
        assert_eq!(answer.status, 400, "{tenant}: {}", answer.text);
        assert!(answer.text.contains(TENANT_HEADER), "{tenant}: {}", answer.text);
    }
    let answer = nobody.write_bytes(request_of(1.0), &[(TENANT_HEADER, "a"), (TENANT_HEADER, "b")]).await;
    assert_eq!(answer.status, 400, "two tenants: {}", answer.text);
    let (http, url) = (reqwest::Client::new(), format!("{}/api/v1", server.url));
    for path in
        ["query?query=shared", "query_range?query=shared&start=1&end=2&step=1", "labels", "series?match[]=shared"]
    {
        assert_eq!(http.get(format!("{url}/{path}")).send().await.unwrap().status(), 401, "{path}");
        let answer = http.get(format!("{url}/{path}")).header(TENANT_HEADER, "a/b").send().await.unwrap();
        assert_eq!(answer.status(), 400, "{path}");
    }

    let (a, b, c) = (nobody.of_tenant("a"), nobody.of_tenant("b"), nobody.of_tenant("c"));
    // One series and one time, two values: a conflict if the two were one.
    assert_eq!(a.write_bytes(request_of(1.0), &[]).await.status, 204);
    assert_eq!(b.write_bytes(request_of(2.0), &[]).await.status, 204);
    let only_b = body(vec![series(&[("__name__", "only_b"), ("secret", "x")], &[sample(t_ms, 9.0)])]);
    assert_eq!(b.write_bytes(only_b, &[]).await.status, 204);
    for place in ["memory", "the log after a SIGKILL", "the bucket"] {
        check(&a, &[("shared", 1.0)], t_ms, place).await;
        check(&b, &[("only_b", 9.0), ("shared", 2.0)], t_ms, place).await;
        check(&c, &[], t_ms, place).await;
        match place {
            "memory" => {
                server.kill();
                server.start_again().await;
            }
            _ => server.flush().await,
        }
    }
    println!("{} invalid tenants refused; three tenants kept apart in memory, log and bucket", invalid.len() + 1);
}

/// Whether a tenant sees these metrics with these values, and no other.
async fn check(client: &Client, expected: &[(&str, f64)], t_ms: i64, place: &str) {
    let time = seconds(t_ms + 30_000);
    let found: Matrix = client.samples("{__name__=~\".+\"}", "1h", &time).await;
    let values: BTreeMap<String, f64> = found
        .iter()
        .map(|(labels, points)| {
            let labels: serde_json::Value = serde_json::from_str(labels).unwrap();
            (labels["__name__"].as_str().unwrap().to_owned(), points[&t_ms])
        })
        .collect();
    let expected_values = expected.iter().map(|(name, value)| (name.to_string(), *value)).collect();
    assert_eq!(values, expected_values, "{place}");
    let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    let listed = client.data("label/__name__/values", &[]).await;
    assert_eq!(listed, serde_json::json!(names), "{place}");
    let secrets = client.data("label/secret/values", &[]).await.as_array().unwrap().len();
    assert_eq!(secrets, usize::from(names.contains(&"only_b")), "{place}");
    let listed = client.data("series", &[("match[]", "{__name__=~\".+\"}")]).await;
    assert_eq!(listed.as_array().unwrap().len(), names.len(), "{place}");
}
