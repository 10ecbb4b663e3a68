//! The part of a connection that a session takes, TLS, WebSocket or the second inside the first: from where it begins to where its
//! end is said.

use std::ops::ControlFlow;

use super::super::Context;
use super::super::context::give_back;
use super::super::origin::Closer;
use super::{Channel, ChannelStatus, Phase};
use transcript::FaultKind;

use crate::failure::Kind;
use crate::limits;
use crate::net::session::Session;
use crate::net::tls::{TlsError, TlsErrorKind};
use crate::net::websocket::Close;

/// Codes of an end: all is said; the side that closes goes away; what came is not what was to come.
const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const AT_ODDS: u16 = 1008;

/// What the peer's end of a session means.
enum SessionEnd {
    /// The conversation is over with it.
    Over,
    /// It may go on in clear; who had ended before it did.
    GoesOn { first_end: Option<Closer> },
}

impl Channel {
    pub(in crate::engine) fn begin_session(
        &mut self,
        session: Result<Session, TlsError>,
        context: &mut Context<'_>,
    ) -> ChannelStatus {
        match session {
            Ok(mut session) => {
                let mut wire = Vec::new();
                session.send(&[], &mut wire);
                self.secure = Some(Box::new(session));
                self.phase = Phase::Handshaking;
                if let Some(load) = &mut context.load {
                    load.handshake_begins(self.number as usize, context.now);
                }
                self.deadline = Some(context.now.after(limits::HANDSHAKE_WAIT));
                // A client begins.
                self.write(&wire, context)
            }
            Err(error) => self.not_secure(&error, context),
        }
    }

    /// Bytes of a session came: it may have to answer, and the play goes on with what they mean.
    pub(super) fn decrypt(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if self.is_plain_http(bytes) {
            return self.refuse_plain(context);
        }
        let Some(session) = &mut self.secure else { return ChannelStatus::Open };
        let (mut clear, mut wire) = (std::mem::take(context.clear), std::mem::take(context.wire));
        let received = session.receive(bytes, &mut clear);
        session.send(&[], &mut wire);
        let status = if wire.is_empty() { ChannelStatus::Open } else { self.write(&wire, context) };
        give_back(context.wire, wire);
        let status = match status {
            ChannelStatus::Closed => status,
            _ => self.hear_clear(&clear, received.err(), context),
        };
        give_back(context.clear, clear);
        status
    }

    /// Hears what bytes of a session meant, which may have broken it behind them.
    fn hear_clear(&mut self, clear: &[u8], mut broken: Option<TlsError>, context: &mut Context<'_>) -> ChannelStatus {
        let Some(session) = &mut self.secure else { return ChannelStatus::Open };
        let marks = session.take_marks();
        let (is_handshaking, has_ended) = (session.is_handshaking(), session.has_ended());
        if self.phase == Phase::EndingTls
            && let Some(error) = &broken
        {
            return self.breaks_its_end(error, context);
        }
        if is_handshaking {
            return broken.map_or(ChannelStatus::Open, |error| self.not_secure(&error, context));
        }
        if self.phase == Phase::EndingTls {
            return self.hear_tls_end(!clear.is_empty(), has_ended, context);
        }
        // Where TLS may end and clear text go on, this may be no end of the stream.
        let first_end = self.first_end;
        if has_ended {
            self.ended = true;
            self.first_end.get_or_insert(Closer::Peer);
            self.note_close(context);
        }
        let was_handshaking = self.phase == Phase::Handshaking;
        if was_handshaking && let Err(error) = self.session_stands(context) {
            return self.not_secure(&error, context);
        }
        // What came before it broke the protocol was said.
        if let Some(error) = broken.take_if(|_| clear.is_empty() && marks.is_empty()) {
            return self.not_secure(&error, context);
        }
        self.tell_heard(clear, context);
        let may_go_on = self.secure.as_ref().is_some_and(|session| session.may_end());
        if has_ended && !may_go_on {
            if self.hearing.is_some() {
                self.tell_left(&[&self.inbox[..], clear].concat(), context);
            }
            self.tell_tap(context, |tap, ours| tap.ended(ours.other()));
        }
        if !was_handshaking && !has_ended && clear.is_empty() && marks.is_empty() {
            return ChannelStatus::Open;
        }
        let status = self.advance_messages(clear, &marks, context);
        let end = has_ended.then_some(if may_go_on { SessionEnd::GoesOn { first_end } } else { SessionEnd::Over });
        self.after_clear(status, broken, end, context)
    }

