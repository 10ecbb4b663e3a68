//! Connections that are kept for what is asked next of the same server: many small files cost one handshake.
//!
//! Only what changes nothing is asked over one, for a server may hang up just then and it is not known what it has heard
//! (RFC 9112, section 9.3.1); it is then asked again over a new one.

use std::cell::RefCell;
use std::io::{self, Read as _};
use std::rc::Rc;

use hyper::client::conn::http2;

use super::digest::DigestSessions;
use super::driver::ConnectionTasks;
use super::http_connection::HttpConnection;
use super::outgoing::Sending;
use super::proof::ProxyProofs;
use super::{Head, Origin};
use crate::limits;
use crate::net::stream::Stream;

/// Connections that wait for another request. They belong to one thread, and to fetches with the same options.
#[derive(Clone, Default)]
pub struct ConnectionPool {
    idle: Rc<RefCell<Vec<(Origin, IdleConnection)>>>,
    /// What servers have given to those who prove that they know a password (RFC 7616), so that the next request has its proof.
    pub(super) digest_sessions: DigestSessions,
    /// The same of proxies.
    pub(super) proxy_proofs: ProxyProofs,
}

/// A way to a server on which nothing is under way.
pub(super) enum IdleConnection {
    /// Nothing is known of it but that it is connected; one request after another.
    Stream(Box<Stream>),
    /// It speaks HTTP/2 already.
    Http2(Http2),
}

/// A session of HTTP/2.
pub(super) struct Http2 {
    pub(super) connection: Rc<RefCell<HttpConnection>>,
    pub(super) tasks: ConnectionTasks,
    pub(super) sender: http2::SendRequest<Sending>,
}

impl ConnectionPool {
    /// One on which the server has said nothing since, neither more bytes nor that it ends.
    pub(super) fn take(&self, origin: &Origin) -> Option<IdleConnection> {
        let mut all = self.idle.borrow_mut();
        while let Some(at) = all.iter().position(|(other, _)| other == origin) {
            let (_, mut connection) = all.remove(at);
            if connection.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps one behind the end of an answer, in place of the oldest if there are many.
    pub(super) fn put(&self, origin: Origin, connection: IdleConnection) {
        let mut all = self.idle.borrow_mut();
        if all.len() == limits::IDLE_CONNECTIONS {
            all.remove(0);
        }
        all.push((origin, connection));
    }
}

impl std::fmt::Debug for ConnectionPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionPool").field("idle", &self.idle.borrow().len()).finish_non_exhaustive()
    }
}

impl IdleConnection {
    pub(super) fn speaks_http2(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.speaks_http2(),
            Self::Http2(_) => true,
        }
    }

    fn is_quiet(&mut self) -> bool {
        match self {
            Self::Stream(stream) => stream.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock),
            Self::Http2(session) => {
                session.connection.borrow_mut().refill();
                session.tasks.is_alive() && session.sender.is_ready()
            }
        }
    }
}

/// Whether a server of HTTP/1 leaves the connection open behind this answer (RFC 9112, section 9.3). Where only the end of the
/// connection is that of the body, it is found to have ended.
pub(super) fn stays_open(head: &Head) -> bool {
    let is_closing = |value: &[u8]| {
        value.split(|&byte| byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
    };
    let mut fields = head.fields.iter();
    head.version == (1, 1) && !fields.any(|(name, value)| name.eq_ignore_ascii_case("connection") && is_closing(value))
}
