//! What was typed. One definition feeds the parser, help, manual pages and completions.
#![allow(rustdoc::broken_intra_doc_links, reason = "these comments are the help text, where [HOST] is a placeholder")]

mod faults;
mod fetch;
mod fetch_data;
mod foreign;
pub(crate) mod gate;
mod import;
mod load;
mod nc;
#[cfg(test)]
mod numbers;
mod parsers;
mod ports;
mod relay;
mod report;
mod serve;
mod shape;
mod talk;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use sockeye::limits;

use crate::color::Color;
pub(crate) use fetch::{Fetch, User};
pub(crate) use fetch_data::{Data, Datum};
pub(crate) use foreign::format_of_findings;
pub(crate) use import::{Import, StreamWanted};
pub(crate) use load::Load;
pub(crate) use nc::{FLAGS as NC_FLAGS, Nc};
pub(crate) use parsers::is_name;
pub(crate) use ports::{Addrs, Ports, Wanted};
pub(crate) use relay::Relay;
pub(crate) use report::Report;
pub(crate) use serve::{Serve, Web};
pub(crate) use talk::{StartTls, Talk};
pub(crate) use values::{FamilyFlags, Values};

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
    if foreign::has_one_dash(&words) {
        return Err(clap::Error::new(clap::error::ErrorKind::UnknownArgument));
    }
    let flags = match alone(&words) {
        Some(flags) => flags,
        None => Flags::from_arg_matches(&command().try_get_matches_from(words)?)?,
    };
    match flags.command.values().and_then(Values::given_twice) {
        Some(why) => Err(clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, format!("{why}\n"))),
        None => Ok(flags),
    }
}

/// Whether a command line that is wrong asks for events as objects: what is wrong with it is one.
pub(crate) fn ask_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
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
        Some(std::num::IntErrorKind::PosOverflow) => "the number is too large".to_owned(),
        Some(_) => "write a whole number, such as 3".to_owned(),
        None if source.to_string().contains("..") => match (value.parse::<i128>(), most(&source.to_string())) {
            (Ok(..=0), _) => "write a number from 1 up".to_owned(),
            (Ok(_), Some(most)) => format!("the number is too large: {most} is the most"),
            (Ok(_), None) => "the number is too large".to_owned(),
            (Err(_), _) => return None,
        },
        None => return None,
    };
    Some(format!("error: invalid value '{value}' for '{flag}': {why}\n\nFor more information, try '--help'.\n"))
}

/// The upper end of a range, as clap names it: `65 is not in 1..=64`. Those that are only the type's are no bound to be told.
fn most(range: &str) -> Option<u16> {
    range
        .rsplit_once("..=")
        .and_then(|(_, end)| end.trim().parse().ok())
        .filter(|most| ![u16::from(u8::MAX), u16::MAX].contains(most))
}

/// The whole definition, as help and the manual show it.
pub(crate) fn command() -> clap::Command {
    shape::shaped(Flags::command())
}

fn alone(words: &[OsString]) -> Option<Flags> {
    let (command, common) = match words.get(1)?.to_str()? {
        "serve" => one(words, Command::Serve)?,
        "talk" => one(words, Command::Talk)?,
        "relay" => one(words, |relay| Command::Relay(Box::new(relay)))?,
        "fetch" => one(words, |fetch| Command::Fetch(Box::new(fetch)))?,
        "load" => one(words, |load| Command::Load(Box::new(load)))?,
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
  sockeye relay 7001 example.org:7000          pass on what either side says, and show who closed
  sockeye fetch https://example.org/           print the head of the answer, save the body
  sockeye serve http://:8080 --files site      serve a folder to browsers
  sockeye check smtp.talk                      from which ends it can be played";

pub(crate) const ADDRESSES: &str = "An address is [SCHEME://][HOST]:PORT, where the scheme is tcp, udp, tls, http, https, ws or wss; HOST PORT; a bare PORT of the loopback; unix:PATH; \
     or what else docs/ends.md has: exec:CMD, sh:CMD, stdio, fd:N. Options stand in a query: tcp://HOST:PORT?nodelay.";

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
    /// Join every client of one address to a connection to another: TCP, TLS, Unix sockets, UDP; on a network as bad as you ask for
    Relay(Box<Relay>),
    /// Fetch a page: print the head of the answer, save the body whole or not at all
    Fetch(Box<Fetch>),
    /// Play the client's side on many connections at once, check every answer, and measure
    Load(Box<Load>),
    /// Say what is wrong with transcripts, and play both sides against each other
    Check(Check),
    /// Turn a session as RFCs print it, or a capture of packets, into a transcript
    Import(Import),
    /// Show what `load --save` wrote: merge the runs of many machines, compare two
    Report(Report),
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

impl Command {
    /// The values that are given to names of transcripts.
    fn values(&self) -> Option<&Values> {
        match self {
            Self::Serve(serve) => Some(&serve.values),
            Self::Talk(talk) => Some(&talk.values),
            Self::Load(load) => Some(&load.values),
            Self::Check(check) => Some(&check.values),
            _ => None,
        }
    }
}

/// Verbs that are planned and cannot be used yet.
const LATER: [&str; 1] = ["probe"];

pub(crate) fn later(verb: &str) -> String {
    if LATER.contains(&verb) {
        return format!(
            "`sockeye {verb}` is not there yet; this version has serve, talk, relay, fetch, load, check, import, report, ports, addrs, nc, completions \
             and man"
        );
    }
    if std::path::Path::new(verb).extension().is_some_and(|end| end.eq_ignore_ascii_case("talk"))
        || verb.contains(['.', '/']) && std::path::Path::new(verb).is_file()
    {
        return format!(
            "`{verb}` is a file, and no verb: `sockeye check {verb}` reads a transcript, `sockeye serve --play {verb}` plays its server, and `sockeye talk HOST:PORT --play {verb}` its client"
        );
    }
    let meant = match verb_meant(verb) {
        Some(meant) => format!(": did you mean {meant}? The verbs are"),
        None => "; the verbs are".to_owned(),
    };
    format!(
        "`{verb}` is no verb{meant} serve, talk, relay, fetch, load, check, import, report, ports, addrs, nc, completions and man: sockeye --help"
    )
}

/// The verb that another word stands for, or that was mistyped.
fn verb_meant(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    let known = match lower.as_str() {
        "curl" | "wget" | "get" | "download" | "http" | "xh" => "fetch",
        "connect" | "client" | "telnet" | "dial" | "send" | "netcat" | "ncat" | "socat" | "play" => "talk",
        "proxy" | "forward" | "tunnel" | "tee" | "redir" | "toxiproxy" => "relay",
        "listen" | "accept" => "talk --listen, or serve",
        "server" | "start" | "run" | "httpd" | "mock" => "serve",
        "lint" | "test" | "validate" | "verify" | "format" | "fmt" => "check",
        "convert" => "import",
        "merge" | "compare" | "stats" => "report",
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
pub(crate) struct Check {
    /// Transcripts; `-` is standard input
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
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// A folder for all pages, of which those of another section go beside it where it is one of man's own; without it the main
    /// page goes to standard output
    pub(crate) folder: Option<PathBuf>,
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
}
