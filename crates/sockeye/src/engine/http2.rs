//! HTTP/2 (RFC 9113) to a site, without a socket: bytes that came go in, bytes to be sent come out. Frames, windows and
//! packed heads are h2's, which is polled here by hand.

mod exchange;
mod meter;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, Connection, Handshake, SendResponse};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use transcript::Moment;

use self::exchange::{HeldResource, Stream, StreamProgress};
use self::meter::Meter;
use super::access::Lines;
use super::answer_context::AnswerContext;
use super::more_files::Share;
use super::pending_request;
use super::served::HttpService;
use super::storage::Done;
use crate::limits;

/// What a client begins with (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a connection takes, and each of its requests with its head and what stands in its window, in bytes.
const BASE: usize = 16 * 1024;
const STREAM: usize = 16 * 1024;
/// Requests that are begun in one step.
const BEGUN: u64 = limits::STREAMS as u64;
/// Bytes that wait to be sent before no more are made.
const MUCH: usize = 128 * 1024;

/// One connection.
pub(super) struct Http2 {
    stage: Stage,
    pipe: Arc<Mutex<Pipe>>,
    meter: Meter,
    woken: Arc<Woken>,
    streams: Vec<Stream>,
    /// Requests whose turn has not come; there is always a stream before them.
    waiting: VecDeque<Waiting>,
    /// Bytes of content that have come and are not taken.
    content: usize,
    website: Arc<HttpService>,
    /// Its part of the files that may be open.
    files: Share,
    is_ending: bool,
    /// Since when no request has been answered, and whether there was any.
    rests: Option<(Moment, bool)>,
    /// Requests that were begun in this step.
    begun: u64,
}

impl std::fmt::Debug for Http2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2").field("streams", &self.streams.len()).finish_non_exhaustive()
    }
}

/// A request, and where its answer goes.
type Asked = (Request<RecvStream>, SendResponse<Bytes>);

/// A request whose turn has not come, and about how many bytes of memory its head takes.
struct Waiting {
    asked: Asked,
    head: usize,
}

enum Stage {
    Shaking(Handshake<End, Bytes>),
    Open(Connection<End, Bytes>),
    Over,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionProgress {
    /// There is more to say once this is sent.
    More,
    /// Something must come first.
    Waiting,
    /// Nothing will be said any more.
    Finished,
}

impl Http2 {
    pub(super) fn new(website: Arc<HttpService>) -> Self {
        let pipe = Arc::new(Mutex::new(Pipe::default()));
        let handshake = Builder::new()
            .max_concurrent_streams(limits::STREAMS)
            .max_header_list_size(limits::REQUEST_HEAD as u32)
            .initial_window_size(limits::STREAM_WINDOW)
            .initial_connection_window_size(4 * limits::STREAM_WINDOW)
            .handshake(End(Arc::clone(&pipe)));
        let (stage, woken) = (Stage::Shaking(handshake), Arc::default());
        let (streams, waiting, meter) = (Vec::new(), VecDeque::new(), Meter::default());
        Self {
            stage,
            pipe,
            meter,
            woken,
            streams,
            waiting,
            content: 0,
            files: Share::of(Arc::clone(&website.more_files)),
            website,
            is_ending: false,
            rests: None,
            begun: 0,
        }
    }

    /// About how many bytes of memory it takes, rather too many than too few: h2 tells of none but what passes through the
    /// pipe and what content it keeps.
    pub(super) fn memory(&self) -> usize {
        let pipe = lock(&self.pipe);
        let held: usize = self.streams.iter().map(|stream| STREAM + stream.memory()).sum();
        let waiting: usize = self.waiting.iter().map(|waiting| STREAM + waiting.head).sum();
        let pipe = pipe.incoming.capacity() + pipe.outgoing.capacity();
        BASE + pipe + self.meter.memory() + self.content + held + waiting
    }

