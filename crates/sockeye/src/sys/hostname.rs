//! The name of this machine.

use std::ffi::CStr;

/// What gethostname(2) gives, without a dot at its end; none where there is no name, where it is no UTF-8, or where the
/// system does not tell. Asked of libc: rustix takes it that uname(2) never fails, and panics in a sandbox that forbids it.
pub(crate) fn hostname() -> Option<String> {
    let mut room = [0_u8; 256];
    // SAFETY: the pointer and the length are those of `room`, which lives through the call.
    let done = unsafe { libc::gethostname(room.as_mut_ptr().cast(), room.len()) };
    if done != 0 {
        return None;
    }
    let name = CStr::from_bytes_until_nul(&room).ok()?.to_str().ok()?.trim_end_matches('.');
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_name_is_the_one_that_the_kernel_shows() {
        let shown = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(super::hostname().unwrap_or_default(), shown.trim_end().trim_end_matches('.'));
    }
}
