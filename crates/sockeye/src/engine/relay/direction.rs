//! One direction of a pair: bytes from one leg to the other, in their order, and the end behind them. It holds what the
//! sink does not take, and reads no more meanwhile.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use transcript::{MessageKind, Moment, Side};

use super::leg::{Buffer, Leg, READ, ReadOutcome};
use super::message_queue::Messages;
use super::tap::Taps;
use crate::faults::{Chain, Lane, LiveFault, Met};
use crate::limits;
use crate::net::is_of_connection;
use crate::net::tls::TlsError;
use crate::net::websocket::Mark;

/// Bytes moved in one turn before the other pairs have theirs.
pub(super) const TURN: usize = 1 << 20;
/// Full reads in a row after which the kernel moves the bytes (splice(2)).
const BULK: u8 = 2;
/// What a pipe between two sockets holds.
const PIPE: usize = 256 * 1024;
/// Pipes kept for the next ones.
const KEPT: usize = 64;

/// A pipe that bytes lie in between two sockets.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    inside: usize,
}

/// Empty pipes, for directions that have much to move.
#[derive(Debug, Default)]
pub(super) struct Pipes(Vec<Pipe>);

impl Pipes {
    fn take(&mut self) -> Option<Pipe> {
        self.0.pop().or_else(|| {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            let _ = fcntl_setpipe_size(&write, PIPE);
            Some(Pipe { read, write, inside: 0 })
        })
    }

    fn give_back(&mut self, pipe: Pipe) {
        if pipe.inside == 0 && self.0.len() < KEPT {
            self.0.push(pipe);
        }
    }
}

/// What a turn came to.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing more to do until a socket is ready, or until this moment.
    Rests(Option<Moment>),
    /// There is more to move.
    More,
    /// The source is broken: what it said is on its way.
    SourceBroken(Errno),
    SinkBroken(Errno),
    /// TLS of the source cannot go on.
    NotSecure(TlsError),
    /// A bound of a bad network was met.
    Limit(Met),
}

/// What a loop lends to the direction whose turn it is.
pub(super) struct Tools<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) pipes: &'a mut Pipes,
    pub(super) now: Moment,
}

#[derive(Debug)]
pub(super) struct Direction {
    /// Who speaks in this direction.
    pub(super) side: Side,
    held: Vec<u8>,
    /// Bytes of those that were sent.
    sent: usize,
    pipe: Option<Pipe>,
    full_reads: u8,
    /// The kernel cannot move between these two.
    copies: bool,
    /// Bytes that came from the source.
    pub(super) came: u64,
    /// Bytes that the sink took.
    pub(super) passed: u64,
    /// The source's end was read.
    pub(super) ended: bool,
    /// The stream of the source was cut inside TLS.
    pub(super) was_cut: bool,
    /// The sink was told the end.
    pub(super) shut: bool,
    /// What a sink that hears no end but the last one had said when the source said its last word.
    asked: u64,
    /// What it has said since the source ended, and when that was last seen to be more.
    answered: Option<(u64, Moment)>,
    /// Where messages end that are passed on as what they are, by all bytes of this direction.
    marks: Option<VecDeque<Mark>>,
    pub(super) faults: Option<Box<Chain>>,
    /// Messages are passed on, and not bytes.
    pub(super) messages: Option<Box<Messages>>,
}

impl Direction {
    pub(super) fn new(side: Side, faults: Option<Box<Chain>>) -> Self {
        Self {
            side,
            held: Vec::new(),
            sent: 0,
            pipe: None,
            full_reads: 0,
            copies: false,
            came: 0,
            passed: 0,
            ended: false,
            was_cut: false,
            shut: false,
            asked: 0,
            answered: None,
            marks: None,
            faults,
            messages: None,
        }
    }

    /// One of messages that keep their bounds.
    pub(super) fn of_messages(side: Side, messages: Messages) -> Self {
        Self { messages: Some(Box::new(messages)), ..Self::new(side, None) }
    }

    /// These live faults from now on.
    pub(super) fn change(&mut self, faults: &[LiveFault], lane: Lane, now: Moment) {
        match &mut self.faults {
            Some(chain) => chain.change(faults, now),
            None => self.faults = Some(Box::new(Chain::new(lane, None, faults, now))),
        }
        self.faults.take_if(|chain| chain.is_empty());
    }

