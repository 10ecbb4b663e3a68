//! A folder as a site: what is there, and who may ask for it.

use std::sync::Arc;

use super::account::Access;
use super::head::ResponseContext;
use super::options::{Hidden, Sharing, SiteOptions};
use super::path::RequestPath;
use super::room::Room;
use super::root::{Links, Root};
use crate::wire::http::request::{Method, Request, Version};
use crate::wire::http::status::Status;

/// A folder as a site.
#[derive(Debug)]
pub struct Site {
    pub(super) root: Arc<Root>,
    pub(super) options: SiteOptions,
    /// For what is being stored.
    pub(super) room: Room,
}

impl Site {
    /// A site.
    #[must_use]
    pub fn new(root: Root, options: SiteOptions) -> Self {
        // A caller that names one file means it, wherever it lies.
        let links = if options.only.is_some() { Links::Anywhere } else { options.links };
        Self { root: Arc::new(root.with_links(links)), options, room: Room::default() }
    }

    /// How it behaves.
    #[must_use]
    pub fn options(&self) -> &SiteOptions {
        &self.options
    }

    pub(super) fn context(&self, request: &Request<'_>) -> ResponseContext {
        ResponseContext::of(request, &self.options)
    }

    /// Whether the request is for us, and from one who may ask.
    pub(super) fn admits(&self, request: &Request<'_>) -> Result<(), Status> {
        if request.version == Version::Http11
            && !request.fields.expect.as_deref().is_none_or(|value| value.eq_ignore_ascii_case(b"100-continue"))
        {
            return Err(Status::EXPECTATION_FAILED);
        }
        if !self.options.hosts.accept(request) {
            return Err(Status::MISDIRECTED_REQUEST);
        }
        let access = if request.method.writes() { Access::Write } else { Access::Read };
        // A browser asks ahead without saying who it is (Fetch, section 4.8).
        if self.options.accounts.admit(access, &request.fields.authorization) || self.is_preflight(request) {
            return Ok(());
        }
        Err(Status::UNAUTHORIZED)
    }

    pub(super) fn is_preflight(&self, request: &Request<'_>) -> bool {
        self.options.sharing == Sharing::Everyone
            && request.method == Method::Options
            && request.fields.access_control_request_method.is_some()
    }

    pub(super) fn methods(&self) -> &'static str {
        if self.options.upload.is_some() { "GET, HEAD, OPTIONS, PUT, POST, MKCOL" } else { "GET, HEAD, OPTIONS" }
    }

    /// The path that a request names, unless it is one that is kept hidden.
    pub(super) fn path<'r>(&self, request: &Request<'r>) -> Result<RequestPath<'r>, Status> {
        let path = RequestPath::decode(request.path)?;
        if let Some(only) = &self.options.only {
            let is_it = path.bytes().is_empty() || path.bytes() == only && !path.is_folder();
            return if is_it { Ok(RequestPath::of_file(only)) } else { Err(Status::NOT_FOUND) };
        }
        if path.is_kept() && self.options.hidden == Hidden::Kept { Err(Status::NOT_FOUND) } else { Ok(path) }
    }
}
