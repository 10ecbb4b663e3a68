//! A client of the control API: requests come out of its bytes, answers go back. Its socket is never waited for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::api::{self, Answer};
use super::proxies::Proxies;
use super::refusal::Refusal;
use crate::limits;
use crate::web::field_list::FieldList;
use crate::web::http1::write_head;
use crate::web::response::{Body, Extent, Response};
use crate::wire::http::body::{Decoder, Framing};
use crate::wire::http::request::{Parsed, Request, Version, parse};
use crate::wire::http::status::Status;

/// Bytes that are read at once.
const READ: usize = 16 * 1024;
/// How long, and how much, is read behind the last answer, so that it arrives.
const DRAIN: Duration = Duration::from_secs(1);
const DRAINED: usize = 4 << 20;

#[derive(Debug)]
pub(super) struct Client {
    fd: OwnedFd,
    is_local: bool,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// A request whose content is still coming.
    request: Option<Pending>,
    /// Since when a request comes, or nothing does.
    since: Instant,
    end: End,
}

#[derive(Debug)]
struct Pending {
    head: Vec<u8>,
    decoder: Decoder,
    content: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// Nothing more is answered behind what is being sent.
    Closing,
    /// All is sent; so many bytes were read since.
    Draining(usize),
    Gone,
}

impl Client {
    pub(super) fn new(fd: OwnedFd, is_local: bool, now: Instant) -> Self {
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        Self { fd, is_local, incoming, outgoing, request: None, since: now, end: End::Open }
    }

    /// What it is waited for.
    pub(super) fn interest(&self) -> PollFlags {
        if self.outgoing.is_empty() { PollFlags::IN } else { PollFlags::OUT }
    }

    /// By when something is to come.
    pub(super) fn deadline(&self) -> Instant {
        let is_idle = self.request.is_none() && self.incoming.is_empty() && self.outgoing.is_empty();
        self.since
            + match self.end {
                End::Draining(_) => DRAIN,
                _ if is_idle => limits::KEEP_ALIVE,
                _ => limits::REQUEST_WAIT,
            }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.end == End::Gone
    }

    /// How long nothing was asked, for a client that needs its place.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Its time is over.
    pub(super) fn time_out(&mut self) {
        self.end = End::Gone;
    }

    /// The socket is ready.
    pub(super) fn turn(&mut self, now: Instant, proxies: &mut Proxies) {
        if self.outgoing.is_empty() {
            self.read(now);
            self.work(now, proxies);
        }
        self.write(now, proxies);
    }

    fn read(&mut self, now: Instant) {
        let mut bytes = [0; READ];
        match recv(&self.fd, &mut bytes, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.end = End::Gone,
            Ok((length, _)) => match &mut self.end {
                End::Draining(drained) => {
                    *drained += length;
                    if *drained > DRAINED {
                        self.end = End::Gone;
                    }
                }
                _ => {
                    if self.incoming.is_empty() && self.request.is_none() {
                        self.since = now;
                    }
                    self.incoming.extend_from_slice(&bytes[..length]);
                }
            },
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.end = End::Gone,
        }
    }

    /// Answers what is there to be answered, one request after the other.
    fn work(&mut self, now: Instant, proxies: &mut Proxies) {
        while self.end == End::Open && self.outgoing.is_empty() {
            if self.request.is_none() && !self.begin() {
                return;
            }
            let Some(pending) = &mut self.request else { return };
            match pending.take(&mut self.incoming) {
                Ok(false) => return,
                Ok(true) => {
                    let Some(Pending { head, content, .. }) = self.request.take() else { return };
                    self.since = now;
                    if let Parsed::Whole { request, .. } = parse(&head) {
                        let answer = match api::admit(&request, self.is_local) {
                            Ok(()) => api::answer(&request, &content, proxies),
                            Err(refusal) => refusal.into(),
                        };
                        self.say(answer, Some(&request));
                    }
                }
                Err(refusal) => {
                    self.request = None;
                    self.say(refusal.into(), None);
                }
            }
        }
    }

    /// Begins with the next request, if its head has come whole.
    fn begin(&mut self) -> bool {
        match parse(&self.incoming) {
            Parsed::Partial => false,
            Parsed::Bad(status) => {
                self.say(Refusal::new(status, format!("bad request: {}", status.reason())).into(), None);
                false
            }
            Parsed::Whole { request, length } => {
                let is_awaited = request.fields.expect.is_some() && request.framing != Framing::None;
                let too_long = matches!(request.framing, Framing::Length(length) if length > limits::CONTROL_BODY);
                let decoder = Decoder::new(request.framing);
                if too_long {
                    self.say(too_large().into(), None);
                    return false;
                }
                let head = self.incoming.drain(..length).collect();
                self.request = Some(Pending { head, decoder, content: Vec::new() });
                if is_awaited && self.incoming.is_empty() {
                    // Little enough for any socket that has said nothing yet.
                    let _ = send(&self.fd, b"HTTP/1.1 100 Continue\r\n\r\n", SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
                }
                true
            }
        }
    }

    fn say(&mut self, answer: Answer, request: Option<&Request<'_>>) {
        let Answer { status, content, allow } = answer;
        let mut fields = FieldList::new();
        if !content.is_empty() {
            fields.add("Content-Type", b"application/json");
        }
        if status.has_content() {
            fields.add("Content-Length", content.len().to_string().as_bytes());
        }
        if let Some(methods) = allow {
            fields.add("Allow", methods.as_bytes());
        }
        let keep_alive = request.is_some_and(Request::is_persistent);
        let is_head = request.is_some_and(|request| request.method_text == "HEAD");
        let body = if is_head { Body::Empty } else { Body::Bytes(content) };
        let mut response = Response { status, extent: Extent::Known, body, keep_alive };
        let version = request.map_or(Version::Http11, |request| request.version);
        write_head(&mut response, &fields, version, &mut self.outgoing);
        response.absorb(&mut self.outgoing, u64::MAX);
        if !response.keep_alive {
            self.end = End::Closing;
        }
    }

    fn write(&mut self, now: Instant, proxies: &mut Proxies) {
        while !self.outgoing.is_empty() && self.end != End::Gone {
            match send(&self.fd, &self.outgoing, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => {
                    self.outgoing.drain(..length);
                    if self.outgoing.is_empty() {
                        self.since = now;
                        self.work(now, proxies);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.end = End::Gone,
            }
        }
        if self.end == End::Closing {
            // To close with something unread would throw the answer away.
            let _ = shutdown(&self.fd, Shutdown::Write);
            self.end = End::Draining(0);
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Pending {
    /// Takes content; whether it is whole.
    fn take(&mut self, incoming: &mut Vec<u8>) -> Result<bool, Refusal> {
        let mut used = 0;
        let whole = loop {
            let piece = self
                .decoder
                .take(&incoming[used..])
                .map_err(|status| Refusal::new(status, "bad request: its content is not delimited as HTTP has it"))?;
            self.content.extend_from_slice(piece.data);
            used += piece.used;
            if self.content.len() as u64 > limits::CONTROL_BODY {
                return Err(too_large());
            }
            if piece.is_last || piece.used == 0 {
                break piece.is_last;
            }
        };
        incoming.drain(..used);
        Ok(whole)
    }
}

fn too_large() -> Refusal {
    let why = format!("bad request body: it is longer than {} bytes", limits::CONTROL_BODY);
    Refusal::new(Status::CONTENT_TOO_LARGE, why)
}
