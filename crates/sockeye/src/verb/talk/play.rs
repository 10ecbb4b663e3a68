//! `talk --play`: the client's side of a transcript over one connection.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use transcript::{Carrier, Ending, Fault, Input, Moment, Next, Output, Play, Row, Scratch, Script, Side};

use super::connection::is_of_connection;
use super::peer::Peer;
use crate::event::Protocol;
use crate::limits;
use crate::net::connect::Connected;
use crate::net::timespec;
use crate::net::tls::{Session, TlsError, Trust, Why};
use crate::record::Tap;

/// Most unconsumed bytes that are kept; a line's bound is met before.
const BUFFER: usize = 64 * 1024;

/// What came of a play.
#[derive(Debug)]
pub struct Played {
    /// How it ended.
    pub ending: Ending,
    /// Bytes that came after the last statement, which nobody judged.
    pub drained: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// The connection was reset where the play did not see it: behind its last statement, or before what it said last
    /// could be sent.
    pub reset: bool,
    /// Over datagrams: nobody listens there.
    pub port_closed: bool,
    /// Over datagrams: there is no way to that host.
    pub unreachable: Option<io::Error>,
    /// Over datagrams: those that came from somebody else than the peer, and were not taken.
    pub strangers: u64,
}

/// What goes with a play.
#[derive(Debug, Clone, Copy)]
pub struct With<'a> {
    /// Who hears all that passes; inside TLS, what it means.
    pub tap: Option<&'a dyn Tap>,
    /// Whose certificates are believed.
    pub trust: &'a Trust,
    /// Whom a certificate must be for.
    pub host: &'a str,
    /// The values of this play, where they differ from play to play.
    pub row: Option<&'a Row>,
}

/// Plays a script over a connected socket.
///
/// # Errors
/// The socket failed in a way that is no reset.
pub fn play(connected: &Connected, script: &Script, with: With<'_>) -> io::Result<Played> {
    let carrier = if connected.protocol == Protocol::Udp { Carrier::Datagram } else { Carrier::Stream };
    rustix::io::ioctl_fionbio(&connected.fd, true)?;
    let peer = if carrier == Carrier::Datagram { Some(Peer::new(connected)?) } else { None };
    let mut player = Player {
        socket: connected.fd.as_fd(),
        script,
        carrier,
        play: with.row.map_or_else(|| script.play(), |row| script.play_with(row)),
        scratch: Scratch::new(),
        output: Output::default(),
        held: Vec::new(),
        room: vec![0; BUFFER].into_boxed_slice(),
        ended: false,
        began: Instant::now(),
        sent: 0,
        received: 0,
        drained: 0,
        port_closed: false,
        unreachable: None,
        broken: connected.broken.is_some(),
        with,
        session: None,
        peer,
    };
    let (ending, judged) = player.run()?;
    if carrier == Carrier::Stream {
        player.close(&ending);
    }
    let Player { drained, sent, received, port_closed, unreachable, peer, broken, .. } = player;
    let strangers = peer.map_or(0, |peer| peer.ignored());
    let reset = broken && judged == Judged::Not;
    Ok(Played { ending, drained, sent, received, reset, port_closed, unreachable, strangers })
}

struct Player<'a> {
    socket: BorrowedFd<'a>,
    script: &'a Script,
    carrier: Carrier,
    play: Play,
    scratch: Scratch,
    output: Output,
    /// What came and is not consumed.
    held: Vec<u8>,
    /// Where the kernel puts what comes.
    room: Box<[u8]>,
    ended: bool,
    began: Instant,
    sent: u64,
    received: u64,
    drained: u64,
    port_closed: bool,
    unreachable: Option<io::Error>,
    /// The kernel has told of a reset, which it does once: what follows what waits to be read only looks like an end.
    broken: bool,
    with: With<'a>,
    /// From where the transcript goes over to TLS.
    session: Option<Session>,
    /// Over datagrams.
    peer: Option<Peer<'a>>,
}

/// Whether the play was told of a reset, and said what it makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judged {
    Reset,
    Not,
}

enum Came {
    Bytes,
    Datagram,
    Nothing,
    Reset,
    /// Nothing that its session understands.
    Garbled(TlsError),
}

