//! A password from the terminal that the process belongs to, unseen.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicI32, Ordering};

/// Asks on the terminal; `None` without one, or if nothing can be read. At most `most` bytes are kept.
pub(crate) fn ask(prompt: &[u8], most: usize) -> Option<Vec<u8>> {
    if let Some(ask) = preloaded() {
        return ask_through(ask, prompt, most);
    }
    let mut terminal = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open("/dev/tty").ok()?;
    loop {
        let (line, signal) = read_unseen(&mut terminal, prompt, most);
        let Some(signal) = signal else { return line };
        // The terminal is as it was before; now the signal does what it does.
        // SAFETY: a number; no memory of ours.
        unsafe { libc::raise(signal) };
        // Stopped and gone on: ask again, as the terminal shows nothing of it any more.
        if !matches!(signal, libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) {
            return None;
        }
    }
}

type Ask = unsafe extern "C" fn(*const c_char, *mut c_char, usize, c_int) -> *mut c_char;

/// Where a library that was loaded first brings its own `readpassphrase`, as a test without a terminal does, that one asks.
fn preloaded() -> Option<Ask> {
    // SAFETY: the name ends with a zero byte, and looking a symbol up runs nothing of it.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"readpassphrase".as_ptr()) };
    // SAFETY: a function of this name has this type (readpassphrase(3bsd)); a pointer that is not null is valid.
    (!symbol.is_null()).then(|| unsafe { std::mem::transmute::<*mut libc::c_void, Ask>(symbol) })
}

fn ask_through(ask: Ask, prompt: &[u8], most: usize) -> Option<Vec<u8>> {
    const REQUIRE_TTY: c_int = 2;
    let prompt = CString::new(prompt).ok()?;
    let mut buffer = vec![0_u8; most + 1];
    // SAFETY: the prompt ends with a zero byte, and at most the length of the buffer is written.
    let answer = unsafe { ask(prompt.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len(), REQUIRE_TTY) };
    if answer.is_null() {
        return None;
    }
    CStr::from_bytes_until_nul(&buffer).ok().map(|text| text.to_bytes().to_vec())
}

static SIGNAL: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: c_int) {
    SIGNAL.store(signal, Ordering::Relaxed);
}

/// Those that would leave the terminal without its echo.
const SIGNALS: [c_int; 8] = [
    libc::SIGALRM,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
];

/// One line without echo, or the signal that came instead.
fn read_unseen(terminal: &mut File, prompt: &[u8], most: usize) -> (Option<Vec<u8>>, Option<c_int>) {
    let fd = terminal.as_raw_fd();
    SIGNAL.store(0, Ordering::Relaxed);
    let before = SIGNALS.map(|signal| (signal, catch(signal)));
    let modes = Modes::quiet(fd);
    let line = terminal.write_all(prompt).ok().and_then(|()| read_line(terminal, most));
    if let Some(modes) = modes {
        let _ = terminal.write_all(b"\n");
        modes.restore(fd);
    }
    for (signal, action) in before {
        // SAFETY: the action is what sigaction gave for this signal.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
    let signal = SIGNAL.load(Ordering::Relaxed);
    (line, (signal != 0).then_some(signal))
}

/// What is longer is read and dropped; the line of a terminal that was hung up ends.
fn read_line(terminal: &mut File, most: usize) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0_u8];
    loop {
        match terminal.read(&mut byte) {
            Ok(0) => return Some(line),
            Ok(_) if matches!(byte[0], b'\n' | b'\r') => return Some(line),
            Ok(_) if line.len() < most => line.push(byte[0]),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

fn catch(signal: c_int) -> libc::sigaction {
    // SAFETY: two structs of plain numbers, for which all zeros are valid. The handler stores into an atomic and does nothing
    // else, and without SA_RESTART the read that waits comes back.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        let mut new: libc::sigaction = std::mem::zeroed();
        new.sa_sigaction = note as extern "C" fn(c_int) as libc::sighandler_t;
        libc::sigaction(signal, &raw const new, &raw mut old);
        old
    }
}

/// The modes of a terminal, as they were.
struct Modes(libc::termios);

impl Modes {
    /// Turns echo off, unless it is off already.
    fn quiet(fd: c_int) -> Option<Self> {
        let mut modes = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the kernel writes one struct if it succeeds, and only then it is read.
        let old = unsafe {
            if libc::tcgetattr(fd, modes.as_mut_ptr()) != 0 {
                return None;
            }
            modes.assume_init()
        };
        if old.c_lflag & libc::ECHO == 0 {
            return None;
        }
        let mut new = old;
        new.c_lflag &= !(libc::ECHO | libc::ECHONL);
        // SAFETY: one struct of modes that the kernel gave, but for two bits.
        unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const new) };
        Some(Self(old))
    }

    fn restore(&self, fd: c_int) {
        // SAFETY: the modes are what the kernel gave for this terminal.
        unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const self.0) };
    }
}
