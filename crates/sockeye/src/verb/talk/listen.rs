//! The listening end of `talk`: one client, joined to standard input and output; then it ends, or waits for the next.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, acceptfrom_with, bind, connect, getsockname, recvfrom};

use super::datagram::Speech;
use super::{Direction, Ending, FirstEnd, Outcome, Sink, TalkOptions, datagram, stream};
use crate::endpoint::Endpoint;
use crate::event::{ClosedBy, Conversation, Event, Name, Observer, Protocol};
use crate::failure::{Failure, Kind};
use crate::gate::Denied;
use crate::limits;
use crate::net::listen::Socket;
use crate::net::message::{self, Received};
use crate::net::peer::{Peer, Sender};
use crate::net::secured::{SecureError, Secured};
use crate::net::tls::TlsError;
use crate::net::words;
use crate::sys::{datagrams, option};

/// What came of listening.
#[derive(Debug)]
pub enum Listened {
    /// The last conversation's outcome.
    Talked(Outcome),
    /// No client could be accepted.
    Failed(io::Error),
}

/// Accepts a client on one of the bound sockets and talks; with `keep` one after another, until one does not end well or for ever.
pub fn listen(
    sockets: Vec<Socket>,
    keep: bool,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
    observer: &mut dyn Observer,
) -> Listened {
    for socket in sockets.iter().filter(|socket| !socket.has_one_client()) {
        observer.observe(Event::Listening(socket.endpoint.clone()));
    }
    let mut listener = Listener::new(sockets, keep);
    let mut number = 0;
    loop {
        number += 1;
        let accepted = match listener.accept(sink, options, observer) {
            Ok(accepted) => accepted,
            Err(Opening::Output(error)) => {
                let received = options.progress.received();
                return Listened::Talked(Outcome { received, ..nothing_said(Ending::OutputFailed(error)) });
            }
            Err(Opening::Socket(error)) => return Listened::Failed(error),
        };
        let conversation = listener.conversation(number, &accepted);
        observer.observe(Event::Opened(conversation.clone()));
        let began = Instant::now();
        let outcome = listener.talk(accepted, input, sink, options);
        observer.observe(Event::Closed {
            conversation,
            by: closed_by(&outcome),
            from_client: outcome.received,
            // What was given to the socket and went no further was not sent.
            from_server: outcome.sent.saturating_sub(outcome.unsent.in_queue),
            unjudged: 0,
            lasted: began.elapsed(),
            reason: (!outcome.is_complete()).then(|| outcome.to_string()),
            ended: None,
        });
        let output_works = !matches!(outcome.ending, Ending::OutputFailed(_) | Ending::InputFailed(_));
        if !keep || !output_works {
            return Listened::Talked(outcome);
        }
    }
}

/// The bound sockets, and what the next conversation is to know of those before it.
struct Listener {
    sockets: Vec<Socket>,
    keep: bool,
    /// What was dropped while the first datagram waited belongs to the conversation that it opens.
    dropped: Vec<u32>,
    /// So do datagrams of others that came before it was known to be one: they open the next.
    waiting: Vec<Waiting>,
    /// What standard input has said, and to which client.
    speech: Speech,
}

/// A client whose turn it is.
struct Accepted {
    /// Of which socket.
    index: usize,
    fd: OwnedFd,
    client: Name,
    /// For who opened it with a datagram.
    sender: Option<Sender>,
    /// What was received in all before it came.
    received_before: u64,
}

impl Listener {
    fn new(sockets: Vec<Socket>, keep: bool) -> Self {
        let dropped = vec![0; sockets.len()];
        let waiting = sockets.iter().map(|_| Waiting::new()).collect();
        Self { sockets, keep, dropped, waiting, speech: Speech::default() }
    }

    /// Whether any number of clients share a socket that never knows of their ends.
    fn hears_many(&self, index: usize) -> bool {
        let socket = &self.sockets[index];
        socket.endpoint.protocol.has_no_end() && !socket.has_one_client()
    }

    /// Waits for the next client.
    fn accept(
        &mut self,
        sink: &mut Sink<'_>,
        options: &TalkOptions,
        observer: &mut dyn Observer,
    ) -> Result<Accepted, Opening> {
        let index = match self.waiting.iter().position(|waiting| !waiting.is_empty()) {
            Some(index) => index,
            None => ready(&self.sockets).map_err(Opening::Socket)?,
        };
        let socket = &self.sockets[index];
        let received_before = options.progress.received();
        let (fd, client, sender) = if self.hears_many(index) {
            let (fd, sender) = first_datagram(socket, &mut self.waiting[index], sink, options, observer)?;
            (fd, sender.name(), Some(sender))
        } else {
            let (fd, client) = accept(socket, options, observer)?;
            (fd, client, None)
        };
        if !self.keep && !self.hears_many(index) {
            // No client waits in vain: others are refused from here on.
            self.sockets.iter_mut().for_each(Socket::close);
        }
        Ok(Accepted { index, fd, client, sender, received_before })
    }

