//! Binding listening sockets: all of them or none, one number for all sockets of an address, never a port that another
//! socket holds.
//!
//! ```
//! use sockeye::address::Address;
//! use sockeye::event::Protocol;
//! use sockeye::net::listen::{Request, bind};
//!
//! let address = Address::parse("127.0.0.1:0")?;
//! let request = Request { address, protocols: vec![Protocol::Tcp, Protocol::Udp] };
//! let bound = bind(&[request], None)?;
//! assert_eq!((bound.sockets.len(), bound.ports.len()), (2, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod socket;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind as bind_to, getsockname, socket_with, sockopt};

use self::socket::OneClient;
use super::local::{LocalEnd, LocalError, Opened};
use super::message;
use super::path::{self, Occupant, OwnFile};
use super::{Family, alive, options, resolve};
use crate::address::{Address, AddressError, AddressOptions, Host, Scheme, Target};
use crate::endpoint::{Endpoint, Name, Protocol};
use crate::limits;
use crate::sys::inherited::{self, Nature};
use crate::sys::{datagrams, holder};

pub use crate::sys::holder::Holder;
pub use error::ListenError;
pub use socket::Socket;

/// Connections that may wait for `accept`; the kernel takes at most `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How many numbers are tried when port 0 must be free for several sockets at once.
const TRIES: usize = 64;

/// An address to listen on, and the protocols.
#[derive(Debug, Clone)]
pub struct Request {
    /// The address.
    pub address: Address,
    /// The protocols, in the order in which they are bound.
    pub protocols: Vec<Protocol>,
}

/// Every socket of a server.
#[derive(Debug, Default)]
pub struct Bound {
    /// In the order of the requests.
    pub sockets: Vec<Socket>,
    /// One port for each request that has one.
    pub ports: Vec<u16>,
    /// What a person should know: an address family that this machine does not have.
    pub notices: Vec<String>,
}

/// Binds every socket of every request, or none.
///
/// # Errors
/// The first socket that cannot be bound; those bound before it are closed. An option that only who connects has.
pub fn bind(requests: &[Request], family: Option<Family>) -> Result<Bound, ListenError> {
    for request in requests {
        request.address.options.listen(&request.address).map_err(ListenError::Option)?;
    }
    let mut bound = Bound::default();
    for (index, request) in requests.iter().enumerate() {
        let before = bound.sockets.len();
        match &request.address.target {
            Target::Unix(path) => {
                let protocol = request.protocols.first().copied().unwrap_or(Protocol::Unix);
                bound.sockets.push(bind_path(path, protocol, &request.address.options)?);
            }
            Target::Standard | Target::Command(..) | Target::Descriptor(_) => {
                let socket = take_over(&request.address, &mut bound.notices)?;
                if let Name::Inet(address) = &socket.endpoint.name {
                    bound.ports.extend((!socket.has_one_client()).then_some(address.port()));
                }
                bound.sockets.push(socket);
            }
            Target::Inet { host, port } => {
                let sockets = bind_inet(request, host, *port, family, &mut bound.notices)
                    .map_err(|error| twice(error, &bound.sockets))?;
                if let Some(Name::Inet(address)) = sockets.first().map(|socket| &socket.endpoint.name) {
                    bound.ports.push(address.port());
                }
                bound.sockets.extend(sockets);
            }
        }
        bound.sockets[before..].iter_mut().for_each(|socket| socket.request = index);
    }
    Ok(bound)
}

/// Whether an address has one client, who is there already, and never another.
#[must_use]
pub fn has_one_client(address: &Address) -> bool {
    match &address.target {
        Target::Inet { .. } | Target::Unix(_) => false,
        Target::Standard | Target::Command(..) => true,
        Target::Descriptor(number) => {
            matches!(inherited::nature(*number), Ok(Nature::Connected(_) | Nature::Plain))
        }
    }
}

