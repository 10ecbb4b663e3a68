//! What an answer needs besides the request, whatever the version of HTTP.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use transcript::Moment;

use super::access::Lines;
use super::pending_request::PendingRequest;
use super::served::HttpService;
use super::storage::{Ask, Storing};
use super::turn::Turn;
use crate::web::clock::Now;
use crate::web::field_list::FieldList;
use crate::web::upload::{Sealed, Stored, store};

/// What an answer needs besides the request.
pub(super) struct AnswerContext<'a> {
    pub(super) client: Option<IpAddr>,
    pub(super) date: &'a Now,
    pub(super) now: Moment,
    /// How long a client may take, where that is less than the limits.
    pub(super) wait: Option<Duration>,
    pub(super) lines: &'a mut Lines,
    /// How much of it before the others.
    pub(super) turn: &'a mut Turn,
    /// The server ends: what is answered now is the last.
    pub(super) stopping: bool,
    /// Who stores files, where nothing else may wait for that.
    pub(super) storing: Option<Storing<'a>>,
    /// The fields of the answer that is being made.
    pub(super) fields: &'a mut FieldList,
}

impl AnswerContext<'_> {
    /// Has a file stored; none if the request is answered later.
    pub(super) fn store(&self, number: u32, file: Sealed) -> Option<Stored> {
        match self.storing {
            Some(storing) => storing.begin(number, file).err().map(store),
            None => Some(store(file)),
        }
    }

    /// Has an answer made that takes long. The request comes back if no thread can do it, else its answer to whoever
    /// asked.
    pub(super) fn ask(
        &self,
        number: u32,
        website: &HttpService,
        request: PendingRequest,
    ) -> Result<(), PendingRequest> {
        let Some(storing) = self.storing else { return Err(request) };
        let ask = Ask { site: Arc::clone(&website.site), request, date: self.date.clone() };
        storing.ask(number, ask).map_err(|ask| ask.request)
    }
}
