//! Taking the body: by splice(2) where the socket's bytes are the file's, through hyper and the decoders elsewhere.

use std::cell::RefCell;
use std::io::{self, BufRead, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use bytes::{Buf, Bytes};
use rustix::event::PollFlags;
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::deadlines::Deadlines;
use super::exchange::Exchange;
use super::pool::{self, ConnectionPool, IdleConnection};
use super::rate_limit::RateLimit;
use super::{Answer, Failed, FetchError, Origin, Progress, SaveOptions, Saved};
use crate::net::stream::Stream;
use crate::sink::{Sink, wait_for_room};
use crate::wire::http::{Coding, Fault, decode, is_own, read_buffered};

/// How much of a file is written at once: frames of HTTP/2 are small, and each write costs more than copying them.
const BATCH: usize = 256 * 1024;

/// What a pipe is asked to hold; the system may give less.
const PIPE: usize = 1024 * 1024;

impl Answer {
    /// Takes the whole body and writes it, unpacked. `name` is that of the file it becomes.
    ///
    /// # Errors
    /// The body is not whole, or cannot be unpacked or written. What was written until there is of no use.
    pub fn save(self, sink: &mut Sink<'_>, name: &str, options: &SaveOptions) -> Result<Saved, Failed> {
        let (url, upload) = (self.url.clone(), self.upload.clone());
        let failed = |error| Failed::at(url.clone(), error).having_sent(upload.clone());
        let (mut saved, unsent) = self.take(sink, name, options).map_err(failed)?;
        saved.unsent = unsent.map(failed);
        Ok(saved)
    }

    /// Takes the body; and what went wrong where the rest of the request was sent behind it.
    fn take(
        self,
        sink: &mut Sink<'_>,
        name: &str,
        options: &SaveOptions,
    ) -> Result<(Saved, Option<FetchError>), FetchError> {
        let codings = if options.raw { vec![] } else { self.codings()? };
        if let Some(stopper) = &options.stopper {
            self.exchange.stop_with(stopper);
        }
        let is_cut_off = options.only.is_some_and(|only| self.head().length.is_none_or(|length| length > only));
        let length = if is_cut_off { options.only } else { self.head().length };
        options.progress.promise(options.already, length);
        if let (Some(length), Some(max), []) = (length, options.max_size, codings.as_slice())
            && length.saturating_add(options.already) > max
        {
            return Err(FetchError::TooLarge(max));
        }
        match (length, &*sink, codings.as_slice()) {
            (Some(length), &Sink::Descriptor(file), []) if self.exchange.is_plain() && !self.exchange.sends_on() => {
                self.move_whole(file, length, options, is_cut_off).map(|saved| (saved, None))
            }
            _ => self.take_pieces(sink, codings, name, options, is_cut_off),
        }
    }

    /// The bytes on the socket are those of the file: they need not be seen.
    fn move_whole(
        self,
        file: BorrowedFd<'_>,
        length: u64,
        options: &SaveOptions,
        is_cut_off: bool,
    ) -> Result<Saved, FetchError> {
        let (deadlines, rate_limit, progress) = (self.deadlines, RateLimit::new(options.rate), &options.progress);
        let stays = pool::stays_open(self.head()) && !is_cut_off && self.exchange.has_sent_all();
        let keep = stays.then_some((self.connections, self.url.origin));
        let Some((stream, held)) = self.exchange.into_stream() else {
            return Err(FetchError::Protocol("the connection is still held".to_owned()));
        };
        Moving { stream, file, length, deadlines, rate_limit, progress, keep }.whole(&held, !is_cut_off)
    }

    /// Piece by piece, unpacked.
    fn take_pieces(
        mut self,
        sink: &mut Sink<'_>,
        mut codings: Vec<Coding>,
        name: &str,
        options: &SaveOptions,
        is_cut_off: bool,
    ) -> Result<(Saved, Option<FetchError>), FetchError> {
        let may_be_own = codings.first().is_some_and(|&first| self.may_be_own(first, name));
        let pace = (RateLimit::new(options.rate), self.deadlines);
        let mut pieces = Pieces::of(&mut self.exchange, &options.progress, pace);
        pieces.only = options.only.unwrap_or(u64::MAX);
        if may_be_own && pieces.tell_own(&codings)? {
            codings.remove(0);
        }
        let written = pieces.copy(sink, &codings, (options.already, options.max_size))?;
        let received = pieces.received;
        if let Some(part) = self.part.filter(|part| part.length() != received) {
            let what = "the end of its range".to_owned();
            return Err(FetchError::Cut { what, received, promised: Some(part.length()) });
        }
        if let Some(only) = options.only.filter(|&only| is_cut_off && received < only) {
            return Err(FetchError::Cut { what: "its part was whole".to_owned(), received, promised: Some(only) });
        }
        let unsent = if is_cut_off { None } else { self.exchange.send_rest().err() };
        let surplus = if is_cut_off { 0 } else { self.exchange.surplus() };
        if !is_cut_off
            && surplus == 0
            && unsent.is_none()
            && let Some(connection) = self.exchange.into_idle()
        {
            self.connections.put(self.url.origin, connection);
        }
        Ok((Saved { received, written, surplus, unsent: None }, unsent))
    }
}

/// A body whose bytes on the socket are its bytes in the file.
struct Moving<'a> {
    stream: Stream,
    file: BorrowedFd<'a>,
    length: u64,
    deadlines: Deadlines,
    rate_limit: RateLimit,
    progress: &'a Progress,
    /// Where the connection is kept behind the body, if it stays.
    keep: Option<(ConnectionPool, Origin)>,
}

