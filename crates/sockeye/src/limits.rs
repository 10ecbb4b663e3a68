//! The bounds that hold by default, in one table: help prints it, and an error that meets a bound names it.
//!
//! ```
//! use sockeye::limits;
//!
//! let line = limits::TABLE.iter().find(|limit| limit.flag == Some("--max-line")).expect("lines have a bound");
//! assert_eq!((line.default)(), "64 KiB");
//! ```

use std::time::Duration;

#[cfg(feature = "figures")]
pub(crate) use crate::sys::files::open_files;
pub use crate::sys::files::raise_open_files;

use transcript::seconds;

/// One bound: its value, the option that changes it, and what it bounds.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// The flag that changes it, if one does.
    pub flag: Option<&'static str>,
    /// Its default, for people: "64 KiB". It is made from the constants, so that it cannot say anything else.
    pub default: fn() -> String,
    /// What it bounds.
    pub what: &'static str,
}

/// Longest text line read before it is refused, in bytes.
pub const LINE: usize = 64 * 1024;
/// Bytes that wait for one peer to read them before its play says no more; the message at hand is said whole.
pub const SAID_AHEAD: usize = transcript::SAID_AHEAD;
/// Answers over datagrams that wait for an interface which takes no more, in bytes.
pub const SEND_QUEUE: usize = 256 * 1024;
/// Largest transcript file, in bytes.
pub const TRANSCRIPT: u64 = transcript::limits::TRANSCRIPT as u64;
/// Largest page of text, or capture on standard input, that is imported, in bytes; a capture in a file may be of any size.
pub const IMPORTED: u64 = 256 * 1024 * 1024;
/// Largest HTTP archive that is imported, in bytes.
pub const HTTP_ARCHIVE: u64 = 64 * 1024 * 1024;
/// Largest file of rows (`--data`), in bytes.
pub const ROWS: u64 = 256 * 1024 * 1024;
/// Largest JSON that `fetch` lays out on a terminal, in bytes.
pub const SHOWN_JSON: usize = 4 * 1024 * 1024;
/// Largest file of a saved run, in bytes: a day, with a row for each second.
pub const SAVED_RUN: u64 = 512 * 1024 * 1024;
/// The part of the memory that a server may have which all its buffers together may take, and the least that they get.
pub const MEMORY_SHARE: u64 = 4;
/// See [`MEMORY_SHARE`].
pub const MEMORY_LEAST: u64 = 4 * 1024 * 1024;
/// How long `talk --play` waits for the other side.
pub const TALK_WAIT: Duration = transcript::CLIENT_WAIT;
/// How long `serve` waits for the other side.
pub const SERVE_WAIT: Duration = transcript::SERVER_WAIT;
/// How long open exchanges get when a server is stopped.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a peer that does not read may hold what we send it.
pub const WRITE_WAIT: Duration = Duration::from_secs(60);
/// Most bytes that are drained after closing.
pub const DRAIN: u64 = 16 * 1024 * 1024;
/// How long `talk --play` and `load` hold their end back under TLS and in a WebSocket where the last words are theirs: how the server
/// ends then tells whether it read them.
pub const END_HOLD: Duration = Duration::from_millis(200);
/// How long a closed connection is drained of what still arrives, at most.
pub const DRAIN_WAIT: Duration = Duration::from_secs(5);
/// How long `talk --play` waits for the other side to end once all is said: it only has to read what we sent.
pub const TALK_DRAIN: Duration = Duration::from_secs(1);
/// How long name lookup and connecting may take together.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long a quiet ends `talk` over datagrams once an answer came and standard input has ended.
pub const DATAGRAM_QUIET: Duration = Duration::from_secs(1);
/// How long `talk` waits for a standard input that stays open and says nothing: once it knows that the peer has closed,
/// and where it listened, once its client has ended.
pub const INPUT_WAIT: Duration = Duration::from_secs(15);
/// How long `talk --send-only` waits for the peer's end once everything has arrived.
pub const SENT_LINGER: Duration = Duration::from_secs(1);
/// How long `talk` waits for room in the queue of an interface that takes no datagram.
pub const QUEUE_WAIT: Duration = Duration::from_secs(10);
/// How long `talk` over datagrams waits for a first answer.
pub const DATAGRAM_ANSWER: Duration = Duration::from_secs(5);
/// How soon a datagram that the system had no room for is sent again: it does not tell of room.
pub(crate) const DATAGRAM_AGAIN: Duration = Duration::from_millis(1);
/// How long a server tries to send an answer over datagrams for which the system has no room.
pub const DATAGRAM_SEND_WAIT: Duration = Duration::from_secs(1);
/// Answers of a server that wait for a client of `unix-dgram:` which does not read them.
pub const UNREAD_MESSAGES: usize = 1024;
/// Peers over datagrams that have an open play; the longest idle goes first.
pub const DATAGRAM_PEERS: usize = 65_536;
/// Datagrams that wait for one play that pauses or has much to send.
pub const WAITING_DATAGRAMS: usize = 64;
/// Bytes of them.
pub const WAITING_BYTES: usize = 128 * 1024;
/// Bytes of them for all plays of a socket.
pub const WAITING_IN_ALL: usize = 16 * 1024 * 1024;
/// Room for one message of a socket. Over IP none is larger than 64 KiB, and over a Unix socket none than the sender's buffer,
/// which is smaller than this unless it asked for more.
pub const SOCKET_MESSAGE: usize = 256 * 1024;
/// Longest line that `relay` makes a datagram of (`frame=line`) is waited for so long, in bytes.
pub const FRAMED_LINE: usize = 1024 * 1024;
/// Datagrams of a source off the loopback that are answered whatever the size of the answers.
pub const UDP_FREE: u32 = 8;
/// After those, bytes of answers for each byte that came.
pub const UDP_AMPLIFICATION: u64 = 3;
/// Datagrams answered in a second to all sources of a /24 (IPv4) or a /56 (IPv6).
pub const UDP_PREFIX_RATE: u32 = 50;
/// Rounds in which a source only gives back what we may have said, before it is taken for another server.
pub const UDP_ROUNDS: u32 = 8;
/// Sources that are remembered for these bounds; beyond them the table starts again.
pub const UDP_SOURCES: usize = 65_536;
/// How long what came before a reset may take to arrive at the other end of `relay`.
pub const RESET_WAIT: Duration = Duration::from_secs(5);
/// How long the control API of `relay` waits until every connection has a fault that was changed.
pub const CONTROL_WAIT: Duration = Duration::from_secs(5);
/// How long a client's datagrams may stay away until `relay` forgets it.
pub const FLOW_IDLE: Duration = Duration::from_secs(60);
/// How often `relay` looks names of servers up again.
pub const LOOK_UP_AGAIN: Duration = Duration::from_secs(30);
/// A client's datagrams stay with a server that its name leads to no more, as long as it has answered within this time.
pub const FLOW_ANSWERS: Duration = Duration::from_secs(5);
/// Most bytes that all values of one play hold together.
pub const VALUES: usize = transcript::MOST_VALUES;
/// Largest message with its values filled in, in bytes.
pub const MESSAGE: usize = transcript::MOST_SAID;
/// Descriptors kept back from connections: listeners, files, the spare one.
pub const RESERVED_FILES: u64 = 64;
/// How long accepting rests when there is no room, or the system is out of something, and no connection closes.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(250);
/// How long a connection to a file server has rested at least, when it makes way for clients that wait.
pub const REST: Duration = Duration::from_secs(1);
/// Bytes that are read from a socket at once; no datagram to a play may be larger.
pub const READ: usize = 64 * 1024;
/// Steps of a play between two of its connections. One that takes more does not come to the next connection.
pub const PLAY_STEPS: usize = 1024;
/// Connections of `load` at once.
pub const LOAD_CONNECTIONS: usize = 64;
/// How long plays of `load` begin.
pub const LOAD_TIME: Duration = Duration::from_secs(10);
/// Lines of its transcripts that `load` tells apart; those behind them have one row together.
pub const LOAD_LINES: usize = 1000;
/// A start of `load` that is later than this because the generator could not follow is counted.
pub const LOAD_LATE: Duration = Duration::from_millis(1);
/// How long `load` goes on while every connection is refused and none has stood.
pub const LOAD_REFUSED_WAIT: Duration = Duration::from_secs(1);
/// The same while this machine has no port or no descriptor: other programs may give some back.
pub const LOAD_SHORTAGE_WAIT: Duration = Duration::from_secs(10);
/// Open files that `load` keeps for itself.
pub const LOAD_FILES: u64 = 16;

