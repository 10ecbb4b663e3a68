//! Messages that keep their bounds from one leg to the other: datagrams, packets, messages of WebSocket, and those that stand
//! in a stream. Whatever does not arrive is counted and told.

use rustix::io::Errno;
use rustix::net::{SendFlags, send};
use transcript::Moment;

use super::capture::SocketCapture;
use super::direction::{Direction, TURN, Tools, Turn};
use super::framing::{self, Frame, Framer};
use super::leg::{Bounds, Buffer, Ended, Leg, ReadOutcome};
use super::message_queue::Messages;
use super::tap::Taps;
use crate::address::Framing;
use crate::endpoint::Protocol;
use crate::limits;
use crate::net::message::{self, Received};
use crate::net::words_of_sending;

/// Bytes that wait for a stream to take them before more messages are added.
const AHEAD: usize = 64 * 1024;

impl Bounds {
    /// Those of a stream.
    pub(super) fn framed(framing: Framing) -> Box<Self> {
        Box::new(Self::Framed { framer: Framer::new(Frame::Of(framing)), framing, ended: None })
    }

    /// Those of a session that has messages.
    pub(super) fn of_session() -> Box<Self> {
        Box::new(Self::Framed { framer: Framer::new(Frame::Bounded), framing: Framing::None, ended: None })
    }
}

impl Leg {
    /// Messages keep their bounds here.
    pub(super) fn carry_messages(&mut self, bounds: Box<Bounds>) {
        if let Bounds::OfSocket { has_end: true } = *bounds {
            let _ = message::mark_messages(&self.fd);
        }
        self.bounds = Some(bounds);
    }

