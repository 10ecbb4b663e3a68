//! The one writer for everything that reaches standard error, and for text on standard output. A log line never blocks
//! a conversation: it goes into a bounded queue, and what the queue could not take is counted and said.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sockeye::address::{Address, Target};
use sockeye::event::{Event, Observer};
pub(crate) use sockeye::sink::write_all;
use sockeye::sink::write_until;

use crate::color::paint;
use crate::events::{Renderer, Style};
use crate::exit::Exit;
use crate::failure::CommandFailure;
use crate::flags::Common;
use crate::sys::StandardStreams;
use crate::{clean, json};

/// Events that may wait for a slow standard error.
const QUEUE: usize = 8192;
/// How long the end waits for it, and how long a last message does.
const FLUSH: Duration = Duration::from_secs(1);
/// How often the writer looks at what it holds back.
const TICK: Duration = Duration::from_millis(250);
/// Where events come so closely again and again, the writer lets them gather for as long: to be woken by each costs more than to
/// write it. The queue has room for 8 a microsecond.
const GATHER: Duration = Duration::from_millis(1);
/// So many times in a row the writer was woken within [`GATHER`] before it lets events gather.
const CLOSE: u32 = 4;

/// What the verbs print through.
pub(crate) struct Console {
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
    pub(crate) json: bool,
    /// Whether standard error shows colour.
    color: bool,
    /// Whether a terminal shows colour, wherever it is.
    pub(crate) colors_terminals: bool,
    streams: StandardStreams,
    log: Mutex<Option<Log>>,
}

struct Log {
    queue: SyncSender<Event>,
    lost: Arc<AtomicU64>,
    done: Receiver<()>,
}

/// Hands events to the queue and never waits. One that the queue has no room for is lost and counted; a count of what
/// was dropped is held back instead, so that sums stay true.
#[derive(Clone)]
pub(crate) struct Reporter {
    queue: SyncSender<Event>,
    lost: Arc<AtomicU64>,
    held: BTreeMap<String, u64>,
}

impl Reporter {
    fn hand_over(&mut self, event: Event) -> bool {
        match self.queue.try_send(event) {
            Err(TrySendError::Full(Event::Dropped { count, error })) => {
                *self.held.entry(error).or_default() += count;
                false
            }
            Err(TrySendError::Full(event)) => {
                let count = if let Event::Answered { count, .. } = event { count } else { 1 };
                self.lost.fetch_add(count, Ordering::Relaxed);
                false
            }
            Ok(()) | Err(TrySendError::Disconnected(_)) => true,
        }
    }

    fn hand_over_held(&mut self) {
        while let Some((error, count)) = self.held.pop_first() {
            if !self.hand_over(Event::Dropped { count, error }) {
                return;
            }
        }
    }
}

impl Observer for Reporter {
    fn observe(&mut self, event: Event) {
        self.hand_over_held();
        self.hand_over(event);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let until = Instant::now() + FLUSH;
        while !self.held.is_empty() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
            self.hand_over_held();
        }
    }
}

impl Console {
    pub(crate) fn new(common: &Common, streams: StandardStreams) -> Self {
        let Common { quiet, verbose, json, color } = *common;
        let [color, colors_terminals] =
            [io::stderr().is_terminal(), true].map(|terminal| color.is_wanted(terminal, |name| std::env::var_os(name)));
        Self { quiet, verbose, json, color, colors_terminals, streams, log: Mutex::new(None) }
    }

    /// Before any flag is known but this one, which says how errors are told too.
    pub(crate) fn before_flags(json: bool) -> Self {
        Self { json, ..Self::plain() }
    }

    /// Before any flag is known.
    pub(crate) fn plain() -> Self {
        let streams = crate::sys::closed_standard_streams();
        Self {
            quiet: false,
            verbose: 0,
            json: false,
            color: false,
            colors_terminals: false,
            streams,
            log: Mutex::new(None),
        }
    }

    /// Whether standard output was closed when we began.
    pub(crate) fn stdout_is_missing(&self) -> bool {
        self.streams.stdout_is_missing()
    }

