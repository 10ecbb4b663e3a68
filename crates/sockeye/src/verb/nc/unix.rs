//! `-U`: sockets that are paths, or names of the abstract namespace.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::options::Transport;
use super::{Fatal, Nc};
use crate::sys::bsd::names;
use crate::sys::bsd::socket::{self, Address, Fd};

/// Where the answers to datagrams come: a socket in a folder of its own, so that no other process binds there first.
pub(super) struct Answers {
    folder: Vec<u8>,
    socket: CString,
}

impl Answers {
    pub(super) fn remove(self) {
        let _ = std::fs::remove_file(path(&self.socket));
        let _ = std::fs::remove_dir(OsStr::from_bytes(&self.folder));
    }
}

fn path(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

impl Nc<'_> {
    /// Makes the folder for answers, if there will be any and `-s` does not say where they come.
    pub(super) fn folder_for_answers(&self) -> Result<Option<Answers>, Fatal> {
        if self.options.transport != Transport::Udp || self.options.source.is_some() {
            return Ok(None);
        }
        let folder = socket::make_folder("/tmp/nc-").map_err(|error| Fatal::at("mkdtemp", &error))?;
        let socket = names::text([&folder[..], b"/recv.sock"].concat());
        Ok(Some(Answers { folder, socket }))
    }

    /// A socket that is connected to a path, or why not.
    pub(super) fn connect_to_path(&mut self, path: &CStr, answers: Option<&Answers>) -> Result<io::Result<Fd>, Fatal> {
        let address = match Address::unix(path) {
            Ok(address) => address,
            Err(error) => return Ok(Err(error)),
        };
        let own = answers.map(|answers| &answers.socket).or(self.options.source.as_ref());
        let made = match own.filter(|_| self.options.transport == Transport::Udp) {
            Some(own) => {
                Ok(self.bind_path(own, libc::SOCK_CLOEXEC).map_err(|error| Fatal::at(own.as_bytes(), &error))?)
            }
            None => socket::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0),
        };
        let fd = match made {
            Ok(fd) => fd,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = socket::connect(fd, &address) {
            socket::close(fd);
            return Ok(Err(error));
        }
        Ok(Ok(fd))
    }

    /// A socket that is bound to a path; what was there before is removed.
    pub(super) fn bind_path(&mut self, at: &CStr, flags: i32) -> io::Result<Fd> {
        let address = Address::unix(at)?;
        let kind = if self.options.transport == Transport::Udp { libc::SOCK_DGRAM } else { libc::SOCK_STREAM };
        let fd = socket::socket(libc::AF_UNIX, flags | kind, 0)?;
        if at.to_bytes().first() != Some(&b'@') {
            let _ = std::fs::remove_file(path(at));
        }
        if let Err(error) = socket::bind(fd, &address) {
            socket::close(fd);
            return Err(error);
        }
        if self.options.verbose {
            self.report("Bound", Err(at));
        }
        Ok(fd)
    }

    pub(super) fn listen_at_path(&mut self, at: &CStr) -> io::Result<Fd> {
        const BACKLOG: i32 = 5;
        let fd = self.bind_path(at, 0)?;
        if let Err(error) = socket::listen(fd, BACKLOG) {
            socket::close(fd);
            return Err(error);
        }
        if self.options.verbose {
            self.report("Listening", Err(at));
        }
        Ok(fd)
    }
}