/// Most threads of one server or relay.
pub const THREADS: usize = 64;
/// Most threads that it takes by itself, one for each processor.
pub const DEFAULT_THREADS: usize = 8;
/// Clients that wait to be let in: for room of their address, or until a proxy has said which client they are for.
pub const WAITING_CLIENTS: usize = 1024;
/// Plays of a thread that may wait for a further connection at once; the one that waits longest goes first.
pub const STANDING_PLAYS: usize = 65_536;
/// Clients that came before a play waits for them.
pub const EARLY_CLIENTS: usize = 64;
/// How long a server of `relay` that did not answer is passed over, at first.
pub const SERVER_REST: Duration = Duration::from_millis(500);
/// The same at most; it doubles each time.
pub const LONGEST_SERVER_REST: Duration = Duration::from_secs(15);
/// Bytes of one direction that are on their way over a bad network; then their sender waits.
pub const LATE_BYTES: u64 = 16 << 20;
/// The same for messages: of datagrams what comes beyond it is lost.
pub const LATE_MESSAGES: usize = 4 << 20;

/// How long a handshake of TLS, or a header of the PROXY protocol, may take.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Longest head of an HTTP answer, with the interim ones before it, in bytes.
pub const HEAD: usize = 256 * 1024;
/// How long nothing of an HTTP answer may come: until its head is whole, and then between two bytes of its body.
pub const STALL_WAIT: Duration = Duration::from_secs(60);
/// How long an HTTP server may ask us to wait before we ask again.
pub const RETRY_AFTER: Duration = Duration::from_secs(600);
/// Connections that a thread of `fetch` keeps for what it asks next.
pub const IDLE_CONNECTIONS: usize = 8;
/// Servers and users whose digest sessions a thread of `fetch` remembers.
pub const DIGEST_SESSIONS: usize = 8;
/// Longest body of a redirect that is read, only to keep its connection, in bytes.
pub const PASSED_OVER: u64 = 16 * 1024;
/// How long a piece of it may take; a new connection takes as long.
pub const PASSED_OVER_WAIT: Duration = Duration::from_millis(200);
/// How long a body is kept back that the server is to want first (Expect: 100-continue); curl waits as long.
pub const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// How often an answer is sent again to a proof that has only become too old, one after another.
pub const STALE_PROOFS: u32 = 3;
/// How many redirects are followed.
pub const REDIRECTS: usize = 10;
/// How often a request is made again that a server of HTTP/2 says it has not begun.
pub const ASKED_ANEW: u32 = 2;
/// Most cookies of one host, and fifty times as many in all; RFC 6265, section 6.1, asks for no more.
pub const COOKIES: usize = 180;
/// Longest field that sets one, in bytes.
pub const COOKIE: usize = 4096;
/// Longest record beside a part that `fetch --resume` reads, in bytes; a longer one is none of ours.
pub const RECORD_OF_PART: u64 = 64 * 1024;
/// Longest file that holds the tag of an earlier fetch, in bytes.
pub const TAG_FILE: u64 = 8 * 1024;
/// How many of several downloads go on at the same time.
pub const DOWNLOADS: usize = 4;
/// How many content codings may lie on top of each other.
pub const CODINGS: usize = 5;

