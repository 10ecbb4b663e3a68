//! What a child's environment says of its connection, under the names that programs for tcpserver, Ncat and socat look for.

use std::ffi::{CStr, CString};
use std::fmt::Display;
use std::io::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::endpoint::{Conversation, Name, Protocol};

/// Beginnings of names that say something of a connection: those that our parent process had are about another one.
const ABOUT_CONNECTIONS: &[&str] = &[
    "PROTO=",
    "TCPLOCAL",
    "TCPREMOTE",
    "TCP6LOCAL",
    "TCP6REMOTE",
    "TCP6INTERFACE",
    "UDPLOCAL",
    "UDPREMOTE",
    "UNIXLOCAL",
    "UNIXREMOTE",
    "SSLLOCAL",
    "SSLREMOTE",
    "NCAT_",
    "SOCAT_",
    "SOCKEYE_CONN=",
    "SOCKEYE_PROTO=",
    "SOCKEYE_SERVER=",
    "SOCKEYE_CLIENT=",
    // So are descriptors that it was given (sd_listen_fds(3)).
    "LISTEN_FDS=",
    "LISTEN_PID=",
    "LISTEN_FDNAMES=",
];

/// Entries of an environment, `NAME=value`. The names are ours or those of our parent process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    inherited: std::sync::Arc<[CString]>,
    /// One behind the other, each with its NUL.
    own: Vec<u8>,
}

impl Environment {
    /// What this process has, without what it says of another connection.
    pub(crate) fn inherited() -> Self {
        let entries = std::env::vars_os().filter_map(|(name, value)| {
            let entry = [name.as_bytes(), b"=", &value.into_vec()].concat();
            let is_stale = ABOUT_CONNECTIONS.iter().any(|start| entry.starts_with(start.as_bytes()));
            CString::new(entry).ok().filter(|_| !is_stale)
        });
        Self { inherited: entries.collect(), own: vec![] }
    }

    /// The same, and what there is to say of a conversation.
    pub(crate) fn about(&self, conversation: &Conversation) -> Self {
        let mut new = Self { inherited: std::sync::Arc::clone(&self.inherited), own: Vec::with_capacity(768) };
        let Conversation { number, protocol, server, client, .. } = conversation;
        new.put("SOCKEYE_CONN", number);
        new.put("SOCKEYE_PROTO", protocol);
        new.put("SOCKEYE_SERVER", server);
        new.put("SOCKEYE_CLIENT", client);
        match (server, client) {
            (Name::Inet(local), Name::Inet(remote)) => {
                let name = if *protocol == Protocol::Udp { "UDP" } else { "TCP" };
                let six = remote.is_ipv6().then(|| format!("{name}6"));
                new.put("PROTO", six.as_deref().unwrap_or(name));
                for old in [Some(name), six.as_deref()].into_iter().flatten() {
                    new.put(format_args!("{old}LOCALIP"), local.ip());
                    new.put(format_args!("{old}LOCALPORT"), local.port());
                    new.put(format_args!("{old}REMOTEIP"), remote.ip());
                    new.put(format_args!("{old}REMOTEPORT"), remote.port());
                }
                new.put("NCAT_PROTO", name);
                new.put("NCAT_LOCAL_ADDR", local.ip());
                new.put("NCAT_LOCAL_PORT", local.port());
                new.put("NCAT_REMOTE_ADDR", remote.ip());
                new.put("NCAT_REMOTE_PORT", remote.port());
                new.put("SOCAT_SOCKADDR", socat(local.ip()));
                new.put("SOCAT_SOCKPORT", local.port());
                new.put("SOCAT_PEERADDR", socat(remote.ip()));
                new.put("SOCAT_PEERPORT", remote.port());
            }
            (server, client) => {
                new.put("PROTO", "UNIX");
                new.put("NCAT_PROTO", "UNIX");
                for (name, own, other) in [
                    ("UNIXLOCALPATH", "NCAT_LOCAL_ADDR", "SOCAT_SOCKADDR"),
                    ("UNIXREMOTEPATH", "NCAT_REMOTE_ADDR", "SOCAT_PEERADDR"),
                ] {
                    let end = if name == "UNIXLOCALPATH" { server } else { client };
                    if matches!(end, Name::Path(_)) {
                        new.put(name, end);
                        new.put(own, end);
                        new.put(other, end);
                    }
                }
            }
        }
        new
    }

