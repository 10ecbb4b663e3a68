//! A program speaks. What it says is sent; what comes is its standard input.
//!
//! Over plain TCP the socket itself is that: the program can ask it who the peer is, and what comes costs us nothing.
//! Where bytes have to be changed or counted on their way (TLS, a terminal, Unix sockets) it is a pipe. What the program
//! says always passes us: only so the end of it can be told from the end of the program, which a shell's `exec >&-` is, and
//! be passed on as a half-close. What a program reads and writes of the socket by itself is counted by the kernel.

mod ending;
mod pipes;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use transcript::Moment;

use super::super::super::Context;
use super::super::super::exec::{Exec, ProgramPermit, Signal, Terminal};
use super::super::super::reactor::poller::{Interest, Poller};
use super::super::super::reactor::token::{ChildDescriptor, Key, Token};
use super::super::{Channel, ChannelStatus, Line, Phase, READS};
use super::Agent;
use super::stdin_queue::StdinQueue;
use crate::child::{Child, Ended, Streams};
use crate::event::{Conversation, Event, Protocol};
use crate::failure::Kind;
use crate::limits;
use crate::net::words;
use crate::sys::tcp_info::{passed, passed_at_end};
use crate::sys::terminal::{self, TypedLine};
use pipes::{End, has_ended, pair, pipe};

/// How a program has its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// It is the socket.
    Socket,
    Pipe,
    Terminal,
    /// It is a pipe, in which one datagram stands at a time: a shell reads it byte by byte, others find its bounds. Its standard
    /// output is a socket that keeps messages apart, each of which is a datagram.
    Messages,
}

/// A program and what joins it to its connection.
#[derive(Debug)]
pub(in crate::engine) struct Served {
    exec: Arc<Exec>,
    permit: Option<ProgramPermit>,
    /// As long as it, or anyone else of its process group, is there.
    child: Option<Child>,
    ended: Option<Ended>,
    how: Input,
    /// What it is given; not where it has the socket.
    input: Option<OwnedFd>,
    out: Option<OwnedFd>,
    errors: Option<OwnedFd>,
    /// Its terminal, once it has left that. Many close it shortly before they end, and would be hung up (tty(4)) if it were closed
    /// here too.
    left: Option<OwnedFd>,
    /// What is typed at its terminal.
    typed: TypedLine,
    /// Until when a line waits that its terminal would cut.
    too_long: Option<Moment>,
    /// Its terminal was told, or is to be told, that nothing more is typed.
    is_told_end: bool,
    /// Datagrams that it has not taken.
    pub(super) stdin: StdinQueue,
    /// Why it could not be given what came, other than that it does not want to hear.
    unwritten: Option<Errno>,
    /// Of its errors, a line that has not ended.
    line: Vec<u8>,
    signal: Option<Signal>,
    /// When it is tried again to start it, and until when.
    retry: Option<(Moment, Moment)>,
    /// When something last passed us.
    active: Moment,
    watched: [Option<Interest>; 4],
    /// Our end is shut, since it says nothing more.
    is_shut: bool,
}

impl Served {
    pub(super) fn new(exec: Arc<Exec>, permit: Option<ProgramPermit>) -> Self {
        Self {
            exec,
            permit,
            child: None,
            ended: None,
            how: Input::Pipe,
            input: None,
            out: None,
            errors: None,
            left: None,
            typed: TypedLine::default(),
            too_long: None,
            is_told_end: false,
            stdin: StdinQueue::default(),
            unwritten: None,
            line: Vec::new(),
            signal: None,
            retry: None,
            active: Moment::default(),
            watched: [None; 4],
            is_shut: false,
        }
    }

    /// Whether its program has the socket, if that is a plain one.
    pub(super) fn takes_socket(&self) -> bool {
        self.exec.terminal == Terminal::None
    }

    pub(super) fn memory(&self) -> usize {
        self.line.capacity() + self.stdin.bytes()
    }

    /// What its messages go into.
    pub(super) fn input(&self) -> Option<&OwnedFd> {
        self.input.as_ref()
    }

    /// It cannot be written to, and is told nothing more. One that does not want to hear has closed its end; of a terminal that is
    /// an input error.
    pub(super) fn hear_nothing(&mut self, why: Errno) {
        self.input = None;
        if why != Errno::PIPE && self.how != Input::Terminal {
            self.unwritten.get_or_insert(why);
        }
    }