/// How long the head of a request to a file server may take from its first byte, and each 16 KiB of content (408).
pub const REQUEST_WAIT: Duration = Duration::from_secs(10);
/// Content of a request that must come within that time, and then starts it again, in bytes.
pub const REQUEST_GAIN: u64 = 16 * 1024;
/// How long a connection to a file server may stay without a request.
pub const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Longest head of a request to a file server, in bytes (431).
pub const REQUEST_HEAD: usize = 64 * 1024;
/// Most fields of such a head (431).
pub const REQUEST_FIELDS: usize = 100;
/// Longest target of such a request, in bytes (414).
pub const REQUEST_TARGET: usize = 8 * 1024;
/// Longest line before a chunk of content. Extensions may stand in it, which are used for abuse only (RFC 9112,
/// section 7.1.1).
pub const CHUNK_LINE: usize = 256;
/// Longest trailer section behind the last chunk, in bytes.
pub const TRAILERS: usize = 8 * 1024;
/// Most bytes of such lines beyond those of content: more are a way of keeping a server busy for nothing.
pub const CHUNK_WASTE: u64 = 1024 * 1024;
/// Requests of one connection over HTTP/2 that are open at once.
pub const STREAMS: u32 = 128;
/// Room for the content of each of them to come in before it is stored, in bytes; four times that for all together.
pub const STREAM_WINDOW: u32 = 256 * 1024;
/// Of those, how many may hold files open; and bytes made in memory for them, beyond which no more are made: the others
/// wait for their turn.
pub const STREAM_FILES: usize = 32;
/// The part of the open files that may be files of a connection of HTTP/2 which has one already: see [`more_files`].
pub const MORE_FILES_SHARE: u64 = 8;
/// See [`STREAM_FILES`].
pub const STREAM_BYTES: usize = 1024 * 1024;
/// Longest content of a request that is read only to be passed over; a longer one costs the connection.
pub const REQUEST_SKIPPED: u64 = 64 * 1024;
/// Largest file that may be stored by PUT, where storing is allowed.
pub const UPLOAD: u64 = 1024 * 1024 * 1024;
/// Most files of one form that a browser sends without a script, and bytes around them.
pub const FORM_FILES: usize = 64;
/// See [`FORM_FILES`].
pub const FORM_AROUND: u64 = 1024 * 1024;
/// The part of the open files that may be files being stored, or more where there are few: see [`stored_at_once`].
pub const STORED_SHARE: u64 = 16;
/// Sizes of text files that are packed when the client takes them so.
pub const PACKED: std::ops::RangeInclusive<u64> = 1024..=8 * 1024 * 1024;
/// The largest of them that is packed at once; packing more takes long, and is done beside the others' answers.
pub const PACKED_AT_ONCE: u64 = 128 * 1024;
/// Most ranges of a file that are sent in one answer; who asks for more gets all of it.
pub const RANGES: usize = 256;
/// Longest message of a WebSocket that is taken.
pub const WEBSOCKET_MESSAGE: usize = 16 * 1024 * 1024;
/// How long a server over WebSocket may be silent before it is told that its client has said all, once it has answered.
pub const WEBSOCKET_QUIET: Duration = Duration::from_secs(1);
/// How long it may be silent where it has not answered the last that its client said.
pub const WEBSOCKET_ANSWER: Duration = Duration::from_secs(5);
/// Longest line of standard input that is one message; a longer one is sent in pieces.
pub const WEBSOCKET_LINE: usize = 1024 * 1024;
/// Longest content of a request to a relay's control API.
pub const CONTROL_BODY: u64 = 1024 * 1024;
/// Its clients at once; the one that asked nothing for the longest makes room.
pub const CONTROL_CLIENTS: usize = 128;
/// Its proxies, and toxics of each.
pub const PROXIES: usize = 1000;
/// See [`PROXIES`].
pub const TOXICS: usize = 100;
/// Between asking a program to end, and its process group, and ending them.
pub const TERM_WAIT: Duration = Duration::from_secs(1);
/// Programs of `serve --exec` at once.
pub const PROGRAMS: usize = 1024;
/// Open files that each of them takes: its socket, what it says, what it says of errors, and a handle on it.
pub const FILES_OF_PROGRAM: usize = 4;
/// How long a program that the system has no room for is tried to be started.
pub const START_WAIT: Duration = Duration::from_secs(10);
/// How long between two such attempts.
pub(crate) const START_AGAIN: Duration = Duration::from_millis(250);
/// How long a line that a program's terminal would cut waits for the program to change that: it may only have begun.
pub(crate) const LONG_LINE_WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether it did.
pub(crate) const LONG_LINE_LOOK: Duration = Duration::from_millis(10);
/// Datagrams that wait for a program of their peer.
pub const WAITING_FOR_PROGRAM: usize = 1024;
/// Longest line of a program's standard error, in bytes; a longer one is told in pieces.
pub const PROGRAM_ERROR_LINE: usize = 4096;
/// Bytes of a file that may wait in the kernel for one client, not sent yet.
pub const UNSENT: i32 = 64 * 1024;
/// Most names on one page of a folder; the others are on the next pages.
pub const LISTED: usize = 2_000;

