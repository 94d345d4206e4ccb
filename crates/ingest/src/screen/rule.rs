//! Relabelling rules, with the meaning that `metric_relabel_configs` have in Prometheus (`model/relabel`).

use longhaul_model::regex::AnchoredRegex;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Labels of a series in the order of their names, none of them empty.
pub(super) type LabelMap<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// A rule as it stands in a configuration; what is left out has Prometheus' default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleConfig {
    /// The labels whose values are looked at.
    pub source_labels: Vec<String>,
    /// What is put between them; `;`.
    pub separator: Option<String>,
    /// What they, or names of labels, must match as a whole; `(.*)`.
    pub regex: Option<String>,
    /// Hashes are taken by this.
    pub modulus: Option<u64>,
    /// The label that is written.
    pub target_label: String,
    /// What is written; `$1`.
    pub replacement: Option<String>,
    /// What the rule does; `replace`.
    pub action: Action,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Writes the target label, if the expression matches.
    #[default]
    Replace,
    /// Drops the series unless the expression matches.
    Keep,
    /// Drops the series if the expression matches.
    Drop,
    /// Drops the series unless the values are that of the target label.
    KeepEqual,
    /// Drops the series if they are.
    DropEqual,
    /// Writes the remainder of the values' hash.
    HashMod,
    /// Copies labels whose names match to names that are made of theirs.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Writes the values in small letters.
    Lowercase,
    /// Writes the values in capital letters.
    Uppercase,
}

/// A rule that can be applied.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    source_labels: Vec<String>,
    separator: String,
    regex: AnchoredRegex,
    modulus: u64,
    target_label: String,
    replacement: String,
    action: Action,
}

impl Rule {
    /// Err: what is missing, too much or wrong, for whoever wrote the configuration.
    pub fn new(config: &RuleConfig) -> Result<Self, String> {
        let RuleConfig { source_labels, separator, regex, modulus, target_label, replacement, action } = config;
        let is_about_names = matches!(action, Action::LabelDrop | Action::LabelKeep);
        let compares = matches!(action, Action::KeepEqual | Action::DropEqual);
        let writes = matches!(action, Action::Replace | Action::HashMod | Action::Lowercase | Action::Uppercase);
        if (writes || compares) && target_label.is_empty() {
            return Err(format!("{action:?} needs a target_label"));
        }
        if *action == Action::HashMod && modulus.unwrap_or_default() == 0 {
            return Err("HashMod needs a modulus above 0".to_owned());
        }
        let has_more = separator.is_some() || modulus.is_some() || replacement.is_some();
        if is_about_names && (has_more || !source_labels.is_empty() || !target_label.is_empty()) {
            return Err(format!("{action:?} takes a regex and nothing else"));
        }
        if compares && (has_more || regex.is_some()) {
            return Err(format!("{action:?} takes source_labels and target_label and nothing else"));
        }
        if *action == Action::LabelMap && replacement.as_ref().is_some_and(String::is_empty) {
            return Err("LabelMap needs a replacement".to_owned());
        }
        Ok(Self {
            source_labels: source_labels.clone(),
            separator: separator.clone().unwrap_or_else(|| ";".to_owned()),
            regex: AnchoredRegex::new(regex.as_deref().unwrap_or("(.*)")).map_err(|error| error.to_string())?,
            modulus: modulus.unwrap_or_default(),
            target_label: target_label.clone(),
            replacement: replacement.clone().unwrap_or_else(|| "$1".to_owned()),
            action: *action,
        })
    }

    /// Changes labels; false if the series is to be dropped.
    pub fn apply(&self, labels: &mut LabelMap<'_>) -> bool {
        let values = self.source_labels.iter().map(|name| labels.get(name.as_str()).map_or("", |value| value));
        let value = values.collect::<Vec<_>>().join(&self.separator);
        match self.action {
            Action::Keep => return self.regex.is_match(&value),
            Action::Drop => return !self.regex.is_match(&value),
            Action::KeepEqual => return labels.get(self.target_label.as_str()).map_or("", |it| it) == value,
            Action::DropEqual => return labels.get(self.target_label.as_str()).map_or("", |it| it) != value,
            Action::Replace => {
                let target = self.regex.expand(&value, &self.target_label);
                let replacement = self.regex.expand(&value, &self.replacement);
                if let (Some(target), Some(replacement)) = (target, replacement) {
                    set(labels, target, replacement);
                }
            }
            Action::HashMod => set(labels, self.target_label.clone(), (hash(&value) % self.modulus).to_string()),
            Action::Lowercase => set(labels, self.target_label.clone(), value.to_lowercase()),
            Action::Uppercase => set(labels, self.target_label.clone(), value.to_uppercase()),
            Action::LabelMap => {
                let copy = |(name, value): (&Cow<'_, str>, &Cow<'_, str>)| {
                    Some((self.regex.expand(name, &self.replacement)?, value.clone().into_owned()))
                };
                let copies: Vec<(String, String)> = labels.iter().filter_map(copy).collect();
                copies.into_iter().for_each(|(name, value)| set(labels, name, value));
            }
            Action::LabelDrop => labels.retain(|name, _| !self.regex.is_match(name)),
            Action::LabelKeep => labels.retain(|name, _| self.regex.is_match(name)),
        }
        true
    }
}

/// An empty value takes a label away; an empty name is none.
fn set(labels: &mut LabelMap<'_>, name: String, value: String) {
    if name.is_empty() {
        return;
    }
    if value.is_empty() {
        labels.remove(name.as_str());
    } else {
        labels.insert(Cow::Owned(name), Cow::Owned(value));
    }
}

/// The last eight bytes of the MD5, as Prometheus takes them.
pub(super) fn hash(value: &str) -> u64 {
    let digest: [u8; 16] = Md5::digest(value.as_bytes()).into();
    u64::from_be_bytes(*digest.last_chunk().expect("sixteen bytes"))
}
