//! What a process gives up for good once all that it needs is open: other files, new TCP sockets, new privileges
//! (landlock(7), prctl(2)). Three system calls, for which no library is needed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::ptr::null;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

// linux/landlock.h.
const VERSION: libc::c_uint = 1;
const PATH_BENEATH: libc::c_int = 1;
const NET_PORT: libc::c_int = 2;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;
const REMOVE_DIR: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_DIR: u64 = 1 << 7;
const MAKE_REG: u64 = 1 << 8;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const BIND: u64 = 0b01;
const CONNECT: u64 = 0b10;
const ABSTRACT_SOCKETS: u64 = 0b01;
const SIGNALS: u64 = 0b10;

const READ: u64 = READ_FILE | READ_DIR;
/// Where random bytes come from if not by getrandom(2): a library that finds no such function at run time, as in a program
/// without a dynamic loader, opens them with the first message that it masks.
const RANDOM: [&str; 2] = ["/dev/random", "/dev/urandom"];
const WRITE: u64 = WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE;

#[repr(C)]
struct Ruleset {
    files: u64,
    net: u64,
    scoped: u64,
}

#[repr(C)]
struct Port {
    allowed: u64,
    port: u64,
}

#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: libc::c_int,
}

/// What is kept. Everything else is given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Folders beneath which files are read.
    pub reads: Vec<PathBuf>,
    /// Folders beneath which files are made, changed and removed.
    pub writes: Vec<PathBuf>,
    /// Folders in which files are removed: those of Unix sockets.
    pub removes: Vec<PathBuf>,
    /// Ports of TCP that are connected to, on whatever machine.
    pub connects: Vec<u16>,
    /// Which sockets of TCP are opened as the conversation says, whatever their ports.
    pub further: Further,
    /// Whether Unix sockets without a file are connected to.
    pub reaches: Reach,
}

/// Sockets of TCP whose ports are told in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Further {
    /// Some listen.
    pub listen: bool,
    /// Some connect.
    pub connect: bool,
}

/// Which Unix sockets without a file are connected to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// None.
    #[default]
    None,
    /// Any: the kernel knows no rule about a name.
    Abstract,
}

/// What holds from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxLevel {
    /// What the kernel of this version of Landlock can hold; from 4 on no new TCP socket.
    Landlock(u32),
    /// Only that there are no new privileges: this kernel has no Landlock, or does not let it be used.
    NoNewPrivileges,
}

/// Why a sandbox does not hold.
#[derive(Debug)]
#[non_exhaustive]
pub enum SandboxError {
    /// It could not be made.
    Io(io::Error),
    /// What is not to be possible any more was tried, and is.
    DoesNotHold(&'static str),
}

impl std::fmt::Display for SandboxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the sandbox cannot be made: {}", crate::net::words(error)),
            Self::DoesNotHold(what) => write!(f, "the sandbox does not hold: {what} was tried, and could be done"),
        }
    }
}

impl std::error::Error for SandboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::DoesNotHold(_) => None,
        }
    }
}

impl From<io::Error> for SandboxError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Further {
    /// What no socket of TCP does.
    fn forbidden(self) -> u64 {
        (if self.listen { 0 } else { BIND }) | (if self.connect { 0 } else { CONNECT })
    }
}

