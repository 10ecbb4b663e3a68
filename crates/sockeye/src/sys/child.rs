//! Processes of our own: how they are started, how they end, and signals to a process group.

mod start;

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::null;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// What a child has for its standard streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Streams<'a> {
    /// Descriptors of ours, which stay ours. Each is above 2.
    Three { stdin: BorrowedFd<'a>, stdout: BorrowedFd<'a>, stderr: BorrowedFd<'a> },
    /// The terminal at this path is all three, and what the child's session is controlled by.
    Terminal(&'a CStr),
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It left with this exit status.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// The system does not say: someone has SIGCHLD ignored.
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exited with {status}"),
            Self::Signalled(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "was ended by {name}"),
                None => write!(f, "was ended by signal {signal}"),
            },
            Self::Unknown => f.write_str("ended, and the system does not say how"),
        }
    }
}

/// Signals that end programs (signal(7)).
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

/// A process that we started, the leader of a process group. Dropped before it was seen to end, it is killed with its group.
#[derive(Debug)]
pub(crate) struct Child {
    pid: libc::pid_t,
    pidfd: OwnedFd,
    is_over: bool,
}

/// From which kernel on a pidfd stands for a process group too (pidfd_send_signal(2), Linux 6.9). It names the group even
/// when its leader is gone and the number belongs to another one.
const PROCESS_GROUP: libc::c_uint = 1 << 2;

/// How long a killed child is waited for where there is no loop that could do it.
const LAST_WAIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// Starts a program. It gets the streams, no other descriptor, SIGPIPE as the system has it, no blocked signal, and a process
/// group of its own.
///
/// # Errors
/// What clone(2) and execve(2) say, and what else a child does before its program runs.
pub(crate) fn spawn(
    program: &CStr,
    arguments: &[CString],
    environment: &[&CStr],
    streams: Streams<'_>,
) -> io::Result<Child> {
    let (pid, pidfd) = start::start(program, arguments, environment, streams)?;
    Ok(Child { pid, pidfd, is_over: false })
}

impl Child {
    /// Its number.
    #[cfg(test)]
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// How it ended, if it has; it leaves no zombie then. Its group may have other members still.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let ended = match rustix::io::retry_on_intr(|| waitid(WaitId::PidFd(self.pidfd.as_fd()), options)) {
            Ok(None) => return None,
            Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ended::Exited(code),
                (None, Some(signal)) => Ended::Signalled(signal),
                (None, None) => Ended::Unknown,
            },
            Err(_) => Ended::Unknown,
        };
        self.is_over = true;
        Some(ended)
    }

    /// Sends a signal to all of its process group; whether there was anyone.
    pub(crate) fn signal(&self, signal: i32) -> bool {
        signal_group(&self.pidfd, self.pid, signal)
    }

    /// Its group, for code that may have to end it and not wait for it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn try_clone_group(&self) -> io::Result<Group> {
        Ok(Group { pid: self.pid, pidfd: self.pidfd.try_clone()? })
    }

    /// Ends it and all of its group, and waits; how it ended if that was not told yet.
    pub(crate) fn kill(&mut self) -> Option<Ended> {
        self.signal(libc::SIGKILL);
        if self.is_over {
            return None;
        }
        // One that hangs in the kernel is left to the process that takes care of orphans.
        let _ = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&LAST_WAIT));
        self.ended()
    }

    /// Whether its process group has a member.
    pub(crate) fn has_group(&self) -> bool {
        self.signal(0)
    }
}

/// The process group of a child.
#[derive(Debug)]
pub(crate) struct Group {
    pid: libc::pid_t,
    pidfd: OwnedFd,
}

impl Group {
    /// Sends a signal to all of it; whether there was anyone.
    pub(crate) fn signal(&self, signal: i32) -> bool {
        signal_group(&self.pidfd, self.pid, signal)
    }
}

