//! Attributes as labels: their names, their values as text, and which of a resource's belong to every series.

use super::names::label_name;
use super::settings::OtlpSettings;
use crate::proto::opentelemetry::any_value::Value;
use crate::proto::opentelemetry::{AnyValue, InstrumentationScope, KeyValue};
use longhaul_model::METRIC_NAME;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Labels in the order of their names.
pub(super) type LabelMap = BTreeMap<String, String>;

/// What a resource gives to its series.
pub(super) struct ResourceLabels {
    /// `job` and `instance`: they replace attributes of these names.
    identity: LabelMap,
    /// Attributes that the settings promote: those of data points go before them.
    promoted: LabelMap,
    /// What `target_info` says beside the identity.
    told: LabelMap,
}

impl ResourceLabels {
    /// Err: an attribute that can be no label.
    pub fn of(attributes: &[KeyValue], settings: &OtlpSettings) -> Result<Self, String> {
        let text = |key: &str| {
            let found = attributes.iter().find(|attribute| attribute.key == key);
            found.map(|attribute| value_text(attribute.value.as_ref())).filter(|value| !value.is_empty())
        };
        let mut identity = LabelMap::new();
        if let Some(name) = text("service.name") {
            let job = match text("service.namespace") {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            };
            identity.insert("job".to_owned(), job);
        }
        if let Some(instance) = text("service.instance.id") {
            identity.insert("instance".to_owned(), instance);
        }
        let is_identifying = |key: &str| matches!(key, "service.name" | "service.namespace" | "service.instance.id");
        let is_promoted = |key: &String| match settings.promote_all_resource_attributes {
            true => !settings.ignore_resource_attributes.contains(key),
            false => settings.promote_resource_attributes.contains(key),
        };
        let is_told = |key: &String| settings.keep_identifying_resource_attributes || !is_identifying(key);
        Ok(Self {
            identity,
            promoted: labels(attributes.iter().filter(|it| is_promoted(&it.key)), settings)?,
            told: labels(attributes.iter().filter(|it| is_told(&it.key)), settings)?,
        })
    }

    /// The labels of a data point with these attributes.
    pub fn with(&self, scope: &LabelMap, attributes: &[KeyValue], settings: &OtlpSettings) -> Result<LabelMap, String> {
        let mut all = labels(attributes.iter(), settings)?;
        for (name, value) in &self.promoted {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        all.extend(scope.clone());
        all.extend(self.identity.clone());
        Ok(all)
    }

    /// The labels of `target_info`; None if there is nothing to say, or nothing to say it of.
    pub fn target_info(&self) -> Option<LabelMap> {
        if self.identity.is_empty() || self.told.is_empty() {
            return None;
        }
        let mut all = self.told.clone();
        all.extend(self.identity.clone());
        Some(all)
    }
}

/// The labels that a scope gives to its series: none if it has no name.
pub(super) fn scope_labels(
    scope: Option<&InstrumentationScope>,
    schema_url: &str,
    settings: &OtlpSettings,
) -> Result<LabelMap, String> {
    let mut all = LabelMap::new();
    let Some(scope) = scope.filter(|scope| settings.promote_scope_metadata && !scope.name.is_empty()) else {
        return Ok(all);
    };
    for attribute in &scope.attributes {
        let name = label_name(&format!("otel_scope_{}", attribute.key), settings)?.into_owned();
        all.insert(name, value_text(attribute.value.as_ref()));
    }
    all.insert("otel_scope_name".to_owned(), scope.name.clone());
    all.insert("otel_scope_version".to_owned(), scope.version.clone());
    all.insert("otel_scope_schema_url".to_owned(), schema_url.to_owned());
    Ok(all)
}

/// Attributes in the order of their keys; values that meet in one label are joined.
pub(super) fn labels<'a>(
    attributes: impl Iterator<Item = &'a KeyValue>,
    settings: &OtlpSettings,
) -> Result<LabelMap, String> {
    let mut sorted: Vec<&KeyValue> = attributes.filter(|attribute| attribute.key != METRIC_NAME).collect();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut all = LabelMap::new();
    for attribute in sorted {
        let name = label_name(&attribute.key, settings)?.into_owned();
        let value = value_text(attribute.value.as_ref());
        all.entry(name)
            .and_modify(|present| {
                present.push(';');
                present.push_str(&value);
            })
            .or_insert_with(|| value.clone());
    }
    Ok(all)
}

/// A value as text: lists and maps as JSON, bytes in base64.
pub(super) fn value_text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        None => String::new(),
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BytesValue(bytes)) => base64(bytes),
        Some(other) => {
            let mut json = String::new();
            write_json(other, &mut json);
            json
        }
    }
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::StringValue(text) => write_json_text(text, out),
        Value::BoolValue(flag) => drop(write!(out, "{flag}")),
        Value::IntValue(number) => drop(write!(out, "{number}")),
        Value::DoubleValue(number) => out.push_str(&float_text(*number)),
        Value::BytesValue(bytes) => write_json_text(&base64(bytes), out),
        Value::ArrayValue(array) => {
            let items = array.values.iter().map(|item| item.value.as_ref());
            write_list(out, ['[', ']'], items, |item, out| write_json_or_null(item, out));
        }
        Value::KvlistValue(map) => {
            let sorted: BTreeMap<&str, Option<&AnyValue>> =
                map.values.iter().map(|pair| (pair.key.as_str(), pair.value.as_ref())).collect();
            write_list(out, ['{', '}'], sorted.into_iter(), |(key, value), out| {
                write_json_text(key, out);
                out.push(':');
                write_json_or_null(value.and_then(|value| value.value.as_ref()), out);
            });
        }
    }
}

fn write_json_or_null(value: Option<&Value>, out: &mut String) {
    match value {
        Some(value) => write_json(value, out),
        None => out.push_str("null"),
    }
}

fn write_list<T>(out: &mut String, ends: [char; 2], items: impl Iterator<Item = T>, write: impl Fn(T, &mut String)) {
    out.push(ends[0]);
    for (number, item) in items.enumerate() {
        if number > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(ends[1]);
}

fn write_json_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// As JSON has it, which is how OpenTelemetry writes its doubles.
fn float_text(number: f64) -> String {
    if number != 0.0 && number.is_finite() && !(1e-6..1e21).contains(&number.abs()) {
        let text = format!("{number:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    decimal(number)
}

/// The shortest decimal without an exponent, as `le` and `quantile` have it.
pub(super) fn decimal(number: f64) -> String {
    match number {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => number.to_string(),
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..4 {
            match digit <= group.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}