    /// Something passed.
    pub(super) fn is_active(&mut self, now: Moment) {
        self.active = now;
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn has_terminal(&self) -> bool {
        self.exec.terminal == Terminal::Own
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.is_some() && self.ended.is_none()
    }

    fn start(&mut self, socket: Option<BorrowedFd<'_>>, conversation: &Conversation) -> io::Result<()> {
        let program = &self.exec.program;
        let environment = program.environment().about(conversation);
        if self.how == Input::Terminal {
            let (ours, path) = terminal::open()?;
            let input = ours.try_clone()?;
            self.child = Some(program.spawn(&environment, Streams::Terminal(&path))?);
            (self.out, self.input) = (Some(ours), Some(input));
            return Ok(());
        }
        let (out, stdout) = if self.how == Input::Messages { pair()? } else { pipe(End::Read)? };
        let errors = if self.exec.nowhere.is_none() { Some(pipe(End::Read)?) } else { None };
        let input = match self.how {
            Input::Pipe | Input::Messages => Some(pipe(End::Write)?),
            Input::Socket | Input::Terminal => None,
        };
        if let (Some((input, _)), Input::Messages) = (&input, self.how) {
            self.stdin.begin(input);
        }
        let stdin = input.as_ref().map(|(_, theirs)| theirs.as_fd()).or(socket);
        let stdin = stdin.ok_or(Errno::NOTCONN)?;
        let nowhere = self.exec.nowhere.as_ref().map_or(stdout.as_fd(), AsFd::as_fd);
        let stderr = errors.as_ref().map_or(nowhere, |(_, theirs)| theirs.as_fd());
        self.child = Some(program.spawn(&environment, Streams::Three { stdin, stdout: stdout.as_fd(), stderr })?);
        (self.out, self.errors, self.input) = (Some(out), errors.map(|(ours, _)| ours), input.map(|(ours, _)| ours));
        Ok(())
    }

    /// Tells of every line of errors that has come.
    fn hear_errors(&mut self, number: u64, context: &mut Context<'_>) {
        let mut has_ended = false;
        for _ in 0..READS {
            let Some(errors) = &self.errors else { break };
            match rustix::io::read(errors, &mut context.buffer[..]) {
                Ok(0) => has_ended = true,
                Ok(length) => self.line.extend_from_slice(&context.buffer[..length]),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(_) => has_ended = true,
            }
            let mut tell = |line: &[u8]| {
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
                context.observer.observe(Event::Stderr { number, line });
            };
            let mut start = 0;
            while let Some(length) = self.line[start..].iter().position(|byte| *byte == b'\n') {
                self.line[start..start + length].chunks(limits::PROGRAM_ERROR_LINE).for_each(&mut tell);
                if length == 0 {
                    tell(b"");
                }
                start += length + 1;
            }
            while self.line.len() - start > limits::PROGRAM_ERROR_LINE {
                tell(&self.line[start..start + limits::PROGRAM_ERROR_LINE]);
                start += limits::PROGRAM_ERROR_LINE;
            }
            self.line.drain(..start);
            if has_ended {
                if !self.line.is_empty() {
                    tell(&std::mem::take(&mut self.line));
                }
                self.errors = None;
            }
        }
        if self.line.is_empty() {
            self.line = Vec::new();
        }
    }

    /// Gives it the front of these bytes; how many it took. One that does not want to hear is told nothing more.
    fn hear(&mut self, bytes: &[u8], now: Moment) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            let Some(input) = &self.input else { return bytes.len() };
            let is_typed = self.how == Input::Terminal;
            let room = if is_typed { self.typed.room(input, &bytes[at..]) } else { bytes.len() - at };
            if room == 0 {
                self.too_long.get_or_insert(now.after(limits::LONG_LINE_WAIT));
                return at;
            }
            self.too_long = None;
            match rustix::io::write(input, &bytes[at..at + room]) {
                Ok(length) => {
                    if is_typed {
                        self.typed.add(&bytes[at..at + length]);
                    }
                    at += length;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return at,
                Err(error) => self.hear_nothing(error),
            }
        }
        at
    }

    /// Nothing more comes, and all that came is heard. A terminal was told so by what was typed.
    fn hear_end(&mut self) {
        if self.how != Input::Terminal {
            self.input = None;
        }
    }