impl Player<'_> {
    fn now(&self) -> Moment {
        Moment::from_nanos(u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn run(&mut self) -> io::Result<(Ending, Judged)> {
        let mut datagram = false;
        loop {
            let input = Input { bytes: &self.held, datagram, ended: self.ended, now: self.now() };
            let step = self.play.step(self.script, input, &mut self.scratch, &mut self.output);
            datagram = false;
            self.held.drain(..step.consumed);
            if !self.send_output()? {
                return Ok(self.reset());
            }
            match step.next {
                Next::Flush => {}
                Next::StartTls => {
                    if let Err(why) = self.shake_hands()? {
                        return Ok((self.not_secure(&why), Judged::Not));
                    }
                }
                Next::StopSending => {
                    self.say_end();
                    match shutdown(self.socket, Shutdown::Write) {
                        Ok(()) => {}
                        // What came before the reset may still be heard.
                        Err(Errno::NOTCONN) if self.hung_up() => self.broken = true,
                        Err(error) => return Err(error.into()),
                    }
                    self.ended(Side::Client);
                }
                Next::End(ending) => return Ok((ending, Judged::Not)),
                Next::Pause { until } => {
                    let time = until.nanos().saturating_sub(self.now().nanos());
                    std::thread::sleep(Duration::from_nanos(time));
                }
                Next::Hear { until } => match self.receive(until)? {
                    Came::Reset => return Ok(self.reset()),
                    Came::Datagram => datagram = true,
                    Came::Garbled(why) => return Ok((self.not_secure(&why), Judged::Not)),
                    Came::Bytes | Came::Nothing => {}
                },
            }
        }
    }

    fn no_more(&mut self, error: Errno) {
        if self.carrier == Carrier::Datagram {
            self.unreachable = Some(error.into());
        } else {
            self.broken = true;
        }
    }

    fn reset(&mut self) -> (Ending, Judged) {
        (self.play.reset(self.script, &self.held, &mut self.scratch), Judged::Reset)
    }

    /// Whether the connection is no more.
    fn hung_up(&self) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(self.socket, PollFlags::empty())];
        poll(&mut polled, Some(&timespec(Duration::ZERO))).is_ok_and(|ready| ready > 0)
    }

    fn not_secure(&mut self, why: &TlsError) -> Ending {
        // Nothing is said inside a session that failed.
        self.session = None;
        let fault = if why.why == Why::Certificate { Fault::Untrusted } else { Fault::Tls };
        self.play.tls_failed(self.script, fault, &why.to_string(), &mut self.scratch)
    }

    /// Goes over to TLS: every byte from here is of the session.
    fn shake_hands(&mut self) -> io::Result<Result<(), TlsError>> {
        let mut session = match Session::client(self.with.trust, self.with.host) {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let until = self.now().after(limits::HANDSHAKE_WAIT);
        loop {
            let mut wire = Vec::new();
            session.send(&[], &mut wire);
            if !wire.is_empty() && !self.push(&wire, false)? {
                return Ok(Err(TlsError::cut(self.with.host)));
            }
            if !session.is_handshaking() {
                break;
            }
            if !self.wait(PollFlags::IN, Some(until))? {
                let waited = transcript::seconds(limits::HANDSHAKE_WAIT);
                return Ok(Err(TlsError::local(format!("{} did not shake hands within {waited}", self.with.host))));
            }
            match recv(self.socket, &mut self.room[..], RecvFlags::empty()) {
                Ok((_, 0)) => return Ok(Err(TlsError::cut(self.with.host))),
                Ok((_, length)) => {
                    self.received += length as u64;
                    if let Err(error) = session.receive(&self.room[..length], &mut self.held) {
                        let mut alert = Vec::new();
                        session.send(&[], &mut alert);
                        let _ = self.push(&alert, false);
                        return Ok(Err(error));
                    }
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return Ok(Err(TlsError::cut(self.with.host))),
            }
        }
        self.ended |= session.has_ended();
        self.session = Some(session);
        if let Some(tap) = self.with.tap {
            tap.secured();
            if !self.held.is_empty() {
                tap.said(Side::Server, &self.held);
            }
        }
        Ok(Ok(()))
    }

    /// What came since `before` is of the session: what it means takes its place.
    fn decrypt(&mut self, before: usize) -> Result<(), TlsError> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let bytes = self.held.split_off(before);
        let received = session.receive(&bytes, &mut self.held);
        self.ended |= session.has_ended();
        let mut answer = Vec::new();
        session.send(&[], &mut answer);
        let _ = self.push(&answer, false);
        received
    }

    /// Under TLS the end is said too.
    fn say_end(&mut self) {
        if let Some(session) = &mut self.session {
            let mut wire = Vec::new();
            session.end(&mut wire);
            let _ = self.push(&wire, false);
        }
    }

    /// Waits for bytes, for one datagram, for the end, or for the moment.
    fn receive(&mut self, until: Option<Moment>) -> io::Result<Came> {
        if self.carrier == Carrier::Datagram {
            self.held.clear();
        }
        loop {
            let before = self.held.len();
            let came = match &self.peer {
                Some(peer) => peer.receive(&mut self.room).map(|length| (length, length)),
                None => recv(self.socket, &mut self.room[..], RecvFlags::empty()),
            };
            self.held.extend_from_slice(&self.room[..came.as_ref().map_or(0, |(_, length)| *length)]);
            if came.is_ok()
                && let Err(error) = self.decrypt(before)
            {
                return Ok(Came::Garbled(error));
            }
            self.heard(before, &came);
            match came {
                Ok((_, length)) if self.carrier == Carrier::Datagram => {
                    self.received += length as u64;
                    return Ok(Came::Datagram);
                }
                Ok((_, 0)) if self.broken => return Ok(Came::Reset),
                Ok((_, 0)) => {
                    self.ended = true;
                    return Ok(Came::Bytes);
                }
                Ok((_, length)) => {
                    self.received += length as u64;
                    // A record of TLS may have come in part.
                    if self.held.len() > before || self.ended {
                        return Ok(Came::Bytes);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !self.wait(PollFlags::IN, until)? {
                        return Ok(Came::Nothing);
                    }
                }
                Err(Errno::CONNREFUSED) if self.carrier == Carrier::Datagram => {
                    self.port_closed = true;
                    return Ok(Came::Reset);
                }
                Err(error) if is_of_connection(error) => {
                    self.no_more(error);
                    return Ok(Came::Reset);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Tells the tap what came.
    fn heard(&self, before: usize, came: &Result<(usize, usize), Errno>) {
        let Some(tap) = self.with.tap else { return };
        match came {
            Ok((_, length)) if *length > 0 && self.carrier == Carrier::Stream && self.held.len() == before => {}
            Ok((_, 0)) if self.carrier == Carrier::Stream && self.broken => tap.reset(Side::Server),
            Ok((_, 0)) if self.carrier == Carrier::Stream => tap.ended(Side::Server),
            Ok(_) => tap.said(Side::Server, &self.held[before..]),
            Err(Errno::CONNRESET) => tap.reset(Side::Server),
            Err(_) => {}
        }
    }

    fn ended(&self, side: Side) {
        if let Some(tap) = self.with.tap {
            tap.ended(side);
        }
    }

    /// Whether the socket became ready before the moment.
    fn wait(&self, flags: PollFlags, until: Option<Moment>) -> io::Result<bool> {
        let time = until.map(|at| {
            // A moment that is not quite over would be waited for again and again.
            let left = at.nanos().saturating_sub(self.now().nanos());
            timespec(Duration::from_nanos(left))
        });
        match poll(&mut [PollFd::new(&self.socket, flags)], time.as_ref()) {
            Ok(0) => Ok(false),
            Ok(_) | Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends what the player said; false if the other side is gone.
    fn send_output(&mut self) -> io::Result<bool> {
        let output = std::mem::take(&mut self.output);
        let mut alive = true;
        if self.carrier == Carrier::Datagram {
            let mut start = 0;
            for &end in &output.datagrams {
                alive &= self.send(&output.bytes[start..end], true)?;
                start = end;
            }
        } else if !output.bytes.is_empty() {
            alive = self.send(&output.bytes, false)?;
        }
        self.output = output;
        self.output.clear();
        Ok(alive)
    }

    fn send(&mut self, bytes: &[u8], datagram: bool) -> io::Result<bool> {
        let before = self.sent;
        let (pushed, said) = match &mut self.session {
            Some(session) => {
                let mut wire = Vec::with_capacity(bytes.len() + 64);
                session.send(bytes, &mut wire);
                (self.push(&wire, false), bytes.len())
            }
            None => {
                let pushed = self.push(bytes, datagram);
                let sent = usize::try_from(self.sent - before).unwrap_or(bytes.len());
                (pushed, sent)
            }
        };
        if let Some(tap) = self.with.tap {
            tap.said(Side::Client, &bytes[..said]);
        }
        pushed
    }

    /// Sends bytes as they are; false if the other side is gone.
    fn push(&mut self, mut bytes: &[u8], datagram: bool) -> io::Result<bool> {
        if bytes.is_empty() && !datagram {
            return Ok(true);
        }
        let limit = self.script.wait().unwrap_or(limits::WRITE_WAIT);
        let until = self.now().after(limit);
        loop {
            let sent = match &self.peer {
                Some(peer) => peer.send(bytes),
                None => send(self.socket, bytes, SendFlags::NOSIGNAL),
            };
            match sent {
                Ok(length) => {
                    self.sent += length as u64;
                    bytes = &bytes[length..];
                    if datagram || bytes.is_empty() {
                        return Ok(true);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    if !self.wait(PollFlags::OUT, Some(until))? {
                        let taken = transcript::seconds(limit);
                        let message = format!("the server took nothing of {} bytes for {taken}", bytes.len());
                        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                    }
                }
                Err(Errno::CONNREFUSED) if datagram => {
                    self.port_closed = true;
                    return Ok(false);
                }
                // What it said before may still wait to be read, and matters more than that it is gone.
                Err(Errno::PIPE | Errno::CONNRESET) if self.wait(PollFlags::IN, Some(self.now()))? => {
                    self.broken = true;
                    return Ok(true);
                }
                Err(error) if is_of_connection(error) => {
                    self.no_more(error);
                    return Ok(false);
                }
                // The interface's queue is full: it empties by itself, unless nothing ever leaves it.
                Err(Errno::NOBUFS) if datagram => {
                    if self.now() >= until {
                        let taken = transcript::seconds(limit);
                        let message = format!("the interface's queue took no datagram for {taken}");
                        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Closes as `closes` does: what still comes is drained and counted.
    fn close(&mut self, ending: &Ending) {
        if matches!(ending, Ending::DoneByReset) {
            let _ = sockopt::set_socket_linger(self.socket, Some(Duration::ZERO));
            if let Some(tap) = self.with.tap {
                tap.reset(Side::Client);
            }
            return;
        }
        self.drained = self.held.len() as u64;
        self.say_end();
        self.ended(Side::Client);
        if self.ended {
            return;
        }
        // Where it fails there was a reset, which is told when all that came before it is read.
        let _ = shutdown(self.socket, Shutdown::Write);
        let until = self.now().after(limits::TALK_DRAIN);
        loop {
            match recv(self.socket, &mut self.room[..], RecvFlags::empty()) {
                Ok((_, 0)) => return self.ended(Side::Server),
                Ok((_, length)) => {
                    let mut clear = Vec::new();
                    let said = match &mut self.session {
                        // What a session does not understand at its end says nothing.
                        Some(session) => session.receive(&self.room[..length], &mut clear).map_or(&[][..], |()| &clear),
                        None => &self.room[..length],
                    };
                    self.drained += said.len() as u64;
                    if let Some(tap) = self.with.tap {
                        tap.said(Side::Server, said);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => match self.wait(PollFlags::IN, Some(until)) {
                    Ok(true) => {}
                    _ => return,
                },
                Err(error) => {
                    // A session's last word is often left unread, which is a reset and loses nothing.
                    self.broken |= is_of_connection(error) && self.session.is_none();
                    return;
                }
            }
            if self.now() >= until {
                return;
            }
        }
    }
}
