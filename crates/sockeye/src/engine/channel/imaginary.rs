//! A line that exists only in memory, for tests: what is sent arrives when the test says so, in pieces, late, or never.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

/// Bytes that may be under way or unread in one direction.
const ROOM: usize = 8 * 1024;

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    under_way: VecDeque<u8>,
    arrived: VecDeque<u8>,
    end_sent: bool,
    end_arrived: bool,
}

#[derive(Debug, Default)]
struct State {
    /// By who sends.
    directions: [Direction; 2],
    /// What each end is still to be told.
    errors: [Option<Errno>; 2],
    is_reset: bool,
    resets_on_close: [bool; 2],
}

/// The line, as the test sees it.
#[derive(Debug, Clone, Default)]
pub(super) struct ImaginaryLine(Arc<Mutex<State>>);

/// One of its ends, as a channel has it.
#[derive(Debug)]
pub(in crate::engine) struct End {
    wire: ImaginaryLine,
    index: usize,
}

impl ImaginaryLine {
    /// A line and its two ends.
    pub(super) fn new() -> (Self, [End; 2]) {
        let wire = Self::default();
        let ends = [0, 1].map(|index| End { wire: wire.clone(), index });
        (wire, ends)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that one end has sent and that have not arrived.
    pub(super) fn under_way(&self, from: usize) -> usize {
        self.lock().directions[from].under_way.len()
    }

    /// Whether anything, its end included, is under way from one end.
    pub(super) fn is_moving(&self, from: usize) -> bool {
        let direction = &self.lock().directions[from];
        !direction.under_way.is_empty() || direction.end_sent && !direction.end_arrived
    }

    /// So many bytes arrive; the end arrives behind the last.
    pub(super) fn deliver(&self, from: usize, bytes: usize) {
        let direction = &mut self.lock().directions[from];
        let count = bytes.min(direction.under_way.len());
        let pieces: Vec<u8> = direction.under_way.drain(..count).collect();
        direction.arrived.extend(pieces);
        direction.end_arrived |= direction.end_sent && direction.under_way.is_empty();
    }

    /// A middlebox resets the connection; what is under way is lost.
    pub(super) fn cut(&self) {
        self.lock().reset([true, true]);
    }

    /// Whether one end has something to read: bytes, the end or an error.
    pub(super) fn is_readable(&self, index: usize) -> bool {
        let state = self.lock();
        let direction = &state.directions[1 - index];
        !direction.arrived.is_empty() || direction.end_arrived || state.is_reset
    }

    pub(super) fn is_writable(&self, index: usize) -> bool {
        let state = self.lock();
        state.directions[index].room() > 0 || state.is_reset
    }

    /// Whether a kernel would tell of an error or a hang-up.
    pub(super) fn is_broken(&self, index: usize) -> bool {
        let state = self.lock();
        state.is_reset || state.directions[index].end_sent && state.directions[1 - index].end_arrived
    }
}

impl Direction {
    fn room(&self) -> usize {
        ROOM.saturating_sub(self.under_way.len() + self.arrived.len())
    }
}

impl State {
    fn reset(&mut self, told: [bool; 2]) {
        if !std::mem::replace(&mut self.is_reset, true) {
            self.errors = told.map(|told| told.then_some(Errno::CONNRESET));
        }
        self.directions.iter_mut().for_each(|direction| direction.under_way.clear());
    }
}

impl End {
    pub(super) fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let mut state = self.wire.lock();
        let direction = &mut state.directions[1 - self.index];
        let count = buffer.len().min(direction.arrived.len());
        if count > 0 {
            // What came before a reset can be read.
            direction.arrived.drain(..count).zip(buffer).for_each(|(byte, into)| *into = byte);
            return Ok(count);
        }
        let is_over = direction.end_arrived || state.is_reset;
        match state.errors[self.index].take() {
            Some(error) => Err(error),
            None if is_over => Ok(0),
            None => Err(Errno::AGAIN),
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut state = self.wire.lock();
        if let Some(error) = state.errors[self.index].take() {
            return Err(error);
        }
        if state.is_reset || state.directions[self.index].end_sent {
            return Err(Errno::PIPE);
        }
        let direction = &mut state.directions[self.index];
        let count = bytes.len().min(direction.room());
        if count == 0 {
            return Err(Errno::AGAIN);
        }
        direction.under_way.extend(&bytes[..count]);
        Ok(count)
    }

    pub(super) fn shut(&self) -> Result<(), Errno> {
        let mut state = self.wire.lock();
        if state.is_reset {
            return Err(Errno::NOTCONN);
        }
        state.directions[self.index].end_sent = true;
        Ok(())
    }

    pub(super) fn reset_on_close(&self) {
        self.wire.lock().resets_on_close[self.index] = true;
    }

    pub(super) fn take_error(&self) -> Result<(), Errno> {
        self.wire.lock().errors[self.index].take().map_or(Ok(()), Err)
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut state = self.wire.lock();
        let from_peer = &state.directions[1 - self.index];
        // Closing with something unread is a reset (RFC 2525, section 2.17).
        let resets = state.resets_on_close[self.index] || !from_peer.arrived.is_empty();
        if resets {
            let mut told = [true, true];
            told[self.index] = false;
            state.reset(told);
        } else if !state.is_reset {
            state.directions[self.index].end_sent = true;
        }
    }
}
