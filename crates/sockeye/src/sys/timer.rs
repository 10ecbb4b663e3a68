//! How late a thread may be woken.

/// Has the kernel wake this thread when its time has come, and not up to 50 µs later to wake several at once (prctl(2),
/// `PR_SET_TIMERSLACK`).
pub(crate) fn be_punctual() {
    // SAFETY: it takes a number and no pointer, and changes nothing but when this thread wakes.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) };
}
