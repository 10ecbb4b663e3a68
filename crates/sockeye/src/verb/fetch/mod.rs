//! `fetch`: one HTTP request, its redirects, and an answer whose head is kept as it came.
//!
//! ```
//! use sockeye::mock::Mock;
//! use sockeye::verb::fetch::{ConnectionPool, FetchOptions, Request, Url, fetch};
//!
//! let server = Mock::start("C: GET /a HTTP/1.1\nrepeat\n  C: {_}\nend\nC:\nS: HTTP/1.1 204 No Content\nS:\nS closes\n");
//! let request = Request::get(Url::parse(&format!("{}/a", server.url("http")))?);
//! let answer = fetch(&request, &FetchOptions::default(), &ConnectionPool::default(), &mut ())?;
//! assert_eq!((answer.head().status, answer.redirects), (204, 0));
//! # server.finish();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod batch;
mod body;
mod connector;
mod cookies;
mod credentials;
mod deadlines;
mod digest;
mod disposition;
pub mod download;
mod driver;
mod error;
mod exchange;
mod form;
mod http_connection;
mod name;
pub mod netrc;
mod no_proxy;
mod outgoing;
mod pool;
mod progress;
mod proof;
mod proxy;
pub mod range;
mod rate_limit;
mod request_step;
mod stopper;
mod upload_progress;

use std::cell::RefCell;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub use credentials::Credentials;
pub use error::FetchError;
pub use form::Form;
pub use name::{NameCollision, file_name, find_collision, safe_name};
pub use outgoing::Body;
pub use pool::ConnectionPool;
pub use progress::Progress;
pub use proxy::Proxies;
pub use stopper::Stopper;

use crate::limits;
use crate::net::Family;
use crate::net::connect::{Attempt, Source};
use crate::net::tls::Trust;
pub use crate::wire::http::is_packed;
use crate::wire::http::{Coding, percent_decoded};
pub use crate::wire::http::{Head, HeadError, Origin, Url, UrlError, UrlErrorKind, UrlScheme, percent_encoded};
use connector::Connector;
use cookies::Cookies;
pub use cookies::Jar;
use credentials::Fields;
use deadlines::Deadlines;
use exchange::Exchange;
use proof::{Asker, Proof};
use range::{ContentRange, Range};
use request_step::RequestStep;
use upload_progress::UploadProgress;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where.
    pub url: Url,
    /// The method (RFC 9110, section 9).
    pub method: String,
    /// Fields of the caller's own; one with an empty value takes away what would be sent otherwise.
    pub fields: Vec<(String, String)>,
    /// What is sent with it.
    pub body: Option<Body>,
    /// Who asks, over what the URL says.
    pub credentials: Option<Credentials>,
    /// Cookies for the origin of the URL: `a=b`.
    pub cookies: Vec<String>,
    /// Cookies that are kept from one fetch to the next; without it those that redirects set are forgotten at the end.
    pub jar: Option<Jar>,
    /// Only these bytes.
    pub range: Option<Range>,
}

impl Request {
    /// Asks for what stands at a URL.
    #[must_use]
    pub fn get(url: Url) -> Self {
        let method = "GET".to_owned();
        Self { url, method, fields: vec![], body: None, credentials: None, cookies: vec![], jar: None, range: None }
    }

    /// Whether it asks only for what has changed, so that 304 is an answer to it (RFC 9110, section 15.4.5).
    fn asks_if_changed(&self) -> bool {
        let asks =
            |name: &str| name.eq_ignore_ascii_case("if-none-match") || name.eq_ignore_ascii_case("if-modified-since");
        self.fields.iter().any(|(name, value)| asks(name) && !value.is_empty())
    }
}