/// Bytes of the directory at the end of a zip, which is kept until the end: some 400,000 names.
pub const ARCHIVE_DIRECTORY: usize = 32 * 1024 * 1024;
/// How deep folders are followed for an archive; each is open meanwhile.
pub const ARCHIVE_DEPTH: usize = 32;

/// Connections at once under a limit of open files: what is kept back is never more than half of it.
#[must_use]
pub fn connections(open_files: u64) -> usize {
    let room = open_files - RESERVED_FILES.min(open_files / 2);
    usize::try_from(room).unwrap_or(usize::MAX)
}

/// Files that are stored at once under a limit of open files. Each takes two, with its folder: half of what is kept back from
/// connections, or an eighth of all where there are many.
#[must_use]
pub fn stored_at_once(open_files: u64) -> usize {
    let most = (RESERVED_FILES.min(open_files / 2) / 4).max(open_files / STORED_SHARE).max(1);
    usize::try_from(most).unwrap_or(usize::MAX)
}

/// Files that clients of HTTP/2 may hold open together beyond one for each connection, under a limit of open files.
#[must_use]
pub fn more_files(open_files: u64) -> usize {
    usize::try_from(open_files / MORE_FILES_SHARE).unwrap_or(usize::MAX)
}

/// Bytes that all buffers of a server together may take, of so many that the process may have.
#[must_use]
pub fn memory(available: u64) -> u64 {
    (available / MEMORY_SHARE).max(MEMORY_LEAST)
}