    /// Bytes that were read and not yet taken by the sink.
    pub(super) fn waiting(&self) -> u64 {
        let inside = self.pipe.as_ref().map_or(0, |pipe| pipe.inside);
        (self.held.len() - self.sent + inside) as u64 + self.put_off()
    }

    /// Those of them that are delayed, or wait as messages.
    fn put_off(&self) -> u64 {
        let delayed = self.faults.as_ref().map_or(0, |faults| faults.waiting());
        delayed + self.messages.as_ref().map_or(0, |messages| messages.waiting())
    }

    /// Bytes of memory that what was read and not taken needs.
    pub(super) fn memory(&self) -> usize {
        self.held.capacity() + self.put_off() as usize
    }

    /// Messages end there among the bytes that come now.
    pub(super) fn mark(&mut self, marks: Vec<Mark>) {
        if !marks.is_empty() {
            self.marks.get_or_insert_default().extend(marks);
        }
    }

    /// Gives the sink the front of these bytes; how many it took. Where both ends have messages they stay what they are.
    fn give(&mut self, bytes: &[u8], sink: &mut Leg) -> Result<usize, Errno> {
        let Some(marks) = self.marks.as_mut().filter(|_| sink.keeps_messages()) else {
            self.marks = None;
            let taken = sink.send(bytes)?;
            self.passed += taken as u64;
            return Ok(taken);
        };
        let mut taken = 0;
        // One that ends where we are is empty.
        while let Some(mark) = marks.front().copied()
            && (taken < bytes.len() || mark.end == self.passed)
        {
            let left = usize::try_from(mark.end - self.passed).unwrap_or(usize::MAX);
            let part = &bytes[taken..][..left.min(bytes.len() - taken)];
            let Some(length) = sink.send_part(part, mark.kind, part.len() == left)? else { break };
            taken += length;
            self.passed += length as u64;
            if length == left {
                marks.pop_front();
            }
        }
        if marks.is_empty() {
            self.marks = None;
        }
        sink.flush()?;
        Ok(taken)
    }

    /// Takes bytes that came before there was a sink.
    pub(super) fn take(&mut self, bytes: &[u8], now: Moment, taps: Option<&mut Taps>) {
        self.came += bytes.len() as u64;
        if let Some(taps) = taps {
            taps.said(self.side, bytes);
        }
        match &mut self.faults {
            Some(faults) => faults.take(bytes, now),
            None => self.held.extend_from_slice(bytes),
        }
    }

    /// Moves what there is.
    pub(super) fn turn(
        &mut self,
        source: &mut Leg,
        sink: &mut Leg,
        mut taps: Option<&mut Taps>,
        tools: &mut Tools<'_>,
    ) -> Turn {
        if let Some(mut messages) = self.messages.take() {
            let turn = self.turn_messages(&mut messages, source, sink, taps, tools);
            self.messages = Some(messages);
            return turn;
        }
        let mut moved = 0;
        loop {
            if let Err(error) = self.pass_on(sink, tools) {
                return Turn::SinkBroken(error);
            }
            let is_taken = self.held.is_empty() && sink.waiting() == 0;
            if let Some(met) = self.faults.as_mut().and_then(|faults| faults.met(tools.now, is_taken)) {
                return Turn::Limit(met);
            }
            if !self.held.is_empty() || self.pipe.as_ref().is_some_and(|pipe| pipe.inside > 0) || sink.waiting() > 0 {
                // The sink is full.
                return Turn::Rests(None);
            }
            if sink.is_handshaking() {
                return Turn::Rests(None);
            }
            if self.ended {
                return self.end(source, sink, tools);
            }
            if moved >= TURN {
                return Turn::More;
            }
            if let Some(faults) = &self.faults
                && !faults.has_room()
            {
                return Turn::Rests(faults.wakes());
            }
            match self.pull(source, sink, taps.as_deref_mut(), tools) {
                Ok(0) => {
                    let wakes = self.faults.as_ref().and_then(|faults| faults.wakes());
                    if !self.ended {
                        return Turn::Rests(wakes);
                    }
                }
                Ok(length) => moved += length,
                Err(turn) => return turn,
            }
        }
    }

