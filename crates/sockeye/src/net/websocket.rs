//! One WebSocket (RFC 6455), without a socket: messages of a peer become bytes of a conversation, and those bytes messages.
//! The frames are tungstenite's; the handshake is here, because whoever has the socket never waits for it.

mod handshake;

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, WebSocketContext};

use super::tls::TlsError;
use crate::limits;
use handshake::{ClientHandshake, Judging};
pub(crate) use handshake::{WsClient, WsServer};

/// What tungstenite reads at once, and keeps for that.
const READ: usize = 4 * 1024;
/// Most bytes of one message that we send.
const PIECE: usize = 64 * 1024;

/// How bytes and messages are turned into each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Messages {
    /// A message is its bytes, and whatever is said at once is a binary one.
    #[default]
    Bytes,
    /// A line is a text message without its ending. What is no text, or ends without one, is a binary message of its bytes.
    Lines,
    /// The same, but the beginning of a line waits for its end.
    WholeLines,
    /// Messages keep their bounds: each that comes stands behind its length, four bytes in the order of this machine, and what
    /// is said by [`WebSocket::say_message`] is one.
    Bounded,
    /// The same, but what is said is text where it can be.
    BoundedText,
}

/// Why a peer ends: a code, and perhaps words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Close {
    /// Whether nothing went wrong: it is done, it goes away, or it says no code.
    pub(crate) fn is_clean(&self) -> bool {
        matches!(self.code, 1000 | 1001 | 1005)
    }
}

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " {:?}", self.reason) }
    }
}

/// Either side.
pub(crate) struct WebSocket {
    messages: Messages,
    state: State,
    /// What came and was not looked at.
    incoming: VecDeque<u8>,
    /// What is to be sent.
    outgoing: Vec<u8>,
    /// The beginning of a line that is sent whole.
    line: Vec<u8>,
    close: Option<Close>,
    has_said_end: bool,
}

enum State {
    /// We asked, and wait for the answer.
    ClientHandshake(ClientHandshake),
    /// We wait for a request.
    Judging(Judging),
    Open(Box<WebSocketContext>),
}

impl std::fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocket").field("messages", &self.messages).finish_non_exhaustive()
    }
}

/// The bytes on either side of the frames.
struct Buffers<'a> {
    incoming: &'a mut VecDeque<u8>,
    outgoing: &'a mut Vec<u8>,
}

impl Read for Buffers<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.incoming.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.incoming.read(bytes)
    }
}

impl Write for Buffers<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WebSocket {
    /// The client's side: it asks at once.
    pub(crate) fn of_client(client: &WsClient) -> Self {
        let (asking, request) = ClientHandshake::begin(client);
        Self { outgoing: request, ..Self::new(client.messages, State::ClientHandshake(asking)) }
    }

    /// The server's side.
    pub(crate) fn of_server(server: &WsServer) -> Self {
        Self::new(server.messages, State::Judging(Judging::new(server)))
    }

