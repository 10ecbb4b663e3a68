//! SIGINT, SIGTERM and SIGHUP. What was ignored when we were started stays ignored.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use sockeye::stop::{Stopper, is_ignored};

use crate::exit::Exit;

/// Each of the two asks a server to stop.
pub(super) fn stop_on_signals(stopper: &Stopper) -> io::Result<()> {
    for signal in [SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal)) {
        signal_hook::low_level::pipe::register_raw(signal, stopper.try_clone()?.into())?;
    }
    Ok(())
}

/// Which of the two came.
#[derive(Debug)]
pub(super) struct ReceivedSignals {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
}

impl ReceivedSignals {
    /// The code that the signal has, if one came.
    pub(super) fn exit(&self) -> Option<Exit> {
        match (self.interrupted.load(Ordering::SeqCst), self.terminated.load(Ordering::SeqCst)) {
            (true, _) => Some(Exit::Interrupted),
            (_, true) => Some(Exit::Terminated),
            _ => None,
        }
    }
}

/// Each of the two asks the code that measures to stop, and is remembered.
pub(super) fn stop_and_remember(stopper: &Stopper) -> io::Result<ReceivedSignals> {
    let came = ReceivedSignals { interrupted: Arc::default(), terminated: Arc::default() };
    for (signal, flag) in [(SIGINT, &came.interrupted), (SIGTERM, &came.terminated)] {
        if !is_ignored(signal) {
            signal_hook::flag::register(signal, Arc::clone(flag))?;
        }
    }
    stop_on_signals(stopper)?;
    Ok(came)
}

/// SIGHUP asks.
pub(super) fn ask_on_hangup(asker: &Stopper) -> io::Result<()> {
    if is_ignored(SIGHUP) {
        return Ok(());
    }
    signal_hook::low_level::pipe::register_raw(SIGHUP, asker.try_clone()?.into())?;
    Ok(())
}

/// Runs something on a thread of its own each time SIGHUP comes.
pub(super) fn on_hangup(mut act: impl FnMut() + Send + 'static) -> io::Result<()> {
    if is_ignored(SIGHUP) {
        return Ok(());
    }
    let (reader, writer) = sockeye::stop::signal_pair()?;
    signal_hook::low_level::pipe::register_raw(SIGHUP, writer)?;
    std::thread::Builder::new().name("hangups".to_owned()).spawn(move || {
        // What came meanwhile is answered at once.
        let mut bytes = [0_u8; 64];
        while rustix::io::retry_on_intr(|| rustix::io::read(&reader, &mut bytes)).is_ok_and(|count| count > 0) {
            act();
        }
    })?;
    Ok(())
}

/// Runs something once when either comes; the process ends with the code that the signal has. One that our parent process
/// has us ignore, as nohup(1) and a shell's `trap ''` do, stays ignored.
pub(super) fn end_on_signals(last_words: impl Fn(Exit) + Send + Sync + 'static) -> io::Result<()> {
    let last_words = Arc::new(last_words);
    for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
        if is_ignored(signal) {
            continue;
        }
        let (reader, writer) = sockeye::stop::signal_pair()?;
        signal_hook::low_level::pipe::register_raw(signal, writer)?;
        let last_words = Arc::clone(&last_words);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            // Whatever else may wake it, only a byte is a signal.
            let mut byte = [0_u8];
            if rustix::io::retry_on_intr(|| rustix::io::read(&reader, &mut byte)).is_ok() {
                last_words(exit);
                #[expect(clippy::exit, reason = "other threads may hang in a read that nothing interrupts")]
                std::process::exit(i32::from(exit.code()));
            }
        })?;
    }
    Ok(())
}
