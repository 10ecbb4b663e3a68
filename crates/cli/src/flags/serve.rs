//! The flags of `serve`.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sockeye::limits;
use sockeye::verb::serve::Budget;

use super::gate::GateFlags;
use super::parsers::{budget, duration, large_size, limit, size};
use super::values::{FamilyFlags, Values};

#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("program").args(["exec", "shell"]),
    after_help = "Without an address it listens on port 9999 of 127.0.0.1 and ::1, over TCP and UDP or, with --files, HTTP; \
    without --play or another role it greets.\n\
    :PORT is every interface. An address without a scheme means TCP and UDP. SIGINT or SIGTERM drains; the second ends at once."
)]
pub(crate) struct Serve {
    /// Where to listen: [tcp://|udp://|tls://|ws://|wss://|http://|https://][HOST]:PORT, HOST PORT, PORT, unix:PATH, unix-dgram:PATH, unix-seqpacket:PATH, fd:N; one client: stdio, exec:CMD, sh:LINE
    #[arg(value_name = "ADDR")]
    pub(crate) addresses: Vec<String>,
    /// Play the S side of a transcript; several stand at their own addresses: their `at`, or as many ADDR in the same order
    #[arg(long, value_name = "FILE", group = "role")]
    pub(crate) play: Vec<PathBuf>,
    /// Send back what comes (RFC 862)
    #[arg(long, group = "role")]
    pub(crate) echo: bool,
    /// Throw away what comes (RFC 863); datagrams that one peer sent and that are taken together are one conversation
    #[arg(long, group = "role")]
    pub(crate) discard: bool,
    /// Run a program for each client: what comes is its standard input, what it says is sent. Words are split as a shell splits
    /// them, and no shell is run
    #[arg(long, value_name = "CMD", group = "role")]
    pub(crate) exec: Option<String>,
    /// The same with a line of sh(1)
    #[arg(long, value_name = "LINE", group = "role")]
    pub(crate) shell: Option<String>,
    /// Give each program a terminal of its own, as interactive ones want it
    #[arg(long, requires = "program")]
    pub(crate) pty: bool,
    /// Programs at once; more clients wait [default: 1024, or less if the limit of open files is low]
    #[arg(long, value_name = "N", requires = "program", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_children: Option<u32>,
    /// End after one conversation; exit 1 if it did not go as written, or no client came
    #[arg(long, conflicts_with = "times")]
    pub(crate) once: bool,
    /// End after N conversations; exit 1 if one did not go as written, or fewer came
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) times: Option<u64>,
    /// Wait so long for the next client while none is connected, then end with exit 1
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) wait: Option<Duration>,
    /// Judge every play as --once and --times do, but keep serving; exit 1 at the end if one failed
    #[arg(long)]
    pub(crate) strict: bool,
    /// Where plays are judged, let a client leave between two rounds of a `repeat` although statements follow; without
    /// --strict it may also reset the connection or be silent there
    #[arg(long)]
    pub(crate) allow_early_close: bool,
    /// Read the transcripts again when they change, as SIGHUP does; open conversations go on with the old ones
    #[arg(long, requires = "play")]
    pub(crate) watch: bool,
    /// Write the ports there when all is bound, one a line, in the order of the addresses
    #[arg(long, value_name = "PATH")]
    pub(crate) port_file: Option<PathBuf>,
    /// How long open exchanges get when the server is stopped, and a program whose client is gone
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub(crate) grace: Duration,
    /// How long to wait for a client [default: the transcript's, or 5m; with --files 10s for a request, 60s for the next]
    #[arg(long, value_name = "TIME", value_parser = limit)]
    pub(crate) timeout: Option<Duration>,
    /// Longest line
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "64KiB")]
    pub(crate) max_line: usize,
    /// Most memory for all buffers together; then the conversation that waited longest is closed [default: a quarter of
    /// what the process may have]
    #[arg(long, value_name = "SIZE", value_parser = large_size)]
    pub(crate) max_memory: Option<u64>,
    /// Threads that serve connections, 1 to 64; datagrams are served by one [default: one for each processor that this process
    /// may use, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=limits::THREADS as i64))]
    pub(crate) threads: Option<u8>,
    /// Who to be over https://, tls:// and wss://, and where a transcript says `starttls`, in PEM form [default: a certificate made for this run]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of --cert, which no other user may read
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Over TLS, ask each client for a certificate, and let in only those that these authorities (PEM) signed for
    #[arg(long, value_name = "FILE")]
    pub(crate) client_ca: Option<PathBuf>,
    /// Lift the bounds on UDP answers off the loopback: `off`, or for a network such as 10.0.0.0/8
    #[arg(long, value_name = "off|PREFIX", value_parser = budget)]
    pub(crate) udp_budget: Option<Budget>,
    #[command(flatten)]
    pub(crate) values: Values,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
    #[command(flatten)]
    pub(crate) gate: GateFlags,
    /// Keep the right to open other files and sockets once all is bound, and to gain privileges; with --exec it is kept anyway,
    /// and -v says what is given up
    #[arg(long)]
    pub(crate) no_sandbox: bool,
    // The last: its heading would also stand over what follows.
    #[command(flatten)]
    pub(crate) web: Web,
}