    /// Whether no request is being answered.
    pub(super) fn is_idle(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether a request was answered, and none is in hand.
    pub(super) fn has_answered(&self) -> bool {
        matches!(self.rests, Some((_, true)))
    }

    /// When the first of its requests will have taken too long, or the client without any. What else it says, such as
    /// PING, or a head that does not end, gains it nothing.
    pub(super) fn deadline(&self, wait: Option<Duration>, now: Moment) -> Option<Moment> {
        if !self.is_idle() {
            return self.streams.iter().filter_map(Stream::until).min();
        }
        let bound = |limit: Duration| wait.map_or(limit, |wait| wait.min(limit));
        Some(match self.rests {
            Some((since, true)) => since.after(bound(limits::KEEP_ALIVE)),
            Some((since, false)) => since.after(bound(limits::REQUEST_WAIT)),
            None => now.after(bound(limits::REQUEST_WAIT)),
        })
    }

    /// The connection is over: tells of what was cut.
    pub(super) fn cut(&mut self, lines: &mut Lines) {
        for stream in &mut self.streams {
            stream.tell(lines);
        }
    }

    /// Whether a request waits only until its file is stored.
    pub(super) fn is_storing(&self) -> bool {
        self.streams.iter().any(Stream::is_storing)
    }

    /// What a request waits for is done; it goes on with the next step.
    pub(super) fn done(&mut self, number: u32, done: Done) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.waits_as(number)) {
            stream.done(done);
        }
    }

    /// How many requests the last step began.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Takes what came, and adds what is to be sent.
    pub(super) fn step(
        &mut self,
        bytes: &[u8],
        out: &mut Vec<u8>,
        answering: &mut AnswerContext<'_>,
    ) -> ConnectionProgress {
        lock(&self.pipe).incoming.extend_from_slice(bytes);
        self.meter.see(bytes);
        if answering.stopping && !self.is_ending {
            self.is_ending = true;
            if let Stage::Open(connection) = &mut self.stage {
                connection.graceful_shutdown();
            }
        }
        let (mut is_busy, since) = (!self.is_idle(), *self.rests.get_or_insert((answering.now, false)));
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut context = Context::from_waker(&waker);
        let mut is_full = false;
        self.begun = 0;
        loop {
            self.woken.0.store(false, Ordering::Relaxed);
            let is_shaking = matches!(self.stage, Stage::Shaking(_));
            let has_begun = self.accept(&mut context, answering);
            is_busy |= (has_begun && !is_shaking) || !self.is_idle();
            let has_moved = self.send(&mut context, answering);
            is_full |= lock(&self.pipe).outgoing.len() >= MUCH || self.begun >= BEGUN || answering.turn.is_over();
            if matches!(self.stage, Stage::Over) || is_full {
                break;
            }
            if !has_begun && !has_moved && !self.woken.0.load(Ordering::Relaxed) {
                break;
            }
        }
        self.rests = Some(if is_busy { (answering.now, true) } else { since });
        self.count_content();
        self.files.settle(Holds::of(&self.streams).files);
        let mut pipe = lock(&self.pipe);
        out.append(&mut pipe.outgoing);
        if self.streams.is_empty() && pipe.incoming.is_empty() {
            // Who asks nothing keeps no buffer.
            *pipe = Pipe::default();
        }
        drop(pipe);
        match self.stage {
            Stage::Over => ConnectionProgress::Finished,
            _ if is_full => ConnectionProgress::More,
            _ => ConnectionProgress::Waiting,
        }
    }

    /// Counts the content that h2 keeps for those who have not taken it.
    fn count_content(&mut self) {
        let streams = self.streams.iter_mut().filter_map(Stream::content);
        let waiting = self.waiting.iter_mut().map(|waiting| waiting.asked.0.body_mut());
        // What has been said to its end, and taken, holds nothing.
        let held =
            |content: &mut RecvStream| if content.is_end_stream() { 0 } else { content.flow_control().used_capacity() };
        self.content = streams.chain(waiting).map(held).sum();
    }