    /// Has the kernel tell of what it waits for.
    fn watch(&mut self, poller: &Poller, key: Key, may_say: bool, has_to_hear: bool) -> io::Result<()> {
        let reads = |is_so: bool| if is_so { Interest::Read } else { Interest::Nothing };
        let waits = if has_to_hear { Interest::Write } else { Interest::Nothing };
        let parts = [
            (
                ChildDescriptor::Out,
                self.out.as_ref().or(self.left.as_ref()).map(AsFd::as_fd),
                reads(may_say && self.out.is_some()),
            ),
            (ChildDescriptor::Errors, self.errors.as_ref().map(AsFd::as_fd), Interest::Read),
            (ChildDescriptor::Exit, self.child.as_ref().map(AsFd::as_fd), reads(self.ended.is_none())),
            (ChildDescriptor::In, self.input.as_ref().map(AsFd::as_fd), waits),
        ];
        for ((part, fd, wants), watched) in parts.into_iter().zip(&mut self.watched) {
            match (fd, *watched) {
                (Some(_), Some(is)) if is == wants => continue,
                (Some(fd), Some(_)) => poller.change(fd, Token::Child(key, part), wants)?,
                (Some(_), None) if wants == Interest::Nothing => continue,
                (Some(fd), None) => poller.add(fd, Token::Child(key, part), wants)?,
                (None, _) => {
                    *watched = None;
                    continue;
                }
            }
            *watched = Some(wants);
        }
        Ok(())
    }
}

impl Channel {
    fn served(&mut self) -> Option<&mut Served> {
        match &mut self.agent {
            Agent::Child(served) => Some(served),
            _ => None,
        }
    }

    /// Bytes came for it, or room for what it says.
    pub(super) fn tell_child(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        self.inbox.extend_from_slice(bytes);
        let Agent::Child(served) = &mut self.agent else { return ChannelStatus::Open };
        if served.child.is_none() && served.ended.is_none() {
            return if served.retry.is_some() { ChannelStatus::Open } else { self.start_child(context) };
        }
        if !matches!(self.line, Line::OnePeer(_)) {
            served.active = context.now;
        }
        served.hear_messages(context.now);
        if self.ended && served.how == Input::Terminal && !std::mem::replace(&mut served.is_told_end, true) {
            let end = served.input.as_ref().map_or(&[][..], |input| served.typed.end(input, &self.inbox));
            self.inbox.extend_from_slice(end);
        }
        let taken = served.hear(&self.inbox, context.now);
        self.inbox.drain(..taken);
        if served.too_long.is_some_and(|until| context.now >= until) {
            return self.break_line(context);
        }
        // A peer of packets waits until its program has read them.
        let waits = !self.inbox.is_empty() || self.line.has_datagrams() && !served.stdin.is_empty();
        self.paused = waits || served.how == Input::Socket;
        if self.inbox.is_empty() {
            self.inbox = Vec::new();
            if self.ended && served.stdin.is_empty() {
                served.hear_end();
            }
        }
        self.rest_child(context);
        ChannelStatus::Open
    }

    fn start_child(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        let conversation = self.conversation(context.origin);
        let is_plain = conversation.protocol == Protocol::Tcp && self.secure.is_none();
        let is_message = matches!(self.line, Line::OnePeer(_)) || self.line.has_datagrams();
        let Agent::Child(served) = &mut self.agent else { return ChannelStatus::Open };
        served.how = match served.exec.terminal {
            Terminal::Own => Input::Terminal,
            Terminal::None if is_plain => Input::Socket,
            Terminal::None if is_message => Input::Messages,
            Terminal::None => Input::Pipe,
        };
        served.active = context.now;
        self.paused = true;
        let error = match served.start(self.line.fd(), &conversation) {
            Ok(()) => {
                served.retry = None;
                return self.tell_child(&[], context);
            }
            Err(error) => error,
        };
        let is_short = crate::net::is_exhausted(&error) || error.kind() == io::ErrorKind::WouldBlock;
        let (_, until) = served.retry.unwrap_or((context.now, context.now.after(limits::START_WAIT)));
        let why = if error.kind() == io::ErrorKind::WouldBlock {
            "this user may have no more processes (ulimit -u)".to_owned()
        } else {
            words(&error)
        };
        if is_short && context.now < until && !context.stopping {
            if served.exec.may_tell(context.now) {
                let notice = format!("{} cannot be started now: {why}; clients wait", served.exec.program.name());
                context.observer.observe(Event::Notice(notice));
            }
            served.retry = Some((context.now.after(limits::START_AGAIN), until));
            self.rest_child(context);
            return ChannelStatus::Open;
        }
        let reason = format!("{} cannot be started: {why}", served.exec.program.name());
        served.permit = None;
        let kind = if is_short { Kind::NoResources } else { Kind::Program };
        self.fail(kind, &reason, context);
        self.reason = Some(reason.into());
        self.finish(context)
    }

    /// A descriptor of the program's is ready.
    pub(in crate::engine) fn part_ready(&mut self, part: ChildDescriptor, context: &mut Context<'_>) -> ChannelStatus {
        let number = self.number;
        let Some(served) = self.served() else { return ChannelStatus::Open };
        match part {
            ChildDescriptor::Out => self.pass_on(context),
            ChildDescriptor::Errors => {
                served.hear_errors(number, context);
                ChannelStatus::Open
            }
            ChildDescriptor::In => self.tell_child(&[], context),
            ChildDescriptor::Exit => self.child_ended(context),
        }
    }