    /// The agent has heard what the bytes meant: now what broke the session behind them counts, and its end.
    fn after_clear(
        &mut self,
        status: ChannelStatus,
        broken: Option<TlsError>,
        end: Option<SessionEnd>,
        context: &mut Context<'_>,
    ) -> ChannelStatus {
        if let Some(error) = broken
            && status == ChannelStatus::Open
            && self.secure.is_some()
        {
            match self.phase {
                Phase::Open => return self.not_secure(&error, context),
                Phase::EndingTls => return self.breaks_its_end(&error, context),
                _ => {}
            }
        }
        if let Some(SessionEnd::GoesOn { first_end }) = end {
            match self.secure {
                // If we ended it too, both were told of.
                Some(_) if self.is_open() => self.tell_end_of_tls(context),
                Some(_) => {}
                None => self.first_end = first_end,
            }
            return status;
        }
        let is_over = end.is_some() && status == ChannelStatus::Open && self.phase == Phase::Open;
        // The others saw it as they went on.
        if is_over && self.agent.hears_ends() { self.hear_end(context) } else { status }
    }

    /// The handshake is over: what was agreed in it decides how the connection goes on.
    fn session_stands(&mut self, context: &mut Context<'_>) -> Result<(), TlsError> {
        self.phase = Phase::Open;
        self.deadline = None;
        if let Some(load) = &mut context.load {
            load.handshake_stands(self.number as usize, context.now);
        }
        self.tell_tap(context, |tap, _| tap.secured());
        self.agreed(context)?;
        let chose_http2 = self.secure.as_ref().is_some_and(|session| session.alpn() == Some(b"h2"));
        if chose_http2 {
            self.agent.speak_http2();
        }
        Ok(())
    }

    /// Says that TLS ends, and waits for the peer to say so too. What it says from there is clear text.
    pub(in crate::engine) fn end_tls(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        if self.say_end(context) == ChannelStatus::Closed {
            return ChannelStatus::Closed;
        }
        match &self.secure {
            Some(session) if session.has_ended() => self.go_on_in_clear(context),
            _ => {
                self.phase = Phase::EndingTls;
                self.deadline = Some(context.now.after(limits::HANDSHAKE_WAIT));
                ChannelStatus::Open
            }
        }
    }

    /// Something came while the peer was to say that TLS ends.
    fn hear_tls_end(&mut self, says_more: bool, has_ended: bool, context: &mut Context<'_>) -> ChannelStatus {
        if says_more {
            let why = format!("{} said more inside it", context.origin.peer());
            return self.tls_goes_on(&why, context);
        }
        if has_ended { self.go_on_in_clear(context) } else { ChannelStatus::Open }
    }

    /// What could have been the end of TLS alone was that of the stream.
    pub(super) fn tell_end_of_tls(&mut self, context: &Context<'_>) {
        self.tell_left_in_inbox(context);
        self.tell_tap(context, |tap, ours| tap.ended(ours.other()));
    }

    /// Both have said that TLS ends.
    fn go_on_in_clear(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let behind = self.secure.take().map(|session| session.behind()).unwrap_or_default();
        (self.phase, self.ended, self.deadline) = (Phase::Open, false, None);
        self.tell_tap(context, |tap, _| tap.unsecured());
        self.tell_heard(&behind, context);
        // All that was said inside was heard.
        self.inbox = behind;
        self.give_way(context);
        ChannelStatus::Open
    }

    /// TLS does not end where both should say so.
    pub(super) fn tls_goes_on(&mut self, why: &str, context: &mut Context<'_>) -> ChannelStatus {
        self.phase = Phase::Open;
        self.play_has_no_clear_text(why, context)
    }

    /// The peer was to say that TLS ends.
    fn breaks_its_end(&mut self, error: &TlsError, context: &mut Context<'_>) -> ChannelStatus {
        let why = format!("{} said something else than that it ends (close_notify): {error}", context.origin.peer());
        self.tls_goes_on(&why, context)
    }

