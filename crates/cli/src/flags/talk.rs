//! The flags of `talk`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};
use sockeye::net::connect::Source;
use sockeye::net::datagrams::Group;
use sockeye::net::proxy::Proxy;
use sockeye::net::tls::Trust;
use sockeye::verb::talk::{Eol, Upgrade};

use super::gate::GateFlags;
use super::parsers::{Sha256Hex, count, duration, group, interface, limit, own_end, pin, proxy, sha256, size};
use super::values::{FamilyFlags, Values};

#[derive(Debug, Args)]
#[command(
    after_help = "Without --play, standard input goes to the socket and what comes goes to standard output. When standard input \
    ends, our end is half-closed and the answer is waited for. When the peer ends first, it still gets what comes on standard \
    input, for it may go on reading: talk ends when standard input does. A standard input that stays open and silent is given \
    15 s once the peer is known to have closed, or, with --listen, has ended. At a terminal talk ends with the peer.\n\
    With --listen, an empty standard input (/dev/null, a closed pipe) ends nothing: what comes is taken until the peer ends.\n\
    Through a proxy, and under TLS, our end is half-closed after a second of quiet behind an answer, or after 5 s without one: many proxies \
    and servers end both ways when they hear one end.\n\
    Exit code 0: every byte arrived, both ways. To see only whether somebody listens, use --zero.\n\
    Over UDP each line is one datagram without its ending, and a second of quiet after an answer ends the conversation."
)]
pub(crate) struct Talk {
    /// Where to: [tcp://|udp://|tls://|ws://|wss://][HOST]:PORT, HOST PORT, PORT, unix:PATH, unix-dgram:PATH, unix-seqpacket:PATH, exec:CMD, sh:LINE, fd:N; with --play also stdio, and the transcript's `at` is the default
    #[arg(value_name = "ADDR", required_unless_present = "play", num_args = 1..=2)]
    pub(crate) address: Vec<String>,
    /// Play the C side of a transcript and check what the server says; several are played one after the other
    #[arg(long, value_name = "FILE", conflicts_with_all = ["listen", "eol", "raw"])]
    pub(crate) play: Vec<PathBuf>,
    /// With --play: play once for each row of a .csv (names in its first row) or .jsonl file
    #[arg(long, value_name = "FILE", requires = "play")]
    pub(crate) data: Option<PathBuf>,
    /// With --play: play everything so often
    #[arg(long, value_name = "N", requires = "play", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) repeat: u32,
    /// With --play: write what came of each play; FILE.xml is JUnit, FILE.tap is TAP, FILE.json is JSON
    #[arg(long, value_name = "FILE", requires = "play")]
    pub(crate) report: Vec<PathBuf>,
    /// With --play: rewrite received lines that differ in the transcript
    #[arg(long, requires = "play", conflicts_with_all = ["data", "repeat", "record", "report"])]
    pub(crate) update: bool,
    /// Write what was said as a transcript
    #[arg(long, value_name = "FILE", conflicts_with = "keep")]
    pub(crate) record: Option<PathBuf>,
    /// With --record: write pauses too
    #[arg(long, requires = "record")]
    pub(crate) times: bool,
    /// Listen there, and talk to one client
    #[arg(short, long)]
    pub(crate) listen: bool,
    /// With --listen: talk to one client after another
    #[arg(short, long, requires = "listen")]
    pub(crate) keep: bool,
    /// With --listen: write the port there when it is bound
    #[arg(long, value_name = "PATH", requires = "listen")]
    pub(crate) port_file: Option<PathBuf>,
    /// End the lines of standard input so [default: as they come; over UDP not at all]
    #[arg(long, value_name = "EOL")]
    pub(crate) eol: Option<EolFlag>,
    /// Say only whether a program listens there: nothing is sent over TCP, and over UDP an empty datagram; several ports are HOST 20-30,80 or HOST:20-30,80, and exit 0 is that one is open
    #[arg(long, conflicts_with_all = ["play", "listen", "record", "eol", "raw", "recv_only", "send_only", "idle"])]
    pub(crate) zero: bool,
    /// With --zero: so many ports at a time
    #[arg(long, value_name = "N", requires = "zero", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Show what passes as a dump in hex on standard error: > is what we send, < what the peer sends
    #[arg(long, conflicts_with = "zero")]
    pub(crate) hex: bool,
    /// Show how far it is on a terminal, and say at the end how much passed, how fast, and its SHA-256
    #[arg(long, conflicts_with_all = ["play", "zero", "keep"])]
    pub(crate) progress: bool,
    /// What comes must have this digest; else exit 1
    #[arg(long, value_name = "HEX", value_parser = sha256, conflicts_with_all = ["play", "zero", "keep", "send_only"])]
    pub(crate) sha256: Option<Sha256Hex>,
    /// So many bytes must come; fewer are exit 18, more are exit 1
    #[arg(long, value_name = "N", value_parser = count, conflicts_with_all = ["play", "zero", "keep", "send_only"])]
    pub(crate) bytes: Option<u64>,
    /// Try for so long to connect, until the server is there; over datagrams, ask again where no program listens, and under TLS
    /// and in a WebSocket begin a handshake again that was broken
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "listen")]
    pub(crate) retry: Option<Duration>,
    /// Only take what the peer sends: standard input is not read
    #[arg(long, conflicts_with_all = ["play", "send_only"])]
    pub(crate) recv_only: bool,
    /// Only send standard input: no answer is waited for, and what comes is thrown away
    #[arg(long, conflicts_with_all = ["play", "keep"])]
    pub(crate) send_only: bool,
    /// End when nothing has passed for so long, either way; exit 28. Of this and all other limits, 0 is none
    #[arg(long, value_name = "TIME", value_parser = limit, conflicts_with = "play")]
    pub(crate) idle: Option<Duration>,
    /// For the whole conversation; with --play, to wait for the server's next line
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) timeout: Option<Duration>,
    /// For looking the name up and connecting
    #[arg(long, value_name = "TIME", value_parser = limit, default_value = "10s")]
    pub(crate) connect_timeout: Duration,
    /// Come from this address or port of this machine, or both: ADDR, ADDR:PORT, :PORT
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = own_end, conflicts_with = "listen")]
    pub(crate) source: Option<Source>,
    /// Go through this network interface; systems before Linux 5.7 let root alone do that for what comes, too
    #[arg(long, value_name = "NAME", value_parser = interface, conflicts_with_all = ["listen", "source"])]
    pub(crate) interface: Option<String>,
    /// Over UDP: send to all of a network at once, as to 192.0.2.255 or 255.255.255.255, and hear everybody who answers
    #[arg(long, conflicts_with_all = ["listen", "play"])]
    pub(crate) broadcast: bool,
    /// Over UDP: take what is sent to a multicast group; a client hears it at the port of --source
    #[arg(long, value_name = "GROUP[%IF]", value_parser = group)]
    pub(crate) join: Vec<Group>,
    /// Over UDP: the hop limit of what is sent (TTL); with 1 it stays in this network [default: 64, to groups 1]
    #[arg(long, value_name = "N", conflicts_with = "listen", value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) ttl: Option<u8>,
    /// Go through a proxy: socks5h://, socks5://, socks4a://, socks4:// or http:// [USER:PASSWORD@]HOST[:PORT]; socks5h, socks4a and http have the proxy look names up, and the port is 1080 if none is written
    #[arg(long, value_name = "URL", value_parser = proxy, conflicts_with = "listen")]
    pub(crate) proxy: Option<Proxy>,
    /// Say what a protocol says before TLS, and begin TLS; the conversation is joined to standard input and output from there
    #[arg(long, value_name = "PROTOCOL", conflicts_with_all = ["listen", "play", "zero"])]
    pub(crate) starttls: Option<StartTls>,
    /// With tls://, --starttls, and with --play where a transcript says `starttls`: trust who these certificates (PEM) sign for, and no others
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pin", "listen"])]
    pub(crate) ca: Option<PathBuf>,
    /// The same for one certificate, no matter who signed it
    #[arg(long, value_name = "sha256:HEX", conflicts_with = "listen", value_parser = pin)]
    pub(crate) pin: Option<Trust>,
    /// Who to be, in PEM form, to a server that asks; with --listen at tls:// and wss://, to clients [default there: a certificate made for this run]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of --cert, which no other user may read
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Longest line, with --play
    #[arg(long, value_name = "SIZE", requires = "play", value_parser = size, default_value = "64KiB")]
    pub(crate) max_line: usize,
    /// Let a terminal obey what the peer sends
    #[arg(long)]
    pub(crate) raw: bool,
    /// At a terminal, neither read nor write the history of typed lines ($XDG_STATE_HOME/sockeye/history)
    #[arg(long)]
    pub(crate) no_history: bool,
    #[command(flatten)]
    pub(crate) values: Values,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
    /// With --listen, keep every right: without this, no other file and no other TCP socket can be opened once it listens
    #[arg(long, requires = "listen")]
    pub(crate) no_sandbox: bool,
    // The last: its heading would also stand over what follows.
    #[command(flatten)]
    pub(crate) gate: GateFlags,
}

/// A protocol that may go over to TLS, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StartTls(pub(crate) Upgrade);

impl ValueEnum for StartTls {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [StartTls; Upgrade::ALL.len()] = {
            let mut all = [StartTls(Upgrade::Smtp); Upgrade::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = StartTls(Upgrade::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum EolFlag {
    Lf,
    Crlf,
    None,
}

impl From<EolFlag> for Eol {
    fn from(flag: EolFlag) -> Self {
        match flag {
            EolFlag::Lf => Self::Lf,
            EolFlag::Crlf => Self::CrLf,
            EolFlag::None => Self::None,
        }
    }
}
