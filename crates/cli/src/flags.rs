//! What was typed. One definition feeds the parser, help, manual pages and completions.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

mod fetch;
mod foreign;
mod ports;
mod shape;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use sockeye::limits;
use sockeye::net::Family;
use sockeye::net::tls::Trust;
use sockeye::verb::serve::Budget;
use sockeye::verb::talk::Eol;
use transcript::record::Secret;

use crate::color::Color;
use fetch::large_size;
pub(crate) use fetch::{Fetch, User};
pub(crate) use ports::{Addrs, Ports};

/// Stands at either end of a socket: serves, talks and checks conversations written as plain transcripts.
#[derive(Debug, Parser)]
#[command(name = "sockeye", version, arg_required_else_help = true, before_help = before_help(), after_help = ADDRESSES,
    after_long_help = after_long_help(), subcommand_required = true, max_term_width = 100)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Reads the command line. To build what all verbs know takes longer than the rest of a short run: where the verb
/// stands first, its own flags are tried before, and whatever is wrong with them is told by the whole.
pub(crate) fn parse() -> Result<Flags, clap::Error> {
    let words: Vec<OsString> = std::env::args_os().collect();
    if matches!(&words[..], [_, only] if only == "--version" || only == "-V") {
        clap::Command::new("sockeye").version(env!("CARGO_PKG_VERSION")).try_get_matches_from(&words)?;
    }
    match alone(&words) {
        Some(flags) => Ok(flags),
        None => Flags::from_arg_matches(&command().try_get_matches_from(words)?),
    }
}

/// What is wrong with the command line, in words: clap's, or ours where they say more.
pub(crate) fn explain(error: &clap::Error) -> String {
    let words: Vec<OsString> = std::env::args_os().collect();
    foreign::answers(error, &words).or_else(|| number(error)).unwrap_or_else(|| error.render().to_string())
}

/// A value that is no number, or one too small.
fn number(error: &clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    if error.kind() != ErrorKind::ValueValidation {
        return None;
    }
    let (value, flag) = (text(ContextKind::InvalidValue)?, text(ContextKind::InvalidArg)?);
    let source = std::error::Error::source(error)?;
    let why = match source.downcast_ref::<std::num::ParseIntError>().map(std::num::ParseIntError::kind) {
        Some(std::num::IntErrorKind::PosOverflow) => "the number is too large",
        Some(_) => "write a whole number, such as 3",
        None if source.to_string().contains("..") => match value.parse::<i128>() {
            Ok(..=0) => "write a number from 1 up",
            Ok(_) => "the number is too large",
            Err(_) => return None,
        },
        None => return None,
    };
    Some(format!("error: invalid value '{value}' for '{flag}': {why}\n\nFor more information, try '--help'.\n"))
}

/// The whole definition, as help and the manual show it.
pub(crate) fn command() -> clap::Command {
    shape::shaped(Flags::command())
}

fn alone(words: &[OsString]) -> Option<Flags> {
    let (command, common) = match words.get(1)?.to_str()? {
        "serve" => one(words, Command::Serve)?,
        "talk" => one(words, Command::Talk)?,
        "fetch" => one(words, |fetch| Command::Fetch(Box::new(fetch)))?,
        "check" => one(words, Command::Check)?,
        _ => return None,
    };
    Some(Flags { command, common })
}

/// What a verb alone makes of the words, if nothing is wrong with them and no help is asked for.
fn one<A: Args>(words: &[OsString], command: impl FnOnce(A) -> Command) -> Option<(Command, Common)> {
    let parser = Common::augment_args(A::augment_args(clap::Command::new("sockeye")));
    let matches = parser.try_get_matches_from(&words[1..]).ok()?;
    let common = Common::from_arg_matches(&matches).ok()?;
    Some((command(A::from_arg_matches(&matches).ok()?), common))
}

pub(crate) const EXAMPLES: &str =
    "  sockeye serve                                greet on TCP and UDP port 9999 of the loopback
  sockeye talk 9999                            talk to it by hand
  printf 'Michael\\nexit\\n' | sockeye talk 9999  the same in a pipe
  sockeye serve :7000 --play smtp.talk         play the server's side of a transcript
  sockeye talk localhost:25 --play smtp.talk   play the client's side and check the server
  sockeye fetch https://example.org/           print the head of the answer, save the body
  sockeye serve http://:8080 --files site      serve a folder to browsers
  sockeye check smtp.talk                      from which ends it can be played";