    /// Passes the end on, once all before it is.
    pub(super) fn end(&mut self, source: &Leg, sink: &mut Leg, tools: &Tools<'_>) -> Turn {
        if let Some(faults) = &mut self.faults
            && let Some(wakes) = faults.end_by(tools.now)
        {
            return Turn::Rests(Some(wakes));
        }
        if !self.shut {
            if sink.ends_both_ways()
                && source.close().is_none()
                && let Some(wakes) = self.awaits_answer(sink, tools.now)
            {
                return Turn::Rests(Some(wakes));
            }
            self.shut = true;
            if let Err(error) = self.give(&[], sink) {
                return Turn::SinkBroken(error);
            }
            let said = match source.is_shut() {
                true => sink.say_last_end(source.close()),
                false => sink.say_end_as(source.close()),
            };
            if let Err(error) = said {
                return Turn::SinkBroken(error);
            }
        }
        Turn::Rests(None)
    }

    /// Until when the sink may still answer: a side that hears the end of a WebSocket says no more.
    pub(super) fn awaits_answer(&mut self, sink: &Leg, now: Moment) -> Option<Moment> {
        let (said, since) = self.answered.get_or_insert((sink.received, now));
        if *said != sink.received {
            (*said, *since) = (sink.received, now);
        }
        let has_answered = sink.received > self.asked;
        let quiet_limit = if has_answered || sink.hurries { limits::WEBSOCKET_QUIET } else { limits::WEBSOCKET_ANSWER };
        let until = since.after(quiet_limit);
        (until > now && !sink.ended).then_some(until)
    }

    /// The source says something that may be answered.
    pub(super) fn asks(&mut self, sink: &Leg) {
        if sink.ends_both_ways() {
            self.asked = sink.received;
        }
    }

    /// Reads once, and gives the sink what it takes of that at once; how many bytes came.
    fn pull(
        &mut self,
        source: &mut Leg,
        sink: &mut Leg,
        taps: Option<&mut Taps>,
        tools: &mut Tools<'_>,
    ) -> Result<usize, Turn> {
        if self.is_bulk(source, sink, taps.is_some())
            && let Some(moved) = self.fill(source, tools)
        {
            return moved;
        }
        let length = match source.receive(tools.buffer) {
            ReadOutcome::Bytes(length) => length,
            ReadOutcome::Nothing => return Ok(0),
            ReadOutcome::End | ReadOutcome::Cut if self.ended => return Ok(0),
            got @ (ReadOutcome::End | ReadOutcome::Cut) => {
                self.was_cut = matches!(got, ReadOutcome::Cut);
                (self.ended, source.ended) = (true, true);
                if let Some(taps) = taps {
                    taps.ended(self.side);
                }
                return Ok(0);
            }
            ReadOutcome::Broken(error) => return Err(Turn::SourceBroken(error)),
            ReadOutcome::NotSecure(error) => return Err(Turn::NotSecure(error)),
        };
        self.full_reads = if length == READ { self.full_reads.saturating_add(1) } else { 0 };
        self.came += length as u64;
        self.asks(sink);
        let marks = source.take_marks();
        let bytes = tools.buffer.bytes(length);
        match taps {
            Some(taps) if sink.keeps_messages() => tell_messages(taps, self.side, bytes, &marks),
            Some(taps) => taps.said(self.side, bytes),
            None => {}
        }
        self.mark(marks);
        // A message without a byte is something that came, too.
        let moved = length.max(1);
        if let Some(faults) = &mut self.faults {
            faults.take(bytes, tools.now);
            return Ok(moved);
        }
        let taken = self.give(bytes, sink).map_err(|error| {
            self.held.extend_from_slice(bytes);
            Turn::SinkBroken(error)
        })?;
        self.held.extend_from_slice(&bytes[taken..]);
        Ok(moved)
    }

