//! Lines that someone types at a terminal: edited, with a history, and with what the peer says above the line in hand.
//!
//! The conversation gets them by a pipe, as it would get any other input. What the peer says goes through a thread of its own to
//! the editor, which alone knows where on the terminal the line in hand stands. The editor begins with the first key:
//! until then what comes is shown as it is, and nothing of ours is written to the terminal.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use rustyline::completion::Completer;
use rustyline::config::{CompletionType, Configurer};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::MemHistory;
use rustyline::validate::Validator;
use rustyline::{Config, Context, Editor, ExternalPrinter, Helper};
use signal_hook::consts::SIGINT;
use sockeye::stop::is_ignored;

use super::history::{self, History};
use crate::output::Console;

/// How long the rest of a line may take that has begun to come: a prompt of the peer is shown after that.
const PIECE: Duration = Duration::from_millis(100);
/// Pieces of what comes that wait for the terminal.
const QUEUE: usize = 16;
/// Moves the cursor up, and down again: a message that changes nothing.
const NOTHING: &str = "\x1b[A\n";

/// Why no more is read.
pub(super) const NO_TEXT: &str = "sockeye: what was typed is not UTF-8: that line was not sent, and no more is read; \
                                  --raw sends bytes as they are";

/// The terminal as it was, for the code that ends this process while a line is edited.
static MODES: OnceLock<Termios> = OnceLock::new();
/// No line is begun any more.
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// Keys are the editor's. It takes more of them at once than those of a line, so that it has them from the first one on.
static IS_EDITED: AtomicBool = AtomicBool::new(false);
/// What was typed is no text, and was not sent.
static IS_NO_TEXT: AtomicBool = AtomicBool::new(false);

/// A conversation that is typed.
pub(super) struct Typing {
    input: OwnedFd,
    queue: SyncSender<Vec<u8>>,
    printing: JoinHandle<()>,
}

impl Typing {
    /// Begins to read lines.
    ///
    /// # Errors
    /// There is no terminal that lines can be edited on, or no thread.
    pub(super) fn begin(history: Option<History>) -> io::Result<Self> {
        let modes = tcgetattr(io::stdin())?;
        let other = |error: ReadlineError| io::Error::other(error.to_string());
        // Pasted lines are sent one by one, as they are without an editor.
        let config = Config::builder()
            .bracketed_paste(false)
            .enable_signals(false)
            .completion_type(CompletionType::List)
            .build();
        let mut editor = Editor::<Keys, _>::with_history(config, MemHistory::new()).map_err(other)?;
        editor.set_helper(Some(Keys));
        editor.set_history_ignore_space(true);
        editor.set_history_ignore_dups(true).map_err(other)?;
        editor.set_max_history_size(history::MOST).map_err(other)?;
        for line in history.iter().flat_map(History::lines) {
            let _ = editor.add_history_entry(line.as_str());
        }
        let printer = editor.create_external_printer().map_err(other)?;
        let (input, lines) = pipe_with(PipeFlags::CLOEXEC)?;
        let (queue, came) = sync_channel(QUEUE);
        let _ = MODES.set(modes);
        std::thread::Builder::new().name("typing".to_owned()).spawn(move || read(editor, history, lines))?;
        let printing = std::thread::Builder::new().name("printing".to_owned()).spawn(move || print(printer, &came))?;
        Ok(Self { input, queue, printing })
    }

    /// What is typed.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.input.as_fd()
    }

    /// Where what the peer says is shown; it is made harmless before.
    pub(super) fn output(&self) -> Shown {
        Shown(self.queue.clone())
    }

    /// The conversation is over: all that came is shown, and the terminal is as it was. Its outputs are gone by now.
    pub(super) fn end(self) {
        drop(self.queue);
        let _ = self.printing.join();
        restore();
    }
}

/// The terminal is as it was before lines were edited.
pub(super) fn restore() {
    IS_OVER.store(true, Ordering::SeqCst);
    if let Some(modes) = MODES.get() {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, modes);
    }
}