impl Moving<'_> {
    fn whole(mut self, held: &[u8], to_end: bool) -> Result<Saved, FetchError> {
        let first = usize::try_from(self.length).map_or(held.len(), |length| held.len().min(length));
        self.deadlines.write(&mut Sink::Descriptor(self.file), &held[..first], 0)?;
        let mut received = first as u64;
        self.progress.set(received);
        self.rate_limit.took(received, self.deadlines, received)?;
        let mut surplus = (held.len() - first) as u64;
        if received < self.length {
            received = self.splice_from(received)?;
        }
        if received < self.length {
            received = self.copy_from(received)?;
        }
        if !to_end {
            // What comes behind is not read.
            return Ok(Saved { received, written: received, surplus: 0, unsent: None });
        }
        match self.stream.read(&mut [0; 4096]) {
            Ok(more) => surplus += more as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && surplus == 0 => {
                if let Some((connections, origin)) = self.keep {
                    connections.put(origin, IdleConnection::Stream(Box::new(self.stream)));
                }
            }
            Err(_) => {}
        }
        Ok(Saved { received, written: received, surplus, unsent: None })
    }

    /// Moves pages without looking at them, until the end, or as far as the file takes them like that.
    fn splice_from(&mut self, mut received: u64) -> Result<u64, FetchError> {
        let Ok((from, to)) = pipe_with(PipeFlags::CLOEXEC) else { return Ok(received) };
        let _ = fcntl_setpipe_size(&to, PIPE);
        // Such an output waits for its reader, and we do not wait for ever.
        let is_pipe = rustix::fs::fstat(self.file).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_fifo());
        let mut has_waited = false;
        while received < self.length {
            self.deadlines.check(received)?;
            let most = self.rate_limit.most(usize::try_from(self.length - received).unwrap_or(PIPE).min(PIPE));
            let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
            let before = received;
            let mut inside = match splice(&self.stream, None, &to, None, most, flags) {
                // An end, or an urgent byte that stands next (tcp(7)): reading tells which.
                Ok(0) => return Ok(received),
                // There is something, and it cannot be moved: the same.
                Err(Errno::AGAIN) if has_waited => return Ok(received),
                Ok(length) => length,
                Err(Errno::AGAIN) => {
                    self.wait(received)?;
                    has_waited = true;
                    continue;
                }
                Err(Errno::INTR) => continue,
                // This kernel does not splice from such a socket; nothing was taken from it.
                Err(Errno::INVAL) => return Ok(received),
                Err(error) => return Err(FetchError::Reset { why: error.into(), received }),
            };
            has_waited = false;
            while inside > 0 {
                match splice(&from, None, self.file, None, inside, flags) {
                    Ok(length) => {
                        inside -= length;
                        received += length as u64;
                    }
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) if is_pipe => {
                        let until = self.deadlines.total.map(|(until, _)| until);
                        wait_for_room(self.file, until).map_err(|error| self.deadlines.unwritten(error, received))?;
                    }
                    // A file opened for appending, or a device, takes bytes by write(2) only.
                    Err(Errno::INVAL | Errno::AGAIN) => {
                        self.empty(&from, inside, received)?;
                        received += inside as u64;
                        self.progress.set(received);
                        return Ok(received);
                    }
                    Err(error) => return Err(FetchError::Output(error.into())),
                }
            }
            self.progress.set(received);
            self.rate_limit.took(received - before, self.deadlines, received)?;
        }
        Ok(received)
    }

    /// Writes what is left in the pipe.
    fn empty(&self, pipe: &OwnedFd, mut inside: usize, received: u64) -> Result<(), FetchError> {
        let mut piece = vec![0; inside];
        while inside > 0 {
            let length =
                rustix::io::read(pipe, &mut piece[..inside]).map_err(|error| FetchError::Output(error.into()))?;
            self.deadlines.write(&mut Sink::Descriptor(self.file), &piece[..length], received)?;
            inside -= length;
        }
        Ok(())
    }

    fn copy_from(&mut self, mut received: u64) -> Result<u64, FetchError> {
        let mut piece = vec![0; 256 * 1024];
        while received < self.length {
            let room = usize::try_from(self.length - received).unwrap_or(piece.len()).min(piece.len());
            let most = self.rate_limit.most(room);
            match self.stream.read(&mut piece[..most]) {
                Ok(0) => return Err(self.cut(received)),
                Ok(length) => {
                    self.deadlines.write(&mut Sink::Descriptor(self.file), &piece[..length], received)?;
                    received += length as u64;
                    self.progress.set(received);
                    self.rate_limit.took(length as u64, self.deadlines, received)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.wait(received)?,
                Err(why) => return Err(FetchError::Reset { why, received }),
            }
        }
        Ok(received)
    }

    fn cut(&self, received: u64) -> FetchError {
        FetchError::Cut { what: "its end".to_owned(), received, promised: Some(self.length) }
    }

    fn wait(&self, received: u64) -> Result<(), FetchError> {
        self.stream.wait(PollFlags::IN, Some(self.deadlines.until(self.deadlines.idle))).map_err(|error| {
            match error.kind() {
                io::ErrorKind::TimedOut => self.deadlines.timed_out("nothing came", received),
                _ => FetchError::Reset { why: error, received },
            }
        })
    }
}