    fn new(messages: Messages, state: State) -> Self {
        Self {
            messages,
            state,
            incoming: VecDeque::new(),
            outgoing: Vec::new(),
            line: Vec::new(),
            close: None,
            has_said_end: false,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        !matches!(self.state, State::Open(_))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.close.is_some()
    }

    pub(crate) fn close(&self) -> Option<&Close> {
        self.close.as_ref()
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        READ + self.incoming.capacity() + self.outgoing.capacity() + self.line.capacity()
    }

    /// Takes bytes, and adds what the messages in them say to `clear`.
    ///
    /// # Errors
    /// The peer does not speak this protocol, or breaks it; what is to be told to it is to be sent.
    pub(crate) fn receive(&mut self, bytes: &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        let rest = match &mut self.state {
            State::Open(_) => {
                self.incoming.extend(bytes);
                None
            }
            State::ClientHandshake(asking) => asking.hear(bytes)?,
            State::Judging(judging) => judging.hear(bytes, &mut self.outgoing)?,
        };
        if let Some(rest) = rest {
            let role = if matches!(self.state, State::ClientHandshake(_)) { Role::Client } else { Role::Server };
            let config = WebSocketConfig::default()
                .read_buffer_size(READ)
                .write_buffer_size(0)
                .max_write_buffer_size(usize::MAX)
                .max_message_size(Some(limits::WEBSOCKET_MESSAGE))
                .max_frame_size(Some(limits::WEBSOCKET_MESSAGE));
            self.incoming.extend(rest);
            self.state = State::Open(Box::new(WebSocketContext::new(role, Some(config))));
        }
        self.read(clear)
    }

    fn read(&mut self, clear: &mut Vec<u8>) -> Result<(), TlsError> {
        let is_bounded = self.is_bounded();
        let State::Open(context) = &mut self.state else { return Ok(()) };
        loop {
            let mut buffers = Buffers { incoming: &mut self.incoming, outgoing: &mut self.outgoing };
            match context.read(&mut buffers) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) if is_bounded => {
                    let bytes = message.into_data();
                    clear.extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
                    clear.extend_from_slice(&bytes);
                }
                Ok(Message::Text(text)) => {
                    clear.extend_from_slice(text.as_bytes());
                    if self.messages != Messages::Bytes {
                        clear.push(b'\n');
                    }
                }
                Ok(Message::Binary(bytes)) => clear.extend_from_slice(&bytes),
                // Its answer stands in what is to be sent.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(frame)) => {
                    let none = Close { code: 1005, reason: String::new() };
                    let close = frame.map_or(none, |frame| Close {
                        code: frame.code.into(),
                        reason: frame.reason.as_str().to_owned(),
                    });
                    self.close = Some(close);
                    let _ = context.flush(&mut buffers);
                    return Ok(());
                }
                Err(tungstenite::Error::Io(_)) => {
                    // A pong, or what answers a close.
                    let _ = context.flush(&mut buffers);
                    return Ok(());
                }
                Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => return Ok(()),
                Err(error) => {
                    let (code, why) = wrong(&error);
                    let close = CloseFrame { code, reason: "".into() };
                    let _ = context.close(&mut buffers, Some(close));
                    self.has_said_end = true;
                    return Err(TlsError::websocket(why));
                }
            }
        }
    }

    /// Packs bytes into messages, and adds all that is to be sent to `wire`.
    pub(crate) fn send(&mut self, clear: &[u8], wire: &mut Vec<u8>) {
        if matches!(self.state, State::Open(_)) {
            match self.messages {
                Messages::Bytes | Messages::Bounded | Messages::BoundedText => {
                    clear.chunks(PIECE).for_each(|piece| self.say(binary(piece)))
                }
                Messages::Lines | Messages::WholeLines => self.say_lines(clear),
            }
        }
        wire.append(&mut self.outgoing);
    }

    fn is_bounded(&self) -> bool {
        matches!(self.messages, Messages::Bounded | Messages::BoundedText)
    }

    /// Says one message.
    pub(crate) fn say_message(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) if self.messages == Messages::BoundedText => self.say(Message::text(text)),
            _ => self.say(binary(bytes)),
        }
    }

    fn say_lines(&mut self, clear: &[u8]) {
        let mut rest = clear;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 1..];
            self.say(message(&line));
        }
        self.line.extend_from_slice(rest);
        // What is as long as that is no line.
        if !self.line.is_empty() && (self.messages == Messages::Lines || self.line.len() >= limits::WEBSOCKET_LINE) {
            let piece = std::mem::take(&mut self.line);
            piece.chunks(PIECE).for_each(|piece| self.say(binary(piece)));
        }
    }

    fn say(&mut self, message: Message) {
        let State::Open(context) = &mut self.state else { return };
        let mut buffers = Buffers { incoming: &mut self.incoming, outgoing: &mut self.outgoing };
        // A peer that has closed hears nothing any more; whoever speaks learns of the close by itself.
        let _ = context.write(&mut buffers, message).and_then(|()| context.flush(&mut buffers));
    }

    /// The beginning of a line goes as it is: it has no end.
    pub(crate) fn finish_line(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.say(std::str::from_utf8(&line).map_or_else(|_| binary(&line), Message::text));
        }
    }

    /// Says that nothing more is said, and why.
    pub(crate) fn end(&mut self, why: Option<&Close>, wire: &mut Vec<u8>) {
        self.finish_line();
        if let State::Open(context) = &mut self.state
            && !std::mem::replace(&mut self.has_said_end, true)
        {
            let mut buffers = Buffers { incoming: &mut self.incoming, outgoing: &mut self.outgoing };
            let (code, reason) = why.map_or((1000, ""), |why| (why.code, &why.reason));
            // Those that stand for no code are never sent (RFC 6455, section 7.4.1).
            let code = if matches!(code, 1005 | 1006 | 1015) { CloseCode::Normal } else { CloseCode::from(code) };
            let _ = context.close(&mut buffers, Some(CloseFrame { code, reason: reason.into() }));
        }
        wire.append(&mut self.outgoing);
    }
}

/// A line with its ending, as a message.
fn message(line: &[u8]) -> Message {
    let bare = line.strip_suffix(b"\n").unwrap_or(line);
    let bare = bare.strip_suffix(b"\r").unwrap_or(bare);
    std::str::from_utf8(bare).map_or_else(|_| binary(line), Message::text)
}

fn binary(bytes: &[u8]) -> Message {
    Message::binary(bytes.to_vec())
}

/// What a peer did wrong: the code that it is told (RFC 6455, section 7.4.1), and the words for people.
fn wrong(error: &tungstenite::Error) -> (CloseCode, String) {
    match error {
        tungstenite::Error::Utf8(_) => (CloseCode::Invalid, "a text message is no UTF-8".to_owned()),
        tungstenite::Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
            let why = format!("a message of {size} bytes is longer than {max_size}");
            (CloseCode::Size, why)
        }
        tungstenite::Error::Capacity(error) => (CloseCode::Size, error.to_string()),
        tungstenite::Error::Protocol(ProtocolError::UnmaskedFrameFromClient) => {
            (CloseCode::Protocol, "a client's frame is not masked".to_owned())
        }
        tungstenite::Error::Protocol(error) => (CloseCode::Protocol, format!("the peer breaks the protocol: {error}")),
        other => (CloseCode::Protocol, other.to_string()),
    }
}

#[cfg(test)]
mod tests;
