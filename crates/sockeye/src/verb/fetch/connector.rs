//! Connecting to a server: over a socket of its own, through a proxy, under TLS.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use rustls::ClientConnection;

use super::deadlines::Deadlines;
use super::proof::{Proof, ProxyProofs};
use super::proxy::{Tunnel, Via, tunnel};
use super::{FetchError, FetchOptions, Origin, Times, Url, UrlScheme, Watch};
use crate::address::{Address, Host, Target};
use crate::event::Protocol;
use crate::net::Family;
use crate::net::connect::{ConnectOptions, connect, look_up};
use crate::net::proxy::{self, Destination, Kind, Proxy, ProxyError};
use crate::net::stream::Stream;
use crate::net::tls::TlsError;

/// What connects to the server of a URL.
pub(super) struct Connector<'a> {
    url: &'a Url,
    options: &'a FetchOptions,
    via: Option<Via>,
    /// How the proxy is told who asks, if it is.
    proof: Option<Rc<RefCell<Proof>>>,
}

impl<'a> Connector<'a> {
    pub(super) fn new(url: &'a Url, options: &'a FetchOptions, proofs: &ProxyProofs) -> Result<Self, FetchError> {
        // A socket of the caller's own is the way.
        let via = if options.socket.is_some() { None } else { options.proxies.for_url(url)? };
        let proof = via.as_ref().map(|via| via.proof(proofs)).transpose()?.flatten();
        Ok(Self { url, options, via, proof })
    }

    /// Whether a proxy answers itself: it is asked with the whole URL (RFC 9112, section 3.2.2).
    pub(super) fn asks_proxy(&self) -> bool {
        self.via.as_ref().is_some_and(|via| !self.is_secure() && !is_socks(&via.proxy.kind))
    }

    /// How such a proxy is told who asks, if it is.
    pub(super) fn proof(&self) -> Option<&RefCell<Proof>> {
        self.proof.as_deref().filter(|_| self.asks_proxy())
    }

    /// Connects: what the stream carries next is HTTP.
    pub(super) fn connect(&self, deadlines: Deadlines, watch: &mut dyn Watch) -> Result<(Stream, Times), FetchError> {
        // How often a proxy may ask is for the proof to say.
        loop {
            if let Some(connected) = self.try_to_connect(deadlines, watch)? {
                return Ok(connected);
            }
        }
    }

    /// The same; none if a proxy wants to be asked again, with a proof.
    fn try_to_connect(
        &self,
        deadlines: Deadlines,
        watch: &mut dyn Watch,
    ) -> Result<Option<(Stream, Times)>, FetchError> {
        let until = deadlines.until(self.options.connect_timeout);
        let begun = Instant::now();
        let connected = connect(&self.address(), Protocol::Tcp, &self.connecting(until))?;
        watch.tried(&connected.attempts);
        let name = connected.lookup;
        let mut times = Times { name, connect: begun.elapsed().saturating_sub(name), ..Times::default() };
        let mut stream = Stream::plain(connected).map_err(|why| FetchError::Reset { why, received: 0 })?;
        let shaken = Instant::now();
        if let Some(Via { proxy: Proxy { kind: Kind::Https { .. }, host, .. }, .. }) = &self.via {
            let session = self.options.trust.for_proxy().client(host, &[b"http/1.1"])?;
            self.shake_hands(&mut stream, session, host, until)?;
            times.tls = Some(shaken.elapsed());
        }
        match &self.via {
            Some(Via { proxy, .. }) if is_socks(&proxy.kind) => {
                let destination = self.destination(proxy, until)?;
                proxy::through(&stream, proxy, destination, until).map_err(|error| self.no_way(error))?;
                // No server speaks before it is asked.
                if proxy::has_spoken(&stream).map_err(|why| FetchError::Reset { why, received: 0 })? {
                    let why = "the proxy sent bytes of its own behind its answer";
                    return Err(FetchError::Protocol(why.to_owned()));
                }
            }
            Some(_) if self.is_secure() => {
                let (all, no_way) = (self.options.connect_timeout, "no way through the proxy");
                let deadlines = Deadlines { total: Some((until, all)), idle: all };
                let tunnel = tunnel(stream, &self.place(), self.proof.clone(), deadlines);
                let tunnel = tunnel.map_err(|error| match error {
                    FetchError::TimedOut { .. } => self.failed(io::ErrorKind::TimedOut.into(), no_way),
                    other => other,
                })?;
                let Tunnel::Open(open) = tunnel else { return Ok(None) };
                stream = open;
                stream.enter_tunnel();
            }
            _ => {}
        }
        if self.is_secure() {
            let protocols: &[&[u8]] = if self.options.http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
            let host = self.url.host();
            let session = self.options.trust.client(&host, protocols)?;
            self.shake_hands(&mut stream, session, &host, until)?;
            times.tls = Some(shaken.elapsed());
        }
        Ok(Some((stream, times)))
    }