/// What waits for plays over datagrams that cannot hear it yet, for people.
#[must_use]
pub fn waiting() -> String {
    let (each, all) = (bytes(WAITING_BYTES), bytes(WAITING_IN_ALL));
    format!("{WAITING_DATAGRAMS} datagrams, {each}, {all} for all plays of a socket")
}

/// A size as people write it: `64 KiB`.
#[must_use]
pub fn bytes(count: impl TryInto<u64>) -> String {
    let count = count.try_into().unwrap_or(u64::MAX);
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(shift, _)| count >= 1 << shift && count.is_multiple_of(1 << shift)) {
        Some((shift, unit)) => format!("{} {unit}", count >> shift),
        None => format!("{count} bytes"),
    }
}

/// A number as people read it, with a comma between thousands: `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Every bound, in the order in which help prints them.
pub const TABLE: &[Limit] = &[
    Limit { flag: Some("--max-line"), default: || bytes(LINE), what: "longest line" },
    Limit {
        flag: None,
        default: || format!("{}, and the message at hand", bytes(SAID_AHEAD)),
        what: "bytes waiting for one peer to read them",
    },
    Limit {
        flag: Some("--max-memory"),
        default: || {
            format!("1/{MEMORY_SHARE} of the memory that the process may have, at least {}", bytes(MEMORY_LEAST))
        },
        what: "all buffers of serve, and of relay; the conversation that waited longest goes first",
    },
    Limit { flag: None, default: || seconds(WRITE_WAIT), what: "wait for a peer to read" },
    Limit {
        flag: Some("--timeout"),
        default: || format!("{} in talk --play, {} in serve", seconds(TALK_WAIT), seconds(SERVE_WAIT)),
        what: "wait for the other side",
    },
    Limit { flag: Some("--connect-timeout"), default: || seconds(CONNECT_WAIT), what: "name lookup and connecting" },
    Limit { flag: Some("--grace"), default: || seconds(GRACE), what: "open exchanges when serve is stopped" },
    Limit {
        flag: None,
        default: || {
            let (serve, talk) = (seconds(DRAIN_WAIT), seconds(TALK_DRAIN));
            format!("{serve}, {} in serve; {talk} in talk --play", bytes(DRAIN))
        },
        what: "drain after closing",
    },
    Limit {
        flag: None,
        default: || format!("{} quiet, {} for the first", seconds(DATAGRAM_QUIET), seconds(DATAGRAM_ANSWER)),
        what: "answers to talk over UDP",
    },
    Limit { flag: None, default: || seconds(QUEUE_WAIT), what: "an interface's queue that takes no datagram of talk" },
    Limit {
        flag: None,
        default: || seconds(INPUT_WAIT),
        what: "standard input of talk that stays open and silent when the peer has closed",
    },
    Limit { flag: None, default: || bytes(TRANSCRIPT), what: "a transcript file" },
    Limit { flag: Some("--data"), default: || bytes(ROWS), what: "a file of rows for talk --play and load" },
    Limit { flag: None, default: || bytes(SAVED_RUN), what: "a saved run that report reads" },
    Limit {
        flag: None,
        default: || format!("{}; of an HTTP archive {}", bytes(IMPORTED), bytes(HTTP_ARCHIVE)),
        what: "what import reads; a capture that is a file may have any size",
    },
    Limit { flag: None, default: || bytes(VALUES), what: "the values of all names of a play together" },
    Limit { flag: None, default: || bytes(MESSAGE), what: "one message with its values filled in" },
    Limit {
        flag: None,
        default: || bytes(SOCKET_MESSAGE),
        what: "one message of a Unix socket that is taken (unix-dgram:, unix-seqpacket:)",
    },
    Limit { flag: None, default: || bytes(FRAMED_LINE), what: "one line that relay makes a message of (frame=line)" },
    Limit { flag: None, default: waiting, what: "what a play over UDP cannot hear yet, because it pauses" },
    Limit { flag: None, default: || seconds(HANDSHAKE_WAIT), what: "a TLS handshake of a transcript" },
    Limit { flag: None, default: || bytes(HEAD), what: "the head of an HTTP answer" },
    Limit {
        flag: Some("--idle-timeout"),
        default: || format!("{0} for the head, {0} without a byte of the body", seconds(STALL_WAIT)),
        what: "an HTTP answer",
    },
    Limit { flag: Some("--timeout"), default: || "none".to_owned(), what: "a fetch from its beginning to its end" },
    Limit { flag: None, default: || seconds(RETRY_AFTER), what: "Retry-After that fetch waits for" },
    Limit {
        flag: None,
        default: || format!("{}, {REQUEST_FIELDS} fields, a target of {}", bytes(REQUEST_HEAD), bytes(REQUEST_TARGET)),
        what: "the head of a request to --files",
    },
    Limit {
        flag: Some("--timeout"),
        default: || format!("{}, and as much for each {} of content", seconds(REQUEST_WAIT), bytes(REQUEST_GAIN)),
        what: "that head",
    },
    Limit {
        flag: None,
        default: || {
            format!("{}, {} in all, {} behind the last", bytes(CHUNK_LINE), bytes(CHUNK_WASTE), bytes(TRAILERS))
        },
        what: "lines between its chunks",
    },
    Limit {
        flag: None,
        default: || format!("{STREAMS}, with {} each", bytes(STREAM_WINDOW)),
        what: "requests of one connection over HTTP/2 at once",
    },
    Limit {
        flag: None,
        default: || {
            format!(
                "{STREAM_FILES} files, or more than {} made for it; beyond one each, 1/{MORE_FILES_SHARE} of the open files for all",
                bytes(STREAM_BYTES)
            )
        },
        what: "answers to it at once",
    },
    Limit {
        flag: Some("--timeout"),
        default: || seconds(KEEP_ALIVE),
        what: "a connection to --files without a request",
    },
    Limit {
        flag: None,
        default: || format!("{}, a line of talk {}", bytes(WEBSOCKET_MESSAGE), bytes(WEBSOCKET_LINE)),
        what: "a message of ws://",
    },
    Limit {
        flag: None,
        default: || format!("{}, {} for an answer", seconds(WEBSOCKET_QUIET), seconds(WEBSOCKET_ANSWER)),
        what: "silence of a server over ws:// before relay closes it, once its client has ended",
    },
    Limit {
        flag: Some("--control"),
        default: || {
            format!(
                "{CONTROL_CLIENTS} clients, {} of a request, {} proxies with {TOXICS} toxics each",
                bytes(CONTROL_BODY),
                count(PROXIES as u64)
            )
        },
        what: "the control API of relay",
    },
    Limit {
        flag: Some("--max-children"),
        default: || {
            format!("{}, or open files less {RESERVED_FILES} divided by {FILES_OF_PROGRAM}", count(PROGRAMS as u64))
        },
        what: "programs of --exec at once; more clients wait",
    },
    Limit {
        flag: None,
        default: || seconds(START_WAIT),
        what: "a program of --exec that cannot be started is tried again",
    },
    Limit { flag: None, default: || bytes(UNSENT), what: "bytes of a file waiting in the kernel for a client" },
    Limit { flag: None, default: || count(RANGES as u64), what: "ranges of a file in one answer" },
    Limit {
        flag: None,
        default: || count(LISTED as u64),
        what: "names on a page of a folder; the others are on the next pages",
    },
    Limit {
        flag: None,
        default: || format!("{} to {}", bytes(*PACKED.start()), bytes(*PACKED.end())),
        what: "a text file that is packed for who takes it so",
    },
    Limit {
        flag: Some("--archive"),
        default: || format!("{ARCHIVE_DEPTH} folders deep, {} of names in a zip", bytes(ARCHIVE_DIRECTORY)),
        what: "a folder that is sent whole; a tar has any number of names",
    },
    Limit { flag: Some("--max-upload"), default: || bytes(UPLOAD), what: "a file that is stored with --upload" },
    Limit {
        flag: None,
        default: || count(FORM_FILES as u64),
        what: "files of one form; a page with its script sends each by itself",
    },
    Limit {
        flag: None,
        default: || format!("open files divided by {STORED_SHARE}, or a quarter of those kept back from connections"),
        what: "files that are stored at once; more are 503",
    },
    Limit { flag: Some("--max-redirects"), default: || count(REDIRECTS as u64), what: "redirects" },
    Limit {
        flag: None,
        default: || format!("{}, {}", bytes(PASSED_OVER), seconds(PASSED_OVER_WAIT)),
        what: "the body of a redirect, read to keep its connection",
    },
    Limit { flag: Some("--max-size"), default: || "none".to_owned(), what: "an HTTP body, unpacked" },
    Limit { flag: None, default: || count(CODINGS as u64), what: "content codings of one body" },
    Limit {
        flag: None,
        default: || format!("{COOKIES}, each {}", bytes(COOKIE)),
        what: "cookies of a host; its oldest make room",
    },
    Limit { flag: None, default: || bytes(RECORD_OF_PART), what: "the record beside what fetch --resume left" },
    Limit { flag: None, default: || bytes(TAG_FILE), what: "the file of fetch --etag" },
    Limit { flag: Some("--jobs"), default: || count(DOWNLOADS as u64), what: "of several URLs, fetched at once" },
    Limit {
        flag: None,
        default: || format!("{}, {}", seconds(DATAGRAM_SEND_WAIT), bytes(SEND_QUEUE)),
        what: "answers over UDP that a full interface does not take",
    },
    Limit {
        flag: Some("--udp-budget"),
        default: || {
            format!(
                "{UDP_FREE} datagrams, then {UDP_AMPLIFICATION} bytes for each that came; {UDP_PREFIX_RATE} datagrams in {} to a network",
                seconds(Duration::from_secs(1))
            )
        },
        what: "answers over UDP to a source off the loopback, and to a /24 or /56 of them",
    },
    Limit {
        flag: None,
        default: || {
            format!("{}, doubled with each failure up to {}", seconds(SERVER_REST), seconds(LONGEST_SERVER_REST))
        },
        what: "a server of relay that did not answer is passed over",
    },
    Limit {
        flag: None,
        default: || seconds(RESET_WAIT),
        what: "what came before a reset, on its way to the other end of relay",
    },
    Limit {
        flag: Some("--resolve-every"),
        default: || seconds(LOOK_UP_AGAIN),
        what: "how long relay takes a server's name to lead where it led",
    },
    Limit {
        flag: None,
        default: || format!("{}, {} or {}", seconds(WRITE_WAIT), count(UNREAD_MESSAGES as u64), bytes(SEND_QUEUE)),
        what: "answers over unix-dgram: that a client does not read",
    },
    Limit {
        flag: Some("--timeout"),
        default: || seconds(TALK_WAIT),
        what: "plays of load that are under way when its time is over",
    },
    Limit { flag: None, default: || count(DATAGRAM_PEERS as u64), what: "datagram peers with an open play" },
    Limit {
        flag: None,
        default: || format!("{} of one direction, of messages {}", bytes(LATE_BYTES), bytes(LATE_MESSAGES)),
        what: "what is on its way over a bad network of relay",
    },
    Limit {
        flag: None,
        default: || count(WAITING_CLIENTS as u64),
        what: "clients that wait for room of their address, or for a header of the PROXY protocol",
    },
    Limit {
        flag: Some("--threads"),
        default: || format!("{THREADS}; by itself {DEFAULT_THREADS}"),
        what: "threads of serve, and of relay",
    },
    Limit { flag: None, default: || format!("open files less {RESERVED_FILES}"), what: "connections" },
    Limit {
        flag: None,
        default: || format!("{}, {EARLY_CLIENTS} clients that came early", count(STANDING_PLAYS as u64)),
        what: "plays of several connections that wait for the next one, in each thread",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn told(what: &str) -> String {
        let mut found = TABLE.iter().filter(|limit| limit.what.contains(what));
        let limit = found.next().unwrap_or_else(|| panic!("no row is about {what}"));
        assert!(found.next().is_none(), "several rows are about {what}");
        (limit.default)()
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        assert_eq!([bytes(64 * 1024_usize), bytes(1_u64 << 30), bytes(256_usize)], ["64 KiB", "1 GiB", "256 bytes"]);
        assert_eq!(bytes(1536_u64), "1536 bytes");
        assert_eq!([count(5), count(2_000), count(65_536), count(1_234_567)], ["5", "2,000", "65,536", "1,234,567"]);
    }

    #[test]
    fn rows_that_once_told_what_the_code_did_not_do_tell_the_truth() {
        assert_eq!(told("waiting for one peer to read"), "64 KiB, and the message at hand");
        assert_eq!(told("waiting in the kernel"), "64 KiB");
        assert_eq!(told("wait for the other side"), "5 s in talk --play, 5 min in serve");
        assert_eq!(told("cookies of a host"), "180, each 4 KiB");
        assert_eq!(told("read to keep its connection"), "16 KiB, 0.2 s");
    }

    /// A literal in the table would be a number that does not change with its constant.
    #[test]
    fn no_row_has_a_number_of_its_own() {
        let source = include_str!("limits.rs");
        let table =
            source.split("pub const TABLE").nth(1).and_then(|rest| rest.split("\n];").next()).unwrap_or_default();
        for literal in table.split("default:").skip(1).filter_map(|rest| rest.split("what:").next()) {
            let words: String = literal.split('"').skip(1).step_by(2).collect();
            let is_share = literal.contains("_SHARE}");
            let has_digit = words.replace("{0}", "").chars().any(|c| c.is_ascii_digit());
            assert!(!has_digit || is_share, "{literal}");
        }
    }
}