/// How it is asked for.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Only this address family.
    pub family: Option<Family>,
    /// For each connection: name lookup, connecting, the proxy, and the handshake of TLS together.
    pub connect_timeout: Duration,
    /// When it all began.
    pub began: Instant,
    /// For everything since then.
    pub timeout: Option<Duration>,
    /// For the next byte of an answer.
    pub idle_timeout: Duration,
    /// Whether redirects are followed.
    pub follow: bool,
    /// How many of them at most.
    pub redirects: usize,
    /// Whether HTTP/2 is spoken where a server does, which only TLS tells.
    pub http2: bool,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// Which proxies stand in between.
    pub proxies: Proxies,
    /// Addresses for names, over what a resolver would say.
    pub resolve: Vec<Resolved>,
    /// Other places for places that URLs name; certificates and fields stay those of the URL.
    pub instead: Vec<Instead>,
    /// What connections come from.
    pub source: Option<Source>,
    /// A Unix socket behind which the server is, whatever the URL says; no proxy then.
    pub socket: Option<PathBuf>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            family: None,
            connect_timeout: limits::CONNECT_WAIT,
            began: Instant::now(),
            timeout: None,
            idle_timeout: limits::STALL_WAIT,
            follow: true,
            redirects: limits::REDIRECTS,
            http2: true,
            trust: Trust::system(),
            proxies: Proxies::default(),
            resolve: vec![],
            instead: vec![],
            source: None,
            socket: None,
        }
    }
}

/// Where a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The name, in small letters.
    pub host: String,
    /// At this port only.
    pub port: u16,
    /// Its address.
    pub ip: IpAddr,
}

/// Where to connect in place of where a URL says; what is not given is any, or stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instead {
    /// The URL's host, in small letters.
    pub host: Option<String>,
    /// The URL's port.
    pub port: Option<u16>,
    /// A URL with the host that is connected to.
    pub to: Option<Url>,
    /// The port that is connected to.
    pub to_port: Option<u16>,
}

impl Instead {
    fn is_for(&self, host: &str, port: u16) -> bool {
        self.host.as_deref().is_none_or(|wanted| wanted == host) && self.port.is_none_or(|wanted| wanted == port)
    }
}

/// What the caller is told on the way.
pub trait Watch {
    /// These addresses were tried; the last is the connection.
    fn tried(&mut self, _attempts: &[Attempt]) {}
    /// This is asked, without its secrets.
    fn asked(&mut self, _request: &str) {}
    /// The server leads elsewhere; `dropped` are the names of what it does not get to see there.
    fn redirected(&mut self, _status: u16, _to: &Url, _dropped: &[String]) {}
}

/// Nothing is watched.
impl Watch for () {}

/// How long each part of the last exchange took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// Looking up the name.
    pub name: Duration,
    /// Connecting.
    pub connect: Duration,
    /// The handshake, if there was one, with the proxy's tunnel.
    pub tls: Option<Duration>,
    /// From the request to the first byte of the answer.
    pub first_byte: Duration,
}

/// An answer whose body has not been taken yet.
pub struct Answer {
    /// Who answered in the end.
    pub url: Url,
    /// How long it took until here.
    pub times: Times,
    /// How many redirects led there.
    pub redirects: usize,
    /// Which part it is, if it is not the whole.
    pub part: Option<ContentRange>,
    /// The last part of the URL that was asked first.
    asked_as: String,
    exchange: Exchange,
    connections: ConnectionPool,
    to_head: bool,
    deadlines: Deadlines,
    /// What was sent with the request.
    upload: Option<Arc<UploadProgress>>,
}

/// What came of a body.
#[derive(Debug)]
pub struct Saved {
    /// Bytes as they were sent, without the framing of chunks.
    pub received: u64,
    /// Bytes that were written, unpacked.
    pub written: u64,
    /// Bytes that came behind the promised end, and were not written.
    pub surplus: u64,
    /// The answer is whole, and says that all went well, and not all of what it is an answer to could be sent.
    pub unsent: Option<Failed>,
}

/// A fetch that failed, and the URL at which.
#[derive(Debug)]
pub struct Failed {
    /// Where: it may be that of a redirect.
    pub url: Box<Url>,
    /// Why.
    pub error: Box<FetchError>,
    /// How much of an upload was sent until then.
    pub upload: Option<Box<Uploaded>>,
}

/// How far an upload came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes that were sent.
    pub sent: u64,
    /// Of how many, if that is known.
    pub of: Option<u64>,
}

impl Failed {
    /// A fetch that failed at a URL.
    #[must_use]
    pub fn at(url: Url, error: FetchError) -> Self {
        Self { url: Box::new(url), error: Box::new(error), upload: None }
    }