    /// Whether HTTP/2 is spoken if the server does.
    pub(super) fn speaks_http2(&self) -> bool {
        self.options.http2
    }

    fn is_secure(&self) -> bool {
        self.url.origin.scheme == UrlScheme::Https
    }

    fn connecting(&self, until: Instant) -> ConnectOptions {
        ConnectOptions {
            family: self.options.family,
            timeout: until.saturating_duration_since(Instant::now()),
            source: self.options.source.clone(),
            ..ConnectOptions::default()
        }
    }

    /// Where to connect.
    fn address(&self) -> Address {
        match (&self.options.socket, &self.via) {
            (Some(path), _) => Address::new(None, Target::Unix(path.clone())),
            (None, Some(via)) => via.proxy.address.clone(),
            (None, None) => self.resolved(),
        }
    }

    /// The server, or what the caller wants in place of it.
    fn server(&self) -> Origin {
        let mut origin = self.url.origin.clone();
        let host = self.url.host();
        if let Some(instead) = self.options.instead.iter().find(|instead| instead.is_for(&host, origin.port)) {
            if let Some(to) = &instead.to {
                origin.host = to.origin.host.clone();
            }
            origin.port = instead.to_port.unwrap_or(origin.port);
        }
        origin
    }

    /// Where a proxy is to lead to (RFC 9110, section 9.3.6).
    fn place(&self) -> String {
        let server = self.server();
        format!("{}:{}", server.host_name(true), server.port)
    }

    /// The server, at the address that the caller wants for its name.
    fn resolved(&self) -> Address {
        let server = self.server();
        let mut address = server.address();
        let host = server.host_name(false);
        if let Target::Inet { host: there, port } = &mut address.target
            && let Some(found) = self.options.resolve.iter().find(|one| one.host == host && one.port == *port)
        {
            *there = Host::Ip(found.ip, 0);
        }
        address
    }

    /// Whom a SOCKS proxy is to connect to. Its names are looked up there or here, as the scheme says.
    fn destination(&self, proxy: &Proxy, until: Instant) -> Result<Destination, FetchError> {
        let address = self.resolved();
        match address.target {
            Target::Inet { host: Host::Ip(ip, _), port } => Ok(Destination::Address((ip, port).into())),
            Target::Inet { port, .. } if proxy.kind.is_remote() => {
                Ok(Destination::Name(self.server().host_name(false), port))
            }
            _ => {
                let mut connecting = self.connecting(until);
                if matches!(proxy.kind, Kind::Socks4 { .. }) {
                    connecting.family = Some(Family::V4);
                }
                Ok(Destination::Address(look_up(&address, &connecting)?))
            }
        }
    }

    fn no_way(&self, error: ProxyError) -> FetchError {
        match error {
            ProxyError::Unusable(why) => FetchError::Request(why),
            ProxyError::Denied(said) | ProxyError::Unreachable(said) | ProxyError::Strange(said) => {
                FetchError::Proxy(said)
            }
            ProxyError::Cut => FetchError::Proxy("nothing more: it ended the connection".to_owned()),
            ProxyError::TimedOut => self.failed(io::ErrorKind::TimedOut.into(), "no way through the proxy"),
            ProxyError::Socket(why) => FetchError::Reset { why, received: 0 },
        }
    }

    fn shake_hands(
        &self,
        stream: &mut Stream,
        session: ClientConnection,
        host: &str,
        until: Instant,
    ) -> Result<(), FetchError> {
        stream.secure(session, host, until).map_err(|error| self.failed(error, "no secure connection"))
    }

    fn failed(&self, error: io::Error, what: &'static str) -> FetchError {
        if error.kind() == io::ErrorKind::TimedOut {
            // The whole's end may have been nearer.
            let (after, flag) = match self.options.timeout {
                Some(all) if self.options.began + all <= Instant::now() => (all, "--timeout"),
                _ => (self.options.connect_timeout, "--connect-timeout"),
            };
            let flag = Some(flag);
            return FetchError::TimedOut { what, after, flag, received: 0 };
        }
        match error.downcast::<TlsError>() {
            Ok(error) => FetchError::Tls(error),
            Err(why) => FetchError::Reset { why, received: 0 },
        }
    }
}

fn is_socks(kind: &Kind) -> bool {
    matches!(kind, Kind::Socks4 { .. } | Kind::Socks5 { .. })
}