/// What was unpacked, on its way to where it goes.
struct Copy<'a, 's> {
    sink: &'a mut Sink<'s>,
    progress: &'a Progress,
    deadlines: Deadlines,
    /// Pieces of a file that are written at once: a file is read once it has its name. The reader of a pipe wants what is
    /// there.
    batch: Vec<u8>,
    is_file: bool,
    written: u64,
    already: u64,
    max: Option<u64>,
}

impl<'a, 's> Copy<'a, 's> {
    fn begin(
        sink: &'a mut Sink<'s>,
        progress: &'a Progress,
        deadlines: Deadlines,
        (already, max): (u64, Option<u64>),
    ) -> Self {
        let is_file = matches!(&*sink, Sink::Descriptor(fd)
            if rustix::fs::fstat(fd).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file()));
        let batch = Vec::with_capacity(if is_file { BATCH } else { 0 });
        Self { sink, progress, deadlines, batch, is_file, written: 0, already, max }
    }

    /// Copies until there is no more.
    fn all(&mut self, reader: &mut dyn BufRead) -> Result<(), FetchError> {
        loop {
            let piece = match reader.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(piece) => piece,
                Err(error) => return Err(FetchError::Output(error)),
            };
            let length = piece.len();
            if let Some(max) = self.max.filter(|max| self.already + self.written + length as u64 > *max) {
                return Err(FetchError::TooLarge(max));
            }
            self.put(piece)?;
            reader.consume(length);
            self.written += length as u64;
        }
    }

    fn put(&mut self, piece: &[u8]) -> Result<(), FetchError> {
        let received = self.progress.received().saturating_sub(self.already);
        if self.is_file && piece.len() < BATCH {
            self.batch.extend_from_slice(piece);
            if self.batch.len() >= BATCH {
                self.deadlines.write(self.sink, &self.batch, received)?;
                self.batch.clear();
            }
        } else {
            self.deadlines.write(self.sink, &self.batch, received)?;
            self.batch.clear();
            self.deadlines.write(self.sink, piece, received)?;
        }
        Ok(())
    }

    /// Writes what waits for more.
    fn write_rest(&mut self) -> Result<(), FetchError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.sink.write_all(&self.batch).map_err(FetchError::Output)
    }
}