/// A folder over HTTP.
#[derive(Debug, Args)]
#[command(next_help_heading = "Files over HTTP (http://ADDR or https://ADDR)")]
pub(crate) struct Web {
    /// Serve what is in a folder, and nothing outside it, to browsers and others who speak HTTP; of one file, that file alone
    #[arg(long, value_name = "DIR|FILE", group = "role")]
    pub(crate) files: Option<PathBuf>,
    /// Serve and list names that begin with a dot too
    #[arg(long, requires = "files")]
    pub(crate) hidden: bool,
    /// Follow links that lead outside the folder too, to read what is there; inside it they always are
    #[arg(long, requires = "files")]
    pub(crate) follow_links: bool,
    /// Show no page of what is in a folder without an index.html
    #[arg(long, requires = "files")]
    pub(crate) no_listing: bool,
    /// Send every file as it is, and none packed with br or gzip
    #[arg(long, requires = "files")]
    pub(crate) no_compression: bool,
    /// Let pages of other origins read what is served
    #[arg(long, requires = "files")]
    pub(crate) cors: bool,
    /// Send this file of the folder for pages that are not there (single-page applications)
    #[arg(long, value_name = "FALLBACK", requires = "files")]
    pub(crate) spa: Option<String>,
    /// Send this file of the folder, with 404, for what is not there
    #[arg(long, value_name = "PAGE", requires = "files")]
    pub(crate) not_found: Option<String>,
    /// Add a field to every answer, such as 'X-Frame-Options: DENY'; one that is sent anyway, such as Cache-Control, is replaced
    #[arg(long, value_name = "NAME: VALUE", requires = "files")]
    pub(crate) header: Vec<String>,
    /// How long files may be kept, such as '*.js: max-age=86400'; a value alone is for all, and the first that fits counts
    /// [default: no-cache]
    #[arg(long, value_name = "[PATTERN:] VALUE", requires = "files")]
    pub(crate) cache_control: Vec<String>,
    /// Send FILE.br or FILE.gz in place of FILE to clients that accept it, if it is there and no older
    #[arg(long, requires = "files")]
    pub(crate) precompressed: bool,
    /// Send a folder whole for ?zip and ?tar behind its path
    #[arg(long, requires = "files")]
    pub(crate) archive: bool,
    /// Serve only users with this name and password; @FILE reads one from each line, so that they are in no list of processes
    #[arg(long, value_name = "USER:PASSWORD|@FILE", requires = "files")]
    pub(crate) basic_auth: Vec<String>,
    /// Only these may store files (they may read too); reading stays open to all, or to those that --basic-auth names
    #[arg(long, value_name = "USER:PASSWORD|@FILE", requires = "upload")]
    pub(crate) write_auth: Vec<String>,
    /// Redirect clients of http:// to the address of https://
    #[arg(long, requires = "files")]
    pub(crate) https_redirect: bool,
    /// Let files be stored, with PUT and from the pages of folders, and folders be made
    #[arg(long, requires = "files")]
    pub(crate) upload: bool,
    /// Largest file that may be stored
    #[arg(long, value_name = "SIZE", requires = "upload", value_parser = large_size, default_value = "1GiB")]
    pub(crate) max_upload: u64,
    /// Answer requests for this host name too, or * for any; those for addresses, its own name, names without a dot and those
    /// below localhost, local and internal are always answered
    #[arg(long, value_name = "NAME", requires = "files")]
    pub(crate) host: Vec<String>,
    /// Write the access log there, in the common combined format or with --json as JSON, and not to standard error
    #[arg(long, value_name = "FILE", requires = "files")]
    pub(crate) access_log: Option<PathBuf>,
}
