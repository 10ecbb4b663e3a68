//! The part of a connection that TLS takes: from where it begins to where its end is said.

use transcript::Fault;

use super::super::Shared;
use super::{Connection, Fate, Role};
use crate::event::ClosedBy;
use crate::limits;
use crate::net::tls::{Session, TlsError};

impl Connection {
    pub(in crate::drive) fn is_handshaking(&self) -> bool {
        self.secure.as_ref().is_some_and(|session| session.is_handshaking())
    }

    pub(super) fn begin_tls(&mut self, session: Result<Session, TlsError>, shared: &mut Shared<'_>) -> Fate {
        match session {
            Ok(session) => {
                self.secure = Some(Box::new(session));
                self.deadline = Some(shared.now.after(limits::HANDSHAKE_WAIT));
                Fate::Lives
            }
            Err(error) => self.not_secure(&error.to_string(), shared),
        }
    }

    /// Bytes of TLS came: the session may have to answer, and the play goes on with what they mean.
    pub(super) fn decrypt(&mut self, bytes: &[u8], shared: &mut Shared<'_>) -> Fate {
        if self.is_plain_http(bytes) {
            return self.refuse_plain(shared);
        }
        let Some(session) = &mut self.secure else { return Fate::Lives };
        let was_handshaking = session.is_handshaking();
        let (mut clear, mut wire) = (Vec::new(), Vec::new());
        let received = session.receive(bytes, &mut clear);
        session.send(&[], &mut wire);
        let (is_handshaking, has_ended) = (session.is_handshaking(), session.has_ended());
        if !wire.is_empty() && self.write(&wire, shared) == Fate::Gone {
            return Fate::Gone;
        }
        if let Err(error) = received {
            return self.not_secure(&error.to_string(), shared);
        }
        if is_handshaking {
            return Fate::Lives;
        }
        if has_ended {
            self.ended = true;
            self.first_end.get_or_insert(ClosedBy::Client);
        }
        if was_handshaking {
            self.deadline = None;
            let chose_http2 = self.secure.as_ref().is_some_and(|session| session.alpn() == Some(b"h2"));
            if let Role::Web(web) = &mut self.role
                && chose_http2
            {
                web.speak_http2();
            }
        }
        if was_handshaking || has_ended || !clear.is_empty() {
            return self.advance(&clear, shared);
        }
        Fate::Lives
    }

    /// There is no secure connection, or no more.
    pub(super) fn not_secure(&mut self, why: &str, shared: &mut Shared<'_>) -> Fate {
        let Role::Play(play, script) = &mut self.role else {
            // Whoever knocks without speaking TLS is a line in the log, and no failure of ours.
            self.secure = None;
            self.reason = Some(format!("TLS: {why}").into());
            return self.finish(shared);
        };
        let ending = play.tls_failed(script, Fault::Tls, why, shared.scratch);
        self.over(ending, shared)
    }

    /// Under TLS the end is said too, so that nobody else can say it (RFC 8446, section 6.1).
    pub(super) fn say_end(&mut self, shared: &mut Shared<'_>) -> Fate {
        let Some(session) = &mut self.secure else { return Fate::Lives };
        let mut wire = Vec::new();
        session.end(&mut wire);
        self.write(&wire, shared)
    }
}
