//! What was typed behind `ports` and `addrs`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [PORT] is a placeholder")]

use std::time::Duration;

use clap::{Args, ValueEnum};
use sockeye::event::Protocol;
use sockeye::verb::ports::Of;

use super::parsers::{duration, limit};
use super::values::FamilyFlags;

#[derive(Debug, Args)]
#[command(
    after_help = "Of a listener, QUEUE is the connections that wait to be accepted and how many may wait; of others the bytes that \
    wait to be read and those that the peer has not acknowledged.\nIt exits with 1 if there is no such socket."
)]
pub(crate) struct Ports {
    /// Only sockets that are bound to this port; sockets that are connected to it from another one are not shown
    #[arg(value_name = "PORT", value_parser = wanted)]
    pub(crate) ports: Vec<Wanted>,
    /// Only those that take connections or datagrams from anybody
    #[arg(short, long)]
    pub(crate) listening: bool,
    /// Only those of a process, by its number, or of all processes of a name
    #[arg(long, value_name = "PID|NAME", value_parser = of)]
    pub(crate) of: Option<Of>,
    /// Only this protocol
    #[arg(long, value_name = "PROTOCOL", value_enum)]
    pub(crate) protocol: Vec<ProtocolFlag>,
    /// Wait until there is a listener on every PORT, at most so long if a TIME is given (--wait=5s, --wait 5s); 28 if there is none by then
    #[arg(long, value_name = "TIME", value_parser = limit, num_args = 0..=1, require_equals = true)]
    pub(crate) wait: Option<Option<Duration>>,
    /// Go on, and say every second which sockets came (+) and went (-)
    #[arg(long, conflicts_with = "wait")]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Addrs {
    /// Say which address and interface would be used to reach this address or name
    #[arg(value_name = "DEST")]
    pub(crate) destination: Option<String>,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ProtocolFlag {
    Tcp,
    Udp,
    Unix,
}

impl From<ProtocolFlag> for Protocol {
    fn from(flag: ProtocolFlag) -> Self {
        match flag {
            ProtocolFlag::Tcp => Self::Tcp,
            ProtocolFlag::Udp => Self::Udp,
            ProtocolFlag::Unix => Self::Unix,
        }
    }
}

/// A port, or the time of `--wait 5s`, which may stand before a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Port(u16),
    Time(Duration),
}

impl Wanted {
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Port(port) => Some(*port),
            Self::Time(_) => None,
        }
    }

    pub(crate) fn time(&self) -> Option<Duration> {
        match self {
            Self::Port(_) => None,
            Self::Time(time) => Some(*time),
        }
    }
}

fn wanted(text: &str) -> Result<Wanted, String> {
    // A time only with a unit: a number is a port.
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    let wanted = match text.parse() {
        Ok(port) => (port != 0).then_some(Wanted::Port(port)),
        Err(_) if has_unit => duration(text).ok().map(Wanted::Time),
        Err(_) => None,
    };
    wanted.ok_or_else(|| "a port is a number from 1 to 65535".to_owned())
}

fn of(text: &str) -> Result<Of, String> {
    if text.is_empty() {
        return Err("write the number of a process, or its name".to_owned());
    }
    Ok(text.parse().map_or_else(|_| Of::Name(text.to_owned()), Of::Pid))
}
