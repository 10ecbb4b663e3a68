//! Connecting to a host, port after port.

use std::ffi::CStr;
use std::io;
use std::thread::sleep;
use std::time::Duration;

use super::options::{self, NcOptions, Transport};
use super::{Fatal, Nc};
use crate::sys::bsd::names::{self, Found, Hints, NameError};
use crate::sys::bsd::socket::{self, Address, Fd};

/// How many seconds a scan over UDP waits for an error, if `-w` does not say.
const SCAN: u64 = 3;

/// Why a connection was not made.
enum Failed {
    Refused(io::Error),
    TimedOut(io::Error),
}

impl Nc<'_> {
    /// Connects to the first address of a host that takes the connection. With it comes the address in numbers, where it
    /// is to be shown: `None` if no address was connected to.
    pub(super) fn connect(
        &mut self,
        host: &CStr,
        port: &CStr,
        hints: Hints,
        shows_address: bool,
    ) -> Result<Option<(Fd, Vec<u8>)>, Fatal> {
        let found = names::look_up(Some(host), Some(port), hints).map_err(|why| {
            let (host, port) = (host.to_bytes(), port.to_bytes());
            Fatal([b"getaddrinfo for host \"", host, b"\" port ", port, b": ", why.to_string().as_bytes()].concat())
        })?;
        for one in found {
            let Ok(fd) = socket::socket(one.family, one.kind | libc::SOCK_NONBLOCK, one.protocol) else { continue };
            self.bind_source(fd, &one)?;
            self.set_options(fd, &one.address)?;
            let shown = if shows_address { in_numbers(&one.address)? } else { Vec::new() };
            let failed = match self.connect_in_time(fd, &one.address) {
                Ok(()) => return Ok(Some((fd, shown))),
                Err(failed) => failed,
            };
            if self.options.verbose {
                self.tell_failure(host, port, shows_address.then_some(&shown[..]), &failed);
            }
            socket::close(fd);
        }
        Ok(None)
    }

    /// `-s` and `-p`.
    fn bind_source(&self, fd: Fd, one: &Found) -> Result<(), Fatal> {
        let (host, port) = (self.options.source.as_deref(), self.options.source_port.as_deref());
        if host.is_none() && port.is_none() {
            return Ok(());
        }
        let (kind, protocol) = match self.options.transport {
            // nc asks for no kind here, and uses the address alone.
            Transport::Dccp => (0, 0),
            transport => transport.numbers(),
        };
        let hints = Hints { flags: libc::AI_PASSIVE, family: one.family, kind, protocol };
        let found = names::look_up(host, port, hints).map_err(|why| Fatal::plain(format!("getaddrinfo: {why}")))?;
        match found.first() {
            Some(own) => socket::bind(fd, &own.address).map_err(|error| Fatal::at("bind failed", &error)),
            None => Ok(()),
        }
    }

    /// Sockets that connect never block, so that `-w` has an effect.
    fn connect_in_time(&self, fd: Fd, address: &Address) -> Result<(), Failed> {
        let Err(error) = socket::connect(fd, address) else { return Ok(()) };
        if error.raw_os_error() != Some(libc::EINPROGRESS) {
            return Err(Failed::Refused(error));
        }
        let timeout = match self.options.poll_timeout() {
            0 => -1,
            timeout => timeout,
        };
        let ready = loop {
            match socket::wait_for(fd, libc::POLLOUT, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                ready => break ready,
            }
        };
        match ready {
            Ok(0) => Err(Failed::TimedOut(error)),
            Ok(_) => match socket::error_of(fd) {
                Ok(0) => Ok(()),
                Ok(number) => Err(Failed::Refused(io::Error::from_raw_os_error(number))),
                Err(error) => Err(Failed::Refused(error)),
            },
            Err(error) => Err(Failed::Refused(error)),
        }
    }

    fn tell_failure(&mut self, host: &CStr, port: &CStr, shown: Option<&[u8]>, failed: &Failed) {
        let mut words = [b"connect to ", host.to_bytes()].concat();
        if let Some(shown) = shown.filter(|shown| !self.options.numeric && *shown != host.to_bytes()) {
            words.extend_from_slice(&[b" (", shown, b")"].concat());
        }
        words.extend_from_slice(&[b" port ", port.to_bytes()].concat());
        let (how, error) = match failed {
            Failed::Refused(error) => ("failed", error),
            Failed::TimedOut(error) => ("timed out", error),
        };
        words.extend_from_slice(format!(" ({}) {how}", self.options.transport.name()).as_bytes());
        self.warn(Fatal::at(words, error).0);
    }

    /// Whether a UDP port looks open: datagrams are sent, and no error comes back. All of them have one byte.
    pub(super) fn probe(&self, fd: Fd) -> bool {
        let sent = || socket::write(fd, b"X");
        let is_refused = |sent: &io::Result<usize>| {
            sent.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
        };
        if !matches!(sent(), Ok(1)) || is_refused(&sent()) {
            return false;
        }
        for _ in 0..self.options.timeout.map_or(SCAN, |time| time.as_secs()) {
            sleep(Duration::from_secs(1));
            if is_refused(&sent()) {
                return false;
            }
        }
        true
    }
}

fn in_numbers(address: &Address) -> Result<Vec<u8>, Fatal> {
    match names::describe(address, libc::NI_NUMERICHOST) {
        Ok((host, _)) => Ok(host),
        Err(NameError::System(error)) => Err(Fatal::at("getnameinfo", &error)),
        Err(NameError::Resolver(why)) => Err(Fatal::plain(format!("getnameinfo: {why}"))),
    }
}

/// Most ports of a run, with those that are named twice.
const MOST: usize = 1 << 16;

/// Every port that was asked for: numbers, services, and ranges from the lower end up.
pub(super) fn ports(options: &NcOptions) -> Result<Vec<u16>, Fatal> {
    let mut ports = Vec::new();
    for word in &options.ports {
        let bytes = word.to_bytes();
        let dash = bytes.iter().position(|byte| *byte == b'-').filter(|_| bytes[0].is_ascii_digit());
        if let Some(port) = names::port_of(word, &names::text(options.transport.name())) {
            ports.push(port);
        } else if let Some(dash) = dash {
            let high = port(&bytes[dash + 1..])?;
            let low = port(&bytes[..dash])?;
            ports.extend(low.min(high)..=low.max(high));
        } else {
            ports.push(port(bytes)?);
        }
        if ports.len() > MOST {
            return Err(Fatal::plain("too many ports"));
        }
    }
    if options.shuffle {
        for last in (1..ports.len()).rev() {
            ports.swap(last, socket::random_below(last + 1));
        }
    }
    Ok(ports)
}

/// A number. Names of services were looked up before; nc means to look for them here too, and does not get there.
fn port(word: &[u8]) -> Result<u16, Fatal> {
    match options::number(word, 1, 65535) {
        Ok(number) => Ok(number as u16),
        Err(error) => Err(Fatal([b"port number ", error.to_string().as_bytes(), b": ", word].concat())),
    }
}
