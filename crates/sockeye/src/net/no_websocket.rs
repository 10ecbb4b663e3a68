//! What stands for WebSocket where the crate is built without HTTP, with which it begins: there is none.

use transcript::{Bound, MessageKind};

use super::tls::TlsError;
use crate::address::Address;

/// How bytes and messages are turned into each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Messages {
    Lines,
    WholeLines,
    Bounded,
    Kept,
}

/// How a server is asked: never.
#[derive(Debug, Clone)]
pub(crate) enum WsClient {}

/// How clients are answered: never.
#[derive(Debug, Clone)]
pub(crate) enum WsServer {}

impl WsClient {
    pub(crate) fn at(_: &Address, _: Messages) -> Option<Self> {
        None
    }
}

impl WsServer {
    pub(crate) fn at(_: &Address, _: Messages) -> Option<Self> {
        None
    }
}

/// Where a message ends that came, and of which kind it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) kind: MessageKind,
    pub(crate) end: u64,
}

/// Why a peer ends.
#[derive(Debug)]
pub(crate) enum Close {}

impl Close {
    pub(crate) fn is_failure(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_clean(&self) -> bool {
        match *self {}
    }
}

impl std::fmt::Display for Close {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

/// Either side of none.
#[derive(Debug)]
pub(crate) enum WebSocket {}

impl WebSocket {
    pub(crate) fn of_client(client: &WsClient) -> Result<Self, TlsError> {
        match *client {}
    }

    pub(crate) fn of_server(server: &WsServer) -> Self {
        match *server {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn has_ended(&self) -> bool {
        match *self {}
    }

    pub(crate) fn close(&self) -> Option<&Close> {
        match *self {}
    }

    pub(crate) fn memory(&self) -> usize {
        match *self {}
    }

    pub(crate) fn receive(&mut self, _: &[u8], _: &mut Vec<u8>) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &[u8], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn say_message(&mut self, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn keeps_messages(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_heard(&self) -> bool {
        match *self {}
    }

    pub(crate) fn answer_close(&mut self, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn has_marks(&self) -> bool {
        match *self {}
    }

    pub(crate) fn take_marks(&mut self) -> Vec<Mark> {
        match *self {}
    }

    pub(crate) fn send_messages(&mut self, _: &[u8], _: &[Bound], _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn send_part(&mut self, _: &[u8], _: MessageKind, _: bool, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn waiting(&self) -> usize {
        match *self {}
    }

    pub(crate) fn finish_line(&mut self) {
        match *self {}
    }

    pub(crate) fn end_as(&mut self, _: u16, _: &mut Vec<u8>) {
        match *self {}
    }

    pub(crate) fn end(&mut self, _: Option<&Close>, _: &mut Vec<u8>) {
        match *self {}
    }
}