fn signal_group(pidfd: &OwnedFd, pid: libc::pid_t, signal: i32) -> bool {
    // SAFETY: the descriptor is ours, no information goes with the signal, and no memory is read.
    let sent = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, null::<libc::siginfo_t>(), PROCESS_GROUP)
    };
    if sent == 0 {
        return true;
    }
    let error = io::Error::last_os_error().raw_os_error();
    // An older kernel: by its number, which no other group has as long as one of this group is there.
    // SAFETY: a number and a signal.
    matches!(error, Some(libc::EINVAL | libc::ENOSYS)) && unsafe { libc::kill(-pid, signal) } == 0
        // There is someone, who has become another user.
        || error == Some(libc::EPERM)
}

/// It is ready to read when the child has ended.
impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_over {
            self.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::pipe::{PipeFlags, pipe_with};

    use super::*;

    /// Runs a line of shell with what it says on standard output, until it has ended.
    fn sh(line: &str, environment: &[&CStr]) -> (String, Ended) {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let words = ["sh", "-c", line].map(|word| CString::new(word).unwrap());
        let streams = Streams::Three { stdin: null.as_fd(), stdout: writer.as_fd(), stderr: writer.as_fd() };
        let mut child = spawn(c"/bin/sh", &words, environment, streams).unwrap();
        drop(writer);
        let mut said = String::new();
        std::fs::File::from(reader).read_to_string(&mut said).unwrap();
        poll(&mut [PollFd::new(&child, PollFlags::IN)], None).unwrap();
        (said, child.ended().unwrap())
    }

    #[test]
    fn a_child_has_three_descriptors_its_own_group_and_signals_as_the_system_has_them() {
        // What another part of a program leaves open without a thought.
        let leaked = std::fs::File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
        let line =
            "echo $$ $(ps -o pgid= -p $$); ls /proc/self/fd; grep -E 'Sig(Blk|Ign)' /proc/self/status; echo $WORD";
        let (said, ended) = sh(line, &[c"WORD=a b", c"PATH=/usr/bin:/bin"]);
        let lines: Vec<&str> = said.lines().collect();
        let (pid, group) = lines[0].split_once(' ').unwrap();
        assert_eq!(pid, group.trim());
        // ls(1) has the folder open too.
        assert_eq!(&lines[1..5], ["0", "1", "2", "3"]);
        let bits = |line: &str| u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!((bits(lines[5]), bits(lines[6]) >> (libc::SIGPIPE - 1) & 1), (0, 0), "{said}");
        assert_eq!((lines[7], ended), ("a b", Ended::Exited(0)));
    }

    #[test]
    fn how_a_child_ended_is_told_and_what_is_left_of_its_group_can_be_ended() {
        assert_eq!(sh("exit 7", &[]).1, Ended::Exited(7));
        assert_eq!(sh("kill -9 $$", &[]).1, Ended::Signalled(9));
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        let words = [c"sh", c"-c", c"trap '' TERM; sleep 1000 & exit 0"].map(CStr::to_owned);
        let streams = Streams::Three { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() };
        let mut child = spawn(c"/bin/sh", &words, &[c"PATH=/usr/bin:/bin"], streams).unwrap();
        poll(&mut [PollFd::new(&child, PollFlags::IN)], None).unwrap();
        assert_eq!(child.ended(), Some(Ended::Exited(0)));
        assert!(child.has_group());
        assert!(child.signal(libc::SIGKILL));
        // Whose parent it is by now has to wait for it first.
        while child.has_group() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_child_that_is_dropped_leaves_nothing_behind() {
        let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
        let streams = Streams::Three { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() };
        let words = [c"sleep", c"1000"].map(CStr::to_owned);
        let child = spawn(c"/bin/sleep", &words, &[], streams).unwrap();
        let pid = child.pid();
        drop(child);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_and_no_child() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let streams = Streams::Three { stdin: null.as_fd(), stdout: null.as_fd(), stderr: null.as_fd() };
        let error = spawn(c"/no/such/program", &[c"x".to_owned()], &[], streams).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
