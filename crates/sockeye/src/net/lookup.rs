//! A name's addresses, and where they come from.
//!
//! ```
//! use std::time::Duration;
//! use sockeye::net::lookup::look_up;
//!
//! let found = look_up("127.0.0.1", Duration::from_secs(1))?;
//! assert!(found.addresses[0].is_loopback() && found.source.is_none());
//! # Ok::<(), sockeye::net::lookup::LookupError>(())
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::resolve::{self, ResolveError};
use crate::address::{Host, scope_number};

/// What a name led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The addresses, in the order in which they would be tried.
    pub addresses: Vec<IpAddr>,
    /// The number of the interface behind a `%`, which link-local addresses need; 0 if none was written.
    pub scope: u32,
    /// Where they come from; `None` of an address that was written as one.
    pub source: Option<String>,
}

/// Why a name led nowhere. Displays as a whole sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum LookupError {
    /// No source of names has it.
    NotFound {
        /// The name.
        name: String,
        /// The resolver's words.
        why: String,
    },
    /// It is more than a host, or less.
    NoHost {
        /// What was written.
        name: String,
        /// What to write.
        help: String,
    },
    /// The resolver did not answer in time.
    TimedOut {
        /// The name.
        name: String,
    },
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name, why } => write!(f, "{name}: {why}"),
            Self::NoHost { name, help } => write!(f, "`{name}` is no address and no name: {help}"),
            Self::TimedOut { name } => write!(f, "{name}: the name was not found in time"),
        }
    }
}

impl std::error::Error for LookupError {}

/// Looks a name up by the system's resolver, or reads an address, which may be in brackets.
///
/// # Errors
/// There is no such name, or the resolver does not answer in time.
pub fn look_up(name: &str, time: Duration) -> Result<Found, LookupError> {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(Found { addresses: vec![ip], scope: 0, source: None });
    }
    if let Some(found) = scoped(name, bare) {
        return found;
    }
    if let Some(host) = host_of(name) {
        let help = if host.is_empty() { "write a host".to_owned() } else { format!("write {host} alone") };
        return Err(LookupError::NoHost { name: name.to_owned(), help });
    }
    let every = [Ipv4Addr::UNSPECIFIED.into(); 2];
    match resolve::addresses(&Host::Name(name.to_owned()), 0, None, every, time) {
        Ok(found) => {
            let addresses = found.iter().map(SocketAddr::ip).collect();
            Ok(Found { addresses, scope: 0, source: Some(source(name)) })
        }
        Err(ResolveError::TimedOut) => Err(LookupError::TimedOut { name: name.to_owned() }),
        Err(error) => Err(LookupError::NotFound { name: name.to_owned(), why: error.to_string() }),
    }
}

/// An IPv6 address and an interface behind it.
fn scoped(name: &str, bare: &str) -> Option<Result<Found, LookupError>> {
    let (ip, scope) = bare.split_once('%')?;
    let ip = ip.parse::<Ipv6Addr>().ok()?;
    Some(match scope_number(scope) {
        Some(scope) => Ok(Found { addresses: vec![ip.into()], scope, source: None }),
        None => {
            let help = format!("this machine has no interface `{scope}`: sockeye addrs shows those that it has");
            Err(LookupError::NoHost { name: name.to_owned(), help })
        }
    })
}

/// The host of a URL, or of an address with a port; nothing of what is a host already.
fn host_of(name: &str) -> Option<&str> {
    let behind = name.split_once("://").map(|(_, behind)| behind.split(['/', '?', '#']).next().unwrap_or_default());
    let host = match behind.unwrap_or(name) {
        bracketed if bracketed.starts_with('[') => bracketed.split_inclusive(']').next().unwrap_or_default(),
        // More than one colon: an IPv6 address that is wrong.
        other if other.matches(':').count() == 1 => other.split(':').next().unwrap_or_default(),
        other => other,
    };
    (host != name || name.is_empty()).then_some(host)
}

/// The hosts file if it has the name (hosts(5)), else what the resolver is told to ask (nsswitch.conf(5), resolv.conf(5)).
fn source(name: &str) -> String {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    if has_name(&hosts, name) {
        return "from /etc/hosts".to_owned();
    }
    let order = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    let order = words_behind(&order, "hosts:").next().unwrap_or_default().join(" ");
    let servers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> = words_behind(&servers, "nameserver").flatten().collect();
    match (order.is_empty(), servers.is_empty()) {
        (_, false) => format!("from the resolver ({order}; name servers {})", servers.join(", ")),
        (false, true) => format!("from the resolver ({order})"),
        (true, true) => "from the resolver".to_owned(),
    }
}

fn has_name(hosts: &str, name: &str) -> bool {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.flat_map(|line| line.split_whitespace().skip(1)).any(|known| known.eq_ignore_ascii_case(name))
}

fn words_behind<'a>(text: &'a str, key: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    text.lines().filter_map(move |line| {
        let mut words = line.split_whitespace();
        (words.next() == Some(key)).then(|| words.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_hosts_file_is_told_from_others() {
        let hosts = "127.0.0.1 localhost\n# 1.2.3.4 commented\n10.0.0.1\tWeb web.example # tail\n";
        for (name, expected) in
            [("localhost", true), ("web", true), ("WEB.example", true), ("commented", false), ("tail", false)]
        {
            assert_eq!(has_name(hosts, name), expected, "{name}");
        }
    }

    #[test]
    fn an_address_is_itself() {
        for (text, ip) in [("127.0.0.1", "127.0.0.1"), ("[::1]", "::1"), ("::1", "::1")] {
            let found = look_up(text, Duration::from_secs(1)).unwrap();
            assert_eq!(found, Found { addresses: vec![ip.parse().unwrap()], scope: 0, source: None });
        }
    }
}
