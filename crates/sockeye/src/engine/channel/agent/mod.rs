//! What is done over a channel, one file for each kind. A new kind is a new file and an arm in each question below.

#[cfg_attr(not(all(feature = "figures", feature = "http")), path = "no_ask.rs")]
mod ask;
mod child;
mod discard;
mod echo;
#[cfg(feature = "http")]
mod http;
mod load;
mod messages;
mod parked;
mod play;
mod stdin_queue;

use std::ops::ControlFlow;
use std::sync::Arc;

use transcript::{Play, Script};

use super::super::account::silence;
use super::super::exec::ProgramPermit;
use super::super::origin::Closer;
use super::super::web::Web;
use super::super::{Behaviour, Context};
use super::{Channel, ChannelStatus, Phase};
use crate::failure::Kind;
use crate::net::tls::TlsError;
use crate::net::websocket::Mark;
use child::Served;

pub(in crate::engine) use ask::Ask;

/// What a channel does with what comes.
#[derive(Debug)]
pub(in crate::engine) enum Agent {
    /// A play, and the script that it began with: a server that reads its transcripts again keeps it for this one.
    Play(Play, Arc<Script>),
    /// Its play is over another connection: what comes stays where it is.
    Parked,
    /// Sends back what comes.
    Echo,
    /// Throws it away.
    Discard,
    /// Answers requests of HTTP.
    Http(Box<Web>),
    /// Has a program speak.
    Child(Box<Served>),
    /// Asks the same over HTTP again and again.
    #[cfg_attr(not(all(feature = "figures", feature = "http")), allow(dead_code, reason = "nothing asks"))]
    Ask(Box<Ask>),
}

impl Agent {
    /// The permit is for its program, if it has one.
    pub(in crate::engine) fn new(behaviour: &Behaviour, permit: Option<ProgramPermit>) -> Self {
        match behaviour {
            Behaviour::Play(script) => Self::Play(script.play(), Arc::clone(script)),
            Behaviour::Echo => Self::Echo,
            Behaviour::Discard => Self::Discard,
            Behaviour::Site(website) => Self::Http(Box::new(Web::new(Arc::clone(website)))),
            Behaviour::Exec(exec) => Self::Child(Box::new(Served::new(Arc::clone(exec), permit))),
        }
    }

    /// Bytes of memory that it takes beyond its own size.
    pub(in crate::engine) fn memory(&self) -> usize {
        match self {
            Self::Play(play, _) => play.memory(),
            Self::Http(web) => web.memory(),
            Self::Child(served) => served.memory(),
            Self::Ask(ask) => ask.memory(),
            Self::Parked | Self::Echo | Self::Discard => 0,
        }
    }

    /// Whether a transcript says what is to pass: then a connection that ends before its time is a failure with a line.
    pub(in crate::engine) fn has_transcript(&self) -> bool {
        matches!(self, Self::Play(..))
    }

    /// Whether a play of several connections is over this one now.
    pub(in crate::engine) fn holds_play(&self) -> bool {
        matches!(self, Self::Play(..))
    }

    /// Whether what the peer said before it was gone still counts, though no answer reaches it.
    pub(in crate::engine) fn hears_out(&self) -> bool {
        matches!(self, Self::Play(..))
    }

    /// Whether it has a program, with descriptors of its own.
    pub(in crate::engine) fn holds_child(&self) -> bool {
        matches!(self, Self::Child(_))
    }

    /// Whether its program reads a plain socket by itself: what comes is then none of ours.
    pub(in crate::engine) fn takes_socket(&self) -> bool {
        matches!(self, Self::Child(served) if served.takes_socket())
    }

    /// The peer agreed to HTTP/2 in the handshake of TLS.
    pub(in crate::engine) fn speak_http2(&mut self) {
        if let Self::Http(web) = self {
            web.speak_http2();
        }
    }

    /// Whether it speaks TLS from the first byte.
    pub(in crate::engine) fn begins_secure(&self) -> bool {
        matches!(self, Self::Http(web) if web.is_secure())
    }

    /// Whether it has to be told of the peer's end, and does not look for it as it goes on.
    pub(in crate::engine) fn hears_ends(&self) -> bool {
        matches!(self, Self::Echo | Self::Discard)
    }

    /// Requests on their way.
    pub(in crate::engine) fn unanswered(&self) -> usize {
        match self {
            Self::Ask(ask) => ask.unanswered(),
            _ => 0,
        }
    }

    /// The transcript's line at which it stands, if it has one.
    pub(in crate::engine) fn line(&self) -> Option<usize> {
        match self {
            Self::Play(play, script) => Some(play.line(script)),
            Self::Parked | Self::Echo | Self::Discard | Self::Http(_) | Self::Child(_) | Self::Ask(_) => None,
        }
    }
}

impl Channel {
    /// Bytes came, or, if there are none, something else that it may have waited for: its beginning, room to send, an end.
    pub(in crate::engine) fn advance(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if self.phase != Phase::Open {
            return ChannelStatus::Open;
        }
        match self.agent {
            Agent::Play(..) => self.play_on(bytes, context),
            Agent::Parked => ChannelStatus::Open,
            Agent::Http(_) => self.ask(bytes, context),
            Agent::Ask(_) => self.ask_on(bytes, context),
            Agent::Echo => self.echo(bytes, context),
            Agent::Discard => self.discard(context),
            Agent::Child(_) => self.tell_child(bytes, context),
        }
    }