    fn conversation(&self, number: u64, accepted: &Accepted) -> Conversation {
        let Endpoint { protocol, name, .. } = &self.sockets[accepted.index].endpoint;
        let server = getsockname(&accepted.fd)
            .ok()
            .and_then(|name| SocketAddr::try_from(name).ok())
            .map_or_else(|| name.clone(), Name::Inet);
        Conversation { number, protocol: *protocol, server, client: accepted.client.clone(), to: None }
    }

    /// Talks to a client until one of both ends.
    fn talk(
        &mut self,
        accepted: Accepted,
        input: BorrowedFd<'_>,
        sink: &mut Sink<'_>,
        options: &TalkOptions,
    ) -> Outcome {
        let Accepted { index, fd, client, sender, received_before } = accepted;
        let protocol = self.sockets[index].endpoint.protocol;
        if !protocol.has_no_end() {
            return talk_over(&fd, protocol, &mut self.speech, input, sink, options);
        }
        let peer = match (sender, &client) {
            (Some(Sender::Unix(client)), _) => Peer::of_listener(fd.as_fd(), client, self.keep),
            (_, Name::Inet(client)) => Peer::known(fd.as_fd(), *client, self.dropped[index], self.keep),
            // It was connected when it came to us.
            _ => Peer::connected(fd.as_fd()),
        };
        let outcome = datagram::talk_with(&peer, &mut self.speech, input, sink, options);
        self.waiting[index].extend(peer.into_queued());
        if self.hears_many(index) && protocol == Protocol::Udp {
            hear_anybody(&self.sockets[index]);
        }
        self.dropped[index] = datagrams::drops(&fd).unwrap_or(0);
        // With the one that opened it.
        Outcome { received: options.progress.received() - received_before, ..outcome }
    }
}

/// Talks to a client of a connection.
fn talk_over(
    fd: &OwnedFd,
    protocol: Protocol,
    speech: &mut Speech,
    input: BorrowedFd<'_>,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
) -> Outcome {
    if protocol == Protocol::UnixSeqpacket {
        return match Peer::with_end(fd.as_fd()) {
            Ok(peer) => datagram::talk_with(&peer, speech, input, sink, options),
            Err(error) => nothing_said(Ending::Failed("cannot use the socket", error.into())),
        };
    }
    match secured(fd, options) {
        Ok(secure) => stream::talk_over(fd, (secure.as_ref(), None), input, sink, options),
        Err(ending) => nothing_said(ending),
    }
}

/// Who closed a conversation.
fn closed_by(outcome: &Outcome) -> ClosedBy {
    match (&outcome.ending, outcome.first_end) {
        // Messages end with a word.
        (Ending::Reset(_) | Ending::NoClose, _) => ClosedBy::Reset,
        (Ending::TimedOut(_) | Ending::Idle(_), _) => ClosedBy::Timeout,
        (Ending::Done | Ending::PeerEnded | Ending::Cut, Some(FirstEnd::Peer)) => ClosedBy::Client,
        // A client of datagrams has no end: it is we who ask it no more.
        _ => ClosedBy::Server,
    }
}

/// A conversation that ended before it began.
fn nothing_said(ending: Ending) -> Outcome {
    Outcome { ending, sent: 0, received: 0, unsent: Default::default(), dropped: 0, first_end: None }
}

/// Begins TLS or a WebSocket, where there is to be any.
fn secured(fd: &OwnedFd, options: &TalkOptions) -> Result<Option<Secured>, Ending> {
    let Some(session) = options.secure.as_ref().and_then(|layers| layers.0.session()) else { return Ok(None) };
    let wait = limits::HANDSHAKE_WAIT;
    let begun = rustix::io::ioctl_fionbio(fd, true).map_err(|error| SecureError::Socket(error.into()));
    begun.and_then(|()| Secured::over(fd.as_fd(), session?, "the client", Instant::now() + wait)).map(Some).map_err(
        |error| match error {
            SecureError::Tls(error) => Ending::Insecure(error),
            SecureError::Socket(error) => Ending::Reset(error),
            SecureError::TimedOut => {
                let why = format!("the client did not shake hands within {}", transcript::seconds(wait));
                Ending::Insecure(TlsError::local(why))
            }
        },
    )
}

/// Datagrams that came before their sender's turn.
type Waiting = VecDeque<(Sender, Vec<u8>)>;

enum Opening {
    Socket(io::Error),
    Output(io::Error),
}

/// Waits until a client comes to one of the sockets.
fn ready(sockets: &[Socket]) -> io::Result<usize> {
    loop {
        let mut polled: Vec<PollFd<'_>> = sockets.iter().map(|socket| PollFd::new(&socket.fd, PollFlags::IN)).collect();
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(index) = polled.iter().position(|polled| !polled.revents().is_empty()) {
            return Ok(index);
        }
    }
}