    /// What is said through `stdio` goes to standard output, so that has to be there.
    pub(crate) fn check_stdio(&self, addresses: &[Address]) -> Result<(), Exit> {
        if self.stdout_is_missing() && addresses.iter().any(|address| address.target == Target::Standard) {
            return Err(
                self.fail(Exit::CannotWrite, "cannot write what is said through stdio: standard output is closed")
            );
        }
        Ok(())
    }

    /// Writes text to standard output; it is what was asked for, so failing to write it is a failure.
    pub(crate) fn print(&self, text: &[u8]) -> Exit {
        let written = if self.stdout_is_missing() {
            Err(io::Error::other("it is closed"))
        } else {
            write_all(io::stdout().as_fd(), text)
        };
        match written {
            Ok(()) => Exit::Done,
            Err(error) => self.fail(
                Exit::CannotWrite,
                &format!("cannot write to standard output: {error}", error = sockeye::net::words(&error)),
            ),
        }
    }

    /// The same console for a thread that ends the process: what waits to be written here, it does not wait for.
    pub(crate) fn apart(&self) -> Self {
        let Self { quiet, verbose, json, color, colors_terminals, streams, .. } = *self;
        Self { quiet, verbose, json, color, colors_terminals, streams, log: Mutex::new(None) }
    }

    /// Writes text to standard error, as an event where those are objects. That it cannot be written, or is not read, changes nothing.
    pub(crate) fn complain(&self, text: &str) {
        if self.json {
            return self.tell(&serde_json::json!({ "event": "notice", "error": text.trim_end() }));
        }
        let _ = write_soon(io::stderr().as_fd(), paint(&clean::lines(text), self.color).as_bytes());
    }

    /// Whether standard error shows colour.
    pub(crate) fn colors_errors(&self) -> bool {
        self.color
    }

    /// Draws on a terminal that standard error is: with its sequences, as the code that draws made them. What a peer said was made
    /// harmless before.
    pub(crate) fn draw(&self, text: &str) {
        let _ = write_soon(io::stderr().as_fd(), text.as_bytes());
    }

    /// Says why the command ends so.
    pub(crate) fn fail(&self, exit: Exit, why: &str) -> Exit {
        self.conclude(exit, CommandFailure::Said(why.to_owned()))
    }

    /// The same, for a reason that is more than words.
    pub(crate) fn conclude(&self, exit: Exit, why: impl Into<CommandFailure>) -> Exit {
        let why = why.into();
        self.flush();
        if self.json {
            let mut object = serde_json::Map::new();
            object.insert("event".to_owned(), "failed".into());
            object.insert("exit".to_owned(), exit.code().into());
            why.put(&mut object);
            let mut text = String::new();
            json::push_line(&mut text, &object.into());
            let _ = write_soon(io::stderr().as_fd(), text.as_bytes());
        } else {
            self.complain(&why.text());
        }
        exit
    }

    /// Says what must not be overlooked, quiet or not.
    pub(crate) fn warn(&self, text: &str) {
        if self.json {
            self.tell(&serde_json::json!({ "event": "warning", "warning": text }));
        } else {
            self.complain(&format!("warning: {text}"));
        }
    }

    /// Says several, which are too many to wait in a queue, unless quiet.
    pub(crate) fn warn_of_all(&self, all: &[String]) {
        if self.quiet || all.is_empty() {
            return;
        }
        if self.json {
            all.iter().for_each(|text| self.warn(text));
        } else {
            self.complain(&all.iter().map(|text| format!("warning: {text}\n")).collect::<String>());
        }
    }

    /// Writes a result for programs, at once.
    pub(crate) fn tell(&self, value: &serde_json::Value) {
        self.flush();
        let mut text = String::new();
        json::push_line(&mut text, value);
        let _ = write_soon(io::stderr().as_fd(), text.as_bytes());
    }

