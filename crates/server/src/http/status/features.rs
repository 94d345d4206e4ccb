//! Which features of Prometheus there are, as its `features` lists them: by category and name, whether each is on.
//!
//! Names are Prometheus' (`util/features`, and wherever it registers them). What is said here of PromQL follows from the
//! parser's and the engine's own settings and tables.

use longhaul_promql::EngineSettings;
use longhaul_promql::ast::{AggregateOp, BinaryOp};
use longhaul_promql::functions;
use std::collections::BTreeMap;

/// The words of PromQL that modify others.
const KEYWORDS: [&str; 8] = ["bool", "by", "group_left", "group_right", "ignoring", "offset", "on", "without"];

type Category = BTreeMap<String, bool>;

/// All features.
pub(super) fn all(engine: &EngineSettings) -> BTreeMap<&'static str, Category> {
    BTreeMap::from([
        ("api", api()),
        ("otlp_receiver", listed(&[("delta_conversion", false), ("native_delta_ingestion", false)])),
        ("prometheus", listed(&[("agent_mode", false), ("auto_reload_config", false), ("server_mode", true)])),
        ("promql", promql(engine)),
        ("promql_functions", promql_functions(engine)),
        ("promql_operators", promql_operators(engine)),
        ("tsdb", tsdb()),
    ])
}

fn api() -> Category {
    listed(&[
        ("admin", false),
        ("exclude_alerts", true),
        ("label_values_match", true),
        ("lifecycle", false),
        ("openapi_3.1", false),
        ("openapi_3.2", false),
        ("otlp_write_receiver", false),
        ("query_stats", true),
        ("query_warnings", true),
        ("remote_write_receiver", true),
        ("search", false),
        ("time_range_labels", true),
        ("time_range_series", true),
    ])
}

fn tsdb() -> Category {
    listed(&[
        ("delayed_compaction", false),
        ("exemplar_storage", true),
        ("isolation", true),
        ("native_histograms", true),
    ])
}

fn promql(engine: &EngineSettings) -> Category {
    let parse = &engine.parse;
    let mut features = listed(&[
        ("anchored", parse.extended_range_selectors),
        ("at_modifier", true),
        ("delayed_name_removal", engine.delayed_name_removal),
        ("duration_expr", parse.duration_expressions),
        ("fill", parse.fill_modifiers),
        ("fill_left", parse.fill_modifiers),
        ("fill_right", parse.fill_modifiers),
        ("negative_offset", true),
        ("per_query_lookback_delta", true),
        ("per_step_stats", true),
        ("smoothed", parse.extended_range_selectors),
        ("subqueries", true),
        ("type_and_unit_labels", false),
    ]);
    features.extend(KEYWORDS.map(|keyword| (keyword.to_owned(), true)));
    features
}

fn promql_functions(engine: &EngineSettings) -> Category {
    let experimental = engine.parse.experimental_functions;
    functions::all().iter().map(|it| (it.name.to_owned(), !it.experimental || experimental)).collect()
}

fn promql_operators(engine: &EngineSettings) -> Category {
    let experimental = engine.parse.experimental_functions;
    let binary = BinaryOp::ALL.iter().map(|operator| (operator.to_string(), true));
    let aggregate = AggregateOp::ALL.iter().map(|it| (it.to_string(), !it.is_experimental() || experimental));
    binary.chain(aggregate).chain(["=~", "!~", "@"].map(|operator| (operator.to_owned(), true))).collect()
}

fn listed(features: &[(&str, bool)]) -> Category {
    features.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect()
}