/// Whether something was typed that no line could be made of: not all of the input was sent.
pub(super) fn was_no_text() -> bool {
    IS_NO_TEXT.load(Ordering::SeqCst)
}

/// What keys mean that mean something else to a shell: there is nothing to complete here, and a tab is a tab.
struct Keys;

impl Completer for Keys {
    type Candidate = String;

    fn complete(&self, _: &str, position: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((position, vec!["\t".to_owned()]))
    }
}

impl Helper for Keys {}
impl Highlighter for Keys {}
impl Validator for Keys {}
impl Hinter for Keys {
    type Hint = String;
}

/// What the peer says, on its way to the terminal.
pub(super) struct Shown(SyncSender<Vec<u8>>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes.to_vec()).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads lines until the process ends. Behind the end of the input they go nowhere, but what the peer says is still shown above
/// them.
fn read(mut editor: Editor<Keys, MemHistory>, mut history: Option<History>, lines: OwnedFd) {
    let mut lines = Some(std::fs::File::from(lines));
    await_key();
    IS_EDITED.store(true, Ordering::SeqCst);
    while !IS_OVER.load(Ordering::SeqCst) {
        match editor.readline("") {
            Ok(line) => {
                let is_kept = editor.add_history_entry(line.as_str()).unwrap_or(false);
                if let Some(history) = history.as_mut().filter(|_| is_kept) {
                    history.add(&line);
                }
                let is_taken = lines.as_mut().is_some_and(|lines| writeln!(lines, "{line}").is_ok());
                if !is_taken {
                    lines = None;
                }
            }
            Err(ReadlineError::Eof) => lines = None,
            Err(ReadlineError::Interrupted) if is_ignored(SIGINT) => {}
            Err(ReadlineError::Interrupted) => {
                // As the terminal would have said it: the code that watches for it ends this process.
                let own = rustix::process::getpid();
                let _ = rustix::process::kill_process(own, rustix::process::Signal::INT);
                loop {
                    std::thread::park();
                }
            }
            Err(ReadlineError::Signal(_)) => {}
            // The editor has lost where the line began: half of one is never sent, nor what stands behind it.
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                if lines.take().is_some() {
                    IS_NO_TEXT.store(true, Ordering::SeqCst);
                    Console::plain().complain(NO_TEXT);
                }
            }
            // There is no terminal any more.
            Err(_) => return,
        }
    }
}

/// Waits for the first key, which the terminal neither shows nor keeps until its line ends: the editor takes it.
fn await_key() {
    let Some(modes) = MODES.get() else { return };
    let mut by_key = modes.clone();
    by_key.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    by_key.special_codes[SpecialCodeIndex::VMIN] = 1;
    by_key.special_codes[SpecialCodeIndex::VTIME] = 0;
    if IS_OVER.load(Ordering::SeqCst) || tcsetattr(io::stdin(), OptionalActions::Drain, &by_key).is_err() {
        return;
    }
    let stdin = io::stdin();
    while poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None) == Err(Errno::INTR) {}
}

/// Shows what comes, whole lines at a time.
fn print(mut printer: impl ExternalPrinter, came: &Receiver<Vec<u8>>) {
    let mut pending = String::new();
    let mut show = |text: String| {
        if let Err(_gone) = printer.print(text.clone()) {
            // There is no editor: nothing stands in the way.
            let mut stdout = io::stdout().lock();
            let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        }
    };
    loop {
        let piece = match pending.is_empty() {
            true => came.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => came.recv_timeout(PIECE),
        };
        match piece {
            Ok(piece) => {
                pending.push_str(&String::from_utf8_lossy(&piece));
                if let Some(end) = pending.rfind('\n') {
                    let rest = pending.split_off(end + 1);
                    show(std::mem::replace(&mut pending, rest));
                }
            }
            Err(RecvTimeoutError::Timeout) => show(std::mem::take(&mut pending)),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if !pending.is_empty() {
        show(pending);
    }
    // The editor takes one message after the other: when it takes the second of these, all before them are shown.
    if IS_EDITED.load(Ordering::SeqCst) {
        show(NOTHING.to_owned());
        show(NOTHING.to_owned());
    }
}