    /// Adds one. A value has no NUL: nothing after one would be heard.
    pub(crate) fn put(&mut self, name: impl Display, value: impl Display) {
        let start = self.own.len();
        // Memory takes what is written to it.
        let _ = write!(self.own, "{name}={value}");
        if self.own[start..].contains(&0) {
            let entry = self.own.split_off(start);
            self.own.extend(entry.into_iter().filter(|byte| *byte != 0));
        }
        self.own.push(0);
    }

    /// All entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &CStr> {
        let own = self.own.split_inclusive(|byte| *byte == 0);
        let own = own.filter_map(|entry| CStr::from_bytes_with_nul(entry).ok());
        self.inherited.iter().map(CString::as_c_str).chain(own)
    }
}

/// An address as socat writes it: all of an IPv6 address, in brackets.
fn socat(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{}]", groups(address)),
    }
}

fn groups(address: Ipv6Addr) -> String {
    address.segments().map(|group| format!("{group:04x}")).join(":")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn told(protocol: Protocol, server: Name, client: Name) -> Vec<String> {
        let conversation = Conversation { number: 7, protocol, server, client, to: None };
        let environment = Environment::default().about(&conversation);
        environment.entries().map(|entry| entry.to_str().unwrap().to_owned()).collect()
    }

    fn inet(text: &str) -> Name {
        Name::Inet(text.parse().unwrap())
    }

    #[test]
    fn a_connection_has_the_names_of_tcpserver_ncat_and_socat() {
        assert_eq!(
            told(Protocol::Tcp, inet("127.0.0.1:9999"), inet("127.0.0.2:4000")),
            [
                "SOCKEYE_CONN=7",
                "SOCKEYE_PROTO=tcp",
                "SOCKEYE_SERVER=127.0.0.1:9999",
                "SOCKEYE_CLIENT=127.0.0.2:4000",
                "PROTO=TCP",
                "TCPLOCALIP=127.0.0.1",
                "TCPLOCALPORT=9999",
                "TCPREMOTEIP=127.0.0.2",
                "TCPREMOTEPORT=4000",
                "NCAT_PROTO=TCP",
                "NCAT_LOCAL_ADDR=127.0.0.1",
                "NCAT_LOCAL_PORT=9999",
                "NCAT_REMOTE_ADDR=127.0.0.2",
                "NCAT_REMOTE_PORT=4000",
                "SOCAT_SOCKADDR=127.0.0.1",
                "SOCAT_SOCKPORT=9999",
                "SOCAT_PEERADDR=127.0.0.2",
                "SOCAT_PEERPORT=4000",
            ]
        );
        let six = told(Protocol::Tcp, inet("[::1]:9999"), inet("[fe80::2]:4000"));
        for entry in ["PROTO=TCP6", "TCPREMOTEIP=fe80::2", "TCP6REMOTEIP=fe80::2", "TCP6LOCALPORT=9999"] {
            assert!(six.iter().any(|other| other == entry), "{entry} in {six:#?}");
        }
        let written_out = "SOCAT_PEERADDR=[fe80:0000:0000:0000:0000:0000:0000:0002]";
        assert!(six.iter().any(|entry| entry == written_out), "{six:#?}");
        let udp = told(Protocol::Udp, inet("127.0.0.1:9999"), inet("127.0.0.2:4000"));
        assert!(udp.contains(&"PROTO=UDP".to_owned()) && udp.contains(&"UDPREMOTEPORT=4000".to_owned()), "{udp:#?}");
    }

    /// Row 63 of the faults: what a peer chose stands behind the first `=`, whatever it is.
    #[test]
    fn the_name_of_a_peer_is_a_value_and_never_a_name() {
        let evil = "() { :;}; id\nPATH=/tmp\0LD_PRELOAD=x";
        let told = told(Protocol::Unix, Name::Path(Path::new("/run/x").into()), Name::Path(Path::new(evil).into()));
        for entry in &told {
            let (name, _) = entry.split_once('=').unwrap();
            assert!(
                name.starts_with("SOCKEYE_")
                    || name.starts_with("UNIX")
                    || name.starts_with("NCAT_")
                    || name.starts_with("SOCAT_")
                    || name == "PROTO",
                "{entry}"
            );
        }
        assert!(told.contains(&"UNIXLOCALPATH=/run/x".to_owned()), "{told:#?}");
        assert!(told.contains(&"SOCAT_PEERADDR=() { :;}; id\nPATH=/tmpLD_PRELOAD=x".to_owned()), "{told:#?}");
    }
}
