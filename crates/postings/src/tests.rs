//! Random matchers over random series, against asking every series.

use super::*;
use longhaul_model::MatchOp;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;

/// The plainest index there is; it notes what it is asked, and insists that it was announced.
struct MapIndex {
    series: Vec<BTreeMap<String, String>>,
    announced: RefCell<Vec<String>>,
    asked: RefCell<Vec<String>>,
}

impl MapIndex {
    fn new(series: Vec<BTreeMap<String, String>>) -> Self {
        Self { series, announced: RefCell::default(), asked: RefCell::default() }
    }

    fn ask(&self, lookup: String) {
        assert!(self.announced.borrow().contains(&lookup), "{lookup} was not announced");
        self.asked.borrow_mut().push(lookup);
    }

    fn find(&self, mut accept: impl FnMut(&BTreeMap<String, String>) -> bool) -> RoaringBitmap {
        (0..self.series.len() as u32).filter(|&id| accept(&self.series[id as usize])).collect()
    }
}

impl LabelIndex for MapIndex {
    type Error = Infallible;

    fn prefetch(&self, lookups: &[Lookup<'_>]) -> Result<(), Infallible> {
        assert!(self.announced.borrow().is_empty(), "announced twice");
        self.announced.borrow_mut().extend(lookups.iter().map(|lookup| format!("{lookup:?}")));
        Ok(())
    }

    fn all(&self) -> Result<RoaringBitmap, Infallible> {
        self.ask(format!("{:?}", Lookup::All));
        Ok(self.find(|_| true))
    }

    fn with_values(&self, name: &str, values: &[&str]) -> Result<RoaringBitmap, Infallible> {
        self.ask(format!("{:?}", Lookup::Values(name, values)));
        assert!(values.is_sorted_by(|a, b| a < b) && !values.contains(&""), "{values:?}");
        Ok(self.find(|labels| labels.get(name).is_some_and(|value| values.contains(&value.as_str()))))
    }

    fn with_values_where(
        &self,
        name: &str,
        prefix: &str,
        keep: &mut dyn FnMut(&str) -> bool,
    ) -> Result<RoaringBitmap, Infallible> {
        self.ask(format!("{:?}", Lookup::Prefix(name, prefix)));
        Ok(self.find(|labels| labels.get(name).is_some_and(|value| value.starts_with(prefix) && keep(value))))
    }

    fn with_name(&self, name: &str) -> Result<RoaringBitmap, Infallible> {
        self.ask(format!("{:?}", Lookup::Name(name)));
        Ok(self.find(|labels| labels.contains_key(name)))
    }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Matcher {
    Matcher::new(name, op, value).unwrap()
}

fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
    use MatchOp::*;
    let text = prop::sample::select(vec!["", "a", "b", "ab", "abc", "nothing"]);
    let expression = prop::sample::select(vec![
        "", "a", "a|b", "a|", "a.*", "ab.*", ".*", ".+", ".*b.*", "a?", "[ab]+", "(a|ab)c?", "x", "^a$", "a.+|",
        "(?i)A.*", "[^a].*", r"a\b.*",
    ]);
    let plain = (prop::sample::select(vec![Equal, NotEqual]), text);
    let regex = (prop::sample::select(vec![Regex, NotRegex]), expression);
    let condition = prop_oneof![plain, regex];
    let one = (prop::sample::select(vec!["x", "y", "absent"]), condition);
    prop::collection::vec(one.prop_map(|(name, (op, value))| matcher(name, op, value)), 0..5)
}

fn series() -> impl Strategy<Value = Vec<BTreeMap<String, String>>> {
    let label =
        (prop::sample::select(vec!["x", "y"]), prop::sample::select(vec!["a", "b", "ab", "abc", "ba", "A", "c"]));
    let labels = prop::collection::btree_map(label.0.prop_map(String::from), label.1.prop_map(String::from), 0..3);
    prop::collection::vec(labels, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn selects_what_the_matchers_say(series in series(), matchers in matchers()) {
        let index = MapIndex::new(series);
        let selected = select(&index, &matchers).unwrap();
        let value_of = |labels: &BTreeMap<String, String>, name: &str| labels.get(name).cloned().unwrap_or_default();
        let expected = index.find(|labels| matchers.iter().all(|it| it.matches(&value_of(labels, &it.name))));
        prop_assert_eq!(selected, expected, "{:?}", matchers.iter().map(Matcher::to_string).collect::<Vec<_>>());
    }
}

#[test]
fn looks_up_as_little_as_it_can() {
    use MatchOp::*;
    let labels = |x: &str, y: &str| [("x", x), ("y", y)].map(|(name, value)| (name.into(), value.into())).into();
    let series: Vec<BTreeMap<String, String>> = vec![labels("a", "1"), labels("ab", "2"), labels("c", "1")];
    let asked = |matchers: &[(&str, MatchOp, &str)]| {
        let index = MapIndex::new(series.clone());
        let matchers: Vec<Matcher> = matchers.iter().map(|&(name, op, value)| matcher(name, op, value)).collect();
        select(&index, &matchers).unwrap();
        index.asked.take().join(" ")
    };
    // Lists first, tests last; a label that is listed is looked up once.
    assert_eq!(asked(&[("x", Regex, "a.*"), ("y", Equal, "1")]), r#"Values("y", ["1"]) Prefix("x", "a")"#);
    assert_eq!(asked(&[("x", Regex, "a|b|c"), ("x", NotEqual, "b"), ("x", Regex, ".+")]), r#"Values("x", ["a", "c"])"#);
    assert_eq!(asked(&[("x", Regex, "a.*"), ("x", NotRegex, "ab.*")]), r#"Prefix("x", "a")"#);
    // What restricts nothing costs nothing.
    assert_eq!(asked(&[("y", Regex, ".*"), ("x", Equal, "a")]), r#"Values("x", ["a"])"#);
    assert_eq!(asked(&[]), "All");
    // Labels that may be missing are subtracted.
    assert_eq!(asked(&[("x", NotEqual, "a"), ("x", NotRegex, "b|c")]), r#"All Values("x", ["a", "b", "c"])"#);
    assert_eq!(asked(&[("x", Equal, ""), ("y", Equal, "1")]), r#"Values("y", ["1"]) Name("x")"#);
    assert_eq!(asked(&[("x", NotRegex, "ab.*"), ("y", NotEqual, "")]), r#"Name("y") Prefix("x", "ab")"#);
    // Nothing more once nothing is left, nothing at all where nothing can be.
    assert_eq!(asked(&[("y", Equal, "3"), ("x", Regex, "a.*")]), r#"Values("y", ["3"])"#);
    assert_eq!(asked(&[("y", Equal, "1"), ("y", Equal, "2")]), "");
    assert_eq!(asked(&[("x", NotRegex, ".*"), ("y", Equal, "1")]), "");
}
