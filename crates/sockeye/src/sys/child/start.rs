//! Starting a program by clone(2): it shares our memory until the program runs, so that it costs the same however large we
//! are, and comes with its pidfd.
//!
//! posix_spawn(3) would do the same with a hundred system calls more for each: it asks for and sets every signal, and makes
//! a stack. Here the stack is kept, and only the signals are set that we handle. All are blocked meanwhile: no handler of
//! ours runs in the child.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::Streams;

/// Stack of a child until its program runs, in pieces of 16 bytes, as machines align it: 64 KiB.
const STACK: usize = 4096;
/// Descriptors that are closed one by one where a kernel is older than close_range(2).
const MOST_FILES: libc::rlim_t = 1 << 20;

thread_local! {
    /// The memory of a child's stack. We wait until the program runs, so that one for each thread is enough.
    static STACK_OF_CHILD: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// What a child needs to know. It lives in our memory, and the child only reads it but for the error.
struct Plan<'a> {
    program: &'a CStr,
    argv: &'a [*const libc::c_char],
    envp: &'a [*const libc::c_char],
    stdio: Stdio<'a>,
    handled: &'a [libc::c_int],
    /// Why the program does not run.
    error: AtomicI32,
}

/// Where the standard streams come from.
enum Stdio<'a> {
    Three([RawFd; 3]),
    Terminal(&'a CStr),
}

/// Starts a program: the number of its process, and the descriptor that stands for it.
///
/// # Errors
/// What clone(2) and execve(2) say, and what else a child does before its program runs.
pub(super) fn start(
    program: &CStr,
    arguments: &[CString],
    environment: &[&CStr],
    streams: Streams<'_>,
) -> io::Result<(libc::pid_t, OwnedFd)> {
    let argv = pointers(arguments.iter().map(CString::as_c_str));
    let envp = pointers(environment.iter().copied());
    let stdio = match streams {
        Streams::Three { stdin, stdout, stderr } => Stdio::Three([stdin, stdout, stderr].map(|fd| fd.as_raw_fd())),
        Streams::Terminal(path) => Stdio::Terminal(path),
    };
    if let Stdio::Three(fds) = &stdio {
        debug_assert!(fds.iter().all(|fd| *fd > 2), "an earlier one would take its stdio");
    }
    let plan = Plan { program, argv: &argv, envp: &envp, stdio, handled: handled(), error: AtomicI32::new(0) };
    let (pid, pidfd) = STACK_OF_CHILD.with_borrow_mut(|stack| clone(&plan, stack))?;
    match plan.error.load(Ordering::Relaxed) {
        0 => Ok((pid, pidfd)),
        error => {
            // It has ended: no program ran.
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = rustix::io::retry_on_intr(|| waitid(WaitId::Pid(pid), WaitIdOptions::EXITED));
            }
            Err(io::Error::from_raw_os_error(error))
        }
    }
}

/// Makes the child, and waits until its program runs or it has ended.
fn clone(plan: &Plan<'_>, stack: &mut Vec<u128>) -> io::Result<(libc::pid_t, OwnedFd)> {
    stack.resize(STACK, 0);
    let mut pidfd: libc::c_int = -1;
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    // SAFETY: the first call makes the set that the second reads, and the second the one that the last reads. The child runs
    // on memory of its own beyond the end of which nothing is written, as stacks grow down, and reads the plan, which lives
    // beyond the call: with CLONE_VFORK we wait until it has left our memory.
    let (pid, error) = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        let top = stack.as_mut_ptr().add(STACK).cast();
        let argument = std::ptr::from_ref(plan).cast_mut().cast();
        let pid = libc::clone(run, top, flags, argument, &raw mut pidfd);
        let error = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), null_mut());
        (pid, error)
    };
    if pid < 0 {
        return Err(error);
    }
    // SAFETY: the kernel gave it with this call, and no other code has it.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// What the child does. It shares our memory: it must not allocate, panic, or take a lock.
