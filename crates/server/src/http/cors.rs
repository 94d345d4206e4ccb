//! Cross-origin requests, answered as Prometheus answers them: any origin may read (`web/web.go`, `httputil.SetCORS`).
//! What must not be read by anybody is behind a gateway that checks credentials, which browsers do not send across.

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, VARY,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const HEADERS: [(HeaderName, &str); 5] = [
    (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Origin"),
    (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    (VARY, "Origin"),
];

/// Answers a preflight, and lets other origins read the answers.
pub(crate) async fn allow(request: Request, next: Next) -> Response {
    let has_origin = request.headers().contains_key(ORIGIN);
    let mut response = match *request.method() {
        Method::OPTIONS => StatusCode::NO_CONTENT.into_response(),
        _ => next.run(request).await,
    };
    if has_origin {
        let headers = response.headers_mut();
        let others = headers.remove(VARY);
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(other) = others {
            headers.append(VARY, other);
        }
    }
    response
}
