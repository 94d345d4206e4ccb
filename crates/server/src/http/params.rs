//! The parameters of a request of the read API: from the URL and, for POST, a form in the body.
//!
//! An inclusive range of HTTP becomes a half-open [`TimeRange`] here, and only here. Syntax and error texts are
//! Prometheus' (`parseTime`, `parseDuration`, `parseLimitParam` in `web/api/v1/api.go`).

mod duration;
mod time;

use crate::http::body;
use crate::http::error::ApiError;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use longhaul_model::{Matcher, TimeRange};
use longhaul_promql::{ParseOptions, parse_selector};
use std::num::{IntErrorKind, ParseIntError};
use url::form_urlencoded;

pub(crate) use duration::DurationNs;

/// The longest form. The longest query is far shorter; lists of `match[]` grow with dashboards.
const FORM_BYTES_MAX: u64 = 4 << 20;

/// Names and values, those of the body first: of equal names the first one counts.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of a query string.
    fn of(query: &[u8]) -> impl Iterator<Item = (String, String)> {
        form_urlencoded::parse(query).into_owned()
    }

    /// The value of `name`; absent and empty are the same.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    /// All values of `name`.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |pair| pair.0 == name).map(|pair| pair.1.as_str())
    }

    /// The time `name`, which must be there, ms.
    pub(crate) fn time_ms(&self, name: &str) -> Result<i64, ApiError> {
        time::parse_ms(self.get(name).unwrap_or_default()).map_err(|error| ApiError::invalid_parameter(name, error))
    }

    /// The time `name` if it is there, ms.
    pub(crate) fn optional_time_ms(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let read = |text| {
            let wrong = |error| ApiError::invalid_parameter(name, format!("invalid time value for '{name}': {error}"));
            time::parse_ms(text).map_err(wrong)
        };
        self.get(name).map(read).transpose()
    }

    /// The duration `name`, which must be there.
    pub(crate) fn duration(&self, name: &str) -> Result<DurationNs, ApiError> {
        let text = self.get(name).unwrap_or_default();
        DurationNs::parse(text).map_err(|error| ApiError::invalid_parameter(name, error))
    }

    /// How many items are wanted at most; None: all of them.
    pub(crate) fn limit(&self) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(None) };
        match integer(text).map_err(|error| ApiError::invalid_parameter("limit", error))? {
            negative if negative < 0 => Err(ApiError::invalid_parameter("limit", "limit must be non-negative")),
            limit => Ok((limit > 0).then_some(limit as usize)),
        }
    }

    /// The whole number `name` if it is there.
    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let wrong = |_| ApiError::bad_data(format!("{name} must be a number"));
        self.get(name).map(|text| integer(text).map_err(wrong)).transpose()
    }

    /// The truth value `name`, in whatever spelling Go knows (`strconv.ParseBool`); false if it is not there.
    pub(crate) fn boolean(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name).unwrap_or_default() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            text => {
                let reason = format!("strconv.ParseBool: parsing {text:?}: invalid syntax");
                Err(ApiError::invalid_parameter(name, format!("error converting {name}: {reason}")))
            }
        }
    }

    /// `start` and `end` of a look-up: all of time where they are missing.
    pub(crate) fn lookup_range(&self) -> Result<TimeRange, ApiError> {
        let first_ms = self.optional_time_ms("start")?.unwrap_or(time::MIN_MS);
        let last_ms = self.optional_time_ms("end")?.unwrap_or(time::MAX_MS);
        Ok(TimeRange::inclusive(first_ms, last_ms))
    }

    /// The selectors `match[]`, each of which must select something by its labels; Err says what is wrong with the first
    /// bad one.
    pub(crate) fn selectors(&self) -> Result<Vec<Vec<Matcher>>, String> {
        let selectors = self.any_selectors()?;
        if selectors.iter().any(|matchers| matchers.iter().all(Matcher::matches_empty)) {
            return Err("match[] must contain at least one non-empty matcher".to_owned());
        }
        Ok(selectors)
    }

    /// The selectors `match[]`, also those that select everything.
    pub(crate) fn any_selectors(&self) -> Result<Vec<Vec<Matcher>>, String> {
        self.all("match[]").map(selector).collect()
    }
}

/// Reads a lone selector. Err says what is wrong with it.
pub(crate) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    parse_selector(text, &ParseOptions::default()).map_err(|error| error.to_string())
}

/// Reads a whole number; the errors are Go's (`strconv.Atoi`).
fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|error: ParseIntError| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing {text:?}: {reason}")
    })
}

impl<S: Send + Sync> FromRequest<S> for Params {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let is_form = parts.method == Method::POST
            && parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
                let media_type = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
                media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
            });
        let form = if is_form { read_form(body).await? } else { Bytes::new() };
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(Self::of(&form).chain(Self::of(query.as_bytes())).collect()))
    }
}

async fn read_form(form: Body) -> Result<Bytes, ApiError> {
    body::read(form, FORM_BYTES_MAX)
        .await
        .map_err(|error| ApiError::bad_data(format!("error parsing form values: {error}")))
}

#[cfg(test)]
mod tests;