    /// Sends what it says, as long as the peer takes it.
    fn pass_on(&mut self, context: &mut Context<'_>) -> ChannelStatus {
        for _ in 0..READS {
            if self.phase != Phase::Open || !self.outbox.is_empty() {
                return ChannelStatus::Open;
            }
            let Agent::Child(served) = &mut self.agent else { return ChannelStatus::Open };
            let Some(out) = &served.out else { return ChannelStatus::Open };
            let mut buffer = std::mem::take(context.buffer);
            let status = match rustix::io::read(out, &mut buffer[..]) {
                Ok(length) if length > 0 => {
                    // Over datagrams only what comes keeps a conversation: that the peer is gone is never told.
                    if !matches!(self.line, Line::OnePeer(_)) {
                        served.active = context.now;
                    }
                    self.send_said(&buffer[..length], context)
                }
                // A message without a byte is no end, and no datagram that is answered.
                Ok(_) if served.how == Input::Messages && !has_ended(out) => match self.line.has_datagrams() {
                    true => self.send_said(&[], context),
                    false => ChannelStatus::Open,
                },
                Err(Errno::INTR) => ChannelStatus::Open,
                Err(Errno::AGAIN) => {
                    *context.buffer = buffer;
                    break;
                }
                // A terminal that no program has open any more is an error.
                Ok(_) | Err(_) => {
                    *context.buffer = buffer;
                    return self.child_said_all(context);
                }
            };
            *context.buffer = buffer;
            if status == ChannelStatus::Closed {
                return ChannelStatus::Closed;
            }
        }
        self.rest_child(context);
        ChannelStatus::Open
    }

    /// Sends bytes, encrypted where the connection is.
    pub(super) fn send_said(&mut self, bytes: &[u8], context: &mut Context<'_>) -> ChannelStatus {
        if matches!(self.line, Line::OnePeer(_)) {
            return self.answer_peer(bytes, context);
        }
        let has_bounds = self.line.has_datagrams();
        if self.secure.is_none() && !has_bounds {
            return self.write(bytes, context);
        }
        context.output.bytes.extend_from_slice(bytes);
        if has_bounds {
            context.output.datagrams.push(context.output.bytes.len());
        }
        self.send_output(context)
    }

    /// For how long nothing has passed.
    fn quiet(&mut self, now: Moment) -> Duration {
        let active = self.served().map_or(now, |served| served.active);
        let ours = Duration::from_nanos(now.nanos().saturating_sub(active.nanos()));
        match self.served().map(|served| served.how) {
            Some(Input::Socket) => self.line.fd().and_then(passed).map_or(ours, |passed| passed.quiet.min(ours)),
            _ => ours,
        }
    }

    /// When something is next to be done with it.
    fn rest_child(&mut self, context: &Context<'_>) {
        let is_open = self.phase == Phase::Open;
        let idle_limit = self.idle_limit(context);
        let Agent::Child(served) = &self.agent else { return };
        let quiet = idle_limit.filter(|_| is_open).map(|wait| {
            let due = served.active.after(wait);
            // It was looked at, and something had passed that did not pass us.
            if due > context.now { due } else { context.now.after(wait / 8) }
        });
        let signal = served.signal.map(Signal::at);
        let retry = served.retry.map(|(at, _)| at);
        let line = served.too_long.map(|_| context.now.after(limits::LONG_LINE_LOOK));
        self.deadline = [quiet, signal, retry, served.stdin.again(), line].into_iter().flatten().min();
    }

    /// Bytes from the peer and to it, as the kernel counted them, where they did not pass us.
    pub(in crate::engine) fn child_passed(&self) -> Option<(u64, u64)> {
        match &self.agent {
            Agent::Child(served) if served.how == Input::Socket => {
                self.line.fd().and_then(passed_at_end).map(|passed| (passed.came(), passed.sent.max(self.sent)))
            }
            _ => None,
        }
    }

    /// Has the kernel tell of what its program waits for.
    pub(in crate::engine) fn watch_child(&mut self, poller: &Poller, key: Key) -> io::Result<()> {
        let may_say = self.phase == Phase::Open && self.outbox.is_empty();
        let has_bytes = !self.inbox.is_empty();
        match &mut self.agent {
            Agent::Child(served) => {
                let has_to_hear = has_bytes && served.too_long.is_none() || served.stdin.waits_for_room();
                served.watch(poller, key, may_say, has_to_hear)
            }
            _ => Ok(()),
        }
    }
}