    /// Gives the sink what waits here.
    fn pass_on(&mut self, sink: &mut Leg, tools: &mut Tools<'_>) -> Result<(), Errno> {
        sink.flush()?;
        if self.pipe.is_some() {
            self.drain(sink, tools)?;
        }
        loop {
            if self.held.is_empty()
                && let Some(faults) = &mut self.faults
                && faults.due(tools.now, &mut self.held).is_none()
            {
                return Ok(());
            }
            if self.held.is_empty() {
                if self.marks.is_some() && self.faults.as_ref().is_none_or(|faults| faults.waiting() == 0) {
                    self.give(&[], sink)?;
                }
                return Ok(());
            }
            let held = std::mem::take(&mut self.held);
            let taken = self.give(&held[self.sent..], sink);
            self.held = held;
            self.sent += taken?;
            if self.sent < self.held.len() {
                return Ok(());
            }
            (self.held, self.sent) = (Vec::new(), 0);
            if self.faults.is_none() {
                return Ok(());
            }
        }
    }

    fn is_bulk(&self, source: &Leg, sink: &Leg, has_taps: bool) -> bool {
        !has_taps
            && (self.pipe.is_some() || self.full_reads >= BULK)
            && !self.copies
            && self.faults.is_none()
            && source.is_plain()
            && sink.is_plain()
    }

    /// Has the kernel move what stands in the source into the pipe. None: read and write instead.
    fn fill(&mut self, source: &mut Leg, tools: &mut Tools<'_>) -> Option<Result<usize, Turn>> {
        if !source.readable {
            return Some(Ok(0));
        }
        if self.pipe.is_none() {
            self.pipe = tools.pipes.take();
        }
        let pipe = self.pipe.as_mut()?;
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        match splice(source.fd(), None, pipe.write.as_fd(), None, PIPE, flags) {
            // The end is read as everywhere.
            Ok(0) => {
                self.release(tools);
                None
            }
            Ok(length) => {
                pipe.inside += length;
                self.came += length as u64;
                Some(Ok(length))
            }
            Err(Errno::AGAIN) => {
                source.readable = source.hung;
                self.release(tools);
                if source.hung { None } else { Some(Ok(0)) }
            }
            Err(Errno::INTR) => None,
            // The kernel tells of a reset once: to read now would find an end.
            Err(error) if is_of_connection(error) => Some(Err(Turn::SourceBroken(error))),
            Err(_) => {
                // Reading tells what it is; a kind that cannot be moved is read and written from now on.
                self.copies = true;
                self.release(tools);
                None
            }
        }
    }

    /// Has the kernel move what lies in the pipe to the sink.
    fn drain(&mut self, sink: &mut Leg, tools: &mut Tools<'_>) -> Result<(), Errno> {
        let Some(pipe) = &mut self.pipe else { return Ok(()) };
        while pipe.inside > 0 && sink.writable {
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            match splice(pipe.read.as_fd(), None, sink.fd(), None, pipe.inside, flags) {
                Ok(length) => {
                    pipe.inside -= length;
                    self.passed += length as u64;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => sink.is_full(),
                Err(error) if error == Errno::INVAL || sink.is_end_of_program(error) => {
                    // It cannot be moved there, or a program is to be told nothing more: what lies in the pipe is read out of it.
                    self.copies = true;
                    let start = self.held.len();
                    self.held.resize(start + pipe.inside, 0);
                    let read = rustix::io::read(&pipe.read, &mut self.held[start..]).unwrap_or(0);
                    self.held.truncate(start + read);
                    pipe.inside -= read;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        if pipe.inside == 0 && self.copies {
            self.release(tools);
        }
        Ok(())
    }

    /// The pipe is for others, once it is empty.
    fn release(&mut self, tools: &mut Tools<'_>) {
        self.full_reads = 0;
        if let Some(pipe) = self.pipe.take_if(|pipe| pipe.inside == 0) {
            tools.pipes.give_back(pipe);
        }
    }
}

/// Has taps hear messages as a transcript has them: a text is a line.
fn tell_messages(taps: &mut Taps, side: Side, bytes: &[u8], marks: &[Mark]) {
    let (mut rest, mut before) = (bytes, marks.last().map_or(0, |last| last.end) - bytes.len() as u64);
    for mark in marks {
        let message;
        (message, rest) = rest.split_at(usize::try_from(mark.end - before).unwrap_or_default());
        before = mark.end;
        match mark.kind {
            MessageKind::Text => taps.said(side, &[message, b"\n"].concat()),
            MessageKind::Binary => taps.said(side, message),
        }
    }
}
