//! The progress bar: one for everything that is moved, on a terminal, drawn by a thread that only looks, so that nothing
//! ever waits for it.

use std::io::{self, IsTerminal};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Console;

/// How often it looks; what takes less time shows no bar.
const TICK: Duration = Duration::from_millis(200);

/// A bar that is drawn until it is dropped.
pub(super) struct Bar {
    drawn: Arc<Mutex<Option<ProgressBar>>>,
    end: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Bar {
    /// `look` says how many bytes were moved, and of how many, if that is known.
    pub(super) fn start(look: impl Fn() -> (u64, Option<u64>) + Send + 'static, console: &Console) -> Option<Self> {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if console.quiet || console.json || dumb || !io::stderr().is_terminal() {
            return None;
        }
        let (end, ended) = sync_channel(0);
        let drawn = Arc::new(Mutex::new(None));
        let ours = Arc::clone(&drawn);
        let draw = move || {
            while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                let (received, promised) = look();
                // Nothing has begun: the head is not there yet.
                if received > 0 {
                    show(&mut ours.lock().unwrap_or_else(PoisonError::into_inner), received, promised);
                }
            }
            if let Some(bar) = ours.lock().unwrap_or_else(PoisonError::into_inner).take() {
                bar.finish_and_clear();
            }
        };
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok()?;
        Some(Self { drawn, end: Some(end), thread: Some(thread) })
    }

    /// Says something where the bar is.
    pub(super) fn aside<T>(&self, say: impl FnOnce() -> T) -> T {
        match &*self.drawn.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn show(drawn: &mut Option<ProgressBar>, received: u64, promised: Option<u64>) {
    // What came before it was drawn says nothing of the speed.
    let bar = drawn.get_or_insert_with(|| new_bar(promised).with_position(received));
    if bar.length() != promised {
        match promised {
            Some(length) if bar.length().is_some() => bar.set_length(length),
            _ => {
                bar.finish_and_clear();
                *bar = new_bar(promised).with_position(received);
            }
        }
    }
    bar.set_position(received);
}

fn new_bar(promised: Option<u64>) -> ProgressBar {
    let (bar, template) = match promised {
        Some(length) => (
            ProgressBar::new(length),
            "{percent:>3}% [{wide_bar}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta} left",
        ),
        None => (ProgressBar::no_length(), "{spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style.progress_chars("=> "))
}