/// What carries an address of a verb that speaks no HTTP; without a scheme it is a stream.
///
/// # Errors
/// A scheme that such a verb does not speak.
pub fn protocol_of(address: &Address) -> Result<Protocol, AddressError> {
    match address.scheme {
        _ if address.is_local() => Ok(protocol_of_local(address)),
        Some(scheme @ (Scheme::Http | Scheme::Https)) => Err(AddressError::not_yet(scheme)),
        Some(scheme @ (Scheme::Ws | Scheme::Wss)) if !cfg!(feature = "http") => Err(AddressError::not_yet(scheme)),
        Some(scheme) => address.protocol().ok_or_else(|| AddressError::not_yet(scheme)),
        None => Ok(address.protocol().unwrap_or(Protocol::Tcp)),
    }
}

/// What carries an address that is there already.
#[must_use]
pub fn protocol_of_local(address: &Address) -> Protocol {
    match &address.target {
        Target::Descriptor(number) => match inherited::nature(*number) {
            Ok(Nature::Connected(protocol) | Nature::Listening(protocol) | Nature::Datagrams(protocol)) => protocol,
            Ok(Nature::Plain) | Err(_) => Protocol::Unix,
        },
        _ => Protocol::Unix,
    }
}

/// What is there already and is not bound: a socket that we were given, or the only client that there is.
fn take_over(address: &Address, notices: &mut Vec<String>) -> Result<Socket, ListenError> {
    let name = Name::Local(address.to_string().into());
    let endpoint = Endpoint { protocol: Protocol::Unix, name, over: None };
    let refuse = |error| ListenError::Other { endpoint: endpoint.clone(), error };
    let end = LocalEnd::of_address(address).map_err(|error| match error {
        LocalError::Program(error) => ListenError::Program { address: address.to_string(), error },
        LocalError::Descriptor(error) => refuse(error),
    })?;
    let Some(end) = end else { return Err(refuse(Errno::NOTSOCK.into())) };
    notices.extend(end.notice());
    let protocol = end.protocol();
    let opened = match end.into_listening() {
        Ok(fd) => {
            let given = || {
                rustix::io::ioctl_fionbio(&fd, true)?;
                getsockname(&fd)
            };
            let name = given().map_err(|error| refuse(error.into()))?;
            let name = SocketAddr::try_from(name).map_or_else(|_| endpoint.name.clone(), Name::Inet);
            if let (Protocol::Udp, Name::Inet(own)) = (protocol, &name)
                && own.ip().is_unspecified()
            {
                datagrams::tell_destination(&fd, own.is_ipv6()).map_err(|error| refuse(error.into()))?;
            }
            return Ok(Socket::new(Endpoint { protocol, name, over: None }, fd));
        }
        Err(end) => end.open(None).map_err(refuse)?,
    };
    let Opened { fd: client, protocol, local, peer, guest } = opened;
    // It is ready for as long as it is not closed.
    let ready = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| refuse(error.into()))?;
    let client = OneClient { fd: Mutex::new(Some(client)), peer, local, guest: Mutex::new(guest) };
    let endpoint = Endpoint { protocol, ..endpoint.clone() };
    Ok(Socket::of_client(endpoint, ready, client))
}

/// Tells apart who is in their own way.
fn twice(error: ListenError, bound: &[Socket]) -> ListenError {
    let ListenError::InUse { endpoint, .. } = &error else { return error };
    let first = bound.iter().map(|socket| &socket.endpoint).find(|first| match (&first.name, &endpoint.name) {
        (Name::Inet(held), Name::Inet(wanted)) => {
            // Ours are of one family each.
            first.protocol == endpoint.protocol
                && held.is_ipv4() == wanted.is_ipv4()
                && holder::conflicts(*held, *wanted)
        }
        _ => false,
    });
    match first {
        Some(first) => ListenError::Twice { endpoint: endpoint.clone(), first: first.clone() },
        None => error,
    }
}