    /// Whether it is one of messages, which end with a word.
    pub(super) fn has_messages(&self) -> bool {
        self.secure.as_ref().is_some_and(|session| session.is_websocket())
    }

    /// Whether its stream ended without that word (RFC 6455, section 7.1.5, code 1006).
    pub(super) fn lacks_close(&self) -> bool {
        self.has_messages() && !self.secure.as_ref().is_some_and(|session| session.has_ended())
    }

    /// The peer said why it ends.
    fn note_close(&mut self, context: &Context<'_>) {
        let close = self.secure.as_ref().and_then(|session| session.close()).filter(|close| !close.is_clean());
        if let Some(close) = close {
            self.reason = Some(format!("{} closed it with {close}", context.origin.peer()).into());
        }
    }

    /// Whether the peer ended it with a code that says that something went wrong.
    pub(super) fn was_closed_in_failure(&self) -> bool {
        self.secure.as_ref().and_then(|session| session.close()).is_some_and(Close::is_failure)
    }

    /// An error of the handshake at hand.
    pub(super) fn of_handshake(&self, why: String) -> TlsError {
        match &self.secure {
            Some(session) if session.awaits_websocket() => TlsError::websocket(why),
            _ => TlsError::local(why),
        }
    }

    pub(super) fn cut_in_handshake(&self, context: &Context<'_>) -> TlsError {
        let why = format!("{} closed the connection in the handshake", context.origin.tls_peer());
        self.of_handshake(why).without_a_word()
    }

    /// There is no session, or none any more.
    pub(super) fn not_secure(&mut self, error: &TlsError, context: &mut Context<'_>) -> ChannelStatus {
        if context.origin.begins_secure() && matches!(self.phase, Phase::Open | Phase::Handshaking) {
            let kind = match (error.why, self.phase) {
                (TlsErrorKind::Certificate, _) => Kind::Fault(FaultKind::Untrusted),
                (TlsErrorKind::WebSocket, Phase::Handshaking) => Kind::NoWebSocket,
                (TlsErrorKind::WebSocket | TlsErrorKind::Messages, _) => Kind::Socket,
                _ => Kind::Fault(FaultKind::Tls),
            };
            if error.is_of_websocket() && self.say_end(context) == ChannelStatus::Closed {
                return ChannelStatus::Closed;
            }
            if error.is_cut {
                context.tally.unshaken += 1;
            }
            let reason = format!("{}: {error}", error.layer());
            // A client that only knocks at a server is a line in the log, unless each client counts.
            let has_begun = self.phase == Phase::Open && self.agent.has_transcript();
            if context.origin.is_client() || context.is_judged || has_begun {
                self.fail(kind, &reason, context);
            }
            self.secure = None;
            self.reason = Some(reason.into());
            return self.finish(context);
        }
        if let ControlFlow::Break(status) = self.hear_no_session(error, context) {
            return status;
        }
        // A client that knocks without speaking TLS is a line in the log, and no failure of ours.
        self.secure = None;
        self.reason = Some(format!("{}: {error}", error.layer()).into());
        self.finish(context)
    }

    /// Under TLS the end is said too, so that no third party can say it (RFC 8446, section 6.1); of messages it is said why.
    pub(in crate::engine) fn say_end(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        // A server that is stopped goes away (RFC 6455, section 7.4.1).
        self.say_end_as(if context.stopping { GOING_AWAY } else { NORMAL }, context)
    }

    /// The same where what came is not what was to come.
    pub(in crate::engine) fn say_end_at_odds(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        self.say_end_as(AT_ODDS, context)
    }

    /// The same by a code, where messages are ended.
    fn say_end_as(&mut self, code: u16, context: &mut Context<'_>) -> ChannelStatus {
        let Some(session) = &mut self.secure else { return ChannelStatus::Open };
        let mut wire = Vec::new();
        session.end_as(code, &mut wire);
        self.write(&wire, context)
    }
}

/// What is wrong where the stream ends, and TLS should have ended inside it.
pub(super) fn cut(peer: &str) -> String {
    format!("{peer} closed the connection, and did not say that it ends (close_notify)")
}
