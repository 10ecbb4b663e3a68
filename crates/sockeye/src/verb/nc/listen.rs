//! `-l`: one client at a time, and with `-k` one after another.

use std::ffi::CStr;
use std::io;

use super::join::Left;
use super::options::{Family, Transport};
use super::{Fatal, Nc};
use crate::sys::bsd::names;
use crate::sys::bsd::socket::{self, Fd};

/// As many may wait while one is served.
const BACKLOG: i32 = 1;

impl Nc<'_> {
    pub(super) fn serve(&mut self) -> Result<u8, Fatal> {
        let options = self.options;
        let path = options.host.as_deref().filter(|_| options.family == Some(Family::Unix));
        let is_datagram = options.transport == Transport::Udp;
        let listener = match path {
            Some(path) if is_datagram => self.bind_path(path, 0),
            Some(path) => self.listen_at_path(path),
            None => self.listen_at_port()?,
        };
        let listener = listener.map_err(|error| Fatal::of(&error))?;
        loop {
            let left = if !is_datagram {
                self.serve_one(listener, path)?
            } else if self.keeps_listening {
                self.join(listener)?
            } else {
                self.serve_first_sender(listener, path)?
            };
            if left == Left::Quit {
                return Ok(0);
            }
            if path.is_some() && is_datagram {
                socket::connect_to_nothing(listener).map_err(|error| Fatal::at("connect", &error))?;
            }
            if !self.keeps_listening {
                // What was joined may be the listening socket itself.
                let of_listener = if is_datagram { left } else { Left::Open };
                of_listener.close(listener);
                return Ok(0);
            }
        }
    }

    fn serve_one(&mut self, listener: Fd, path: Option<&CStr>) -> Result<Left, Fatal> {
        let (fd, from) = socket::accept(listener).map_err(|error| Fatal::at("accept", &error))?;
        if self.options.verbose {
            self.report("Connection received", path.map_or(Ok(&from), Err));
        }
        let left = self.join(fd)?;
        left.close(fd);
        Ok(left)
    }

    /// The first sender is the peer; the datagram itself is read later, like those behind it.
    fn serve_first_sender(&mut self, fd: Fd, path: Option<&CStr>) -> Result<Left, Fatal> {
        let from = socket::sender_of_next(fd).map_err(|error| Fatal::at("recvfrom", &error))?;
        socket::connect(fd, &from).map_err(|error| Fatal::at("connect", &error))?;
        if self.options.verbose {
            self.report("Connection received", path.map_or(Ok(&from), Err));
        }
        self.join(fd)
    }

    fn listen_at_port(&mut self) -> Result<io::Result<Fd>, Fatal> {
        let options = self.options;
        let (host, port) = (options.host.as_deref(), options.ports.first());
        let mut hints = self.hints();
        hints.flags |= libc::AI_PASSIVE;
        if host.is_none() && hints.family == libc::AF_UNSPEC {
            hints.family = libc::AF_INET;
        }
        let found = names::look_up(host, port.map(AsRef::as_ref), hints)
            .map_err(|why| Fatal::plain(format!("getaddrinfo: {why}")))?;
        let mut bound = Err(io::Error::from_raw_os_error(0));
        for one in found {
            let fd = match socket::socket(one.family, one.kind, one.protocol) {
                Ok(fd) => fd,
                Err(error) => {
                    bound = Err(error);
                    continue;
                }
            };
            for (option, name) in [(libc::SO_REUSEADDR, "SO_REUSEADDR"), (libc::SO_REUSEPORT, "SO_REUSEPORT")] {
                if let Err(error) = socket::set_option(fd, libc::SOL_SOCKET, option, 1) {
                    self.warn(Fatal::at(format!("Couldn't set {name}"), &error).0);
                }
            }
            self.set_options(fd, &one.address)?;
            match socket::bind(fd, &one.address) {
                Ok(()) => {
                    bound = Ok(fd);
                    break;
                }
                Err(error) => {
                    socket::close(fd);
                    bound = Err(error);
                }
            }
        }
        let Ok(fd) = bound else { return Ok(bound) };
        let is_datagram = options.transport == Transport::Udp;
        if !is_datagram {
            socket::listen(fd, BACKLOG).map_err(|error| Fatal::at("listen", &error))?;
        }
        if options.verbose {
            let own = socket::own_address(fd).map_err(|error| Fatal::at("getsockname", &error))?;
            self.report(if is_datagram { "Bound" } else { "Listening" }, Ok(&own));
        }
        Ok(Ok(fd))
    }
}
