//! What this process does with a signal (sigaction(2)).

/// Whether a signal is ignored: a shell starts `command &` of a script with SIGINT ignored, nohup(1) does so with SIGHUP,
/// and our parent process wants it to stay so.
#[must_use]
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: a struct of plain numbers and a set of bits, for which all zeros are valid.
    let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: no new action is given; the old one is written to a struct that lives beyond the call.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut current) };
    asked == 0 && current.sa_sigaction == libc::SIG_IGN
}
