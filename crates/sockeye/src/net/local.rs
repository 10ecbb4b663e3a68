//! Ends of a conversation that have no address: a program, standard input and output, a descriptor that we were given. Each
//! becomes a stream socket of ours, so that the code that holds the conversation knows no other kind: a program has the other end of
//! a socket pair, and between one and a pipe, a file or a terminal stands a bridge.

mod bridge;
mod guest;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::fstat;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{AddressFamily, SocketFlags, SocketType, getpeername, getsockname, socketpair};

use crate::address::{Address, Scheme, Target};
use crate::child::{Program, ProgramError, Streams, Terminal};
use crate::endpoint::{Conversation, Name, Protocol};
use crate::sys::inherited::{self, Nature};
use crate::sys::terminal;
pub use guest::LocalEndReport;
pub(crate) use guest::{Guest, Wrong};

/// One end that can be opened, once or again and again.
#[derive(Debug)]
pub(crate) struct LocalEnd {
    name: Arc<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Each conversation has its own.
    Program(Box<Program>, Terminal),
    /// There is one conversation: what it has is taken by who opens it.
    Standard(Mutex<Option<(OwnedFd, OwnedFd)>>),
    Given(Mutex<Option<OwnedFd>>, Nature),
}

/// Why there is no such end.
#[derive(Debug)]
#[non_exhaustive]
pub enum LocalError {
    /// The command cannot be run.
    Program(ProgramError),
    /// The descriptor is of no use.
    Descriptor(io::Error),
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(error) => error.fmt(f),
            Self::Descriptor(error) => f.write_str(&super::words(error)),
        }
    }
}

impl std::error::Error for LocalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Program(error) => error.source(),
            Self::Descriptor(error) => Some(error),
        }
    }
}

/// An end that was opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// A connected stream.
    pub(crate) fd: OwnedFd,
    pub(crate) protocol: Protocol,
    pub(crate) local: Name,
    pub(crate) peer: Name,
    pub(crate) guest: Option<Box<Guest>>,
}

impl LocalEnd {
    /// What an address leads to, if it is of this kind. A program is looked for, and a descriptor is taken over.
    ///
    /// # Errors
    /// There is no such program, or no such descriptor.
    pub(crate) fn of_address(address: &Address) -> Result<Option<Self>, LocalError> {
        let kind = match &address.target {
            Target::Unix(_) | Target::Inet { .. } => return Ok(None),
            Target::Command(line, terminal) => {
                let program = match address.scheme {
                    Some(Scheme::Sh) => Program::shell(line),
                    _ => Program::parse(line),
                };
                Kind::Program(Box::new(program.map_err(LocalError::Program)?), *terminal)
            }
            Target::Standard => match standard().map_err(LocalError::Descriptor)? {
                (input, None) => {
                    let nature = inherited::look_at(input.as_fd()).map_err(LocalError::Descriptor)?;
                    Kind::Given(Mutex::new(Some(input)), nature)
                }
                (input, Some(output)) => Kind::Standard(Mutex::new(Some((input, output)))),
            },
            Target::Descriptor(number) => {
                let nature = inherited::nature(*number).map_err(LocalError::Descriptor)?;
                let fd = inherited::take(*number).map_err(LocalError::Descriptor)?;
                Kind::Given(Mutex::new(Some(fd)), nature)
            }
        };
        Ok(Some(Self { name: address.to_string().into(), kind }))
    }

    /// What someone may have meant otherwise.
    pub(crate) fn notice(&self) -> Option<String> {
        match &self.kind {
            Kind::Program(program, _) => program.notice().map(|notice| format!("{}: {notice}", self.name)),
            _ => None,
        }
    }

    /// Whether there is one conversation, and no other after it.
    pub(crate) fn is_single(&self) -> bool {
        !matches!(self.kind, Kind::Program(..))
    }

    pub(crate) fn name(&self) -> Name {
        Name::Local(Arc::clone(&self.name))
    }

    /// What carries it.
    pub(crate) fn protocol(&self) -> Protocol {
        match &self.kind {
            Kind::Given(_, Nature::Connected(protocol) | Nature::Listening(protocol) | Nature::Datagrams(protocol)) => {
                *protocol
            }
            _ => Protocol::Unix,
        }
    }

    /// Whether it is a socket that clients come to, or that takes anybody's datagrams.
    pub(crate) fn is_listening(&self) -> bool {
        matches!(self.kind, Kind::Given(_, Nature::Listening(_) | Nature::Datagrams(_)))
    }

