//! OpenBSD's nc, as Debian ships it: its flags, its messages, its exit codes and its system calls.
//!
//! It shares nothing with the engine. Scripts and tests know nc by what it does to a descriptor, call by call, so this is
//! one thread and one poll(2), with the C library's calls under their own names (`sys/bsd`). What the manners of nc cost
//! (one client at a time, a reset that is no error) the other verbs do better.
//!
//! ```
//! use sockeye::verb::nc::number;
//!
//! assert_eq!(number(b"5", 0, 10).ok(), Some(5));
//! assert!(number(b"5x", 0, 10).is_err());
//! ```

mod connect;
mod join;
mod listen;
mod options;
mod pass;
mod proxy;
mod settings;
mod telnet;
mod unix;

use std::ffi::CStr;
use std::io;

use crate::sys::bsd::names::{self, Hints, NameError};
use crate::sys::bsd::socket::{self, Address, Fd};
pub use options::{Family, NcOptions, NumberError, Proxy, ProxyProtocol, Transport, number};

/// What to say while it runs, on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A line as it is.
    Line(Vec<u8>),
    /// A line that begins with the program's name.
    Warning(Vec<u8>),
}

/// Why it ended before its work did: the words that stand behind the program's name. The exit code is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal(pub Vec<u8>);

impl Fatal {
    fn plain(words: impl Into<Vec<u8>>) -> Self {
        Self(words.into())
    }

    /// What failed, and the system's words for it.
    fn at(what: impl Into<Vec<u8>>, error: &io::Error) -> Self {
        let mut words = what.into();
        words.extend_from_slice(format!(": {}", crate::net::words(error)).as_bytes());
        Self(words)
    }

    fn of(error: &io::Error) -> Self {
        Self(crate::net::words(error).into_bytes())
    }
}

/// Asks for a password on the terminal, for `-S`.
#[must_use]
pub fn signature_password() -> Option<Vec<u8>> {
    crate::sys::bsd::password::ask(b"TCP MD5SIG password: ", libc::TCP_MD5SIG_MAXKEYLEN - 1)
}

/// Does what the options say, to its end. The exit code is 0 or 1.
///
/// # Errors
/// What nc ends at once for, with exit code 1.
pub fn run(options: &NcOptions, say: &mut dyn FnMut(Notice)) -> Result<u8, Fatal> {
    let mut nc = Nc { options, say, keeps_listening: options.keep, received: 0 };
    match (options.listen, options.family) {
        (true, _) => nc.serve(),
        (false, Some(Family::Unix)) => nc.talk_to_path(),
        (false, _) => nc.talk_to_ports(),
    }
}

/// One run.
struct Nc<'a> {
    options: &'a NcOptions,
    say: &'a mut dyn FnMut(Notice),
    /// `-k`, until `-q` ends it.
    keeps_listening: bool,
    /// How often something was read from the network, for `-W`.
    received: u32,
}

