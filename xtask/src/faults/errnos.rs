//! Which system calls fail with what: the errors that each manual page of section 2 lists, and the calls left out.

/// A call, and the errors in its manual page.
const TABLE: &[(&str, &str)] = &[
    (
        "accept4",
        "EAGAIN EBADF ECONNABORTED EFAULT EINTR EINVAL EMFILE ENFILE ENOBUFS ENOMEM ENOTSOCK EOPNOTSUPP EPERM EPROTO \
      ENETDOWN ENOPROTOOPT EHOSTDOWN ENONET EHOSTUNREACH ENETUNREACH ETIMEDOUT EACCES EIO ECONNRESET",
    ),
    ("access", "EACCES EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EROFS"),
    (
        "bind",
        "EACCES EADDRINUSE EBADF EINVAL ENOTSOCK EADDRNOTAVAIL EFAULT ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EROFS",
    ),
    ("chdir", "EACCES EFAULT EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR"),
    ("chmod", "EACCES EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS"),
    ("clock_nanosleep", "EINTR"),
    ("clone", "EAGAIN ENOMEM EPERM EINVAL ENOSPC EUSERS"),
    ("clone3", "EAGAIN ENOMEM EPERM EINVAL ENOSPC EUSERS EACCES"),
    ("close", "EBADF EINTR EIO ENOSPC EDQUOT"),
    ("close_range", "EINVAL EMFILE ENOMEM ENOSYS"),
    (
        "connect",
        "EACCES EPERM EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF ECONNREFUSED EFAULT EINPROGRESS EINTR \
      EISCONN ENETUNREACH ENOTSOCK EPROTOTYPE ETIMEDOUT",
    ),
    ("copy_file_range", "EBADF EFBIG EINVAL EIO EISDIR ENOMEM ENOSPC EOPNOTSUPP EOVERFLOW EPERM ETXTBSY EXDEV"),
    ("dup", "EBADF EMFILE"),
    ("dup2", "EBADF EBUSY EINTR EMFILE"),
    ("dup3", "EBADF EBUSY EINTR EINVAL EMFILE"),
    ("epoll_create1", "EINVAL EMFILE ENFILE ENOMEM"),
    ("epoll_ctl", "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM ENOSPC EPERM"),
    ("epoll_pwait", "EBADF EFAULT EINTR EINVAL"),
    ("epoll_pwait2", "EBADF EFAULT EINTR EINVAL"),
    ("epoll_wait", "EBADF EFAULT EINTR EINVAL"),
    ("eventfd2", "EINVAL EMFILE ENFILE ENODEV ENOMEM"),
    ("faccessat2", "EACCES EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EROFS"),
    ("fadvise64", "EBADF EINVAL ESPIPE"),
    ("fallocate", "EBADF EFBIG EINTR EINVAL EIO ENODEV ENOSPC ENOSYS EOPNOTSUPP EPERM ESPIPE ETXTBSY"),
    ("fchmod", "EBADF EIO EPERM EROFS"),
    ("fchmodat", "EACCES EBADF EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS"),
    ("fchown", "EBADF EIO EPERM EROFS"),
    // EBADF of F_GETFD aborts in debug builds: Rust's own check for descriptors that were closed twice.
    ("fcntl", "EACCES EAGAIN EBUSY EDEADLK EFAULT EINTR EINVAL EMFILE ENOLCK EPERM"),
    ("fdatasync", "EBADF EINTR EIO ENOSPC EROFS EINVAL EDQUOT"),
    ("flock", "EBADF EINTR EINVAL ENOLCK EWOULDBLOCK"),
    ("fstat", "EBADF EFAULT ENOMEM EOVERFLOW"),
    ("fstatfs", "EBADF EFAULT EINTR EIO ENOMEM ENOSYS"),
    ("fsync", "EBADF EINTR EIO ENOSPC EROFS EINVAL EDQUOT"),
    ("ftruncate", "EBADF EFBIG EINTR EINVAL EIO EPERM EROFS ETXTBSY"),
    ("getcwd", "EACCES EFAULT EINVAL ENOENT ENOMEM ERANGE"),
    ("getdents64", "EBADF EFAULT EINVAL ENOENT ENOTDIR"),
    ("getpeername", "EBADF EFAULT EINVAL ENOBUFS ENOTCONN ENOTSOCK"),
    // Without random numbers Rust's maps and TLS end the program, and the kernel has them from its start on.
    ("getrandom", "EINTR"),
    ("getsockname", "EBADF EFAULT EINVAL ENOBUFS ENOTSOCK"),
    ("getsockopt", "EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK"),
    ("inotify_add_watch", "EACCES EBADF EEXIST EFAULT EINVAL ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR"),
    ("inotify_init1", "EINVAL EMFILE ENFILE ENOMEM"),
    ("ioctl", "EBADF EFAULT EINVAL ENOTTY"),
    ("kill", "EINVAL EPERM ESRCH"),
    ("landlock_add_rule", "EOPNOTSUPP EINVAL ENOMSG EBADF EBADFD EPERM EFAULT"),
    ("landlock_create_ruleset", "EOPNOTSUPP EINVAL E2BIG EFAULT ENOMSG"),
    ("landlock_restrict_self", "EOPNOTSUPP EINVAL EBADF EBADFD EPERM E2BIG"),
    (
        "linkat",
        "EACCES EDQUOT EEXIST EFAULT EIO ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS EXDEV EBADF EINVAL",
    ),
    ("listen", "EADDRINUSE EBADF ENOTSOCK EOPNOTSUPP"),
    ("lseek", "EBADF EINVAL ENXIO EOVERFLOW ESPIPE"),
    ("lstat", "EACCES EFAULT ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EOVERFLOW"),
    ("memfd_create", "EFAULT EINVAL EMFILE ENFILE ENOMEM EPERM"),
    ("mkdir", "EACCES EDQUOT EEXIST EFAULT EINVAL ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS"),
    (
        "mkdirat",
        "EACCES EBADF EDQUOT EEXIST EFAULT EINVAL ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS",
    ),
    ("nanosleep", "EFAULT EINTR EINVAL"),
    ("newfstatat", "EACCES EBADF EFAULT EINVAL ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EOVERFLOW"),
    (
        "openat",
        "EACCES EBADF EBUSY EDQUOT EEXIST EFAULT EFBIG EINTR EINVAL EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENODEV ENOENT \
      ENOMEM ENOSPC ENOTDIR ENXIO EOPNOTSUPP EOVERFLOW EPERM EROFS ETXTBSY EWOULDBLOCK",
    ),
    (
        "openat2",
        "E2BIG EAGAIN EINVAL EXDEV EACCES EBADF EEXIST EFAULT EINTR EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENOENT ENOMEM \
      ENOSPC ENOTDIR ENXIO EPERM EROFS",
    ),
    ("pipe2", "EFAULT EINVAL EMFILE ENFILE ENOPKG"),
    ("pidfd_open", "EINVAL EMFILE ENFILE ENODEV ENOMEM ESRCH"),
    ("pidfd_send_signal", "EBADF EINVAL EPERM ESRCH"),
    ("poll", "EFAULT EINTR EINVAL ENOMEM"),
    ("ppoll", "EFAULT EINTR EINVAL ENOMEM"),
    ("prctl", "EINVAL EFAULT EPERM"),
    ("pread64", "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR ENXIO EOVERFLOW ESPIPE"),
    ("prlimit64", "EFAULT EINVAL EPERM ESRCH"),
    ("pwrite64", "EAGAIN EBADF EDQUOT EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE EOVERFLOW ESPIPE"),
    ("read", "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR"),
    ("readlink", "EACCES EFAULT EINVAL EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR"),
    ("readlinkat", "EACCES EBADF EFAULT EINVAL EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR"),
    ("readv", "EAGAIN EBADF EFAULT EINTR EINVAL EIO EISDIR"),
    ("recvfrom", "EAGAIN EBADF ECONNREFUSED EFAULT EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK ECONNRESET ETIMEDOUT"),
    ("recvmmsg", "EAGAIN EBADF ECONNREFUSED EFAULT EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK"),
    ("recvmsg", "EAGAIN EBADF ECONNREFUSED EFAULT EINTR EINVAL ENOMEM ENOTCONN ENOTSOCK ECONNRESET ETIMEDOUT"),
    (
        "rename",
        "EACCES EBUSY EDQUOT EEXIST EFAULT EINVAL EISDIR ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS EXDEV",
    ),
    (
        "renameat",
        "EACCES EBADF EBUSY EDQUOT EEXIST EFAULT EINVAL EISDIR ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS EXDEV",
    ),
    (
        "renameat2",
        "EACCES EBADF EBUSY EDQUOT EEXIST EFAULT EINVAL EISDIR ELOOP EMLINK ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS EXDEV",
    ),
    ("rt_sigaction", "EFAULT EINVAL"),
    ("rt_sigtimedwait", "EAGAIN EINTR EINVAL"),
    ("sched_getaffinity", "EFAULT EINVAL ESRCH"),
    ("sched_yield", "EINVAL"),
    ("sendfile", "EAGAIN EBADF EFAULT EINVAL EIO ENOMEM EOVERFLOW ESPIPE ECONNRESET EPIPE"),
    (
        "sendmmsg",
        "EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT EINTR EINVAL EISCONN EMSGSIZE ENOBUFS ENOMEM ENOTCONN \
      ENOTSOCK EOPNOTSUPP EPIPE EPERM ECONNREFUSED ENETUNREACH EHOSTUNREACH",
    ),
    (
        "sendmsg",
        "EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT EINTR EINVAL EISCONN EMSGSIZE ENOBUFS ENOMEM ENOTCONN \
      ENOTSOCK EOPNOTSUPP EPIPE EPERM ECONNREFUSED ENETUNREACH EHOSTUNREACH",
    ),
    (
        "sendto",
        "EACCES EAGAIN EALREADY EBADF ECONNRESET EDESTADDRREQ EFAULT EINTR EINVAL EISCONN EMSGSIZE ENOBUFS ENOMEM ENOTCONN \
      ENOTSOCK EOPNOTSUPP EPIPE EPERM ECONNREFUSED ENETUNREACH EHOSTUNREACH",
    ),
    ("setsockopt", "EBADF EFAULT EINVAL ENOPROTOOPT ENOTSOCK ENOMEM ENOBUFS EPERM"),
    ("setpgid", "EACCES EINVAL EPERM ESRCH"),
    ("setsid", "EPERM"),
    ("shutdown", "EBADF EINVAL ENOTCONN ENOTSOCK"),
    ("signalfd4", "EBADF EINVAL EMFILE ENFILE ENODEV ENOMEM"),
    ("socket", "EACCES EAFNOSUPPORT EINVAL EMFILE ENFILE ENOBUFS ENOMEM EPROTONOSUPPORT"),
    ("socketpair", "EAFNOSUPPORT EFAULT EMFILE ENFILE EOPNOTSUPP EPROTONOSUPPORT"),
    ("splice", "EAGAIN EBADF EINVAL ENOMEM ESPIPE EIO EINTR EPIPE ECONNRESET ENOSPC"),
    ("stat", "EACCES EFAULT ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EOVERFLOW"),
    ("statfs", "EACCES EFAULT EINTR EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOSYS ENOTDIR EOVERFLOW"),
    ("statx", "EACCES EBADF EFAULT EINVAL ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR"),
    ("symlinkat", "EACCES EBADF EDQUOT EEXIST EFAULT EIO ELOOP ENAMETOOLONG ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS"),
    ("tgkill", "EAGAIN EINVAL EPERM ESRCH"),
    ("timerfd_create", "EINVAL EMFILE ENFILE ENODEV ENOMEM EPERM"),
    ("timerfd_settime", "EBADF EFAULT EINVAL ECANCELED"),
    ("umask", ""),
    ("uname", "EFAULT"),
    ("unlink", "EACCES EBUSY EFAULT EIO EISDIR ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS"),
    ("unlinkat", "EACCES EBADF EBUSY EFAULT EINVAL EIO EISDIR ELOOP ENAMETOOLONG ENOENT ENOMEM ENOTDIR EPERM EROFS"),
    ("utimensat", "EACCES EBADF EFAULT EINVAL ELOOP ENAMETOOLONG ENOENT ENOTDIR EPERM EROFS ESRCH"),
    ("wait4", "ECHILD EINTR EINVAL"),
    ("waitid", "ECHILD EINTR EINVAL"),
    ("write", "EAGAIN EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE"),
    ("writev", "EAGAIN EBADF EDESTADDRREQ EDQUOT EFAULT EFBIG EINTR EINVAL EIO ENOSPC EPERM EPIPE"),
];

