//! What is not done, and why: a status of HTTP and the words that clients show.

use serde_json::json;

use crate::wire::http::status::Status;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(status: Status, why: impl Into<String>) -> Self {
        Self { status, why: why.into() }
    }

    /// The content of a request is not what it should be.
    pub(super) fn body(why: &str) -> Self {
        Self::new(Status::BAD_REQUEST, format!("bad request body: {why}"))
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::new(Status::BAD_REQUEST, format!("missing required field: {field}"))
    }

    /// As clients read it.
    pub(super) fn told(&self) -> Vec<u8> {
        let mut told = json!({ "error": self.why, "status": self.status.code() }).to_string().into_bytes();
        told.push(b'\n');
        told
    }
}
