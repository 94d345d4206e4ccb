//! Whose request it is.

use crate::app::AppState;
use crate::config::AuthMode;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use longhaul_model::{InvalidTenantId, TenantId};

/// The header by which a trusted gateway names the tenant; Mimir's and Cortex'.
const TENANT_HEADER: &str = "X-Scope-OrgID";

/// The tenant of a request.
pub(crate) struct Tenant(pub(crate) TenantId);

/// Why a request has no tenant.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("no org id: set the {TENANT_HEADER} header")]
    Missing,
    #[error("the {TENANT_HEADER} header must be given once, as ASCII text")]
    Malformed,
    #[error("{TENANT_HEADER}: {0}")]
    Invalid(#[from] InvalidTenantId),
}

impl FromRequestParts<AppState> for Tenant {
    type Rejection = AuthError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, AuthError> {
        match app.config.auth.mode {
            // The header is ignored: a client must not choose where nobody checks.
            AuthMode::None => Ok(Self(TenantId::anonymous())),
            AuthMode::Header => {
                let mut values = parts.headers.get_all(TENANT_HEADER).iter();
                let value = values.next().ok_or(AuthError::Missing)?;
                if values.next().is_some() {
                    return Err(AuthError::Malformed);
                }
                Ok(Self(TenantId::parse(value.to_str().map_err(|_| AuthError::Malformed)?)?))
            }
        }
    }
}

impl IntoResponse for AuthError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Missing => StatusCode::UNAUTHORIZED,
            Self::Malformed | Self::Invalid(_) => StatusCode::BAD_REQUEST,
        };
        (status, self.to_string()).into_response()
    }
}