    /// With how far an upload came, where that is worth a word: where the connection had to do with it.
    fn having_sent(mut self, upload: Option<Arc<UploadProgress>>) -> Self {
        let is_worth_it = matches!(
            *self.error,
            FetchError::TimedOut { .. }
                | FetchError::Reset { .. }
                | FetchError::Cut { .. }
                | FetchError::Http2 { .. }
                | FetchError::Unsent(_)
        );
        let upload = upload.filter(|_| is_worth_it);
        self.upload = upload.map(|progress| Box::new(Uploaded { sent: progress.bytes(), of: progress.of() }));
        self
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.error {
            // It names the address itself.
            FetchError::Connect(error) => error.fmt(f),
            error => write!(f, "{}: {error}", self.url.shown()),
        }?;
        match self.upload.as_deref() {
            None | Some(Uploaded { of: Some(0), .. }) => Ok(()),
            Some(Uploaded { sent, of: Some(of) }) if sent == of => {
                write!(f, "; all {of} bytes of the upload were sent")
            }
            Some(Uploaded { sent, of: Some(of) }) => write!(f, "; {sent} of {of} bytes of the upload were sent"),
            Some(Uploaded { sent, of: None }) => write!(f, "; {sent} bytes of the upload were sent"),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.error)
    }
}

/// Asks, follows redirects, and returns when the head of the last answer has come. `connections` are what earlier fetches
/// left open.
///
/// # Errors
/// Anything that goes wrong until there, with the URL at which it did.
pub fn fetch(
    request: &Request,
    options: &FetchOptions,
    connections: &ConnectionPool,
    watch: &mut dyn Watch,
) -> Result<Answer, Failed> {
    let mut chain = Chain::begin(request, options, connections)?;
    loop {
        let asked = chain.ask(watch)?;
        if asked.is_to_be_asked_again {
            chain.why_again = format!("the server answers {}", asked.exchange.head.status_line());
            pass_over(asked.exchange, &chain.method, &chain.url, connections);
            continue;
        }
        match next(&asked.exchange.head, &chain.url, options.follow) {
            None => return chain.answered(asked),
            Some(next) => chain.follow(next, asked.exchange, watch)?,
        }
    }
}

/// A request on its way through challenges and redirects.
struct Chain<'a> {
    request: &'a Request,
    options: &'a FetchOptions,
    connections: &'a ConnectionPool,
    deadlines: Deadlines,
    url: Url,
    method: String,
    body: Option<&'a Body>,
    fields: Fields,
    cookies: Cookies,
    redirects: usize,
    /// Whether a server may be asked whether it wants a body that comes once.
    expects: bool,
    /// Why the request is made once more, for who cannot send its body twice.
    why_again: String,
}

/// A request that was answered.
struct Asked<'a> {
    exchange: Exchange,
    times: Times,
    /// The body that went with it.
    sent: Option<&'a Body>,
    /// Whether the same request may have another answer: with credentials, with its body, or without an expectation.
    is_to_be_asked_again: bool,
}

impl<'a> Chain<'a> {
    fn begin(request: &'a Request, options: &'a FetchOptions, connections: &'a ConnectionPool) -> Result<Self, Failed> {
        let failed = |error| Failed::at(request.url.clone(), error);
        let total = options.timeout.map(|timeout| (options.began + timeout, timeout));
        Ok(Self {
            request,
            options,
            connections,
            deadlines: Deadlines { total, idle: options.idle_timeout },
            url: request.url.clone(),
            method: request.method.clone(),
            body: request.body.as_ref(),
            fields: Fields::of(request, &connections.digest_sessions).map_err(failed)?,
            cookies: Cookies::of(&request.cookies, request.jar.clone().unwrap_or_default()).map_err(failed)?,
            redirects: 0,
            expects: true,
            why_again: String::new(),
        })
    }

    fn failed(&self, error: FetchError) -> Failed {
        Failed::at(self.url.clone(), error)
    }

