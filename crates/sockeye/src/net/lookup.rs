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
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::resolve::{self, ResolveError};
use crate::address::Host;

/// What a name led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The addresses, in the order in which they would be tried.
    pub addresses: Vec<IpAddr>,
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
        return Ok(Found { addresses: vec![ip], source: None });
    }
    let every = [Ipv4Addr::UNSPECIFIED.into(); 2];
    match resolve::addresses(&Host::Name(name.to_owned()), 0, None, every, time) {
        Ok(found) => Ok(Found { addresses: found.iter().map(SocketAddr::ip).collect(), source: Some(source(name)) }),
        Err(ResolveError::TimedOut) => Err(LookupError::TimedOut { name: name.to_owned() }),
        Err(error) => Err(LookupError::NotFound { name: name.to_owned(), why: error.to_string() }),
    }
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
            assert_eq!(found, Found { addresses: vec![ip.parse().unwrap()], source: None });
        }
    }
}