    /// Lets h2 read and write, and takes the requests that have come.
    fn accept(&mut self, context: &mut Context<'_>, answering: &mut AnswerContext<'_>) -> bool {
        let connection = match &mut self.stage {
            Stage::Open(connection) => connection,
            Stage::Over => return false,
            Stage::Shaking(handshake) => match Pin::new(handshake).poll(context) {
                Poll::Pending => return false,
                Poll::Ready(Ok(connection)) => {
                    self.stage = Stage::Open(connection);
                    return true;
                }
                Poll::Ready(Err(_)) => {
                    self.stage = Stage::Over;
                    return false;
                }
            },
        };
        let mut has_begun = false;
        let mut holds = Holds::of(&self.streams);
        loop {
            if self.begun >= BEGUN {
                return has_begun;
            }
            match connection.poll_accept(context) {
                Poll::Pending => return has_begun,
                Poll::Ready(Some(Ok(asked))) => {
                    has_begun = true;
                    self.begun += 1;
                    if holds.is_much(&mut self.files) || !self.waiting.is_empty() {
                        let head = pending_request::size_of_fields(asked.0.headers());
                        self.waiting.push_back(Waiting { asked, head });
                    } else if let Some(stream) = Stream::begin(asked, &self.website, answering) {
                        holds.add(&stream);
                        self.streams.push(stream);
                    }
                }
                // The client is done, or broke the protocol: what h2 has to say to that stands in the pipe.
                Poll::Ready(Some(Err(_)) | None) => {
                    self.stage = Stage::Over;
                    return has_begun;
                }
            }
        }
    }

    /// Lets each stream say as much as its window has room for, in turn.
    fn send(&mut self, context: &mut Context<'_>, answering: &mut AnswerContext<'_>) -> bool {
        let mut has_moved = false;
        let website = &self.website;
        self.streams.retain_mut(|stream| {
            let step = stream.step(context, website, answering);
            has_moved |= step != StreamProgress::Blocked;
            if step == StreamProgress::Finished {
                stream.tell(answering.lines);
            }
            step != StreamProgress::Finished
        });
        has_moved |= !self.waiting.is_empty() && self.begin_waiting(context, answering);
        has_moved
    }

    /// Answers those that waited, as far as there is room for them now.
    fn begin_waiting(&mut self, context: &mut Context<'_>, answering: &mut AnswerContext<'_>) -> bool {
        // The client that waits may have given up.
        self.waiting.retain_mut(|waiting| waiting.asked.1.poll_reset(context).is_pending());
        let mut has_begun = false;
        let mut holds = Holds::of(&self.streams);
        while !holds.is_much(&mut self.files)
            && self.begun < BEGUN
            && let Some(Waiting { asked, .. }) = self.waiting.pop_front()
        {
            has_begun = true;
            self.begun += 1;
            if let Some(stream) = Stream::begin(asked, &self.website, answering) {
                holds.add(&stream);
                self.streams.push(stream);
            }
        }
        has_begun
    }
}

/// What the answers of a connection hold while they are not taken: one client does not get all that there is.
#[derive(Debug, Default)]
struct Holds {
    files: usize,
    bytes: usize,
}

impl Holds {
    fn of(streams: &[Stream]) -> Self {
        let mut holds = Self::default();
        for stream in streams {
            holds.add(stream);
        }
        holds
    }

    fn add(&mut self, stream: &Stream) {
        match stream.holds() {
            HeldResource::File => self.files += 1,
            HeldResource::Bytes(bytes) => self.bytes += bytes,
        }
    }

    /// Whether there is no room for one more.
    fn is_much(&self, share: &mut Share) -> bool {
        self.files >= limits::STREAM_FILES || self.bytes >= limits::STREAM_BYTES || !share.has_room_for(self.files + 1)
    }
}

/// What lies between h2 and the channel that has the socket.
#[derive(Default)]
struct Pipe {
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
}

/// h2's end of it.
struct End(Arc<Mutex<Pipe>>);

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.0);
        let length = pipe.incoming.len().min(into.remaining());
        if length == 0 {
            // A caller that puts bytes in asks h2 to go on.
            return Poll::Pending;
        }
        into.put_slice(&pipe.incoming[..length]);
        pipe.incoming.drain(..length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut pipe = lock(&self.0);
        if pipe.outgoing.len() >= 2 * MUCH {
            return Poll::Pending;
        }
        pipe.outgoing.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A waker that only remembers: the step looks before it ends.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