    /// Makes the request once.
    fn ask(&mut self, watch: &mut dyn Watch) -> Result<Asked<'a>, Failed> {
        if let Some(name) = self.body.and_then(Body::spent).map(str::to_owned) {
            return Err(self.failed(FetchError::Spent { name, why: self.why_again.clone() }));
        }
        let connector = Connector::new(&self.url, self.options, &self.connections.proxy_proofs)
            .map_err(|error| self.failed(error))?;
        let proxy_waits = connector.proof().is_some_and(|proof| proof.borrow().waits());
        let kept_back = self.body.is_some() && (self.fields.keep_back_bodies() || proxy_waits);
        let sent = self.body.filter(|_| !kept_back);
        let step = RequestStep {
            url: &self.url,
            method: &self.method,
            body: sent,
            fields: &self.fields,
            cookies: &self.cookies,
            range: self.request.range.as_ref(),
            expects: self.expects,
        };
        let (exchange, times) = step
            .take(self.options, self.connections, self.deadlines, watch)
            .map_err(|error| self.failed(error).having_sent(sent.and_then(Body::progress)))?;
        let status = exchange.head.status;
        self.cookies.take(&exchange.head, &self.url, SystemTime::now());
        let was_kept_back = kept_back && !matches!(status, 307 | 308);
        let by_proxy =
            |proof: &RefCell<Proof>| proof.borrow_mut().is_challenged(&exchange.head, Asker::Proxy, was_kept_back);
        let is_challenged = connector.proof().is_some_and(by_proxy)
            || self.fields.are_challenged(&exchange.head, was_kept_back && status != 407);
        self.fields.keep_session(&self.url.origin, &self.connections.digest_sessions);
        // A server that knows nothing of expectations gets the body without one.
        let is_unexpected = status == 417 && self.expects && sent.is_some_and(|body| body.length().is_none());
        self.expects &= !is_unexpected;
        let is_to_be_asked_again =
            is_challenged || is_unexpected || kept_back && !matches!(status, 307 | 308 | 401 | 407);
        Ok(Asked { exchange, times, sent, is_to_be_asked_again })
    }

    /// Goes where an answer leads.
    fn follow(&mut self, next: Result<Url, UrlError>, exchange: Exchange, watch: &mut dyn Watch) -> Result<(), Failed> {
        let next = match next {
            Ok(next) if self.redirects < self.options.redirects => next,
            Ok(_) => return Err(self.failed(FetchError::Redirects(self.options.redirects))),
            Err(error) => return Err(self.failed(FetchError::Redirect(error))),
        };
        self.redirects += 1;
        let status = exchange.head.status;
        self.why_again = format!("the server redirects with {}", exchange.head.status_line());
        let dropped = if next.origin == self.url.origin { vec![] } else { self.fields.leave(&mut self.cookies) };
        watch.redirected(status, &next, &dropped);
        pass_over(exchange, &self.method, &self.url, self.connections);
        if asks_for_get(status, &self.method) {
            "GET".clone_into(&mut self.method);
            self.body = None;
            self.fields.forget_body();
        }
        self.url = next;
        Ok(())
    }

    /// The answer that leads nowhere else.
    fn answered(self, asked: Asked<'_>) -> Result<Answer, Failed> {
        let to_head = self.method == "HEAD";
        let part = part_of(self.request, &asked.exchange.head, &self.fields, to_head);
        let part = part.map_err(|error| self.failed(error))?;
        Ok(Answer {
            url: self.url,
            times: asked.times,
            redirects: self.redirects,
            part,
            asked_as: String::from_utf8_lossy(&percent_decoded(self.request.url.last_segment())).into_owned(),
            exchange: asked.exchange,
            connections: self.connections.clone(),
            to_head,
            deadlines: self.deadlines,
            upload: asked.sent.and_then(Body::progress),
        })
    }
}

/// An answer that leads on: its body is passed over, so that its connection serves for the next request.
fn pass_over(exchange: Exchange, method: &str, url: &Url, connections: &ConnectionPool) {
    let has_body = exchange.head.has_body(method == "HEAD");
    if let Some(connection) = exchange.pass_over(has_body) {
        connections.put(url.origin.clone(), connection);
    }
}

/// The part that an answer has, if that is what was asked for.
fn part_of(request: &Request, head: &Head, fields: &Fields, to_head: bool) -> Result<Option<ContentRange>, FetchError> {
    match &request.range {
        Some(range) => range.answered(head),
        None if head.status == 206 && !to_head && !fields.ask_for_a_part() => {
            Err(FetchError::Protocol("the server sends a part, and was not asked for one".to_owned()))
        }
        None => Ok(None),
    }
}