    /// Says something that is no failure, unless quiet.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.observer().observe(Event::Notice(text.to_owned()));
        }
    }

    /// Where verbs report; the first call starts the writer.
    pub(crate) fn observer(&self) -> Box<dyn Observer> {
        if self.quiet {
            return Box::new(|_: Event| {});
        }
        Box::new(self.reporter())
    }

    /// The same, for several: what is asked for by a flag is said though it is quiet.
    pub(crate) fn reporter(&self) -> Reporter {
        let mut log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let log = log.get_or_insert_with(|| start(self.style(), self.color));
        let (queue, lost) = (log.queue.clone(), Arc::clone(&log.lost));
        Reporter { queue, lost, held: BTreeMap::new() }
    }

    fn style(&self) -> Style {
        if self.json {
            Style::Json
        } else if self.verbose > 0 {
            Style::Every
        } else {
            Style::Summed
        }
    }

    /// Gives what was said time to reach standard error, but does not wait for one that takes nothing.
    pub(crate) fn flush(&self) {
        let log = self.log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(Log { queue, done, .. }) = log {
            drop(queue);
            let _ = done.recv_timeout(FLUSH);
        }
    }
}

fn start(style: Style, color: bool) -> Log {
    let (queue, events) = sync_channel(QUEUE);
    let (finished, done) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&lost);
    let written = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        write_events(&events, Renderer::new(style), color && style != Style::Json, &counter);
        let _ = finished.send(());
    });
    if let Err(error) = written {
        // The queue has no reader: events are dropped, and nothing else suffers.
        let why = format!(
            "no events are shown: no thread can be started for them: {error}",
            error = sockeye::net::words(&error)
        );
        let mut text = String::new();
        if style == Style::Json {
            json::push_line(&mut text, &serde_json::json!({ "event": "warning", "warning": why }));
        } else {
            text = format!("warning: {why}\n");
        }
        let _ = write_soon(io::stderr().as_fd(), text.as_bytes());
    }
    Log { queue, lost, done }
}

/// Writes events until the last sender is gone.
fn write_events(events: &Receiver<Event>, mut renderer: Renderer, color: bool, lost: &AtomicU64) {
    let began = Instant::now();
    let mut text = String::new();
    let (mut last, mut close) = (began, 0);
    loop {
        let ended = match events.recv_timeout(TICK) {
            Ok(event) => {
                let now = Instant::now();
                close = if now.duration_since(std::mem::replace(&mut last, now)) <= GATHER { close + 1 } else { 0 };
                renderer.event(&event, began.elapsed(), &mut text);
                // What is there already goes out with the same write.
                while text.len() < 32 * 1024
                    && let Ok(event) = events.try_recv()
                {
                    renderer.event(&event, began.elapsed(), &mut text);
                }
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        renderer.tick(began.elapsed(), ended, &mut text);
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            renderer.lost(lost, &mut text);
        }
        if !text.is_empty() {
            // A standard error that is closed or full takes no server down.
            let _ = write_all(io::stderr().as_fd(), paint(&text, color).as_bytes());
            text.clear();
        }
        if ended {
            return;
        }
        if close >= CLOSE {
            std::thread::sleep(GATHER);
            last = Instant::now();
        }
    }
}

/// Writes everything unless its reader takes nothing for a while: a last message holds no exit up.
fn write_soon(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    write_until(fd, bytes, Some(Instant::now() + FLUSH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_is_full_loses_events_but_no_count_of_what_was_dropped() {
        let (queue, events) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let mut reporter = Reporter { queue, lost: Arc::clone(&lost), held: BTreeMap::new() };
        let dropped = |count| Event::Dropped { count, error: "full".to_owned() };
        reporter.observe(Event::Notice("first".to_owned()));
        reporter.observe(dropped(2));
        reporter.observe(Event::Notice("second".to_owned()));
        reporter.observe(dropped(3));
        assert_eq!(lost.load(Ordering::Relaxed), 1);
        assert_eq!(events.recv(), Ok(Event::Notice("first".to_owned())));
        reporter.observe(Event::Notice("third".to_owned()));
        assert_eq!(events.recv(), Ok(dropped(5)));
        assert_eq!(lost.load(Ordering::Relaxed), 2);
        reporter.observe(dropped(1));
        reporter.observe(dropped(4));
        let end = std::thread::spawn(move || drop(reporter));
        assert_eq!(events.iter().collect::<Vec<_>>(), [dropped(1), dropped(4)]);
        end.join().unwrap();
    }
}
