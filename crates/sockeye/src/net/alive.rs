//! Keepalive (RFC 9293, section 3.8.4): a peer that vanished without a word, or a firewall that forgot the connection, is
//! noticed after two minutes and not, as by the system's default, after more than two hours.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt;

/// Quiet before the first probe.
const QUIET: Duration = Duration::from_secs(60);
/// Between two probes.
const BETWEEN: Duration = Duration::from_secs(15);
/// Probes without an answer until the connection counts as broken.
const PROBES: u32 = 4;

/// Has the system ask a peer of TCP now and then whether it is still there. What a listener has, its connections get.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn keep_alive(socket: impl AsFd) -> Result<(), Errno> {
    probe_after(&socket, QUIET, BETWEEN)?;
    sockopt::set_tcp_keepcnt(&socket, PROBES)
}

/// The same at other intervals.
///
/// # Errors
/// As setsockopt(2).
pub(crate) fn probe_after(socket: impl AsFd, quiet: Duration, between: Duration) -> Result<(), Errno> {
    sockopt::set_tcp_keepidle(&socket, quiet)?;
    sockopt::set_tcp_keepintvl(&socket, between)?;
    sockopt::set_socket_keepalive(&socket, true)
}