pub(crate) const ADDRESSES: &str =
    "An address is [tcp://|udp://|http://|https://][HOST]:PORT, HOST PORT, a bare PORT of the loopback, or unix:PATH.";

fn before_help() -> String {
    format!("Examples:\n{EXAMPLES}")
}

fn after_long_help() -> String {
    let table = crate::exit::Exit::table();
    format!("{ADDRESSES}\n\nExit codes:\n{}\n\nBounds:\n{}", table.trim_end(), bounds().trim_end())
}

/// The table of bounds for help and manual.
pub(crate) fn bounds() -> String {
    let line = |limit: &limits::Limit| {
        let flag = limit.flag.map_or(String::new(), |flag| format!(" ({flag})"));
        format!("  {}{flag}: {}\n", limit.what, (limit.default)())
    };
    limits::TABLE.iter().map(line).collect()
}

/// What every verb has.
#[derive(Debug, Clone, Args)]
pub(crate) struct Common {
    /// Say nothing but errors that end the program
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: every connection, every address tried
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Write events as JSON, one object a line, to standard error
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colour messages, and what is shown of answers on a terminal; auto: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: Color,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Listen, and play the server's side for every client
    Serve(Serve),
    /// Connect, and join the conversation to standard input and output, or play the client's side
    Talk(Talk),
    /// Fetch a page: print the head of the answer, save the body whole or not at all
    Fetch(Box<Fetch>),
    /// Say what is wrong with transcripts, and play both sides against each other
    Check(Check),
    /// Turn a session as RFCs print it into a transcript
    Import(Import),
    /// Say which process holds which port: TCP, UDP and Unix sockets
    Ports(Ports),
    /// Say which interfaces and addresses this machine has, and from which one a destination is reached
    Addrs(Addrs),
    /// Be OpenBSD's nc, as Debian has it; so is the program under the name `nc`
    Nc(Nc),
    /// Write a completion script for a shell
    Completions(Completions),
    /// Write the manual pages
    Man(Man),
    #[command(external_subcommand)]
    Later(Vec<String>),
}

/// Verbs that are planned and cannot be used yet.
const LATER: [&str; 3] = ["relay", "load", "probe"];

pub(crate) fn later(verb: &str) -> String {
    if LATER.contains(&verb) {
        return format!(
            "`sockeye {verb}` is not there yet; this version has serve, talk, fetch, check, import, ports, addrs and nc"
        );
    }
    let meant = match verb_meant(verb) {
        Some(meant) => format!(": did you mean {meant}?"),
        None => String::new(),
    };
    format!(
        "`{verb}` is no verb{meant}; the verbs are serve, talk, fetch, check, import, ports, addrs, nc, completions and man: sockeye --help"
    )
}

/// Its command line is nc's own: nothing of it is read here, but where flags of all verbs stand before the verb.
#[derive(Debug, Args)]
#[command(disable_help_flag = true, after_help = nc_help())]
pub(crate) struct Nc {
    /// nc's own flags, then [destination] [port...]
    #[arg(value_name = "NC ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<OsString>,
    /// Print this help; -h prints nc's
    #[arg(long, action = clap::ArgAction::HelpLong)]
    help: Option<bool>,
}

/// What `nc -h` says of its flags.
fn nc_help() -> String {
    let flags: String =
        crate::commands::nc::FLAGS.iter().map(|(flag, what)| format!("  {:<16}{what}\n", flag.trim())).collect();
    format!(
        "Flags, messages, exit codes (0 and 1) and system calls are those of netcat-openbsd 1.219:\n{flags}\n\
        Ports are numbers, services and ranges: lo-hi. A link makes it the nc of scripts: ln $(command -v sockeye) ~/bin/nc"
    )
}

