//! A record of a conversation in a file that is a transcript at any time, whatever ends us.
//!
//! ```
//! use sockeye::record::{Record, Tap};
//! use transcript::record::Recording;
//! use transcript::{Carrier, Side};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("session.talk");
//! let recording = Recording { carrier: Carrier::Stream, at: None, secrets: vec![], times: false, ports: false };
//! let record = Record::create(&path, recording)?;
//! record.said(Side::Server, b"Welcome!\n");
//! record.ended(Side::Server);
//! record.finish()?;
//! let text = std::fs::read_to_string(&path)?;
//! assert!(text.contains("S: Welcome!"), "{text}");
//! # Ok::<(), std::io::Error>(())
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use transcript::record::{Connection, Finished, Recorder, Recording};
use transcript::{Moment, Side};

use crate::file::AtomicFile;

/// Hears what passes a socket. It is called from the threads that move the bytes and must not block them for long.
pub trait Tap: Send + Sync + std::fmt::Debug {
    /// A side said something: bytes of a stream, or one datagram.
    fn said(&self, side: Side, bytes: &[u8]);
    /// A side's end of the stream passed.
    fn ended(&self, side: Side);
    /// Both sides went over to TLS; what is said from here is what is said inside.
    fn secured(&self) {}
    /// Both said that TLS ends; what is said from here is said in clear.
    fn unsecured(&self) {}
    /// A side reset the connection.
    fn reset(&self, side: Side);
    /// A side opened a further connection of the same conversation: its number in the transcript, and the port where it goes if
    /// the other side told one. What passes there is told to the listener that is given back.
    fn connects(&self, number: u8, side: Side, port: Option<u16>) -> Option<Arc<dyn Tap>> {
        let _ = (number, side, port);
        None
    }
}

/// A record that grows by whole statements.
///
/// A full disk, or a reader of a pipe that is gone, ends the record, not the conversation: what was written stays valid,
/// and [`Record::finish`] tells.
#[derive(Debug)]
pub struct Record {
    first: OneConnection,
    path: PathBuf,
}

/// Hears one connection of a conversation that is recorded.
#[derive(Debug)]
struct OneConnection {
    state: Arc<Mutex<State>>,
    connection: Connection,
}

#[derive(Debug)]
struct State {
    recorder: Option<Recorder>,
    /// None when giving it its name failed.
    output: Option<Output>,
    /// Bytes of whole statements in the file.
    whole: u64,
    failed: Option<io::Error>,
    began: Instant,
}

/// Where a record goes.
#[derive(Debug)]
enum Output {
    /// A file that has its name once its first statement is in it: until then the old one stays.
    Begun(AtomicFile),
    /// That file with its name, or a pipe.
    Open(File),
    /// One that other code opened: what is in it is not ours to take back.
    Given(File),
}

impl Output {
    fn create(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => Ok(Self::Open(OpenOptions::new().write(true).open(path)?)),
            found => AtomicFile::create(path).map(Self::Begun).or_else(|error| {
                // A file that may be written to can stand in a folder that may not.
                let there = found.is_ok().then(|| OpenOptions::new().write(true).truncate(true).open(path));
                there.and_then(Result::ok).map(Self::Open).ok_or(error.source)
            }),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        match self {
            Self::Begun(file) => file.append(text.as_bytes()).map_err(|error| error.source),
            Self::Open(file) | Self::Given(file) => file.write_all(text.as_bytes()),
        }
    }

    fn publish(self) -> io::Result<Self> {
        match self {
            Self::Begun(file) => file.publish().map(Self::Open).map_err(|error| error.source),
            Self::Open(_) | Self::Given(_) => Ok(self),
        }
    }
}

impl Record {
    /// Begins a record in a file; what the file held is gone with the first statement.
    ///
    /// # Errors
    /// As open(2).
    pub fn create(path: &Path, recording: Recording) -> io::Result<Self> {
        Ok(Self::new(Output::create(path)?, path.to_owned(), recording))
    }

    /// Begins a record in what is open already, as standard output is.
    #[must_use]
    pub fn over(file: File, recording: Recording) -> Self {
        Self::new(Output::Given(file), PathBuf::new(), recording)
    }

