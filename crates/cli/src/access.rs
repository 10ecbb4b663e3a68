//! An access log in a file of its own. The server never waits for the disk: a bounded buffer stands between them, and
//! what it has to drop is counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes of lines that wait for the disk.
const ROOM: usize = 8 << 20;
/// How long the end waits for it.
const FLUSH: Duration = Duration::from_secs(2);

pub(crate) struct AccessFile {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    text: String,
    count: u64,
    lost: u64,
    /// The writer has taken lines and not written them yet.
    is_writing: bool,
    is_over: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessFile {
    /// Opens the file; lines go behind what is in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let queue = Arc::<Queue>::default();
        let writer = Arc::clone(&queue);
        std::thread::Builder::new().name("access log".to_owned()).spawn(move || write_lines(&writer, file))?;
        Ok(Self { queue })
    }

    /// Writes lines, soon.
    pub(crate) fn write(&self, lines: &str, count: u64) {
        let mut state = self.queue.lock();
        if state.text.len() + lines.len() > ROOM {
            state.lost += count;
            return;
        }
        let was_empty = state.text.is_empty();
        state.text.push_str(lines);
        state.count += count;
        drop(state);
        if was_empty {
            self.queue.changed.notify_all();
        }
    }

    /// How many lines could not be written so far; asking takes them.
    pub(crate) fn lost(&self) -> u64 {
        std::mem::take(&mut self.queue.lock().lost)
    }
}

impl Drop for AccessFile {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.is_over = true;
        self.queue.changed.notify_all();
        // A pipe that has no reader holds no exit up.
        let waits = |state: &mut State| state.is_writing || !state.text.is_empty();
        drop(self.queue.changed.wait_timeout_while(state, FLUSH, waits));
    }
}

fn write_lines(queue: &Queue, mut file: File) {
    let mut text = String::new();
    loop {
        let mut state = queue.lock();
        state.is_writing = false;
        queue.changed.notify_all();
        while state.text.is_empty() && !state.is_over {
            state = queue.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.text.is_empty() {
            return;
        }
        std::mem::swap(&mut text, &mut state.text);
        let count = std::mem::take(&mut state.count);
        state.is_writing = true;
        drop(state);
        if file.write_all(text.as_bytes()).is_err() {
            queue.lock().lost += count;
        }
        text.clear();
    }
}