/// Waits for a client. What a client did before it was accepted ends nothing.
fn accept(socket: &Socket, options: &TalkOptions, observer: &mut dyn Observer) -> Result<(OwnedFd, Name), Opening> {
    let mut told = None;
    // Once for each kind of error; a pause, for it may stay.
    let mut pause = |error: Errno, time, observer: &mut dyn Observer| {
        if told.replace(error) != Some(error) {
            let reason = format!("cannot accept a client, and goes on: {}", words(&io::Error::from(error)));
            let failure = Failure::other(Kind::CannotAccept, reason);
            observer.observe(Event::Failed { conversation: None, failure });
        }
        std::thread::sleep(time);
    };
    if let Some((fd, client, _)) = socket.take_client() {
        return Ok((fd, client));
    }
    loop {
        match acceptfrom_with(&socket.fd, SocketFlags::CLOEXEC) {
            Ok((fd, peer)) => {
                let client = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
                match client.filter(|client| !options.gate.admits(client.ip())) {
                    None => return Ok((fd, client.map_or(Name::Unnamed, Name::Inet))),
                    Some(client) => keep_out(socket, client, observer),
                }
            }
            Err(Errno::AGAIN) => wait(socket.fd.as_fd())?,
            Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                pause(error, limits::ACCEPT_PAUSE, observer);
            }
            // The client was gone again.
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(error @ (Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT)) => {
                return Err(Opening::Socket(error.into()));
            }
            Err(error) => pause(error, Duration::from_millis(20), observer),
        }
    }
}

/// Waits for the first datagram, writes it, and keeps to its sender.
fn first_datagram(
    socket: &Socket,
    waiting: &mut Waiting,
    sink: &mut Sink<'_>,
    options: &TalkOptions,
    observer: &mut dyn Observer,
) -> Result<(OwnedFd, Sender), Opening> {
    let mut buffer = vec![0; message::LARGEST];
    let opening = |error: Errno| Opening::Socket(error.into());
    // Rules may be others by now.
    waiting.retain(|(sender, _)| sender.name().ip().is_none_or(|ip| options.gate.admits(ip)));
    if let Some((sender, _)) = waiting.front().cloned() {
        let fd = keep_to(socket, &sender).map_err(opening)?;
        let (its, others): (Waiting, Waiting) = waiting.drain(..).partition(|(from, _)| *from == sender);
        *waiting = others;
        for (_, datagram) in its {
            take_first(&datagram, sink, options)?;
        }
        return Ok((fd, sender));
    }
    loop {
        match receive_any(socket, &mut buffer) {
            Ok(Some((length, sender))) => {
                if let Sender::Inet(client) = sender
                    && !options.gate.admits(client.ip())
                {
                    keep_out(socket, client, observer);
                    continue;
                }
                let fd = keep_to(socket, &sender).map_err(opening)?;
                take_first(&buffer[..length], sink, options)?;
                return Ok((fd, sender));
            }
            Ok(None) => {
                let most = limits::bytes(message::LARGEST);
                let error = format!("{}: messages larger than {most} are not taken", socket.endpoint);
                observer.observe(Event::Dropped { count: 1, error });
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(socket.fd.as_fd())?,
            Err(error) => return Err(opening(error)),
        }
    }
}

/// A datagram and its sender; none if it is too large to be taken.
fn receive_any(socket: &Socket, buffer: &mut [u8]) -> Result<Option<(usize, Sender)>, Errno> {
    if socket.endpoint.protocol == Protocol::UnixDgram {
        let (received, from) = message::receive(&socket.fd, buffer, false)?;
        let Received::Message(length) = received else { return Ok(None) };
        return Ok(Some((length, Sender::Unix(message::sender(from)))));
    }
    let (_, length, from) = recvfrom(&socket.fd, buffer, RecvFlags::empty())?;
    let from = from.and_then(|from| SocketAddr::try_from(from).ok()).ok_or(Errno::INTR)?;
    Ok(Some((length, Sender::Inet(from))))
}

/// Has a socket hear its client only, where the system can tell clients apart; the client of a Unix socket is told apart by us.
fn keep_to(socket: &Socket, sender: &Sender) -> Result<OwnedFd, Errno> {
    if let Sender::Inet(client) = sender {
        connect(&socket.fd, client)?;
    }
    rustix::io::fcntl_dupfd_cloexec(&socket.fd, 0)
}

/// A client may not come in.
fn keep_out(socket: &Socket, client: SocketAddr, observer: &mut dyn Observer) {
    let error = format!("{}: {} {}", socket.endpoint, client.ip(), Denied::ByRules);
    observer.observe(Event::Dropped { count: 1, error });
}

/// A client was the only one to be heard. Where the system chose the port it is asked for again.
fn hear_anybody(socket: &Socket) {
    if let (Ok(()), Name::Inet(own)) = (option::disconnect(&socket.fd), &socket.endpoint.name) {
        let _ = bind(&socket.fd, own);
    }
}

fn take_first(bytes: &[u8], sink: &mut Sink<'_>, options: &TalkOptions) -> Result<(), Opening> {
    options.progress.received_more(bytes.len());
    options.heard_received(bytes);
    if options.direction == Direction::Send {
        return Ok(());
    }
    let mut line = Vec::new();
    datagram::add_line(&mut line, bytes, options.eol);
    sink.write_all(&line).map_err(Opening::Output)
}

fn wait(fd: BorrowedFd<'_>) -> Result<(), Opening> {
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(Opening::Socket(error.into())),
    }
}
