//! Without the feature `figures` no server is measured: what would generate load cannot be there.

use transcript::{Input, Moment, Output, Play, Row, Scratch, Script, Step};

use super::after_play::After;
use crate::endpoint::Conversation;
use crate::failure::{Failure, Kind};

/// None.
pub(crate) enum Generator {}

impl Generator {
    pub(super) fn arrives(&mut self, _: usize, _: Moment, _: usize, _: bool) -> After {
        match *self {}
    }

    pub(super) fn step(
        &mut self,
        _: usize,
        _: &mut Play,
        _: &Script,
        _: Input<'_>,
        _: (&mut Scratch, &mut Output),
    ) -> Step {
        match *self {}
    }

    pub(super) fn numbered_row(&self, _: usize, _: Option<Row>) -> Option<Row> {
        match *self {}
    }

    pub(super) fn passed(&mut self, _: usize, _: bool, _: usize, _: bool) -> After {
        match *self {}
    }

    pub(super) fn passed_with_connection(&mut self, _: usize, _: Moment) {
        match *self {}
    }

    pub(super) fn cut_requests(&mut self, _: usize, _: usize) {
        match *self {}
    }

    pub(super) fn bytes(&mut self, _: usize, _: u64, _: u64) {
        match *self {}
    }

    pub(super) fn connected(&mut self, _: usize, _: Moment) {
        match *self {}
    }

    pub(super) fn not_connected(&mut self, _: usize, _: Kind, _: bool) -> bool {
        match *self {}
    }

    pub(super) fn handshake_begins(&mut self, _: usize, _: Moment) {
        match *self {}
    }

    pub(super) fn handshake_stands(&mut self, _: usize, _: Moment) {
        match *self {}
    }

    pub(super) fn failed(&mut self, _: usize, _: &Failure, _: impl FnOnce() -> Conversation) {
        match *self {}
    }

    pub(super) fn gone(&mut self, _: usize, _: u64, _: u64) {
        match *self {}
    }
}