fn bind_inet(
    request: &Request,
    host: &Host,
    port: u16,
    family: Option<Family>,
    notices: &mut Vec<String>,
) -> Result<Vec<Socket>, ListenError> {
    let every = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let mut addresses = resolve::addresses(host, port, family, every, limits::CONNECT_WAIT)
        .map_err(|error| ListenError::NoAddress { host: request.address.to_string(), why: error.to_string() })?;
    // IPv4 first, whatever the resolver's order: that is how the lines are read.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let may_miss = matches!(host, Host::Loopback | Host::Every) && addresses.len() > 1;
    for _ in 0..TRIES {
        match bind_all(request, &addresses, may_miss, notices) {
            Err((_, Errno::ADDRINUSE)) if port == 0 => {}
            other => return other.map_err(|(endpoint, error)| sort(endpoint, error)),
        }
    }
    Err(ListenError::NoCommonPort)
}

/// Binds every protocol on every address; with port 0 the first socket's number holds for all.
fn bind_all(
    request: &Request,
    addresses: &[SocketAddr],
    may_miss: bool,
    notices: &mut Vec<String>,
) -> Result<Vec<Socket>, (Endpoint, Errno)> {
    let mut sockets: Vec<Socket> = Vec::new();
    let mut chosen = None;
    let mut missing = None;
    for &protocol in &request.protocols {
        for (index, &address) in addresses.iter().enumerate() {
            let mut address = address;
            if let Some(port) = chosen {
                address.set_port(port);
            }
            match bind_one(protocol, address, &request.address.options) {
                Ok(socket) => {
                    if let Name::Inet(name) = &socket.endpoint.name {
                        chosen = Some(name.port());
                    }
                    sockets.push(socket);
                }
                Err(error) if may_miss && is_missing_family(error.1) => missing = Some((index, error)),
                Err(error) => return Err(error),
            }
        }
    }
    if let Some((index, error)) = missing {
        if sockets.is_empty() {
            return Err(error);
        }
        let family = if addresses[index].is_ipv6() { "IPv6" } else { "IPv4" };
        let notice = format!("not on {}: this machine has no {family}", addresses[index].ip());
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    Ok(sockets)
}

/// Whether an error only says that the machine does not have this version of IP, or not on its loopback.
fn is_missing_family(error: Errno) -> bool {
    matches!(error, Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
}

fn bind_one(protocol: Protocol, address: SocketAddr, options: &AddressOptions) -> Result<Socket, (Endpoint, Errno)> {
    let endpoint = Endpoint { protocol, name: Name::Inet(address), over: None };
    let kind = if protocol == Protocol::Udp { SocketType::DGRAM } else { SocketType::STREAM };
    let bound = (|| {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let number = if protocol == Protocol::Tcp { options::protocol(options) } else { None };
        let fd = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, number)?;
        if address.is_ipv6() {
            // IPv4 has its own socket, so that each line of "listening on" is one socket.
            sockopt::set_ipv6_v6only(&fd, true)?;
        }
        if protocol == Protocol::Tcp {
            // Connections of an earlier server in TIME_WAIT do not hold the port; a live listener does (socket(7)).
            sockopt::set_socket_reuseaddr(&fd, true)?;
        }
        bind_to(&fd, &address)?;
        if protocol == Protocol::Tcp {
            // Accepted sockets inherit it: an answer never waits for the acknowledgement of the one before.
            sockopt::set_tcp_nodelay(&fd, true)?;
            alive::keep_alive(&fd)?;
        }
        options::apply(&fd, options, protocol, address.is_ipv4())?;
        if protocol == Protocol::Tcp {
            rustix::net::listen(&fd, BACKLOG)?;
        } else {
            if address.ip().is_unspecified() {
                datagrams::tell_destination(&fd, address.is_ipv6())?;
            }
        }
        let name = SocketAddr::try_from(getsockname(&fd)?)?;
        Ok::<_, Errno>((fd, name))
    })();
    match bound {
        Ok((fd, name)) => Ok(Socket::new(Endpoint { protocol, name: Name::Inet(name), over: None }, fd)),
        Err(error) => Err((endpoint, error)),
    }
}

fn bind_path(path: &Path, protocol: Protocol, options: &AddressOptions) -> Result<Socket, ListenError> {
    let endpoint = Endpoint { protocol, name: Name::Path(Arc::from(path)), over: None };
    let other = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => ListenError::NotAllowed { endpoint: endpoint.clone() },
        _ => ListenError::Other { endpoint: endpoint.clone(), error },
    };
    let is_abstract = path::abstract_name(path).is_some();
    let folder = if is_abstract { None } else { path::hold_folder(path) };
    let occupant = if is_abstract { Ok(Occupant::Nobody) } else { path::clear(path) };
    match occupant.map_err(other)? {
        Occupant::Nobody => {}
        Occupant::Alive => {
            let holder = holder::of(&endpoint);
            return Err(ListenError::InUse { endpoint, holder });
        }
        Occupant::Foreign(what) => return Err(ListenError::Occupied { endpoint, what }),
    }
    let bound = (|| {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = socket_with(AddressFamily::UNIX, message::kind(protocol), flags, None)?;
        if protocol == Protocol::UnixDgram {
            datagrams::send_many(&fd);
        }
        options::apply(&fd, options, protocol, true)?;
        bind_to(&fd, &path::address(path)?)?;
        let file = (!is_abstract).then(|| OwnFile::new(path));
        if protocol != Protocol::UnixDgram {
            rustix::net::listen(&fd, BACKLOG)?;
        }
        Ok::<_, Errno>((fd, file))
    })();
    drop(folder);
    match bound {
        Ok((fd, file)) => Ok(Socket::new(endpoint, fd).at_path(file)),
        Err(error) => Err(sort(endpoint, error)),
    }
}