/// The body as hyper gives it, as a reader.
struct Pieces<'a> {
    exchange: &'a mut Exchange,
    progress: &'a Progress,
    rate_limit: (RateLimit, Deadlines),
    piece: Bytes,
    received: u64,
    /// How much is wanted.
    only: u64,
    failure: Option<FetchError>,
}

impl<'a> Pieces<'a> {
    fn of(exchange: &'a mut Exchange, progress: &'a Progress, rate_limit: (RateLimit, Deadlines)) -> Self {
        Self { exchange, progress, rate_limit, piece: Bytes::new(), received: 0, only: u64::MAX, failure: None }
    }

    /// Whether the first coding is that of the file itself. What was looked at is still there to be taken.
    fn tell_own(&mut self, codings: &[Coding]) -> Result<bool, FetchError> {
        let mut beginning = Vec::new();
        loop {
            let piece = match self.fill_buf() {
                Ok(piece) => piece,
                Err(error) => return Err(self.failure.take().unwrap_or(FetchError::Output(error))),
            };
            let (is_all, length) = (piece.is_empty() || beginning.len() >= PIPE, piece.len());
            beginning.extend_from_slice(piece);
            self.consume(length);
            if let Some(is_own) = is_own(codings, &beginning, is_all) {
                self.piece = Bytes::from(beginning);
                return Ok(is_own);
            }
            if is_all {
                self.piece = Bytes::from(beginning);
                return Ok(false);
            }
        }
    }

    fn copy(
        &mut self,
        sink: &mut Sink<'_>,
        codings: &[Coding],
        (already, max): (u64, Option<u64>),
    ) -> Result<u64, FetchError> {
        let fault: Fault = Rc::new(RefCell::new(None));
        let mut copy = Copy::begin(sink, self.progress, self.rate_limit.1, (already, max));
        let outcome = copy.all(&mut decode(Box::new(&mut *self), codings, &fault));
        // What came before a failure stays in what can be gone on with. There is time for that much.
        let outcome = match outcome {
            Err(failed @ FetchError::Output(_)) if self.failure.is_none() && fault.borrow().is_none() => Err(failed),
            other => copy.write_rest().and(other),
        };
        let written = copy.written;
        // What failed first counts: the connection, then the unpacking, then the writing.
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if let Some(fault) = fault.take() {
            let received = self.received;
            return Err(if fault.is_cut {
                FetchError::Cut { what: format!("the end of its {}", fault.coding.name()), received, promised: None }
            } else {
                FetchError::Protocol(fault.to_string())
            });
        }
        outcome?;
        // A decoder may have seen its own end and not the body's.
        match self.fill_buf() {
            Ok([]) => Ok(written),
            Ok(_) => Err(FetchError::Protocol("the body goes on behind its packed end".to_owned())),
            Err(error) => Err(self.failure.take().unwrap_or(FetchError::Output(error))),
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, bytes)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && self.received < self.only {
            match self.exchange.next(self.received) {
                Ok(None) => break,
                Ok(Some(mut piece)) => {
                    let room = usize::try_from(self.only - self.received).unwrap_or(usize::MAX);
                    piece.truncate(room);
                    self.received += piece.len() as u64;
                    self.progress.set(self.received);
                    let (rate_limit, deadlines) = &mut self.rate_limit;
                    if let Err(failure) = rate_limit.took(piece.len() as u64, *deadlines, self.received) {
                        self.failure = Some(failure);
                        return Err(io::Error::other("the body failed"));
                    }
                    self.piece = piece;
                }
                Err(failure) => {
                    self.failure = Some(failure);
                    return Err(io::Error::other("the body failed"));
                }
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, length: usize) {
        self.piece.advance(length);
    }
}
