//! The `Accept` header, as Prometheus reads it (`goautoneg`): clauses by falling quality, wildcards last.

use super::FormatKind;

/// One media type with its parameters.
#[derive(Debug)]
pub(super) struct Clause<'a> {
    media_type: (&'a str, &'a str),
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

/// The clauses of a header in the order of what the client prefers. What cannot be read is left out.
pub(super) fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(Clause::parse).collect();
    let wildcards = |clause: &Clause<'_>| (clause.media_type.0 == "*", clause.media_type.1 == "*");
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality).then_with(|| wildcards(a).cmp(&wildcards(b))));
    clauses
}

impl<'a> Clause<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media_type = match parts.next()? {
            "*" => ("*", "*"),
            text => text.split_once('/')?,
        };
        let mut parameters: Vec<(&str, &str)> =
            parts.filter_map(|part| part.split_once('=')).map(|(name, value)| (name.trim(), value.trim())).collect();
        let mut quality = 1.0;
        parameters.retain(|(name, value)| {
            let is_quality = *name == "q";
            if is_quality {
                quality = value.parse().unwrap_or(0.0);
            }
            !is_quality
        });
        Some(Self { media_type, quality, parameters })
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|parameter| parameter.0 == name).map(|parameter| parameter.1)
    }

    /// The format that the clause asks for, if it is offered.
    pub(super) fn format(&self) -> Option<FormatKind> {
        match self.media_type {
            ("application", "vnd.google.protobuf") => {
                let is_ours = self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && self.parameter("encoding") == Some("delimited");
                is_ours.then_some(FormatKind::Protobuf)
            }
            ("text", "plain") => {
                matches!(self.parameter("version"), None | Some("" | "0.0.4")).then_some(FormatKind::Text)
            }
            _ => None,
        }
    }
}