impl Nc<'_> {
    fn line(&mut self, words: Vec<u8>) {
        (self.say)(Notice::Line(words));
    }

    fn warn(&mut self, words: Vec<u8>) {
        (self.say)(Notice::Warning(words));
    }

    /// The socket that the options ask for.
    fn hints(&self) -> Hints {
        let (kind, protocol) = self.options.transport.numbers();
        Hints {
            flags: if self.options.numeric { libc::AI_NUMERICHOST } else { 0 },
            family: self.options.family.map_or(libc::AF_UNSPEC, Family::number),
            kind,
            protocol,
        }
    }

    /// Says where a socket is, or who is at its other end: one of a path is known by the path alone.
    fn report(&mut self, what: &str, at: Result<&Address, &CStr>) {
        let address = match at {
            Ok(address) => address,
            Err(path) => return self.line([what.as_bytes(), b" on ", path.to_bytes()].concat()),
        };
        let numeric = if self.options.numeric { libc::NI_NUMERICHOST } else { 0 };
        match names::describe(address, libc::NI_NUMERICSERV | numeric) {
            Ok((host, port)) => self.line([what.as_bytes(), b" on ", &host, b" ", &port].concat()),
            Err(NameError::System(error)) => self.warn(Fatal::at("getnameinfo", &error).0),
            Err(NameError::Resolver(why)) => self.warn(format!("getnameinfo: {why}").into_bytes()),
        }
    }

    fn talk_to_path(&mut self) -> Result<u8, Fatal> {
        let Some(path) = self.options.host.as_deref() else { return Ok(1) };
        let folder = self.folder_for_answers()?;
        let connected = self.connect_to_path(path, folder.as_ref());
        let code = match connected {
            Err(fatal) => {
                remove(folder);
                return Err(fatal);
            }
            // nc takes descriptor 0, which it gets if standard input was closed, for a failure.
            Ok(Ok(fd)) if fd > 0 => {
                if !self.options.scan {
                    match self.join(fd) {
                        Ok(join::Left::Quit) => {
                            remove(folder);
                            return Ok(0);
                        }
                        Ok(left) => left.close(fd),
                        Err(fatal) => {
                            remove(folder);
                            return Err(fatal);
                        }
                    }
                } else {
                    socket::close(fd);
                }
                0
            }
            Ok(Ok(_)) => {
                self.warn(Fatal::at(path.to_bytes(), &io::Error::from_raw_os_error(0)).0);
                1
            }
            Ok(Err(error)) => {
                self.warn(Fatal::at(path.to_bytes(), &error).0);
                1
            }
        };
        remove(folder);
        Ok(code)
    }

    fn talk_to_ports(&mut self) -> Result<u8, Fatal> {
        let options = self.options;
        let Some(host) = options.host.as_deref() else { return Ok(1) };
        let mut code = 1;
        let mut open: Option<Fd> = None;
        for port in connect::ports(options)? {
            if let Some(fd) = open.take() {
                socket::close(fd);
            }
            let made = match &options.proxy {
                Some(proxy) => self.connect_through(proxy, host, port)?.map(|fd| (fd, None)),
                None => {
                    let service = names::text(port.to_string());
                    self.connect(host, &service, self.hints(), true)?.map(|(fd, shown)| (fd, Some(shown)))
                }
            };
            let Some((fd, shown)) = made else { continue };
            open = Some(fd);
            code = 0;
            if options.verbose {
                if options.transport == Transport::Udp && !self.probe(fd) {
                    code = 1;
                    continue;
                }
                self.tell_success(host, port, shown.as_deref());
            }
            if options.pass_descriptor {
                pass::pass_on(fd)?;
                return Ok(0);
            }
            if !options.scan {
                match self.join(fd)? {
                    join::Left::Open => {}
                    join::Left::Closed => open = None,
                    join::Left::Quit => return Ok(0),
                }
            }
        }
        if let Some(fd) = open {
            socket::close(fd);
        }
        Ok(code)
    }

    fn tell_success(&mut self, host: &CStr, port: u16, shown: Option<&[u8]>) {
        let protocol = self.options.transport.name();
        let name = if self.options.numeric { None } else { names::service_at(port, &names::text(protocol)) };
        let mut line = [b"Connection to ", host.to_bytes()].concat();
        if let Some(shown) = shown.filter(|shown| !self.options.numeric && *shown != host.to_bytes()) {
            line.extend_from_slice(&[b" (", shown, b")"].concat());
        }
        line.extend_from_slice(format!(" {port} port [{protocol}/").as_bytes());
        line.extend_from_slice(name.as_deref().unwrap_or(b"*"));
        line.extend_from_slice(b"] succeeded!");
        self.line(line);
    }
}

/// Removes the folder of the socket that answers came to.
fn remove(folder: Option<unix::Answers>) {
    if let Some(folder) = folder {
        folder.remove();
    }
}