/// The verb that another word stands for, or that was mistyped.
fn verb_meant(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    let known = match lower.as_str() {
        "curl" | "wget" | "get" | "download" | "http" | "xh" => "fetch",
        "connect" | "client" | "telnet" | "dial" | "send" | "netcat" | "ncat" | "socat" | "play" => "talk",
        "listen" | "accept" => "talk --listen, or serve",
        "server" | "start" | "run" | "httpd" | "mock" => "serve",
        "lint" | "test" | "validate" | "verify" | "format" | "fmt" => "check",
        "convert" => "import",
        "netstat" | "ss" | "lsof" => "ports",
        "ip" | "ifconfig" | "interfaces" | "addr" => "addrs",
        "version" => "--version",
        "completion" => "completions",
        _ => "",
    };
    if !known.is_empty() {
        return Some(known.to_owned());
    }
    let verbs = Flags::command().get_subcommands().map(|verb| verb.get_name().to_owned()).collect::<Vec<_>>();
    transcript::nearest_word(&lower, verbs.iter().map(String::as_str)).map(str::to_owned)
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without an address it listens on port 9999 of 127.0.0.1 and ::1, over TCP and UDP or, with --files, HTTP;\n\
    without --play or another role it greets.\n\
    :PORT is every interface. An address without a scheme means TCP and UDP. SIGINT or SIGTERM drains; the second ends at once."
)]
pub(crate) struct Serve {
    /// Where to listen: [tcp://|udp://|http://|https://][HOST]:PORT, HOST PORT, PORT, unix:PATH
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
    /// End after one conversation; exit 1 if it did not go as written, or no client came
    #[arg(long, conflicts_with = "times")]
    pub(crate) once: bool,
    /// End after N conversations; exit 1 if one did not go as written, or fewer came
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) times: Option<u64>,
    /// Wait so long for the next client while none is connected, then end with exit 1
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) wait: Option<Duration>,
    /// Judge every play as --once and --times do, but keep serving; exit 1 at the end if one failed
    #[arg(long)]
    pub(crate) strict: bool,
    /// Where plays are judged: a client may leave between two rounds of a `repeat` though statements follow, and without
    /// --strict reset the connection or be silent there
    #[arg(long)]
    pub(crate) allow_early_close: bool,
    /// Read the transcripts again when they change, as SIGHUP does; open conversations go on with the old ones
    #[arg(long, requires = "play")]
    pub(crate) watch: bool,
    /// Write the ports there when all is bound, one a line, in the order of the addresses
    #[arg(long, value_name = "PATH")]
    pub(crate) port_file: Option<PathBuf>,
    /// How long open exchanges get when the server is stopped
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5s")]
    pub(crate) grace: Duration,
    /// How long to wait for a client [default: the transcript's, or 5m; with --files 10s for a request, 60s for the next]
    #[arg(long, value_name = "TIME", value_parser = duration)]
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) threads: Option<u8>,
    /// Who to be over https:// and where a transcript says `starttls`, in PEM form [default: a certificate made for this run]
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// The key of --cert, which nobody else may read
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Lift the bounds on UDP answers off the loopback: `off`, or for a network such as 10.0.0.0/8
    #[arg(long, value_name = "off|PREFIX", value_parser = budget)]
    pub(crate) udp_budget: Option<Budget>,
    #[command(flatten)]
    pub(crate) values: Values,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
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
    /// Send FILE.br or FILE.gz, where it lies there and is no older, in place of FILE to who takes it so
    #[arg(long, requires = "files")]
    pub(crate) precompressed: bool,
    /// Send a folder whole for ?zip and ?tar behind its path
    #[arg(long, requires = "files")]
    pub(crate) archive: bool,
    /// Serve only who says this name and password; @FILE reads one from each line, so that they are in no list of processes
    #[arg(long, value_name = "USER:PASSWORD|@FILE", requires = "files")]
    pub(crate) basic_auth: Vec<String>,
    /// Only these may store files (they may read too); reading stays open to all, or to whom --basic-auth names
    #[arg(long, value_name = "USER:PASSWORD|@FILE", requires = "upload")]
    pub(crate) write_auth: Vec<String>,
    /// Send who comes over http:// to the address of https://
    #[arg(long, requires = "files")]
    pub(crate) https_redirect: bool,
    /// Let files be stored, with PUT and from the pages of folders, and folders be made
    #[arg(long, requires = "files")]
    pub(crate) upload: bool,
    /// Largest file that may be stored
    #[arg(long, value_name = "SIZE", requires = "upload", value_parser = large_size, default_value = "1GiB")]
    pub(crate) max_upload: u64,
    /// Another name under which this machine is asked, or * for any; addresses, its own name, names without a dot and those
    /// below localhost, local and internal always are
    #[arg(long, value_name = "NAME", requires = "files")]
    pub(crate) host: Vec<String>,
    /// Write the access log there, in the common combined format or with --json as JSON, and not to standard error
    #[arg(long, value_name = "FILE", requires = "files")]
    pub(crate) access_log: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Without --play, standard input goes to the socket and what comes goes to standard output. When standard input \
    ends, our end is half-closed and the answer is waited for. When the peer ends first, it still gets what comes on standard \
    input, for it may go on reading: talk ends when standard input does. A standard input that stays open and silent is given \
    15 s once the peer is known to have closed, or, with --listen, has ended. At a terminal talk ends with the peer.\n\
    With --listen, an empty standard input (/dev/null, a closed pipe) ends nothing: what comes is taken until the peer ends.\n\
    Exit code 0: every byte arrived, both ways. To see only whether somebody listens, use --zero.\n\
    Over UDP each line is one datagram without its ending, and a second of quiet after an answer ends the conversation."
)]
pub(crate) struct Talk {
    /// Where to: [tcp://|udp://][HOST]:PORT, HOST PORT, PORT, unix:PATH; with --play, the transcript's `at` is the default
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
    /// With --play: write received lines that differ anew into the transcript
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
    /// Say only whether somebody listens there: nothing is sent over TCP, and over UDP an empty datagram
    #[arg(long, conflicts_with_all = ["play", "listen", "record", "eol", "raw", "recv_only", "send_only", "idle"])]
    pub(crate) zero: bool,
    /// Try for so long to connect, until whoever is to answer is there
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "listen")]
    pub(crate) retry: Option<Duration>,
    /// Only take what the peer sends: standard input is not read
    #[arg(long, conflicts_with_all = ["play", "send_only"])]
    pub(crate) recv_only: bool,
    /// Only send standard input: no answer is waited for, and what comes is thrown away
    #[arg(long, conflicts_with_all = ["play", "keep"])]
    pub(crate) send_only: bool,
    /// End when nothing has passed for so long, either way; exit 28
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with = "play")]
    pub(crate) idle: Option<Duration>,
    /// For the whole conversation; with --play, to wait for the server's next line
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// For looking the name up and connecting
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub(crate) connect_timeout: Duration,
    /// With --play: where a transcript says `starttls`, trust who these certificates (PEM) sign for, and nobody else
    #[arg(long, value_name = "FILE", requires = "play", conflicts_with = "pin")]
    pub(crate) ca: Option<PathBuf>,
    /// The same for one certificate, whoever signed it
    #[arg(long, value_name = "sha256:HEX", requires = "play", value_parser = pin)]
    pub(crate) pin: Option<Trust>,
    /// Longest line, with --play
    #[arg(long, value_name = "SIZE", requires = "play", value_parser = size, default_value = "64KiB")]
    pub(crate) max_line: usize,
    /// Let a terminal obey what the peer sends
    #[arg(long)]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) values: Values,
    #[command(flatten)]
    pub(crate) family: FamilyFlags,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Transcripts
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Play every branch, also those that neither end would take by itself
    #[arg(long)]
    pub(crate) all_branches: bool,
    /// Print the transcript in its canonical layout instead
    #[arg(long)]
    pub(crate) format: bool,
    /// With --format: write it back to its file
    #[arg(long, requires = "format")]
    pub(crate) write: bool,
    #[command(flatten)]
    pub(crate) values: Values,
}

