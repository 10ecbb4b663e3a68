//! Names of hosts and services, from the C library, on the thread that asks.

use std::ffi::{CStr, CString, c_char, c_int};
use std::fmt;
use std::io;
use std::ptr::{null, null_mut};

use super::socket::Address;

/// What is asked for (getaddrinfo(3)).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hints {
    pub(crate) flags: c_int,
    pub(crate) family: c_int,
    pub(crate) kind: c_int,
    pub(crate) protocol: c_int,
}

/// One answer: which socket to make, and what to bind or connect it to.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) family: c_int,
    pub(crate) kind: c_int,
    pub(crate) protocol: c_int,
    pub(crate) address: Address,
}

/// A code of getaddrinfo(3), such as `EAI_NONAME`; it shows itself in the C library's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResolverError(c_int);

impl fmt::Display for ResolverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: the C library's texts are static and end with a zero byte.
        f.write_str(&unsafe { CStr::from_ptr(libc::gai_strerror(self.0)) }.to_string_lossy())
    }
}

impl std::error::Error for ResolverError {}

/// Why an address has no words.
#[derive(Debug)]
pub(crate) enum NameError {
    /// A call failed (`EAI_SYSTEM`).
    System(io::Error),
    /// The C library has none.
    Resolver(ResolverError),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Resolver(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System(error) => Some(error),
            Self::Resolver(error) => Some(error),
        }
    }
}

impl NameError {
    fn of(code: c_int) -> Self {
        if code == libc::EAI_SYSTEM {
            return Self::System(io::Error::last_os_error());
        }
        Self::Resolver(ResolverError(code))
    }
}

/// As getaddrinfo(3). Its words for `EAI_SYSTEM` are the same for every error, and callers that say them show these.
pub(crate) fn look_up(host: Option<&CStr>, service: Option<&CStr>, hints: Hints) -> Result<Vec<Found>, ResolverError> {
    // SAFETY: a struct of plain numbers and pointers, for which all zeros are valid.
    let mut wanted: libc::addrinfo = unsafe { std::mem::zeroed() };
    wanted.ai_flags = hints.flags;
    wanted.ai_family = hints.family;
    wanted.ai_socktype = hints.kind;
    wanted.ai_protocol = hints.protocol;
    let mut first: *mut libc::addrinfo = null_mut();
    // SAFETY: both texts end with a zero byte and live beyond the call, which writes a list to `first` if it succeeds.
    let code = unsafe { libc::getaddrinfo(pointer(host), pointer(service), &raw const wanted, &raw mut first) };
    if code != 0 {
        return Err(ResolverError(code));
    }
    let mut found = Vec::new();
    let mut next = first;
    while !next.is_null() {
        // SAFETY: the list is ours until it is freed below, and each of its addresses has `ai_addrlen` bytes.
        unsafe {
            let entry = &*next;
            found.push(Found {
                family: entry.ai_family,
                kind: entry.ai_socktype,
                protocol: entry.ai_protocol,
                address: Address::copied(entry.ai_addr, entry.ai_addrlen),
            });
            next = entry.ai_next;
        }
    }
    // SAFETY: the list came from getaddrinfo, nothing in it is used any more, and it is freed once.
    unsafe { libc::freeaddrinfo(first) };
    Ok(found)
}

/// The host and the port of an address in words, as getnameinfo(3) with these flags gives them.
pub(crate) fn describe(address: &Address, flags: c_int) -> Result<(Vec<u8>, Vec<u8>), NameError> {
    let (mut host, mut port) = ([0_u8; 1025], [0_u8; 32]);
    // SAFETY: the address has `length` bytes, and each text gets at most as many bytes as are passed with it.
    let code = unsafe {
        libc::getnameinfo(
            address.pointer(),
            address.length,
            host.as_mut_ptr().cast(),
            host.len() as libc::socklen_t,
            port.as_mut_ptr().cast(),
            port.len() as libc::socklen_t,
            flags,
        )
    };
    if code == 0 { Ok((until_zero(&host), until_zero(&port))) } else { Err(NameError::of(code)) }
}

/// The port of a service (services(5)).
pub(crate) fn port_of(service: &CStr, protocol: &CStr) -> Option<u16> {
    // SAFETY: both texts end with a zero byte. The answer is the C library's, and read before it is asked again; this verb
    // has one thread.
    let entry = unsafe { libc::getservbyname(service.as_ptr(), protocol.as_ptr()).as_ref() }?;
    Some(u16::from_be(entry.s_port as u16))
}

/// The name of a port's service (services(5)).
pub(crate) fn service_at(port: u16, protocol: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the text ends with a zero byte. The answer is the C library's, and read before it is asked again; this verb
    // has one thread.
    unsafe {
        let entry = libc::getservbyport(c_int::from(port.to_be()), protocol.as_ptr()).as_ref()?;
        Some(CStr::from_ptr(entry.s_name).to_bytes().to_vec())
    }
}

/// A text for the C library.
pub(crate) fn text(bytes: impl Into<Vec<u8>>) -> CString {
    // What comes from a command line has no zero byte.
    CString::new(bytes).unwrap_or_default()
}

fn pointer(text: Option<&CStr>) -> *const c_char {
    text.map_or(null(), CStr::as_ptr)
}

fn until_zero(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take_while(|byte| *byte != 0).collect()
}