impl Sandbox {
    /// Gives everything else up, for this thread and those that it starts from now on, and tries what is to fail.
    ///
    /// # Errors
    /// A folder that is not there; the system refused, or what was tried did not fail.
    pub fn enter(&self) -> Result<SandboxLevel, SandboxError> {
        rustix::thread::set_no_new_privs(true).map_err(io::Error::from)?;
        // SAFETY: with this flag the call takes no attributes and only tells a number.
        let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null::<Ruleset>(), 0_usize, VERSION) };
        let Ok(version @ 1..) = u32::try_from(version) else { return Ok(SandboxLevel::NoNewPrivileges) };
        let since = |first: u32, right: u64| if version >= first { right } else { 0 };
        // Every right of the version: what is not handled is not held.
        let handled = ((1 << 13) - 1) | since(2, REFER) | since(3, TRUNCATE) | since(5, 1 << 15);
        let scoped = match self.reaches {
            Reach::None => ABSTRACT_SOCKETS | SIGNALS,
            Reach::Abstract => SIGNALS,
        };
        let ruleset = Ruleset { files: handled, net: since(4, self.further.forbidden()), scoped: since(6, scoped) };
        let size: usize = if version >= 6 {
            24
        } else if version >= 4 {
            16
        } else {
            8
        };
        // SAFETY: the kernel reads `size` bytes, which the struct has.
        let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error().into());
        }
        // SAFETY: the call gave a new descriptor, which no other code has.
        let rules = unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) };
        let allow = |path: &Path, rights: u64| {
            let parent = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let rule = Beneath { allowed: rights & handled, parent: parent.as_raw_fd() };
            // SAFETY: the kernel reads a struct that lives beyond the call.
            done(unsafe {
                libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), PATH_BENEATH, &raw const rule, 0)
            })
        };
        for (folders, rights) in [(&self.reads, READ), (&self.writes, READ | WRITE), (&self.removes, REMOVE_FILE)] {
            folders.iter().try_for_each(|folder| allow(folder, rights))?;
        }
        for device in RANDOM {
            match allow(Path::new(device), READ_FILE) {
                // An empty root has none, and they cannot be opened.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                allowed => allowed?,
            }
        }
        for port in self.connects.iter().filter(|_| version >= 4 && !self.further.connect) {
            let rule = Port { allowed: CONNECT, port: u64::from(*port) };
            // SAFETY: as above.
            done(unsafe {
                libc::syscall(libc::SYS_landlock_add_rule, rules.as_raw_fd(), NET_PORT, &raw const rule, 0)
            })?;
        }
        // SAFETY: a descriptor and a number.
        done(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0) })?;
        self.try_it(version)?;
        Ok(SandboxLevel::Landlock(version))
    }

    /// Tries what must fail from now on.
    fn try_it(&self, version: u32) -> Result<(), SandboxError> {
        let all = |folders: &[PathBuf]| folders.iter().any(|folder| folder.parent().is_none());
        let open = |flags| openat(CWD, "/", flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        if !all(&self.reads) && !all(&self.writes) && open(OFlags::RDONLY | OFlags::DIRECTORY).is_ok() {
            return Err(SandboxError::DoesNotHold("reading the folder /"));
        }
        if !all(&self.writes) && open(OFlags::RDWR | OFlags::TMPFILE).is_ok() {
            return Err(SandboxError::DoesNotHold("making a file in /"));
        }
        if version < 4 {
            return Ok(());
        }
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let socket = socket.map_err(io::Error::from)?;
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        if !self.further.listen && bind(&socket, &nowhere).is_ok() {
            return Err(SandboxError::DoesNotHold("binding a TCP socket"));
        }
        if self.further.connect {
            return Ok(());
        }
        // No socket listens there: refused would mean that it went out.
        let Some(other) = (1..).find(|port| !self.connects.contains(port)) else { return Ok(()) };
        if connect(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, other))) != Err(Errno::ACCESS) {
            return Err(SandboxError::DoesNotHold("connecting over TCP"));
        }
        Ok(())
    }
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    /// Row 71 of the faults. Each in a thread of its own: what a thread gave up, it never gets back.
    #[test]
    fn what_is_not_kept_is_given_up_for_good() {
        let (kept, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&kept, &other] {
            std::fs::write(folder.path().join("file"), "content").unwrap();
        }
        let reads = vec![kept.path().to_owned()];
        std::thread::scope(|scope| {
            let read = scope.spawn(|| {
                let sandbox = Sandbox { reads: reads.clone(), ..Sandbox::default() };
                let SandboxLevel::Landlock(version) = sandbox.enter().unwrap() else { return };
                assert!(File::open(kept.path().join("file")).is_ok());
                assert!(File::open(other.path().join("file")).is_err());
                assert!(File::create(kept.path().join("new")).is_err());
                // Random bytes are to be had in each way that libraries know.
                for device in RANDOM {
                    assert!(File::open(device).is_ok(), "{device}");
                    assert!(File::options().write(true).open(device).is_err(), "{device}");
                }
                // Nor do its threads.
                let inherited = std::thread::spawn(|| File::open("/etc/passwd").is_err()).join();
                assert!(inherited.unwrap());
                if version >= 4 {
                    assert!(std::net::TcpListener::bind("127.0.0.1:0").is_err());
                }
                // Once more, with more kept, gives nothing back.
                Sandbox { reads: vec!["/".into()], ..Sandbox::default() }.enter().unwrap();
                assert!(File::open("/etc/passwd").is_err());
            });
            let written = scope.spawn(|| {
                let sandbox = Sandbox { writes: reads.clone(), ..Sandbox::default() };
                let SandboxLevel::Landlock(_) = sandbox.enter().unwrap() else { return };
                let (new, newer) = (kept.path().join("new"), kept.path().join("newer"));
                std::fs::create_dir(kept.path().join("folder")).unwrap();
                std::fs::write(&new, "x").unwrap();
                std::fs::rename(&new, &newer).unwrap();
                std::fs::rename(&newer, kept.path().join("folder/newest")).unwrap();
                std::fs::write(other.path().join("new"), "x").unwrap_err();
            });
            read.join().unwrap();
            written.join().unwrap();
        });
        // The others have what they had.
        assert!(File::open("/etc/passwd").is_ok());
        let missing = Sandbox { reads: vec!["/no/such/folder".into()], ..Sandbox::default() };
        assert!(std::thread::spawn(move || missing.enter().is_err()).join().unwrap());
    }
}
