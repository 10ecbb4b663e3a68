//! What stands for HTTP where the crate is built without it: there is no site, so nothing of this ever happens.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::SystemTime;

use transcript::Moment;

use super::Context;
use super::channel::{Channel, ChannelStatus};
use super::reactor::token::Key;
use crate::event::Observer;

/// A site: there is none.
#[derive(Debug)]
pub(crate) enum HttpService {}

impl HttpService {
    pub(crate) fn is_secure(&self) -> bool {
        match *self {}
    }

    pub(super) fn takes_files(&self) -> bool {
        match *self {}
    }
}

/// A connection to a site.
#[derive(Debug)]
pub(super) enum Web {}

impl Web {
    pub(super) fn new(website: Arc<HttpService>) -> Self {
        match *website {}
    }

    pub(super) fn memory(&self) -> usize {
        match *self {}
    }

    pub(super) fn is_secure(&self) -> bool {
        match *self {}
    }

    pub(super) fn is_idle(&self) -> bool {
        match *self {}
    }

    pub(super) fn has_answered(&self) -> bool {
        match *self {}
    }

    pub(super) fn speak_http2(&mut self) {
        match *self {}
    }
}

/// A part of a file that is being sent.
#[derive(Debug)]
pub(super) enum BodySource {}

impl BodySource {
    pub(super) fn left(&self) -> u64 {
        match *self {}
    }
}

impl Channel {
    pub(super) fn part(&mut self) -> Option<&mut BodySource> {
        None
    }

    pub(super) fn sends_part(&self) -> bool {
        false
    }

    pub(super) fn sends_file(&self) -> bool {
        false
    }

    pub(super) fn is_storing(&self) -> bool {
        false
    }

    pub(super) fn is_blocked(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub(super) fn is_plain_http(&self, _: &[u8]) -> bool {
        false
    }

    pub(super) fn done(&mut self, _: u32, done: Infallible, _: &mut Context<'_>) -> ChannelStatus {
        match done {}
    }

    pub(super) fn ask(&mut self, _: &[u8], _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }

    pub(super) fn go_on(&mut self, _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }

    pub(super) fn refuse_plain(&mut self, _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }

    pub(super) fn took_too_long(&mut self, _: &mut Context<'_>) -> ChannelStatus {
        ChannelStatus::Open
    }

    pub(super) fn tell_of_cut_answers(&mut self, _: &mut Context<'_>) {}
}

/// Lines of an access log.
#[derive(Debug, Default)]
pub(crate) struct Lines {}

impl Lines {
    pub(super) fn due(&self) -> Option<Moment> {
        None
    }

    pub(super) fn tell_due(&mut self, _: Moment, _: &mut dyn Observer) {}

    pub(super) fn tell(&mut self, _: &mut dyn Observer) {}
}

/// What the clock on the wall says.
#[derive(Debug)]
pub(crate) struct Now;

impl Now {
    pub(super) fn new(_: SystemTime) -> Self {
        Self
    }

    pub(super) fn update(&mut self, _: SystemTime) {}
}

/// How much of a site one connection gets at once.
#[derive(Debug)]
pub(super) struct Turn;

impl Turn {
    pub(super) fn begin() -> Self {
        Self
    }
}

/// Who stores what is uploaded.
#[derive(Debug)]
pub(super) enum Storage {}

/// Who waits for that.
pub(super) struct Waiter {
    pub(super) key: Key,
    pub(super) number: u32,
}

/// Where a connection has files stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storing<'a> {
    pub(super) storage: &'a Storage,
    pub(super) key: Key,
}

impl Storage {
    pub(super) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn done(&self) -> Vec<(Waiter, Infallible)> {
        match *self {}
    }
}

impl AsFd for Storage {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}