fn sort(endpoint: Endpoint, error: Errno) -> ListenError {
    match error {
        Errno::ADDRINUSE => {
            let holder = holder::of(&endpoint);
            ListenError::InUse { endpoint, holder }
        }
        Errno::ACCESS | Errno::PERM => ListenError::NotAllowed { endpoint },
        Errno::ADDRNOTAVAIL => ListenError::NotLocal { endpoint },
        other => ListenError::Other { endpoint, error: other.into() },
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    fn request(address: &str, protocols: &[Protocol]) -> Request {
        Request { address: Address::parse(address).unwrap(), protocols: protocols.to_vec() }
    }

    #[test]
    fn port_0_is_one_number_for_all_sockets_of_an_address() {
        let bound = bind(&[request("0", &[Protocol::Tcp, Protocol::Udp])], None).unwrap();
        let ports: Vec<u16> = bound
            .sockets
            .iter()
            .map(|socket| match &socket.endpoint.name {
                Name::Inet(address) => address.port(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(ports.len() >= 2);
        assert!(ports.iter().all(|port| *port == bound.ports[0] && *port != 0));
    }

    #[test]
    fn a_port_that_is_held_is_not_bound_and_the_holder_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        let error = bind(&[request(&address, &[Protocol::Tcp])], None).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(error.contains(&format!("tcp://{address}")) && error.contains(&format!("(pid {pid})")), "{error}");
        // The other protocol does not conflict.
        bind(&[request(&address, &[Protocol::Udp])], None).unwrap();
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = held.local_addr().unwrap().to_string();
        let error = bind(&[request(&address, &[Protocol::Udp])], None).unwrap_err().to_string();
        assert!(error.contains(&format!("(pid {pid})")), "{error}");
    }

    #[test]
    fn all_sockets_are_bound_or_none() {
        let both = [Protocol::Tcp, Protocol::Udp];
        // A number that is free for both, of which the datagrams stay held.
        let mut held = bind(&[request("127.0.0.1:0", &both)], None).unwrap();
        held.sockets.remove(0);
        let address = format!("127.0.0.1:{}", held.ports[0]);
        let error = bind(&[request(&address, &both)], None).unwrap_err().to_string();
        assert!(error.contains("udp://"), "{error}");
        TcpListener::bind(address).unwrap();
    }

    #[test]
    fn accepted_sockets_do_not_wait_to_fill_a_segment_and_are_kept_alive() {
        let bound = bind(&[request("127.0.0.1:0", &[Protocol::Tcp])], None).unwrap();
        let _client = TcpStream::connect(("127.0.0.1", bound.ports[0])).unwrap();
        rustix::event::poll(
            &mut [rustix::event::PollFd::new(&bound.sockets[0].fd, rustix::event::PollFlags::IN)],
            None,
        )
        .unwrap();
        let accepted = rustix::net::accept(&bound.sockets[0].fd).unwrap();
        assert!(sockopt::tcp_nodelay(&accepted).unwrap());
        assert!(sockopt::socket_keepalive(&accepted).unwrap());
        assert!(sockopt::tcp_keepidle(&accepted).unwrap() <= std::time::Duration::from_secs(60));
    }

    #[test]
    fn an_address_that_is_asked_for_twice_is_not_blamed_on_somebody_else() {
        let bound = bind(&[request("127.0.0.1:0", &[Protocol::Tcp])], None).unwrap();
        let port = bound.ports[0];
        let every = [request(&format!(":{port}"), &[Protocol::Tcp])];
        let error = twice(bind(&every, None).unwrap_err(), &bound.sockets).to_string();
        let says = format!("tcp://0.0.0.0:{port}: it is asked for twice, and tcp://127.0.0.1:{port} has the port");
        assert!(error.contains(&says), "{error}");
    }

    #[test]
    fn a_port_is_taken_over_from_connections_in_time_wait() {
        let bound = bind(&[request("127.0.0.1:0", &[Protocol::Tcp])], None).unwrap();
        let address = format!("127.0.0.1:{}", bound.ports[0]);
        let client = TcpStream::connect(&address).unwrap();
        let listener = &bound.sockets[0].fd;
        let ready = &mut [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
        rustix::event::poll(ready, None).unwrap();
        // Who closes first is left in TIME_WAIT.
        drop(rustix::net::accept(listener).unwrap());
        drop(client);
        drop(bound);
        bind(&[request(&address, &[Protocol::Tcp])], None).unwrap();
    }

    #[test]
    fn a_unix_socket_is_bound_once_named_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a socket");
        let unix = [request(&format!("unix:{}", path.display()), &[Protocol::Unix])];
        let bound = bind(&unix, None).unwrap();
        assert!(bound.ports.is_empty());
        let error = bind(&unix, None).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(error.contains("the path is in use by") && error.contains(&format!("(pid {pid})")), "{error}");
        // A server that was killed leaves its file.
        let Socket { file, fd, .. } = bound.sockets.into_iter().next().unwrap();
        drop(fd);
        std::mem::forget(file);
        assert!(path.exists());
        drop(bind(&unix, None).unwrap());
        assert!(!path.exists());
        let nowhere = request(&format!("unix:{}/no/folder", folder.path().display()), &[Protocol::Unix]);
        let error = bind(&[nowhere], None).unwrap_err().to_string();
        assert!(error.ends_with("its folder does not exist"), "{error}");
    }

    #[test]
    fn of_many_who_replace_a_dead_socket_at_once_one_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let unix = [request(&format!("unix:{}", path.display()), &[Protocol::Unix])];
        for _ in 0..50 {
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let start = std::sync::Barrier::new(4);
            let bind = || {
                start.wait();
                bind(&unix, None).ok()
            };
            let bound: Vec<Option<Bound>> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(bind)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(bound.iter().flatten().count(), 1);
            std::os::unix::net::UnixStream::connect(&path).unwrap();
        }
    }

    #[test]
    fn ipv4_written_as_ipv6_is_bound_as_ipv4() {
        let bound = bind(&[request("[::ffff:127.0.0.1]:0", &[Protocol::Udp])], None).unwrap();
        assert!(matches!(bound.sockets[0].endpoint.name, Name::Inet(address) if address.is_ipv4()));
        let error = bind(&[request("[fe80::1]:0", &[Protocol::Udp])], None).unwrap_err().to_string();
        assert!(error.contains("a link-local address needs its interface"), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_and_a_privileged_port_are_named() {
        let error = bind(&[request("192.0.2.1:0", &[Protocol::Tcp])], None).unwrap_err();
        assert!(matches!(error, ListenError::NotLocal { .. }), "{error}");
    }
}