    fn new(output: Output, path: PathBuf, recording: Recording) -> Self {
        let (recorder, output) = (Some(Recorder::new(recording)), Some(output));
        let state = State { recorder, output, whole: 0, failed: None, began: Instant::now() };
        let first = OneConnection { state: Arc::new(Mutex::new(state)), connection: Connection::default() };
        Self { first, path }
    }

    /// Writes what is still open.
    ///
    /// # Errors
    /// Why the record is not whole; what is there of it is valid.
    pub fn finish(&self) -> io::Result<()> {
        let mut state = self.first.state();
        let Some(recorder) = state.recorder.take() else { return Ok(()) };
        if state.failed.is_none() {
            match recorder.finish() {
                Finished::Rest(rest) => {
                    state.append(&rest);
                    // A conversation in which nothing was said has a record too.
                    state.publish();
                }
                Finished::Whole(whole) if state.is_file()? => {
                    let mut file = AtomicFile::create(&self.path).map_err(|error| error.source)?;
                    file.append(whole.as_bytes()).map_err(|error| error.source)?;
                    file.commit().map_err(|error| error.source)?;
                }
                // What went down a pipe cannot be taken back, and is valid as it is.
                Finished::Whole(_) => {}
            }
        }
        state.failed.take().map_or(Ok(()), Err)
    }
}

impl State {
    fn append(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let Some(output) = &mut self.output else { return };
        match output.write(text) {
            Ok(()) => {
                self.whole += text.len() as u64;
                self.publish();
            }
            Err(error) => {
                if let Output::Open(file) = output {
                    // A pipe has no length; there, too, the reader has what it read.
                    let _ = file.set_len(self.whole);
                }
                self.failed = Some(error);
            }
        }
    }

    /// Gives the file its name.
    fn publish(&mut self) {
        let Some(output) = self.output.take() else { return };
        match output.publish() {
            Ok(open) => self.output = Some(open),
            Err(error) => self.failed = self.failed.take().or(Some(error)),
        }
    }

    fn is_file(&self) -> io::Result<bool> {
        match &self.output {
            Some(Output::Open(file)) => Ok(file.metadata()?.is_file()),
            Some(Output::Given(_)) => Ok(false),
            Some(Output::Begun(_)) | None => Ok(true),
        }
    }
}

impl Tap for Record {
    fn said(&self, side: Side, bytes: &[u8]) {
        self.first.said(side, bytes);
    }

    fn ended(&self, side: Side) {
        self.first.ended(side);
    }

    fn secured(&self) {
        self.first.secured();
    }

    fn unsecured(&self) {
        self.first.unsecured();
    }

    fn reset(&self, side: Side) {
        self.first.reset(side);
    }

    fn connects(&self, number: u8, side: Side, port: Option<u16>) -> Option<Arc<dyn Tap>> {
        self.first.connects(number, side, port)
    }
}

impl OneConnection {
    /// Something happened over it: it is written.
    fn hear<T>(&self, act: impl FnOnce(&mut Recorder, Moment) -> T) -> Option<T> {
        let mut state = self.state();
        let now = Moment::from_nanos(u64::try_from(state.began.elapsed().as_nanos()).unwrap_or(u64::MAX));
        let recorder = state.recorder.as_mut()?;
        let came = act(recorder.over(self.connection), now);
        let text = recorder.take();
        if state.failed.is_none() {
            state.append(&text);
        }
        Some(came)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap for OneConnection {
    fn said(&self, side: Side, bytes: &[u8]) {
        self.hear(|recorder, now| recorder.said(side, bytes, now));
    }

    fn ended(&self, side: Side) {
        self.hear(|recorder, _| recorder.ended(side));
    }

    fn secured(&self) {
        self.hear(|recorder, _| recorder.secured());
    }

    fn unsecured(&self) {
        self.hear(|recorder, _| recorder.unsecured());
    }

    fn reset(&self, side: Side) {
        self.hear(|recorder, _| recorder.reset(side));
    }

    fn connects(&self, number: u8, side: Side, port: Option<u16>) -> Option<Arc<dyn Tap>> {
        let connection = self.hear(|recorder, now| recorder.connects(number, side, port, now))?;
        Some(Arc::new(Self { state: Arc::clone(&self.state), connection }))
    }
}
