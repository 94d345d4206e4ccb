//! OpenTelemetry's names as Prometheus': metrics with their units and types in their names, attributes as labels.
//!
//! Facts: OpenTelemetry's "Prometheus and OpenMetrics compatibility", as `prometheus/otlptranslator` has it, whose test
//! vectors are ours.

use super::settings::{OtlpSettings, TranslationStrategy};
use std::borrow::Cow;

/// What a metric's type does to its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameKind {
    /// A sum that never falls: `_total`.
    Counter,
    /// A gauge: `_ratio` if its unit is 1.
    Gauge,
    /// Anything else.
    Other,
}

/// Units of UCUM, and what they are called.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("", ""),
];

/// What comes behind a slash.
const UNITS_PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// A unit, taken apart; either may be empty.
struct Unit<'a> {
    main: Cow<'a, str>,
    /// With `per_` in front of it.
    per: Cow<'a, str>,
}

impl<'a> Unit<'a> {
    fn parse(unit: &'a str) -> Self {
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let (main, per) = (plain(main), plain(per));
        let known = |units: &[(&str, &'static str)], unit: &str| {
            units.iter().find(|(symbol, _)| *symbol == unit).map(|(_, name)| *name)
        };
        let main = known(&UNITS, main).map_or(Cow::Borrowed(main), Cow::Borrowed);
        let per = match per {
            "" => Cow::Borrowed(""),
            per => Cow::Owned(format!("per_{}", known(&UNITS_PER, per).unwrap_or(per))),
        };
        Self { main, per }
    }

    fn escaped(self) -> Self {
        let escape = |unit: Cow<'_, str>| Cow::Owned(tokens(&unit).collect::<Vec<_>>().join("_"));
        Self { main: escape(self.main), per: escape(self.per).into_per() }
    }
}

/// `per_` alone says nothing.
trait IntoPer {
    fn into_per(self) -> Self;
}

impl IntoPer for Cow<'_, str> {
    fn into_per(self) -> Self {
        if self == "per" { Cow::Borrowed("") } else { self }
    }
}

/// Annotations in braces are for people.
fn plain(unit: &str) -> &str {
    let unit = unit.trim();
    if unit.contains(['{', '}']) { "" } else { unit }
}

/// The unit as metadata names it.
pub(super) fn unit_name(unit: &str, settings: &OtlpSettings) -> String {
    let unit = Unit::parse(unit);
    let unit = if settings.translation_strategy.escapes() { unit.escaped() } else { unit };
    let parts = [&*unit.main, &*unit.per];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// The metric's name, or why it has none.
pub(super) fn metric_name(name: &str, unit: &str, kind: NameKind, settings: &OtlpSettings) -> Result<String, String> {
    let strategy = settings.translation_strategy;
    let built = match strategy {
        TranslationStrategy::NoTranslation => in_namespace(name, &settings.namespace),
        TranslationStrategy::NoUtf8EscapingWithSuffixes => {
            with_suffixes(in_namespace(name, &settings.namespace), unit, kind)
        }
        TranslationStrategy::UnderscoreEscapingWithoutSuffixes => {
            let join = |name: &str| split(name, |character| is_plain(character) || character == '_').join("_");
            let namespace = join(&settings.namespace);
            digit_escaped(in_namespace(&join(name), &namespace))
        }
        TranslationStrategy::UnderscoreEscapingWithSuffixes => escaped_with_suffixes(name, unit, kind, settings),
    };
    if built.is_empty() {
        return Err(format!("normalization for metric {name:?} resulted in empty name"));
    }
    if strategy.escapes() && built != name && built.chars().all(|character| character == '_') {
        return Err(format!("normalization for metric {name:?} resulted in invalid name {built:?}"));
    }
    Ok(built)
}

fn in_namespace(name: &str, namespace: &str) -> String {
    if namespace.is_empty() || name.is_empty() { name.to_owned() } else { format!("{namespace}_{name}") }
}

fn escaped_with_suffixes(name: &str, unit: &str, kind: NameKind, settings: &OtlpSettings) -> String {
    let mut words: Vec<&str> = tokens(name).collect();
    let suffixes = Unit::parse(unit).escaped();
    for suffix in [&*suffixes.main, &*suffixes.per] {
        if !suffix.is_empty() && !words.contains(&suffix) {
            words.push(suffix);
        }
    }
    let last = match kind {
        NameKind::Counter => Some("total"),
        NameKind::Gauge if unit == "1" => Some("ratio"),
        NameKind::Gauge | NameKind::Other => None,
    };
    if let Some(last) = last {
        words.retain(|word| *word != last);
        words.push(last);
    }
    let namespace = tokens(&settings.namespace).collect::<Vec<_>>().join("_");
    digit_escaped(in_namespace(&words.join("_"), &namespace))
}

/// Appends what is not at the end already, in the order unit, per, total, ratio.
fn with_suffixes(mut name: String, unit: &str, kind: NameKind) -> String {
    let suffixes = Unit::parse(unit);
    let last = match kind {
        NameKind::Counter => "total",
        NameKind::Gauge if unit == "1" => "ratio",
        NameKind::Gauge | NameKind::Other => "",
    };
    for suffix in [last, &*suffixes.per] {
        let longer = name.len() > suffix.len() + 1;
        if !suffix.is_empty() && longer && name.ends_with(suffix) {
            name.truncate(name.len() - suffix.len());
            name.pop(); // the delimiter, whatever it is
        }
    }
    if !suffixes.main.is_empty() && !name.ends_with(&*suffixes.main) {
        name = format!("{name}_{}", suffixes.main);
    }
    for suffix in [&*suffixes.per, last].into_iter().filter(|suffix| !suffix.is_empty()) {
        name = format!("{name}_{suffix}");
    }
    name
}

fn digit_escaped(name: String) -> String {
    if name.starts_with(|character: char| character.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// The words of a name, without what is between them.
fn tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|character| !is_plain(character)).filter(|word| !word.is_empty())
}

fn split(name: &str, keeps: impl Fn(char) -> bool) -> Vec<&str> {
    name.split(|character| !keeps(character)).filter(|word| !word.is_empty()).collect()
}

fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == ':'
}