/// Calls that are not made to fail, and why.
pub(crate) const LEFT_OUT: &[(&str, &str)] = &[
    (
        "brk mmap munmap mprotect mremap madvise sigaltstack",
        "the allocator's and the threads' memory: a Rust program without memory aborts",
    ),
    ("futex", "a wake-up that did not happen is no error that the kernel makes; waiting is the C library's"),
    ("rt_sigprocmask rt_sigreturn restart_syscall", "the C library's; they do not fail"),
    (
        "execve arch_prctl set_tid_address set_robust_list rseq exit exit_group",
        "how a process and a thread begin and end",
    ),
    (
        "getpid gettid getuid geteuid getgid getegid getppid clock_gettime gettimeofday time times getrusage clock_getres sched_yield umask",
        "they do not fail",
    ),
];

/// The errors of a call; none if it is left out or not known.
pub(crate) fn of(call: &str) -> Option<impl Iterator<Item = &'static str>> {
    // One page, and what is older.
    let call = if call == "open" { "openat" } else { call };
    TABLE.iter().find(|(name, _)| *name == call).map(|(_, errors)| errors.split_whitespace())
}

pub(crate) fn is_left_out(call: &str) -> bool {
    LEFT_OUT.iter().any(|(calls, _)| calls.split(' ').any(|name| name == call))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_stands_in_the_table_once_and_each_error_in_it_once() {
        for (at, (call, errors)) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|(other, _)| other != call), "{call}");
            let errors: Vec<_> = errors.split_whitespace().collect();
            for (at, error) in errors.iter().enumerate() {
                assert!(error.starts_with('E') && !errors[at + 1..].contains(error), "{call}: {error}");
            }
        }
    }
}