    /// The same of a session with messages, each of which ends at a mark.
    pub(super) fn advance_messages(
        &mut self,
        bytes: &[u8],
        marks: &[Mark],
        context: &mut Context<'_>,
    ) -> ChannelStatus {
        match self.agent {
            Agent::Echo if !marks.is_empty() => self.echo_messages(bytes, marks, context),
            _ => self.advance(bytes, context),
        }
    }

    /// A datagram came.
    pub(super) fn hear_message_of_socket(&mut self, message: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        match self.agent {
            Agent::Echo if self.phase == Phase::Open => {
                context.heard(message);
                self.rest_until(context);
                context.output.bytes.extend_from_slice(message);
                context.output.datagrams.push(context.output.bytes.len());
                self.send_output(context)
            }
            Agent::Echo | Agent::Discard => {
                context.heard(message);
                self.rest_until(context);
                ChannelStatus::Open
            }
            Agent::Child(_) => {
                context.heard(message);
                self.hear_packet(message, context)
            }
            _ => self.hear_datagram(Some(message), context),
        }
    }

    /// The socket has taken all that waited.
    pub(super) fn hear_all_sent(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        match self.agent {
            Agent::Http(_) => self.go_on(context),
            _ if self.resume || !self.inbox.is_empty() || context.stopping => self.advance(&[], context),
            _ => ChannelStatus::Open,
        }
    }

    /// The socket took nothing for too long. The connection is over then, unless the agent has ended it otherwise.
    pub(super) fn hear_write_timeout(&mut self, reason: &str, context: &mut Context<'_>) -> ControlFlow<ChannelStatus> {
        match self.agent {
            Agent::Play(..) => self.fail(Kind::WriteTimeout, reason, context),
            Agent::Ask(_) => return ControlFlow::Break(self.answer_is_overdue(context)),
            Agent::Parked | Agent::Echo | Agent::Discard | Agent::Http(_) | Agent::Child(_) => {}
        }
        ControlFlow::Continue(())
    }

    /// A session that the agent asked for could not begin, or broke. The connection ends then, unless the agent has ended it otherwise.
    pub(super) fn hear_no_session(
        &mut self,
        error: &TlsError,
        context: &mut Context<'_>,
    ) -> ControlFlow<ChannelStatus> {
        match self.agent {
            Agent::Play(..) => ControlFlow::Break(self.play_has_no_tls(error, context)),
            _ => ControlFlow::Continue(()),
        }
    }

    /// The peer's end came.
    pub(in crate::engine) fn hear_end(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        match self.agent {
            Agent::Play(..) | Agent::Parked | Agent::Http(_) | Agent::Child(_) | Agent::Ask(_) => {
                self.advance(&[], context)
            }
            Agent::Echo | Agent::Discard => {
                if self.secure.as_ref().is_some_and(|session| !session.has_ended()) {
                    let why = "the client did not end TLS before its stream ended: it may have been cut short";
                    self.reason = Some(why.into());
                }
                self.by = Closer::Peer;
                self.finish(context)
            }
        }
    }

    /// What it waited for did not come in time.
    pub(in crate::engine) fn overdue(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        match self.agent {
            Agent::Play(..) | Agent::Parked => self.advance(&[], context),
            Agent::Http(_) => self.took_too_long(context),
            Agent::Child(_) => self.child_is_due(context),
            Agent::Ask(_) => self.answer_is_overdue(context),
            Agent::Echo | Agent::Discard => {
                self.by = Closer::Timeout;
                self.reason = context.wait.map(|wait| silence(wait).into());
                self.finish(context)
            }
        }
    }

    /// The connection was reset while it was open.
    pub(in crate::engine) fn hear_reset(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        match self.agent {
            Agent::Play(..) => self.play_is_reset(context),
            Agent::Ask(_) => self.answer_is_reset(context),
            Agent::Echo | Agent::Discard | Agent::Child(_) if context.plays.is_some() => {
                // Where conversations are judged, one that may lack something did not go well.
                let reason = format!("{} reset the connection", context.origin.peer());
                self.fail(Kind::Fault(transcript::FaultKind::Reset), &reason, context);
                ChannelStatus::Open
            }
            Agent::Parked | Agent::Echo | Agent::Discard | Agent::Http(_) | Agent::Child(_) => ChannelStatus::Open,
        }
    }

    /// Whether it is kept for the next request after one that was answered.
    pub(in crate::engine) fn has_answered(&self) -> bool {
        matches!(&self.agent, Agent::Http(web) if web.has_answered())
    }

    /// Whether ending it now loses nothing.
    pub(in crate::engine) fn rests(&self) -> bool {
        match &self.agent {
            Agent::Play(play, script) => play.may_end(script),
            Agent::Echo | Agent::Discard | Agent::Ask(_) => true,
            Agent::Http(web) => web.is_idle() && self.inbox.is_empty(),
            // What its program, or its play, still has to say is not known.
            Agent::Child(_) | Agent::Parked => false,
        }
    }
}