/// RFC 9110, section 15.4: 303 asks for another thing; after 301 and 302 all clients send GET instead of POST.
fn asks_for_get(status: u16, method: &str) -> bool {
    (status == 303 && method != "HEAD") || (matches!(status, 301 | 302) && method == "POST")
}

/// The first request as it would be sent, without its secrets.
///
/// # Errors
/// It cannot be sent.
pub fn preview(request: &Request, options: &FetchOptions) -> Result<String, Failed> {
    let build = || {
        let fields = Fields::of(request, &digest::DigestSessions::default())?;
        let cookies = Cookies::of(&request.cookies, request.jar.clone().unwrap_or_default())?;
        let (url, method, body) = (&request.url, &request.method, request.body.as_ref());
        let range = request.range.as_ref();
        RequestStep { url, method, body, fields: &fields, cookies: &cookies, range, expects: true }.shown(options)
    };
    build().map_err(|error| Failed::at(request.url.clone(), error))
}

/// A time as HTTP writes it.
#[must_use]
pub fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

/// Where an answer redirects to, if it does.
fn next(head: &Head, url: &Url, follow: bool) -> Option<Result<Url, UrlError>> {
    if !follow || !matches!(head.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    // An empty one leads nowhere: browsers and curl take such an answer for the last.
    let location = head.every("location").find(|location| !location.trim_ascii().is_empty())?;
    Some(url.redirected(location))
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("url", &self.url).field("head", self.head()).finish_non_exhaustive()
    }
}

impl Answer {
    /// The head as it came.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.exchange.head
    }

    /// The name that the server offers for a file (Content-Disposition), made harmless.
    #[must_use]
    pub fn offered_name(&self) -> Option<String> {
        disposition::file_name(self.head()).map(|name| safe_name(&name))
    }

    /// Whether a body follows.
    #[must_use]
    pub fn has_body(&self) -> bool {
        self.head().has_body(self.to_head)
    }

    /// Takes no body: where there is none, the connection serves for what is asked next.
    ///
    /// # Errors
    /// The server said that all went well, and took less than all of what was to be sent.
    pub fn leave(mut self) -> Result<(), Failed> {
        if self.has_body() {
            return Ok(());
        }
        if let Err(error) = self.exchange.send_rest() {
            return Err(Failed::at(self.url, error).having_sent(self.upload));
        }
        if let Some(connection) = self.exchange.into_idle() {
            self.connections.put(self.url.origin, connection);
        }
        Ok(())
    }

    /// The codings that come off when the body is saved.
    fn codings(&self) -> Result<Vec<Coding>, FetchError> {
        let unknown = |error| FetchError::Protocol(format!("{error}; --raw-body saves it as it comes"));
        let codings = self.head().codings().map_err(unknown)?;
        if codings.len() > limits::CODINGS {
            let bound = limits::CODINGS;
            return Err(FetchError::Protocol(format!("the body has more than {bound} content codings")));
        }
        Ok(codings)
    }

    /// Whether a coding may be that of the file itself, which is to stay: by the name it is saved under, those it is asked for
    /// by, and its type.
    fn may_be_own(&self, coding: Coding, name: &str) -> bool {
        let of_url = |url: &Url| String::from_utf8_lossy(&percent_decoded(url.last_segment())).into_owned();
        let offered = disposition::file_name(self.head());
        let names = [Some(name.to_owned()), Some(of_url(&self.url)), Some(self.asked_as.clone()), offered];
        names.iter().flatten().any(|name| coding.is_the_files_own(name))
            || self.head().first("content-type").is_some_and(|kind| coding.is_the_types_own(kind))
    }
}

/// How a body is taken.
#[derive(Debug, Clone)]
pub struct SaveOptions {
    /// As it was sent, with its content codings.
    pub raw: bool,
    /// Bytes that had come in an earlier run.
    pub already: u64,
    /// Most bytes that are written, those included.
    pub max_size: Option<u64>,
    /// Only so many bytes from its beginning, of a body that is not packed.
    pub only: Option<u64>,
    /// Who may end it.
    pub stopper: Option<Arc<Stopper>>,
    /// Most bytes in a second, as they are sent.
    pub rate: Option<u64>,
    /// Who looks on.
    pub progress: Arc<Progress>,
}