    /// A socket that clients come to, or that takes anybody's datagrams.
    pub(crate) fn into_listening(self) -> Result<OwnedFd, Self> {
        match self.kind {
            Kind::Given(fd, Nature::Listening(_) | Nature::Datagrams(_)) => {
                let fd = fd.into_inner().unwrap_or_else(PoisonError::into_inner);
                fd.ok_or_else(|| Self { name: self.name, kind: Kind::Standard(Mutex::default()) })
            }
            kind => Err(Self { name: self.name, kind }),
        }
    }

    /// Opens it for a conversation. The socket blocks.
    ///
    /// # Errors
    /// The program cannot be started; it is in use already, or was.
    pub(crate) fn open(&self, conversation: Option<&Conversation>) -> io::Result<Opened> {
        let opened = |fd, guest| {
            let (protocol, local, peer) = (Protocol::Unix, Name::Unnamed, self.name());
            Opened { fd, protocol, local, peer, guest: Some(Box::new(guest)) }
        };
        let used = || io::Error::other("it has one conversation, and had it");
        match &self.kind {
            Kind::Program(program, terminal) => {
                let (fd, guest) = start(program, *terminal, conversation)?;
                Ok(opened(fd, guest))
            }
            Kind::Standard(both) => {
                let both = both.lock().unwrap_or_else(PoisonError::into_inner).take();
                let (input, output) = both.ok_or_else(used)?;
                let (fd, bridge) = bridge::to(Some(input), Some(output))?;
                Ok(opened(fd, Guest::new(&self.name, None, Some(bridge))))
            }
            Kind::Given(fd, nature) => {
                let fd = fd.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or_else(used)?;
                let protocol = match nature {
                    Nature::Connected(protocol) => *protocol,
                    Nature::Plain => {
                        let (fd, bridge) = bridge::over(fd)?;
                        return Ok(opened(fd, Guest::new(&self.name, None, Some(bridge))));
                    }
                    Nature::Listening(_) | Nature::Datagrams(_) => {
                        return Err(io::Error::other("it listens, and is connected to nobody"));
                    }
                };
                let inet = |name: rustix::net::SocketAddrAny| {
                    let name = SocketAddr::try_from(name).ok()?;
                    Some(Name::Inet(SocketAddr::new(name.ip().to_canonical(), name.port())))
                };
                let local = getsockname(&fd).ok().and_then(inet).unwrap_or(Name::Unnamed);
                let peer = getpeername(&fd).ok().flatten().and_then(inet).unwrap_or_else(|| self.name());
                rustix::io::ioctl_fionbio(&fd, false)?;
                Ok(Opened { fd, protocol, local, peer, guest: None })
            }
        }
    }
}

/// Starts a program whose standard streams are the other end of the socket.
fn start(program: &Program, terminal: Terminal, conversation: Option<&Conversation>) -> io::Result<(OwnedFd, Guest)> {
    let environment = program.environment();
    let environment = conversation.map_or_else(|| environment.clone(), |about| environment.about(about));
    if terminal == Terminal::Own {
        let (ours, path) = terminal::open()?;
        let child = program.spawn(&environment, Streams::Terminal(&path))?;
        let (fd, bridge) = bridge::over(ours)?;
        return Ok((fd, Guest::new(&program.name(), Some(child), Some(bridge))));
    }
    let (ours, theirs) = pair()?;
    // What it says of errors goes where ours goes.
    let errors = fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
    let streams = Streams::Three { stdin: theirs.as_fd(), stdout: theirs.as_fd(), stderr: errors.as_fd() };
    let child = program.spawn(&environment, streams)?;
    Ok((ours, Guest::new(&program.name(), Some(child), None)))
}

/// Two ends of a stream inside this machine.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Standard input and output, which this process has no more from here on: only so can their ends be said. Where both are
/// one socket, as inetd(8) has it, there is no second one; and where that is standard error too, nothing is said there, for
/// it would be said to the peer.
fn standard() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout, stderr, stdin, stdout};
    let same = |a: std::os::fd::BorrowedFd<'_>, b: std::os::fd::BorrowedFd<'_>| {
        let identity = |fd| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
        matches!((identity(a), identity(b)), (Ok(a), Ok(b)) if a == b)
    };
    let input = fcntl_dupfd_cloexec(stdin(), 3)?;
    let output = fcntl_dupfd_cloexec(stdout(), 3)?;
    let is_one_socket = same(input.as_fd(), output.as_fd()) && rustix::net::sockopt::socket_type(&input).is_ok();
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    if is_one_socket && same(input.as_fd(), stderr()) {
        dup2_stderr(&null)?;
    }
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok((input, (!is_one_socket).then_some(output)))
}