#[derive(Debug, Args)]
#[command(
    after_help = "It knows margins, padding, page breaks, C: and S:, [C] and [S], C->S: with unmarked lines under it, RFC 821's S: and R:,\n\
    two labels that take turns, folded lines, and directions such as <open connection>. What it guesses is a comment in the\n\
    transcript and a warning."
)]
pub(crate) struct Import {
    /// A page of text; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write the transcript there
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Which session, if the page has several
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) session: usize,
    /// Who is the client: what stands before its lines, as the `A` of `A:`
    #[arg(long, value_name = "NAME")]
    pub(crate) client: Option<String>,
    /// Make `starttls` of a direction to negotiate TLS, which is a comment otherwise
    #[arg(long)]
    pub(crate) starttls: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// A folder for all pages; without it the main page goes to standard output
    pub(crate) folder: Option<PathBuf>,
}

/// Values for names of the transcript.
#[derive(Debug, Args)]
pub(crate) struct Values {
    /// Give a name of the transcript a value, over its `set` and its defaults
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) set: Vec<(String, String)>,
    /// The same for what no message and no record may show; without =VALUE it comes from the environment variable NAME
    #[arg(long = "secret", value_name = "NAME[=VALUE]", value_parser = secret)]
    pub(crate) secret: Vec<(String, String)>,
}