extern "C" fn run(argument: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the thread that cloned us gave a plan, and waits.
    let plan = unsafe { &*argument.cast_const().cast::<Plan<'_>>() };
    let step = prepare(plan);
    if step.is_ok() {
        // SAFETY: both lists end with a null pointer, and all that they point to lives.
        unsafe { libc::execve(plan.program.as_ptr(), plan.argv.as_ptr(), plan.envp.as_ptr()) };
    }
    plan.error.store(errno(), Ordering::Relaxed);
    // SAFETY: it ends this process and runs nothing of ours.
    unsafe { libc::_exit(127) }
}

/// A step of the child that failed; errno says why.
struct Failed;

fn done(result: libc::c_int) -> Result<libc::c_int, Failed> {
    if result < 0 { Err(Failed) } else { Ok(result) }
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn prepare(plan: &Plan<'_>) -> Result<(), Failed> {
    match &plan.stdio {
        Stdio::Three(fds) => {
            // SAFETY: numbers.
            done(unsafe { libc::setpgid(0, 0) })?;
            for (number, fd) in (0..).zip(fds) {
                // SAFETY: numbers of descriptors, which this process has of its own.
                done(unsafe { libc::dup2(*fd, number) })?;
            }
        }
        Stdio::Terminal(path) => {
            // SAFETY: no memory; a path that lives; numbers. The first terminal that a session's leader opens becomes the one
            // that controls it (tty_ioctl(4)).
            let fd = unsafe {
                done(libc::setsid())?;
                done(libc::open(path.as_ptr(), libc::O_RDWR))?
            };
            for number in 0..3 {
                // SAFETY: as above.
                done(unsafe { libc::dup2(fd, number) })?;
            }
        }
    }
    // Ours close by themselves; these are what our parent process, or another part of the program, left open.
    close_from(3);
    // SAFETY: a struct of plain numbers and a set of bits, for which all zeros are valid: the system's own action.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // For a signal that is handled it cannot fail, and execve(2) takes handlers off in any case: no reason not to start a program.
    for signal in plan.handled {
        // SAFETY: the new action lives, and the old one is not asked for.
        unsafe { libc::sigaction(*signal, &raw const default, null_mut()) };
    }
    let mut none = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the first call makes the set that the second reads.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        done(libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), null_mut()))?;
    }
    Ok(())
}

fn close_from(first: libc::c_int) {
    // SAFETY: numbers of descriptors, which this process has of its own.
    if unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) } == 0 {
        return;
    }
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes to a struct that lives beyond the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    for fd in first..limit.rlim_cur.min(MOST_FILES) as libc::c_int {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// Signals that this process handles, SIGPIPE, which Rust's runtime has ignored, and SIGXFSZ, which we do: a program would inherit
/// that and then never notice that there is no reader. What else is ignored stays so, as nohup(1) wants it. Handlers are there before a server
/// starts its first program, so that one look is enough.
fn handled() -> &'static [libc::c_int] {
    static HANDLED: OnceLock<Vec<libc::c_int>> = OnceLock::new();
    HANDLED.get_or_init(|| {
        let is_handled = |signal: &libc::c_int| {
            // SAFETY: a struct of plain numbers and a set of bits, for which all zeros are valid.
            let mut current: libc::sigaction = unsafe { std::mem::zeroed() };
            // SAFETY: no new action is given; the old one is written to a struct that lives beyond the call.
            let asked = unsafe { libc::sigaction(*signal, null(), &raw mut current) };
            asked == 0 && !matches!(current.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN)
        };
        (1..=libc::SIGRTMAX())
            .filter(|signal| matches!(*signal, libc::SIGPIPE | libc::SIGXFSZ) || is_handled(signal))
            .collect()
    })
}

/// As execve(2) takes a list of words.
fn pointers<'a>(words: impl Iterator<Item = &'a CStr>) -> Vec<*const libc::c_char> {
    words.map(CStr::as_ptr).chain([null()]).collect()
}