    /// Keeps bytes of a stream that came before there was a server to pass them on to.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if let Some(Bounds::Framed { framer, .. }) = self.bounds.as_deref_mut() {
            framer.push(bytes);
        }
    }

    fn refuse(&mut self, why: String) {
        self.refused.0 += 1;
        self.refused.1 = why;
    }

    /// One message of the socket.
    pub(super) fn receive_packet(&mut self, has_end: bool, buffer: &mut Buffer) -> ReadOutcome {
        while self.readable {
            match message::receive(&self.fd, buffer.room_for_message(), has_end) {
                Ok((Received::Message(length), _)) => {
                    self.received += length as u64;
                    self.tell(|tap| tap.received(buffer.bytes(length)));
                    return ReadOutcome::Bytes(length);
                }
                Ok((Received::TooLarge(length), _)) => {
                    self.refuse(format!("a message of {length} bytes is larger than {}", message::LARGEST));
                }
                Ok((Received::End, _)) => {
                    self.tell(SocketCapture::peer_ended);
                    return self.broken.map_or(ReadOutcome::End, ReadOutcome::Broken);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.readable = false,
                Err(error) => return ReadOutcome::Broken(error),
            }
        }
        // What is gone says no more, and over datagrams nothing else says so.
        self.broken.map_or(ReadOutcome::Nothing, ReadOutcome::Broken)
    }

    /// One message, whatever carries it.
    fn receive_message(&mut self, buffer: &mut Buffer) -> ReadOutcome {
        if self.is_over {
            return ReadOutcome::End;
        }
        let Some(mut bounds) = self.bounds.take() else { return ReadOutcome::Nothing };
        let got = match &mut *bounds {
            Bounds::OfSocket { has_end } => self.receive_packet(*has_end, buffer),
            Bounds::Framed { framer, ended, .. } => self.receive_framed(framer, ended, buffer),
        };
        self.bounds = Some(bounds);
        got
    }

    fn receive_framed(&mut self, framer: &mut Framer, ended: &mut Option<Ended>, buffer: &mut Buffer) -> ReadOutcome {
        loop {
            match framer.next() {
                Ok(Some(message)) => {
                    buffer.keep(message);
                    return ReadOutcome::Bytes(message.len());
                }
                Ok(None) => {}
                Err(length) => {
                    self.refuse(format!("a line of more than {length} bytes is no datagram"));
                    return ReadOutcome::Broken(Errno::MSGSIZE);
                }
            }
            match ended {
                None => {}
                Some(Ended::Well) => return ReadOutcome::End,
                Some(Ended::Cut) => return ReadOutcome::Cut,
            }
            match self.receive(buffer) {
                ReadOutcome::Bytes(length) => framer.push(buffer.bytes(length)),
                got @ (ReadOutcome::End | ReadOutcome::Cut) => {
                    *ended = Some(if matches!(got, ReadOutcome::End) { Ended::Well } else { Ended::Cut });
                    match framer.finish() {
                        Ok(Some(last)) => {
                            buffer.keep(&last);
                            return ReadOutcome::Bytes(last.len());
                        }
                        Ok(None) => {}
                        Err(length) => {
                            self.refuse(format!("the stream ended inside a message, of which {length} bytes had come"));
                        }
                    }
                }
                other => return other,
            }
        }
    }

    /// Sends one message; false if there is no room for it now.
    fn send_message(&mut self, message: &[u8]) -> Result<bool, Errno> {
        let Some(Bounds::Framed { framing, .. }) = self.bounds.as_deref() else {
            return self.send_packet(message);
        };
        let framing = *framing;
        self.flush()?;
        if self.waiting() > AHEAD {
            return Ok(false);
        }
        if self.is_websocket() {
            if let Some(session) = &mut self.session {
                session.say_message(message, &mut self.wire);
            }
        } else {
            let mut frame = Vec::with_capacity(message.len() + 2);
            match framing::write(framing, message, &mut frame) {
                Ok(()) => {}
                Err(error) => {
                    self.refuse(error.to_string());
                    return Ok(true);
                }
            }
            match &mut self.session {
                Some(session) => session.send(&frame, &mut self.wire),
                None => self.wire.append(&mut frame),
            }
        }
        self.flush()?;
        Ok(true)
    }

    fn send_packet(&mut self, message: &[u8]) -> Result<bool, Errno> {
        while self.writable {
            match send(&self.fd, message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => {
                    self.tell(|tap| tap.sent(message));
                    return Ok(true);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.writable = false,
                Err(Errno::MSGSIZE) => {
                    let (length, protocol) = (message.len(), self.protocol);
                    self.refuse(format!("a message of {length} bytes is larger than {protocol} takes at once"));
                    return Ok(true);
                }
                // It is lost, as on any full queue, or by a filter: those behind it may go.
                Err(error @ (Errno::NOBUFS | Errno::NOMEM | Errno::PERM)) => {
                    self.refuse(format!("a message could not be sent: {}", words_of_sending(&error.into())));
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Whether nothing says that its peer has ended.
    pub(super) fn has_no_end(&self) -> bool {
        matches!(self.bounds.as_deref(), Some(Bounds::OfSocket { has_end: false }))
    }

    /// Of what has no end: until when something may still come, now that its peer hears nothing more.
    fn awaits_quiet(&mut self, now: Moment) -> Option<Moment> {
        let quiet_limit =
            if self.received > 0 || self.hurries { limits::DATAGRAM_QUIET } else { limits::DATAGRAM_ANSWER };
        let until = self.heard.get_or_insert(now).after(quiet_limit);
        (until > now).then_some(until)
    }
}

impl Direction {
    /// Moves what messages there are.
    pub(super) fn turn_messages(
        &mut self,
        messages: &mut Messages,
        source: &mut Leg,
        sink: &mut Leg,
        mut taps: Option<&mut Taps>,
        tools: &mut Tools<'_>,
    ) -> Turn {
        let mut moved = 0;
        loop {
            if let Err(error) = self.pass_messages_on(messages, sink, tools.now) {
                return Turn::SinkBroken(error);
            }
            if !messages.queue.is_empty() || sink.is_handshaking() {
                // The sink tells when it takes more: what is due by then waits for that alone.
                return Turn::Rests(None);
            }
            let wakes = messages.faults.as_ref().and_then(|faults| faults.wakes());
            if self.ended {
                if wakes.is_some() || sink.waiting() > 0 {
                    return Turn::Rests(wakes);
                }
                return self.end(source, sink, tools);
            }
            if moved >= TURN {
                return Turn::More;
            }
            // Over UDP what finds no room is lost; every other sender waits.
            if source.protocol != Protocol::Udp && messages.faults.as_ref().is_some_and(|faults| !faults.has_room()) {
                return Turn::Rests(wakes);
            }
            match source.receive_message(tools.buffer) {
                ReadOutcome::Bytes(length) => {
                    moved += length.max(256);
                    source.heard = Some(tools.now);
                    self.asks(sink);
                    let message = tools.buffer.bytes(length);
                    self.message_came(messages, message, taps.as_deref_mut(), tools.now);
                }
                ReadOutcome::Nothing if source.has_no_end() && source.is_shut() => match source.awaits_quiet(tools.now)
                {
                    Some(quiet) => return Turn::Rests(wakes.into_iter().chain([quiet]).min()),
                    None => self.source_ended(messages, source, taps.as_deref_mut()),
                },
                ReadOutcome::Nothing => return Turn::Rests(wakes),
                got @ (ReadOutcome::End | ReadOutcome::Cut) => {
                    self.was_cut = matches!(got, ReadOutcome::Cut);
                    self.source_ended(messages, source, taps.as_deref_mut());
                }
                ReadOutcome::Broken(error) => return Turn::SourceBroken(error),
                ReadOutcome::NotSecure(error) => return Turn::NotSecure(error),
            }
        }
    }

    fn source_ended(&mut self, messages: &Messages, source: &mut Leg, taps: Option<&mut Taps>) {
        (self.ended, source.ended) = (true, true);
        if let Some(taps) = taps.filter(|_| messages.tells_end) {
            taps.ended(self.side);
        }
    }

    fn message_came(&mut self, messages: &mut Messages, message: &[u8], taps: Option<&mut Taps>, now: Moment) {
        self.came += message.len() as u64;
        if let Some(taps) = taps {
            let mut stream = Vec::new();
            match messages.shown.map(|framing| framing::write(framing, message, &mut stream)) {
                Some(Ok(())) => taps.said(self.side, &stream),
                Some(Err(_)) | None => taps.said(self.side, message),
            }
        }
        match &mut messages.faults {
            Some(faults) => faults.take(message, now),
            None => messages.push(message.to_vec()),
        }
    }

    /// Gives the sink what waits.
    fn pass_messages_on(&mut self, messages: &mut Messages, sink: &mut Leg, now: Moment) -> Result<(), Errno> {
        sink.flush()?;
        while !sink.is_handshaking() {
            if messages.queue.is_empty() {
                let Some(due) = messages.faults.as_mut().and_then(|faults| faults.due(now)) else { break };
                messages.push(due);
            }
            let Some(message) = messages.queue.front() else { break };
            let refused = sink.refused.0;
            if !sink.send_message(message)? {
                break;
            }
            let length = message.len() as u64;
            if sink.refused.0 == refused {
                self.passed += length;
            }
            messages.bytes -= length;
            messages.queue.pop_front();
        }
        Ok(())
    }
}
