//! What became of a body while it was sent: hyper does not always say.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use bytes::{Buf, Bytes};

/// What became of a body while it was sent, and what is waited for.
#[derive(Default)]
pub(super) struct UploadState {
    fault: Cell<Option<String>>,
    is_whole: Cell<bool>,
    /// Whether hyper has given up the rest.
    is_given_up: Cell<bool>,
    gate: Cell<Gate>,
    awaited: RefCell<Option<Arc<File>>>,
    progress: Arc<UploadProgress>,
}

/// How much of a body has passed, to be read from any thread.
#[derive(Debug, Default)]
pub(super) struct UploadProgress {
    /// How long it is, and one more; 0 if that is not known.
    of: AtomicU64,
    /// Bytes of it that hyper was given, and those that it has put somewhere.
    given: AtomicU64,
    taken: AtomicU64,
    /// Bytes behind the head that the socket took, and those of them that may be sizes of chunks: HTTP/1 only, where
    /// hyper keeps what it has taken until it can be written.
    written: AtomicU64,
    framing: AtomicU64,
    is_http2: AtomicBool,
    /// Whether some of what was given was thrown away.
    is_lost: AtomicBool,
}

/// Whether a body may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    /// The server is to say first that it wants it (RFC 9110, section 10.1.1), until a time: many never do.
    Until(Instant),
    /// There is an answer already.
    Shut,
}

impl UploadState {
    /// Nothing yet of a body of this length, if that is known.
    pub(super) fn of(length: Option<u64>) -> Self {
        let progress = UploadProgress {
            of: AtomicU64::new(length.map_or(0, |length| length.saturating_add(1))),
            ..UploadProgress::default()
        };
        Self { progress: Arc::new(progress), ..Self::default() }
    }

    pub(super) fn progress(&self) -> Arc<UploadProgress> {
        Arc::clone(&self.progress)
    }

    /// What was wrong with what was to be sent.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.take()
    }

    pub(super) fn fail(&self, why: &str) {
        self.fault.set(Some(why.to_owned()));
    }

    /// hyper has got so much more, and perhaps all of it.
    pub(super) fn given(&self, bytes: usize, is_whole: bool) {
        self.progress.given.fetch_add(bytes as u64, Ordering::Relaxed);
        if bytes > 0 && self.progress.of().is_none() {
            // The size and two line ends.
            let framing = format!("{bytes:x}").len() + 4;
            self.progress.framing.fetch_add(framing as u64, Ordering::Relaxed);
        }
        self.is_whole.set(is_whole);
    }

    /// Bytes as hyper gets them, which are counted when it has done something with them.
    pub(super) fn counted(&self, bytes: Bytes) -> Counted {
        Counted { bytes, progress: self.progress() }
    }

    /// Whether hyper has got all of it, and has put it on its way.
    pub(super) fn is_whole(&self) -> bool {
        let UploadProgress { given, taken, .. } = &*self.progress;
        self.is_whole.get() && given.load(Ordering::Relaxed) == taken.load(Ordering::Relaxed)
    }

    /// hyper asks for no more.
    pub(super) fn given_up(&self) {
        self.is_given_up.set(true);
    }

    /// Whether nothing more of it will be sent, and something is missing.
    pub(super) fn is_cut(&self) -> bool {
        (self.is_given_up.get() && !self.is_whole.get()) || self.progress.is_lost.load(Ordering::Relaxed)
    }

    /// Keeps the body back until the server wants it, or until a time.
    pub(super) fn hold_until(&self, time: Instant) {
        self.gate.set(Gate::Until(time));
    }

    /// The server wants it.
    pub(super) fn open(&self) {
        self.gate.set(Gate::Open);
    }

    pub(super) fn may_go(&self) -> bool {
        self.gate.get() == Gate::Open
    }

    /// The server answers: unless it is content, it does not wait for a body that was kept back.
    pub(super) fn answered(&self, is_success: bool) {
        if self.held_until().is_some() {
            self.gate.set(if is_success { Gate::Open } else { Gate::Shut });
        }
    }

    /// Until when it is kept back.
    pub(super) fn held_until(&self) -> Option<Instant> {
        if let Gate::Until(time) = self.gate.get() { Some(time) } else { None }
    }

    /// It goes on when there is more in this file.
    pub(super) fn await_more(&self, file: &Arc<File>) {
        *self.awaited.borrow_mut() = Some(Arc::clone(file));
    }

    pub(super) fn awaits(&self) -> bool {
        self.awaited.borrow().is_some()
    }

    /// What has to become readable for it to go on, since it was asked last.
    pub(super) fn awaited(&self) -> Option<Arc<File>> {
        self.awaited.take()
    }
}

impl UploadProgress {
    /// Bytes that the peer's system, or ours, has taken.
    pub(super) fn bytes(&self) -> u64 {
        let taken = self.taken.load(Ordering::Relaxed);
        if self.is_http2.load(Ordering::Relaxed) {
            return taken;
        }
        let written = self.written.load(Ordering::Relaxed).saturating_sub(self.framing.load(Ordering::Relaxed));
        written.min(taken)
    }

    /// How many there are, if that is known.
    pub(super) fn of(&self) -> Option<u64> {
        self.of.load(Ordering::Relaxed).checked_sub(1)
    }

    pub(super) fn over_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
    }

    /// The socket took so many bytes behind the head.
    pub(super) fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A piece of a body.
#[derive(Debug)]
pub(super) struct Counted {
    bytes: Bytes,
    progress: Arc<UploadProgress>,
}

impl Buf for Counted {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.progress.taken.fetch_add(count as u64, Ordering::Relaxed);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.has_remaining() {
            self.progress.is_lost.store(true, Ordering::Relaxed);
        }
    }
}
