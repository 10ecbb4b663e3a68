//! One WebSocket (RFC 6455), without a socket: messages of a peer become bytes of a conversation, and those bytes messages.
//! Code that has to know where messages end, and of which kind they are, keeps that beside the bytes.
//! The frames are tungstenite's; the handshake is here, because the code that has the socket never waits for it.

mod frames;
mod handshake;

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use transcript::{Bound, MessageKind};
use tungstenite::error::{CapacityError, ProtocolError};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig, WebSocketContext};

use super::tls::{self, TlsError};
use crate::limits;
use frames::Frames;
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
    /// A line is a text message without its ending, and a text message is a line, whether it has an ending itself or not. What is
    /// no text, or ends without one, is a binary message of its bytes.
    Lines,
    /// The same, but the beginning of a line waits for its end.
    WholeLines,
    /// Messages keep their bounds: each that comes stands behind its length, four bytes in the order of this machine, and what
    /// is said by [`WebSocket::say_message`] is one.
    Bounded,
    /// The same, but what is said is text where it can be.
    BoundedText,
    /// A message is its bytes, and where each ends is known beside them: it is passed on as what it was.
    Kept,
}

/// Where a message ends that came, and of which kind it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) kind: MessageKind,
    /// How many bytes of all messages stand before its end.
    pub(crate) end: u64,
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

    /// Whether something went wrong, and not only something that the application has a number for (3000 and more).
    pub(crate) fn is_failure(&self) -> bool {
        !self.is_clean() && self.code < 3000
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
    /// Where messages ended that came, and how many bytes they have; where that is kept.
    marks: Vec<Mark>,
    came: u64,
    /// A message of which a part was sent.
    is_inside: bool,
    /// Whose frames are masked.
    is_client: bool,
    /// Where what came stands between its frames.
    frames: Frames,
    /// What came and was not looked at.
    incoming: VecDeque<u8>,
    /// What is to be sent.
    outgoing: Vec<u8>,
    /// The beginning of a line that is sent whole.
    line: Vec<u8>,
    close: Option<Close>,
    /// What answers it, or tells the peer what it did wrong: behind what is still to be said of what came before.
    answer: Vec<u8>,
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
    ///
    /// # Errors
    /// There are no random numbers for masks (getrandom(2), or /dev/urandom without a dynamic loader). With the first message it
    /// would be too late to say so.
    pub(crate) fn of_client(client: &WsClient) -> Result<Self, TlsError> {
        getrandom::fill(&mut [0; 4])
            .map_err(|error| TlsError::local(format!("the system gives no random numbers: {error}")))?;
        let (asking, request) = ClientHandshake::begin(client);
        Ok(Self { outgoing: request, is_client: true, ..Self::new(client.messages, State::ClientHandshake(asking)) })
    }

    /// The server's side.
    pub(crate) fn of_server(server: &WsServer) -> Self {
        Self::new(server.messages, State::Judging(Judging::new(server)))
    }

    fn new(messages: Messages, state: State) -> Self {
        Self {
            messages,
            state,
            marks: Vec::new(),
            came: 0,
            is_inside: false,
            is_client: false,
            frames: Frames::default(),
            incoming: VecDeque::new(),
            outgoing: Vec::new(),
            line: Vec::new(),
            close: None,
            answer: Vec::new(),
            has_said_end: false,
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        !matches!(self.state, State::Open(_))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.close.is_some()
    }

    /// Whether what is said now is heard: behind the answer to a close nothing is (RFC 6455, section 5.5.1).
    pub(crate) fn is_heard(&self) -> bool {
        !self.has_said_end && (self.close.is_none() || !self.answer.is_empty())
    }

    pub(crate) fn close(&self) -> Option<&Close> {
        self.close.as_ref()
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let marks = self.marks.capacity() * size_of::<Mark>();
        // More than may come is refused by what reads the frames.
        let message = self.frames.held().min(2 * limits::WEBSOCKET_MESSAGE as u64) as usize;
        READ + message + self.incoming.capacity() + self.outgoing.capacity() + self.line.capacity() + marks
    }

    /// Whether messages are passed on as what they were.
    pub(crate) fn keeps_messages(&self) -> bool {
        self.messages == Messages::Kept
    }

    pub(crate) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Where messages ended that came since the last time, where that is kept.
    pub(crate) fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    /// Takes bytes, and adds what the messages in them say to `clear`.
    ///
    /// # Errors
    /// The peer does not speak this protocol, or breaks it; what is to be told to it is to be sent.
    pub(crate) fn receive(&mut self, bytes: &[u8], clear: &mut Vec<u8>) -> Result<(), TlsError> {
        let rest = match &mut self.state {
            State::Open(_) => {
                self.frames.follow(bytes);
                self.incoming.extend(bytes);
                None
            }
            State::ClientHandshake(asking) => asking.hear(bytes)?,
            State::Judging(judging) => judging.hear(bytes, &mut self.outgoing)?,
        };
        if let Some(rest) = rest {
            let role = if self.is_client { Role::Client } else { Role::Server };
            let config = WebSocketConfig::default()
                .read_buffer_size(READ)
                .write_buffer_size(0)
                .max_write_buffer_size(usize::MAX)
                .max_message_size(Some(limits::WEBSOCKET_MESSAGE))
                .max_frame_size(Some(limits::WEBSOCKET_MESSAGE));
            self.frames.follow(&rest);
            self.incoming.extend(rest);
            self.state = State::Open(Box::new(WebSocketContext::new(role, Some(config))));
        }
        self.read(clear)
    }

    fn read(&mut self, clear: &mut Vec<u8>) -> Result<(), TlsError> {
        loop {
            let State::Open(context) = &mut self.state else { return Ok(()) };
            let mut buffers = Buffers { incoming: &mut self.incoming, outgoing: &mut self.outgoing };
            match context.read(&mut buffers) {
                Ok(Message::Text(text)) => match self.messages {
                    Messages::Lines | Messages::WholeLines => {
                        clear.extend_from_slice(without_ending(text.as_bytes()));
                        clear.push(b'\n');
                    }
                    _ => self.take(MessageKind::Text, text.as_bytes(), clear),
                },
                Ok(Message::Binary(bytes)) => self.take(MessageKind::Binary, &bytes, clear),
                // Its answer stands in what is to be sent.
                Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
                Ok(Message::Close(frame)) => {
                    if let Some(lost) = self.frames.cut_by_close() {
                        buffers.outgoing = &mut self.answer;
                        let _ = context.flush(&mut buffers);
                        self.has_said_end = true;
                        return Err(TlsError::messages(format!(
                            "the peer closed it in the middle of a message, of which {lost} bytes had come"
                        )));
                    }
                    let none = Close { code: 1005, reason: String::new() };
                    let close = frame.map_or(none, |frame| Close {
                        code: frame.code.into(),
                        reason: frame.reason.as_str().to_owned(),
                    });
                    self.close = Some(close);
                    buffers.outgoing = &mut self.answer;
                    let _ = context.flush(&mut buffers);
                    return Ok(());
                }
                Err(tungstenite::Error::Io(_)) => {
                    // A pong.
                    let _ = context.flush(&mut buffers);
                    return Ok(());
                }
                Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => return Ok(()),
                Err(error) => {
                    let (code, why) = wrong(&error);
                    let close = CloseFrame { code, reason: "".into() };
                    buffers.outgoing = &mut self.answer;
                    let _ = context.close(&mut buffers, Some(close));
                    self.has_said_end = true;
                    return Err(TlsError::messages(why));
                }
            }
        }
    }

    /// Adds what answers a close to `wire`: nothing is to be said any more of what came before.
    pub(crate) fn answer_close(&mut self, wire: &mut Vec<u8>) {
        wire.append(&mut self.answer);
    }

    /// A message came.
    fn take(&mut self, kind: MessageKind, bytes: &[u8], clear: &mut Vec<u8>) {
        if self.is_bounded() {
            clear.extend_from_slice(&(bytes.len() as u32).to_ne_bytes());
        }
        clear.extend_from_slice(bytes);
        if self.messages == Messages::Kept {
            self.came += bytes.len() as u64;
            self.marks.push(Mark { kind, end: self.came });
        }
    }

    /// Sends messages that end at these bounds; a line ending of text is that of its line, and no part of the message. What stands
    /// behind the last bound is bytes.
    pub(crate) fn send_messages(&mut self, clear: &[u8], bounds: &[Bound], wire: &mut Vec<u8>) {
        let mut from = 0;
        for &Bound { kind, end } in bounds {
            let bytes = &clear[from..end];
            from = end;
            match kind {
                MessageKind::Text => self.say_line(bytes),
                MessageKind::Binary => self.say(Data::Binary, bytes, true),
            }
        }
        self.say_bytes(&clear[from..]);
        wire.append(&mut self.outgoing);
    }

    /// Sends the next part of a message as it came; of one that came whole, all.
    pub(crate) fn send_part(&mut self, part: &[u8], kind: MessageKind, is_last: bool, wire: &mut Vec<u8>) {
        let opcode = match kind {
            _ if self.is_inside => Data::Continue,
            MessageKind::Text => Data::Text,
            MessageKind::Binary => Data::Binary,
        };
        self.is_inside = !is_last;
        self.say(opcode, part, is_last);
        wire.append(&mut self.outgoing);
    }

    /// Packs bytes into messages, and adds all that is to be sent to `wire`.
    pub(crate) fn send(&mut self, clear: &[u8], wire: &mut Vec<u8>) {
        if matches!(self.state, State::Open(_)) {
            match self.messages {
                Messages::Bytes | Messages::Kept | Messages::Bounded | Messages::BoundedText => self.say_bytes(clear),
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
            Ok(_) if self.messages == Messages::BoundedText => self.say(Data::Text, bytes, true),
            _ => self.say(Data::Binary, bytes, true),
        }
    }

    fn say_lines(&mut self, clear: &[u8]) {
        let mut rest = clear;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let mut line = std::mem::take(&mut self.line);
            line.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 1..];
            self.say_line(&line);
        }
        self.line.extend_from_slice(rest);
        // What is as long as that is no line.
        if !self.line.is_empty() && (self.messages == Messages::Lines || self.line.len() >= limits::WEBSOCKET_LINE) {
            let piece = std::mem::take(&mut self.line);
            self.say_bytes(&piece);
        }
    }

    /// A line with its ending, as a message; one that is no text keeps it.
    fn say_line(&mut self, line: &[u8]) {
        let bare = without_ending(line);
        match std::str::from_utf8(bare) {
            Ok(_) => self.say(Data::Text, bare, true),
            Err(_) => self.say(Data::Binary, line, true),
        }
    }

    fn say_bytes(&mut self, bytes: &[u8]) {
        bytes.chunks(PIECE).for_each(|piece| self.say(Data::Binary, piece, true));
    }

    fn say(&mut self, kind: Data, bytes: &[u8], is_last: bool) {
        if !self.answer.is_empty() {
            // The frames of the answer are made already, and these go before it.
            let mask = if self.is_client { Some(tls::random_bytes()) } else { None };
            return encode(OpCode::Data(kind).into(), bytes, is_last, mask, &mut self.outgoing);
        }
        let State::Open(context) = &mut self.state else { return };
        let message = Message::Frame(Frame::message(bytes.to_vec(), OpCode::Data(kind), is_last));
        let mut buffers = Buffers { incoming: &mut self.incoming, outgoing: &mut self.outgoing };
        // A peer that has closed hears nothing any more; a writer learns of the close by itself.
        let _ = context.write(&mut buffers, message).and_then(|()| context.flush(&mut buffers));
    }

    /// Bytes of the beginning of a line that waits for its end.
    pub(crate) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// The beginning of a line goes as it is: it has no end.
    pub(crate) fn finish_line(&mut self) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            let kind = if std::str::from_utf8(&line).is_ok() { Data::Text } else { Data::Binary };
            self.say(kind, &line, true);
        }
    }

    /// Says that nothing more is said, by a code.
    pub(crate) fn end_as(&mut self, code: u16, wire: &mut Vec<u8>) {
        self.end(Some(&Close { code, reason: String::new() }), wire);
    }

    /// The same, and why.
    pub(crate) fn end(&mut self, why: Option<&Close>, wire: &mut Vec<u8>) {
        self.finish_line();
        if !self.answer.is_empty() {
            self.has_said_end = true;
            self.outgoing.append(&mut self.answer);
        }
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

fn without_ending(line: &[u8]) -> &[u8] {
    let Some(bare) = line.strip_suffix(b"\n") else { return line };
    bare.strip_suffix(b"\r").unwrap_or(bare)
}

/// A frame (RFC 6455, section 5.2).
fn encode(opcode: u8, payload: &[u8], is_last: bool, mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let masked = u8::from(mask.is_some()) << 7;
    out.push(u8::from(is_last) << 7 | opcode);
    match payload.len() {
        length @ ..126 => out.push(masked | length as u8),
        length @ ..65_536 => {
            out.push(masked | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(masked | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend(mask.iter().flatten());
    let begin = out.len();
    out.extend_from_slice(payload);
    if let Some(mask) = mask {
        out[begin..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
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