/// The label for an attribute, or why there is none.
pub(super) fn label_name<'a>(name: &'a str, settings: &OtlpSettings) -> Result<Cow<'a, str>, String> {
    if name.is_empty() {
        return Err("label name is empty".to_owned());
    }
    if !settings.translation_strategy.escapes() {
        return Ok(Cow::Borrowed(name));
    }
    let mut label = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        let character = if character.is_ascii_alphanumeric() { character } else { '_' };
        if character != '_' || settings.label_name_preserve_multiple_underscores || !label.ends_with('_') {
            label.push(character);
        }
    }
    if label.bytes().all(|byte| byte == b'_') {
        return Err(format!("normalization for label name {name:?} resulted in invalid name {label:?}"));
    }
    let one_underscore = label.starts_with('_') && !label.starts_with("__");
    if label.starts_with(|character: char| character.is_ascii_digit()) {
        label.insert_str(0, "key_");
    } else if one_underscore && settings.label_name_underscore_sanitization {
        label.insert_str(0, "key");
    }
    Ok(if label == name { Cow::Borrowed(name) } else { Cow::Owned(label) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::tests::vectors;
    use serde_json::Value;

    #[test]
    fn metrics_are_named_as_the_vectors_say() {
        let Some(vectors) = vectors("otlp_metric_names.json") else { return };
        let mut passed = 0;
        for case in vectors["cases"].as_array().unwrap() {
            let text = |key: &str| case[key].as_str().unwrap_or_default();
            let strategy: TranslationStrategy = serde_json::from_value(case["strategy"].clone()).unwrap();
            let settings = OtlpSettings {
                translation_strategy: strategy,
                namespace: text("namespace").to_owned(),
                ..OtlpSettings::default()
            };
            let kind = match text("type") {
                "MonotonicCounter" => NameKind::Counter,
                "Gauge" => NameKind::Gauge,
                _ => NameKind::Other,
            };
            let built = metric_name(text("name"), text("unit"), kind, &settings);
            match case["want_error"].as_str() {
                Some(error) => assert_eq!(built, Err(error.to_owned()), "{case}"),
                None => {
                    assert_eq!(built.as_deref(), Ok(text("want_metric_name")), "{case}");
                    assert_eq!(unit_name(text("unit"), &settings), text("want_unit"), "{case}");
                }
            }
            passed += 1;
        }
        println!("{passed} metric names");
    }

    #[test]
    fn labels_are_named_as_the_vectors_say() {
        let Some(vectors) = vectors("otlp_label_names.json") else { return };
        let mut passed = 0;
        for case in vectors["cases"].as_array().unwrap() {
            let name = case["label"].as_str().unwrap();
            // What differs from the plain way, for each pair of settings; the vectors leave out what does not.
            for (underscores, prefix, wanted, error) in [
                (false, false, "sanitized", "wantSanitizationError"),
                (true, false, "sanitizedMultipleUnderscores", "wantSanitizationMultipleUnderscoresError"),
                (false, true, "sanitizedUnderscoreLabelSanitization", "wantSanitizationError"),
            ] {
                let settings = OtlpSettings {
                    label_name_preserve_multiple_underscores: underscores,
                    label_name_underscore_sanitization: prefix,
                    ..OtlpSettings::default()
                };
                let text = |key: &str, plain: &str| match &case[key] {
                    Value::String(text) => Some(text.clone()),
                    _ => case[plain].as_str().map(str::to_owned),
                };
                let wanted = match text(error, "wantSanitizationError") {
                    Some(error) => Err(error),
                    None => Ok(text(wanted, "sanitized").unwrap()),
                };
                assert_eq!(label_name(name, &settings).map(Cow::into_owned), wanted, "{case} {underscores} {prefix}");
            }
            let translation_strategy = TranslationStrategy::NoTranslation;
            let settings = OtlpSettings { translation_strategy, ..OtlpSettings::default() };
            let wanted = match case["wantUTF8Error"].as_str() {
                Some(error) => Err(error.to_owned()),
                None => Ok(name.to_owned()),
            };
            assert_eq!(label_name(name, &settings).map(Cow::into_owned), wanted);
            passed += 1;
        }
        println!("{passed} label names");
    }
}
