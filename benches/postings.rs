//! Selecting among 100,000 series through a plain index in memory: what the plan and the expressions cost, apart from
//! how an index is stored.

#![allow(missing_docs, reason = "criterion's macros")]

use criterion::{Criterion, criterion_group, criterion_main};
use longhaul_model::{MatchOp, Matcher};
use longhaul_postings::{LabelIndex, RoaringBitmap, select};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hint::black_box;

const SERIES: u32 = 100_000;

/// Postings by label and value.
struct MapIndex(BTreeMap<&'static str, BTreeMap<String, RoaringBitmap>>);

impl MapIndex {
    fn new() -> Self {
        let mut labels: BTreeMap<&str, BTreeMap<String, RoaringBitmap>> = BTreeMap::new();
        for series in 0..SERIES {
            let mut add =
                |name, value: String| labels.entry(name).or_default().entry(value).or_default().insert(series);
            add("__name__", format!("metric_{}_total", series / 200));
            add("instance", format!("10.0.{}.{}:9100", series % 200 / 100, series % 100));
            add("pod", format!("pod-{series:08x}"));
            if series % 3 == 0 {
                add("canary", "true".to_owned());
            }
        }
        Self(labels)
    }
}

impl LabelIndex for MapIndex {
    type Error = Infallible;

    fn all(&self) -> Result<RoaringBitmap, Infallible> {
        Ok((0..SERIES).collect())
    }

    fn with_values(&self, name: &str, values: &[&str]) -> Result<RoaringBitmap, Infallible> {
        let found = self.0.get(name).into_iter().flat_map(|label| values.iter().filter_map(|value| label.get(*value)));
        Ok(found.fold(RoaringBitmap::new(), |all, postings| all | postings))
    }

    fn with_values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<RoaringBitmap, Infallible> {
        let mut found = RoaringBitmap::new();
        let Some(label) = self.0.get(name) else { return Ok(found) };
        for (value, postings) in label.range(prefix.to_owned()..).take_while(|(value, _)| value.starts_with(prefix)) {
            if keep(value) {
                found |= postings;
            }
        }
        Ok(found)
    }
}

type Case<'a> = (&'a str, &'a [(&'a str, MatchOp, &'a str)]);

fn selects(criterion: &mut Criterion) {
    use MatchOp::{Equal, NotEqual, NotRegex, Regex};
    let index = MapIndex::new();
    let hosts: Vec<String> = (0..100).map(|host| format!(r"10\.0\.0\.{host}:9100")).collect();
    let hosts = hosts.join("|");
    let cases: [Case<'_>; 6] = [
        ("equal", &[("__name__", Equal, "metric_7_total"), ("instance", Equal, "10.0.1.7:9100")]),
        ("not_equal", &[("__name__", Equal, "metric_7_total"), ("canary", NotEqual, "true")]),
        ("list_of_100", &[("__name__", Equal, "metric_7_total"), ("instance", Regex, &hosts)]),
        ("prefix", &[("__name__", Regex, "metric_7.*"), ("pod", NotRegex, "pod-0000f.*")]),
        ("gaps_over_100k_values", &[("pod", Regex, ".*f0.*")]),
        ("machine_over_100k_values", &[("pod", Regex, "pod-[0-9]+[a-c]{2}")]),
    ];
    for (name, matchers) in cases {
        let build = |&(name, op, value): &(&str, MatchOp, &str)| Matcher::new(name, op, value).unwrap();
        let matchers: Vec<Matcher> = matchers.iter().map(build).collect();
        assert!(!select(&index, &matchers).unwrap().is_empty(), "{name} selects something");
        criterion.bench_function(&format!("postings_select/{name}"), |bencher| {
            bencher.iter(|| select(&index, black_box(&matchers)));
        });
    }
}

fn compiles(criterion: &mut Criterion) {
    for (name, expression) in [("list", "api|web|db|cache"), ("gaps", "api-.*"), ("machine", "(api|web)-[0-9]+")] {
        criterion.bench_function(&format!("regex_compile/{name}"), |bencher| {
            bencher.iter(|| Matcher::new("job", MatchOp::Regex, black_box(expression)));
        });
    }
}

criterion_group!(benches, selects, compiles);
criterion_main!(benches);
