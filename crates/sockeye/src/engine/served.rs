//! A site as a server has it: how it is spoken to, and what is told of its answers.

use std::sync::{Arc, OnceLock};

use super::more_files::MoreFiles;
use crate::web::answer::Reply;
use crate::web::clock::Now;
use crate::web::field_list::FieldList;
use crate::web::site::Site;
use crate::wire::http::request::Request;

/// A site, and how it is served.
#[derive(Debug)]
pub(crate) struct HttpService {
    /// What is there.
    pub site: Arc<Site>,
    /// Whether it is spoken to over TLS from the first byte.
    pub is_secure: bool,
    /// What is told of each answer.
    pub log: AccessLog,
    /// The port of HTTPS, once it is known, to which everybody here is sent.
    pub https: Option<Arc<OnceLock<u16>>>,
    /// Files that clients of HTTP/2 hold open.
    pub more_files: Arc<MoreFiles>,
}

impl HttpService {
    /// Whether it is spoken to over TLS from the first byte.
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether clients may store files.
    pub(super) fn takes_files(&self) -> bool {
        self.site.options().upload.is_some()
    }

    /// Who asks, if that is shown.
    pub(super) fn user(&self, request: Option<&Request<'_>>) -> Option<&str> {
        self.site.options().accounts.user(&request?.fields.authorization)
    }

    /// Answers a request.
    pub(super) fn answer(&self, request: &Request<'_>, now: &Now, fields: &mut FieldList) -> Reply {
        match self.https.as_ref().and_then(|port| port.get()) {
            Some(&port) => Reply::Ready(self.site.redirect_to_https(request, port, now, fields)),
            None => self.site.answer(request, now, fields),
        }
    }

    /// Whether answering it takes long.
    pub(super) fn takes_long(&self, request: &Request<'_>, now: &Now) -> bool {
        self.https.is_none() && self.site.takes_long(request, now)
    }
}

/// What is told of each answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessLog {
    /// Nothing.
    None,
    /// A line in the combined format.
    Combined,
    /// A JSON object.
    Json,
}
