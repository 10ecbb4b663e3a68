//! An access log in a file of its own. Whoever serves never waits for the disk: a bounded queue stands between them, and
//! what it has to drop is counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Lines that wait for the disk.
const QUEUE: usize = 16 * 1024;

pub(crate) struct AccessFile {
    queue: Option<SyncSender<String>>,
    lost: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl AccessFile {
    /// Opens the file; lines go behind what is in it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let (queue, lines) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let writer = std::thread::Builder::new()
            .name("access log".to_owned())
            .spawn(move || write_lines(&lines, file, &counter))?;
        Ok(Self { queue: Some(queue), lost, writer: Some(writer) })
    }

    /// Writes a line, soon.
    pub(crate) fn write(&self, line: String) {
        if self.queue.as_ref().is_none_or(|queue| queue.try_send(line).is_err()) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines could not be written so far; asking takes them.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl Drop for AccessFile {
    fn drop(&mut self) {
        // The queue's end is the writer's.
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_lines(lines: &Receiver<String>, mut file: File, lost: &AtomicU64) {
    let mut text = String::new();
    while let Ok(line) = lines.recv() {
        text.push_str(&line);
        let mut count = 1;
        while text.len() < 64 * 1024
            && let Ok(line) = lines.try_recv()
        {
            text.push_str(&line);
            count += 1;
        }
        if file.write_all(text.as_bytes()).is_err() {
            lost.fetch_add(count, Ordering::Relaxed);
        }
        text.clear();
    }
}
