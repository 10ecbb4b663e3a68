//! The flags of `relay`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use sockeye::limits;
use sockeye::verb::relay::{Balance, ProxyVersion};

use super::faults::NetworkFlags;
use super::gate::GateFlags;
use super::parsers::{duration, limit};
use super::values::FamilyFlags;

#[derive(Debug, Args)]
#[command(
    after_help = "Each client of FROM gets a connection of its own to TO. A half-close is passed on as a half-close, a reset as \
    a reset, and what was said before either arrives first.\n\
    FROM and TO are [tcp://|tls://|ws://|wss://|udp://][HOST]:PORT, PORT, unix:PATH, unix-dgram:PATH, unix-seqpacket:PATH (@NAME for PATH is \
    an abstract one), exec:CMD, sh:LINE (exec+pty:, sh+pty: with a terminal), stdio or fd:N; :PORT is every interface. stdio, a connection as fd:N and a program as FROM have one conversation. Options stand in a query: \
    'tls://db.example:6380?ca=ca.pem&sni=db', '127.0.0.1:80?bind=192.0.2.7&keepalive=30s'. Sockets have bind, keepalive, nodelay, \
    mptcp, accept-proxy, sndbuf, rcvbuf, tos, ttl, interface, mark, broadcast and join=GROUP[%IF]; tls:// has ca, cert, key, alpn, sni, \
    min=1.3, pin=sha256:… and insecure; ws:// and wss:// have subprotocol=A,B and binary=off, and a path. Between a stream and datagrams, \
    packets or messages frame=none, line or u16 of either address says how the stream holds them.\n\
    With several TO each client goes to the next one that answers. SIGINT or SIGTERM drains; the second ends at once."
)]
pub(crate) struct Relay {
    /// Where to listen, and then where it leads: FROM TO [TO…]
    #[arg(value_name = "ADDR", num_args = 1..)]
    pub(crate) addresses: Vec<String>,
    /// With several TO: which is next
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) balance: Choice,
    /// Tell servers which client a connection is for, by a header of the PROXY protocol; FROM?accept-proxy hears one
    #[arg(long, value_name = "VERSION", value_enum)]
    pub(crate) proxy_protocol: Option<Header>,
    /// End after one connection; exit 0 only if every byte arrived
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// End after N connections; exit 0 only if every byte of them arrived
    #[arg(long = "times", id = "count", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) times: Option<u64>,
    /// Serve toxiproxy's HTTP API there, with which its clients add proxies and toxics: 8474, HOST:PORT
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["once", "count"])]
    pub(crate) control: Option<String>,
    /// Write the port there when all is bound; behind it that of --control
    #[arg(long, value_name = "PATH")]
    pub(crate) port_file: Option<PathBuf>,
    /// How long open connections get when the relay is stopped
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub(crate) grace: Duration,
    /// How long connecting to a server may take, with all its addresses
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "10s")]
    pub(crate) connect_timeout: Duration,
    /// Look the names of TO up again so often, and when no server answers there; connections that are open stay where they are [default: 30s;
    /// 0: only when no server answers]
    #[arg(long, value_name = "TIME", value_parser = duration, hide_default_value = true)]
    pub(crate) resolve_every: Option<Duration>,
    /// Close a connection that was silent for so long [default: none; of a client's datagrams 60s]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) idle_timeout: Option<Duration>,
    /// Threads that relay, 1 to 64; datagrams are relayed by one [default: one for each processor that this process may use,
    /// at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=limits::THREADS as i64))]
    pub(crate) threads: Option<u8>,
    /// Write what is said on each connection as a transcript; %n in the name is its number
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// With --record: write pauses too
    #[arg(long = "pauses", requires = "record")]
    pub(crate) pauses: bool,
    /// Write what passes the sockets as packets, for Wireshark and tshark; secrets of TLS on both sides are in it
    #[arg(long, value_name = "FILE.pcapng")]
    pub(crate) pcap: Option<PathBuf>,
    /// Show who says what, on standard error
    #[arg(long)]
    pub(crate) show: bool,
    /// Show it in hexadecimal digits
    #[arg(long)]
    pub(crate) hexdump: bool,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
    /// Keep every right: without this, `relay` opens no other file and no other TCP port once all is open
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    // The last: their headings would also stand over what follows.
    #[command(flatten)]
    pub(crate) network: NetworkFlags,
    #[command(flatten)]
    pub(crate) gate: GateFlags,
}

/// Versions of the PROXY protocol.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Header {
    /// A line of text
    V1,
    /// Binary
    V2,
}

impl From<Header> for ProxyVersion {
    fn from(header: Header) -> Self {
        match header {
            Header::V1 => Self::V1,
            Header::V2 => Self::V2,
        }
    }
}

/// How the next of several servers is chosen.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Choice {
    /// Each in its turn
    #[default]
    RoundRobin,
    /// The one with the fewest connections
    Least,
}

impl From<Choice> for Balance {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::RoundRobin => Self::RoundRobin,
            Choice::Least => Self::Least,
        }
    }
}
