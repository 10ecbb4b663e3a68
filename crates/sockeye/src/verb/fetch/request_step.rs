//! One request of a fetch: a redirect leads to the next, and so does a challenge.

use std::fmt;
use std::time::{Duration, Instant};

use super::connector::Connector;
use super::cookies::Cookies;
use super::credentials::Fields;
use super::deadlines::Deadlines;
use super::digest::Asked;
use super::error::Again;
use super::exchange::Exchange;
use super::outgoing::Sending;
use super::pool::{ConnectionPool, IdleConnection};
use super::proof::ProxyProofs;
use super::range::Range;
use super::{Body, FetchError, FetchOptions, Times, Url, Watch};
use crate::limits;

/// One request of several.
pub(super) struct RequestStep<'a> {
    pub(super) url: &'a Url,
    pub(super) method: &'a str,
    pub(super) body: Option<&'a Body>,
    pub(super) fields: &'a Fields,
    pub(super) cookies: &'a Cookies,
    pub(super) range: Option<&'a Range>,
    /// Whether a server may be asked whether it wants a body that comes once.
    pub(super) expects: bool,
}

impl RequestStep<'_> {
    pub(super) fn take(
        &self,
        options: &FetchOptions,
        connections: &ConnectionPool,
        deadlines: Deadlines,
        watch: &mut dyn Watch,
    ) -> Result<(Exchange, Times), FetchError> {
        let connector = Connector::new(self.url, options, &connections.proxy_proofs)?;
        // What is wrong with the request is said before a server is asked.
        let request = self.request(&connector)?;
        watch.asked(&as_text(&request));
        let mut request = Some(request);
        if let Some(kept) = self.changes_nothing().then(|| connections.take(&self.url.origin)).flatten()
            && let Some(request) = request.take()
        {
            let mut times = Times::default();
            match self.ask(kept, request, deadlines, &mut times) {
                Ok(exchange) => return Ok((exchange, times)),
                Err(error @ FetchError::TimedOut { .. }) => return Err(error),
                // It may have been about to end. What else is wrong is found again.
                Err(_) => {}
            }
        }
        let without_http2 = FetchOptions { http2: false, ..options.clone() };
        let (mut connector, mut anew) = (connector, 0);
        loop {
            let (stream, mut times) = connector.connect(deadlines, watch)?;
            let request = match request.take() {
                Some(request) => request,
                None => self.request(&connector)?,
            };
            // What a server of HTTP/2 says it has not done is asked again, whatever it is (RFC 9113, section 8.7).
            match self.ask(IdleConnection::Stream(Box::new(stream)), request, deadlines, &mut times) {
                Ok(exchange) => return Ok((exchange, times)),
                Err(error) if self.body.is_some_and(|body| body.spent().is_some()) => return Err(error),
                Err(FetchError::Http2 { again: Some(Again::Http1), .. }) if connector.speaks_http2() => {
                    connector = Connector::new(self.url, &without_http2, &connections.proxy_proofs)?;
                }
                Err(FetchError::Http2 { again: Some(Again::Anew), .. }) if anew < limits::ASKED_ANEW => anew += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// What is sent, as people read it: proofs of who we are are left out.
    pub(super) fn shown(&self, options: &FetchOptions) -> Result<String, FetchError> {
        let request = self.request(&Connector::new(self.url, options, &ProxyProofs::default())?)?;
        Ok(as_text(&request))
    }

    fn ask(
        &self,
        connection: IdleConnection,
        request: http::Request<Sending>,
        deadlines: Deadlines,
        times: &mut Times,
    ) -> Result<Exchange, FetchError> {
        let request = if connection.speaks_http2() { self.for_http2(request)? } else { request };
        let asked = Instant::now();
        let exchange = Exchange::begin(connection, request, deadlines)?;
        times.first_byte = exchange.first_byte.map_or(Duration::ZERO, |first| first.duration_since(asked));
        Ok(exchange)
    }

    /// Whether it does no harm to ask twice, and so may be asked where it is not known whether it is heard.
    fn changes_nothing(&self) -> bool {
        self.body.is_none() && matches!(self.method, "GET" | "HEAD")
    }

    /// HTTP/2 has the host in its target and not in a field (RFC 9113, section 8.3.1).
    fn for_http2(&self, mut request: http::Request<Sending>) -> Result<http::Request<Sending>, FetchError> {
        let wrong = |why: &dyn fmt::Display| FetchError::Request(format!("the request cannot be sent: {why}"));
        for name in [http::header::TRANSFER_ENCODING, http::header::EXPECT] {
            request.headers_mut().remove(name);
        }
        let host = request.headers_mut().remove(http::header::HOST);
        let host = host.and_then(|host| host.to_str().ok().map(str::to_owned));
        let host = host.unwrap_or_else(|| self.url.origin.authority());
        *request.uri_mut() = format!("https://{host}{}", self.url.target).parse().map_err(|error| wrong(&error))?;
        *request.version_mut() = http::Version::HTTP_2;
        Ok(request)
    }

    fn request(&self, connector: &Connector<'_>) -> Result<http::Request<Sending>, FetchError> {
        let wrong = |why: &dyn fmt::Display| FetchError::Request(format!("the request cannot be sent: {why}"));
        let target = if connector.asks_proxy() { self.url.to_string() } else { self.url.target.clone() };
        let mut request = http::Request::builder()
            .method(self.method)
            .uri(&target)
            .body(self.body.map(Body::to_send).unwrap_or_default())
            .map_err(|error| wrong(&error))?;
        *request.headers_mut() = self.fields.to_send(self.url, (self.method, self.body), self.cookies)?;
        // Methods that are about a body say that there is none (RFC 9110, section 8.6); many servers answer 411 otherwise.
        let is_about_a_body = matches!(self.method, "POST" | "PUT" | "PATCH");
        if self.body.map_or(is_about_a_body, |body| body.length() == Some(0)) {
            request.headers_mut().insert(http::header::CONTENT_LENGTH, http::HeaderValue::from_static("0"));
        }
        if self.body.is_some_and(|body| body.length().is_none()) {
            request.headers_mut().insert(http::header::TRANSFER_ENCODING, http::HeaderValue::from_static("chunked"));
            if self.expects && !self.fields.speak_of(&http::header::EXPECT) {
                request.headers_mut().insert(http::header::EXPECT, http::HeaderValue::from_static("100-continue"));
            }
        }
        if let Some(range) = self.range {
            range.ask(request.headers_mut()).map_err(|why| wrong(&why))?;
        }
        let asked = Asked { method: self.method, target: &target, body: self.body };
        if let Some(proof) = connector.proof()
            && let Some(shown) = proof.borrow_mut().show(asked)?
        {
            request.headers_mut().insert(http::header::PROXY_AUTHORIZATION, shown);
        }
        Ok(request)
    }
}

/// A request as HTTP/1.1 writes it.
fn as_text(request: &http::Request<Sending>) -> String {
    const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    let mut text = format!("{} {} HTTP/1.1\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let is_secret = value.is_sensitive() || SECRET.contains(&name.as_str());
        let value = if is_secret { "(not shown)".into() } else { String::from_utf8_lossy(value.as_bytes()) };
        text.push_str(&format!("{name}: {value}\n"));
    }
    let length = hyper::body::Body::size_hint(request.body()).exact().unwrap_or(0);
    if length > 0 {
        text.push_str(&format!("content-length: {length}\n"));
    }
    text
}
