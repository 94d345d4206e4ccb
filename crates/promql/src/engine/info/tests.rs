use super::*;
use crate::engine::points::Grid;
use crate::engine::window::Windows;

const STEPS: usize = 2;

fn series(name: &str, labels: &[(&str, &str)], points: [Option<f64>; STEPS]) -> SeriesPoints {
    let labels = labels.iter().copied().chain([(METRIC_NAME, name), ("job", "j")]);
    let mut series = SeriesPoints::empty(Labels::from_pairs(labels), STEPS);
    for (step, value) in points.into_iter().enumerate() {
        value.into_iter().for_each(|value| series.set(step, value));
    }
    series
}

fn info(name: &str, labels: &[(&str, &str)], times: [Option<f64>; STEPS]) -> InfoSeries {
    InfoSeries(series(name, labels, times))
}

fn selector(data: Vec<Matcher>) -> InfoSelector {
    let grid = Grid::new(0, 10, 10);
    let windows = Windows { grid, range_ms: 10, offset_ms: 0, at_ms: None, beyond: None };
    InfoSelector { names: vec![Matcher::new(METRIC_NAME, MatchOp::Regex, ".+_info").unwrap()], data, windows }
}

fn joined(infos: Vec<InfoSeries>, data: Vec<Matcher>) -> Result<Vec<String>, String> {
    let base = vec![series("up", &[("a", "own")], [Some(1.0), Some(1.0)])];
    let joined = join(base, infos, &selector(data), &Budget::unlimited()).map_err(|error| error.to_string())?;
    Ok(joined.series.iter().map(|one| format!("{} {:?}", one.labels, one.present.iter().collect::<Vec<_>>())).collect())
}

#[test]
fn the_newest_info_series_describes() {
    let infos = vec![
        info("target_info", &[("a", "x"), ("v", "old")], [Some(1.0), Some(1.0)]),
        info("target_info", &[("a", "x"), ("v", "new")], [None, Some(2.0)]),
    ];
    let expected =
        [r#"{__name__="up", a="own", job="j", v="old"} [0]"#, r#"{__name__="up", a="own", job="j", v="new"} [1]"#];
    assert_eq!(joined(infos, Vec::new()).unwrap(), expected);
}

#[test]
fn equally_new_info_series_and_contradicting_metrics_are_refused() {
    let same = |name: &str, v: &str| info(name, &[("v", v)], [Some(1.0), None]);
    let duplicate = joined(vec![same("target_info", "a"), same("target_info", "b")], Vec::new()).unwrap_err();
    let series = |v: &str| format!(r#"{{__name__="target_info", job="j", v="{v}"}} @ 1000"#);
    assert_eq!(
        duplicate,
        format!("found duplicate series for info metric: existing {}, new {}", series("a"), series("b"))
    );
    let conflict = joined(vec![same("target_info", "a"), same("build_info", "b")], Vec::new()).unwrap_err();
    assert_eq!(conflict, "conflicting label: v");
}

#[test]
fn what_must_be_there_drops_the_steps_without() {
    let infos = || vec![info("target_info", &[("v", "1"), ("w", "1")], [None, Some(1.0)])];
    let some = |value: &str| vec![Matcher::new("v", MatchOp::Regex, value).unwrap()];
    assert_eq!(joined(infos(), some(".+")).unwrap(), [r#"{__name__="up", a="own", job="j", v="1"} [1]"#]);
    assert_eq!(joined(infos(), some(".*")).unwrap().len(), 2, "and else stays as it is");
    assert_eq!(joined(Vec::new(), some(".+")).unwrap(), Vec::<String>::new());
}

#[test]
fn only_what_can_describe_is_asked_for() {
    let base = [
        series("up", &[("instance", "a:1")], [Some(1.0); STEPS]),
        series("up", &[("instance", "b.c:1")], [Some(1.0); STEPS]),
        series("build_info", &[("instance", "not asked for")], [Some(1.0); STEPS]),
    ];
    let texts = |base: &[SeriesPoints]| {
        let matchers = question(base, &selector(vec![Matcher::equal("v", "1")]), &Budget::unlimited()).unwrap();
        matchers.map(|matchers| matchers.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let expected = [r#"__name__=~".+_info""#, r#"v="1""#, r#"instance=~"a:1|b\\.c:1""#, r#"job="j""#];
    assert_eq!(texts(&base).unwrap(), expected);
    assert_eq!(texts(&base[2..]), None, "an info series describes itself");
}
