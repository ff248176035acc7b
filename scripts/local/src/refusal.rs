//! What a service says to a request that it does not serve.

use axum::http::StatusCode;

/// A service's refusal: HTTP status, error code, message.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    /// Somebody asks for what is not theirs.
    pub(crate) fn denied(identity: &str, action: &str) -> Self {
        Self::new("AccessDeniedException", format!("{identity} is not authorized to perform: {action}"))
    }

    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, message: message.into() }
    }
}