impl Values {
    /// The names that get their values from outside.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.given().map(|(name, _)| name.as_str()).collect()
    }

    /// Values where there is no transcript whose names they are would be dropped without a word.
    pub(crate) fn refused_without(&self, has_transcript: bool) -> Result<(), String> {
        let flag = if self.set.is_empty() { "--secret" } else { "--set" };
        match self.given().next() {
            Some((name, _)) if !has_transcript => Err(format!(
                "{flag} gives `{name}` of a transcript a value, and there is none: name it with --play FILE"
            )),
            _ => Ok(()),
        }
    }

    /// The values that are not shown.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        let secret =
            |(name, value): &(String, String)| Secret { name: name.clone(), value: value.clone().into_bytes() };
        self.secret.iter().map(secret).collect()
    }

    fn given(&self) -> impl Iterator<Item = &(String, String)> {
        self.set.iter().chain(&self.secret)
    }

    pub(crate) fn to_map(&self) -> std::collections::BTreeMap<String, Vec<u8>> {
        self.given().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect()
    }
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct FamilyFlags {
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "v6")]
    pub(crate) v4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    pub(crate) v6: bool,
}

impl FamilyFlags {
    pub(crate) fn family(self) -> Option<Family> {
        match (self.v4, self.v6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        }
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

/// `5`, `5s`, `500ms`, `1.5s`, `2m`, `1h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("", 1.0)];
    let wrong = || "write a number and a unit: 500ms, 5s, 2m".to_owned();
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|number| (number, factor)))
        .ok_or_else(wrong)?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let seconds: f64 = number.parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(seconds * factor)
        .ok()
        .filter(|time| time.as_secs() <= 31_536_000)
        .ok_or_else(|| "at most a year".to_owned())
}

/// `65536`, `64KiB`, `64k`, `1MiB`.
fn size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        _ => return Err("write bytes or a unit: 65536, 64KiB, 1MiB".to_owned()),
    };
    digits
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .filter(|&bytes| (1..=1 << 30).contains(&bytes))
        .ok_or_else(|| "a size is from 1 byte to 1024 MiB".to_owned())
}

fn pin(text: &str) -> Result<Trust, String> {
    Trust::pinned(text).map_err(|error| error.to_string())
}

fn name_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| "write NAME=VALUE".to_owned())?;
    if is_name(name) { Ok((name.to_owned(), value.to_owned())) } else { Err(format!("`{name}` cannot be a name")) }
}

/// Whether a word can be the name of a hole.
pub(crate) fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && word.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        && word != "_"
}

/// `NAME=VALUE`, or a name whose value stands in the environment, where other users cannot read it.
fn secret(text: &str) -> Result<(String, String), String> {
    if text.contains('=') {
        return name_value(text);
    }
    if !is_name(text) {
        return Err(format!("`{text}` cannot be a name"));
    }
    match std::env::var(text) {
        Ok(value) => Ok((text.to_owned(), value)),
        Err(_) => Err(format!("write {text}=VALUE, or set the environment variable {text}")),
    }
}

fn budget(text: &str) -> Result<Budget, String> {
    if text == "off" {
        return Ok(Budget::Off);
    }
    let wrong = || "write `off` or a network such as 10.0.0.0/8".to_owned();
    let (network, bits) = text.split_once('/').ok_or_else(wrong)?;
    let network: std::net::IpAddr = network.parse().map_err(|_| wrong())?;
    let most = if network.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.parse().ok().filter(|bits| *bits <= most).ok_or_else(wrong)?;
    Ok(Budget::Except(network, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn the_defaults_are_the_bounds_of_the_library() {
        let Command::Serve(serve) = Flags::parse_from(["sockeye", "serve"]).command else { panic!("it is serve") };
        assert_eq!((serve.grace, serve.max_line), (limits::GRACE, limits::LINE));
        assert_eq!(serve.web.max_upload, limits::UPLOAD);
        let Command::Talk(talk) = Flags::parse_from(["sockeye", "talk", "1"]).command else { panic!("it is talk") };
        assert_eq!((talk.connect_timeout, talk.max_line), (limits::CONNECT_WAIT, limits::LINE));
        let Command::Fetch(fetch) = Flags::parse_from(["sockeye", "fetch", "1"]).command else { panic!("it is fetch") };
        assert_eq!((fetch.connect_timeout, fetch.idle_timeout), (limits::CONNECT_WAIT, limits::STALL_WAIT));
        assert_eq!(fetch.max_redirects, limits::REDIRECTS);
    }

    #[test]
    fn durations_and_sizes_are_read_as_people_write_them() {
        for (text, millis) in
            [("5", 5000), ("5s", 5000), ("500ms", 500), ("1.5s", 1500), ("2m", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5x", "-1", "1e9", "nan", "99999999999"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for (text, bytes) in [("1", 1), ("64KiB", 65536), ("64k", 65536), ("1MiB", 1 << 20)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["0", "", "k", "5x", "99999999999999999999"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
