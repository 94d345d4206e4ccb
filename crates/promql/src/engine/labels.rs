//! What operations do to label sets: dropping the name, grouping, matching, `label_replace` and `label_join`.

use crate::engine::QueryError;
use crate::engine::points::SeriesPoints;
use longhaul_model::regex::AnchoredRegex;
use longhaul_model::{Labels, METRIC_NAME};

/// Whether a label says what a metric is rather than where it comes from; such labels go together.
pub fn is_metadata(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

/// Whether a label may have this name: any text, as long as it is one. (Bytes in a query that are no text have become
/// replacement characters on the way here.)
pub fn is_label_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::REPLACEMENT_CHARACTER)
}

/// The labels without what says which metric it is, and whether more than a name was dropped.
pub fn without_metadata(labels: &Labels) -> (Labels, bool) {
    let mut more = false;
    let kept = labels.without(|name| {
        let drop = is_metadata(name);
        more |= drop && name != METRIC_NAME;
        drop
    });
    (kept, more)
}

/// Which labels decide where a series belongs: `by (…)`, `without (…)`, `on (…)`, `ignoring (…)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    names: Vec<String>,
    excluded: bool,
}

impl Grouping {
    /// `by (names)` or `on (names)`: these labels only.
    pub fn by(names: &[String]) -> Self {
        Self { names: sorted(names), excluded: false }
    }

    /// `without (names)` or `ignoring (names)`: all but these and the name. Type and unit count: series of different units
    /// do not go together.
    pub fn without(names: &[String]) -> Self {
        Self { names: sorted(names), excluded: true }
    }

    /// The same with the label `name` among those that count, unless it is left out on purpose.
    pub fn with(&self, name: &str) -> Self {
        let mut grouping = self.clone();
        if !self.excluded {
            grouping.names.push(name.to_owned());
        }
        grouping
    }

    /// The labels of the group that a series belongs to.
    pub fn of(&self, labels: &Labels) -> Labels {
        if !self.excluded && self.names.is_empty() {
            return Labels::empty();
        }
        labels.without(|name| {
            let listed = self.names.iter().any(|other| other == name);
            if self.excluded { listed || name == METRIC_NAME } else { !listed }
        })
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort();
    names.dedup();
    names
}

/// `label_replace`, ready to be applied.
#[derive(Clone, Debug)]
pub struct Replacement {
    target: String,
    template: String,
    source: String,
    regex: AnchoredRegex,
}

impl Replacement {
    /// `label_replace(v, target, template, source, regex)`.
    pub fn new(target: &str, template: &str, source: &str, regex: &str) -> Result<Self, QueryError> {
        let compiled = AnchoredRegex::new(regex)
            .map_err(|_| QueryError::execution(format!("invalid regular expression in label_replace(): {regex}")))?;
        if !is_label_name(target) {
            return Err(QueryError::execution(format!("invalid destination label name in label_replace(): {target}")));
        }
        Ok(Self {
            target: target.to_owned(),
            template: template.to_owned(),
            source: source.to_owned(),
            regex: compiled,
        })
    }

    /// Relabels one series.
    pub fn apply(&self, series: &mut SeriesPoints) {
        let source = series.labels.get(&self.source).unwrap_or("");
        if let Some(value) = self.regex.expand(source, &self.template) {
            set_label(series, &self.target, &value);
        }
    }
}

/// `label_join`, ready to be applied.
#[derive(Clone, Debug)]
pub struct Join {
    target: String,
    separator: String,
    sources: Vec<String>,
}

impl Join {
    /// `label_join(v, target, separator, sources…)`.
    pub fn new(target: &str, separator: &str, sources: Vec<String>) -> Result<Self, QueryError> {
        if let Some(source) = sources.iter().find(|source| !is_label_name(source)) {
            return Err(QueryError::execution(format!("invalid source label name in label_join(): {source}")));
        }
        if !is_label_name(target) {
            return Err(QueryError::execution(format!("invalid destination label name in label_join(): {target}")));
        }
        Ok(Self { target: target.to_owned(), separator: separator.to_owned(), sources })
    }

    /// Relabels one series.
    pub fn apply(&self, series: &mut SeriesPoints) {
        let values: Vec<&str> = self.sources.iter().map(|source| series.labels.get(source).unwrap_or("")).collect();
        let joined = values.join(&self.separator);
        set_label(series, &self.target, &joined);
    }
}

fn set_label(series: &mut SeriesPoints, name: &str, value: &str) {
    series.labels = with_label(&series.labels, name, value);
    if name == METRIC_NAME {
        series.drop_name = false; // a name that was given on purpose stays
    }
}

/// The labels with one of them set; an empty value removes it.
pub fn with_label(labels: &Labels, name: &str, value: &str) -> Labels {
    Labels::from_pairs(labels.iter().chain([(name, value)]))
}

/// A number as Go's `strconv.FormatFloat(value, 'f', -1, 64)` writes it: as many digits as it takes, no exponent.
pub fn format_float(value: f64) -> String {
    if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}

/// A text as a float, as Go's `strconv.ParseFloat` reads decimal numbers (bucket bounds in `le`).
pub fn parse_float(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (!value.is_nan() || !text.starts_with(['+', '-'])).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels::from_pairs([(METRIC_NAME, "up"), ("job", "a"), ("pod", "p"), ("__unit__", "s")])
    }

    #[test]
    fn groupings() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(Grouping::by(&names(&["pod", "absent"])).of(&labels()).to_string(), r#"{pod="p"}"#);
        assert_eq!(Grouping::by(&[]).of(&labels()), Labels::empty());
        assert_eq!(Grouping::without(&names(&["pod", "job"])).of(&labels()).to_string(), r#"{__unit__="s"}"#);
        assert_eq!(without_metadata(&labels()), (Grouping::by(&names(&["job", "pod"])).of(&labels()), true));
    }

    #[test]
    fn numbers_as_label_values() {
        assert_eq!(format_float(1e21), "1000000000000000000000");
        assert_eq!(format_float(0.1), "0.1");
        assert_eq!(format_float(-0.0), "-0");
        assert_eq!(format_float(f64::INFINITY), "+Inf");
        assert_eq!(format_float(f64::NAN), "NaN");
        assert_eq!(parse_float("+Inf"), Some(f64::INFINITY));
        assert_eq!(parse_float(""), None);
        assert_eq!(parse_float("0x"), None);
    }

    #[test]
    fn joined_labels() {
        let mut series = SeriesPoints::empty(labels(), 0);
        series.drop_name = true;
        Join::new("x", "-", vec!["job".to_owned(), "none".to_owned(), "pod".to_owned()]).unwrap().apply(&mut series);
        assert_eq!(series.labels.get("x"), Some("a--p"));
        assert!(series.drop_name);
        Join::new(METRIC_NAME, "", vec!["job".to_owned()]).unwrap().apply(&mut series);
        assert!(!series.drop_name && series.labels.metric_name() == "a");
    }
}
