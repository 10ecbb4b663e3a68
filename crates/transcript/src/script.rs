//! A transcript made ready to be played from one side: every reason why it cannot be is found here, before a socket
//! is opened.

mod columns;
mod hearable;
mod over_carrier;
mod sayable;
mod switch;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use columns::Columns;
use hearable::{hearable, not_listened, valued_too_late};
pub(crate) use over_carrier::DATAGRAM;
use over_carrier::over_carrier;
use sayable::{may_break_lines, sayable};
pub(crate) use switch::Switch;

use crate::Side;
use crate::carrier::Carrier;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::file::{File, Files};
use crate::made::Fresh;
use crate::program::{self, First, Op, Outside, Program, matcher};
use crate::secret::{Secret, known_secrets, made_of_secrets};
use crate::syntax::{Eol, Refused, Tls};
use crate::transcript::Transcript;
use crate::values::given_slot;

/// How long a client waits for its server, unless told otherwise.
pub const CLIENT_WAIT: Duration = crate::limits::CLIENT_WAIT;
/// How long a server waits for its clients, unless told otherwise.
pub const SERVER_WAIT: Duration = crate::limits::SERVER_WAIT;

/// How a transcript is to be played.
#[derive(Debug, Clone)]
pub struct PlayOptions {
    /// Which side is ours.
    pub side: Side,
    /// What carries it.
    pub carrier: Carrier,
    /// Values for names, that win over `set`: the same in every play.
    pub values: BTreeMap<String, Vec<u8>>,
    /// Names whose values differ from play to play; they win over `values`. Each play is given them by a [`crate::Row`].
    pub columns: Vec<String>,
    /// How long to wait for the other side, unless the file says otherwise; `None` for ever.
    pub wait: Option<Duration>,
    /// Wins over the file's `timeout`: what a person asked for on the command line.
    pub wait_override: Option<Duration>,
    /// Longest text line, in bytes.
    pub longest_line: usize,
    /// Whether the other side may leave at the top of any uncounted loop, as clients of a server do.
    pub may_leave: bool,
    /// Whether to keep what was said last, for the account of a failure.
    pub keep_said: bool,
    /// Where the files of `file:` lines come from; without it no such line can be played.
    pub files: Option<Arc<dyn Files>>,
    /// Take the branches that begin with these lines, where choices of ours would take others. Of those that exclude each other it is the
    /// first.
    pub branches: Vec<usize>,
    /// Values that no account of a failure shows: their names stand for them.
    pub secrets: Vec<Secret>,
    /// Where values come from that are new in each play.
    pub fresh: Fresh,
}

impl PlayOptions {
    /// The defaults: a server waits 5 minutes and lets its clients leave, a client waits 5 seconds.
    #[must_use]
    pub fn new(side: Side, carrier: Carrier) -> Self {
        let server = side == Side::Server;
        Self {
            side,
            carrier,
            values: BTreeMap::new(),
            columns: vec![],
            wait: Some(if server { SERVER_WAIT } else { CLIENT_WAIT }),
            wait_override: None,
            longest_line: 64 * 1024,
            may_leave: server,
            keep_said: !server,
            files: None,
            branches: vec![],
            secrets: vec![],
            fresh: Fresh::default(),
        }
    }
}

/// A transcript that one side can play. It is shared by all its plays.
#[derive(Debug, Clone)]
pub struct Script {
    pub(crate) program: Program,
    pub(crate) source: Arc<Source>,
    pub(crate) carrier: Carrier,
    pub(crate) side: Side,
    pub(crate) eol: Eol,
    pub(crate) gap: Option<Duration>,
    pub(crate) wait: Option<Duration>,
    pub(crate) longest_line: usize,
    pub(crate) may_leave: bool,
    pub(crate) keep_said: bool,
    /// Where values come from that are new in each play, and how many there were.
    pub(crate) fresh: Fresh,
    pub(crate) drawn: Arc<AtomicU64>,
    /// Whether a value that is said could hold a line ending: one that was heard on a text line cannot.
    pub(crate) may_break_lines: bool,
    /// On a stream, with `eol any`: the first LF ends a line, whatever stands before it.
    pub(crate) plain_lines: bool,
    /// The files of the program, in its order.
    pub(crate) files: Vec<Arc<dyn File>>,
    pub(crate) secrets: Arc<[Secret]>,
    /// Slots whose values are made of secrets in each play.
    pub(crate) hidden: Vec<usize>,
    /// What is to be known of the values that each play is given.
    columns: Option<Arc<Columns>>,
    warnings: Vec<Diagnostic>,
}

impl Script {
    /// Makes a transcript ready to be played.
    ///
    /// # Errors
    /// Every reason why this side cannot play it over this carrier.
    pub fn prepare(transcript: &Transcript, options: &PlayOptions) -> Result<Self, Refused> {
        let outside = Outside { values: &options.values, columns: &options.columns };
        let (mut program, mut findings) =
            program::compile(&transcript.body, &transcript.settings, &transcript.source, options.side, outside);
        if !options.branches.is_empty() {
            program.force(&options.branches);
        }
        // Its warnings were given when the text was read.
        findings.retain(|finding| finding.severity == Severity::Error);
        findings.extend(unplayable(&program, transcript, options));
        let files = open_files(&program, options, &mut findings);
        findings.extend(over_carrier(&program, options.carrier));
        let (errors, mut warnings): (Vec<_>, Vec<_>) =
            findings.into_iter().partition(|finding| finding.severity == Severity::Error);
        if !errors.is_empty() {
            return Err(Refused::new(&transcript.source, errors));
        }
        warnings.sort_by_key(|finding| (finding.line, finding.column));
        let settings = &transcript.settings;
        // A message of text is a line, whatever lines end with elsewhere.
        let (eol, gap) = match options.carrier {
            Carrier::Messages => (Eol::Lf, None),
            Carrier::Stream | Carrier::Datagram | Carrier::Packet => (settings.eol, settings.gap),
        };
        let (secrets, hidden) = hidden_values(&mut program, transcript, options);
        let has_columns = !options.columns.is_empty();
        let columns = has_columns.then(|| Arc::new(Columns::of(&program, transcript, options)));
        let may_break_lines = may_break_lines(&program, eol);
        // No line can break, and lines end by themselves: batches of them go fast.
        if options.carrier == Carrier::Stream && !may_break_lines {
            program::find_fast_paths(&mut program, settings.eol, options.keep_said);
        }
        Ok(Self {
            may_break_lines,
            files,
            secrets,
            hidden,
            fresh: options.fresh,
            drawn: Arc::default(),
            columns,
            plain_lines: options.carrier == Carrier::Stream && settings.eol == Eol::Any,
            program,
            source: Arc::clone(&transcript.source),
            carrier: options.carrier,
            side: options.side,
            eol,
            gap,
            wait: options.wait_override.or(settings.timeout).or(options.wait),
            longest_line: options.longest_line,
            may_leave: options.may_leave,
            keep_said: options.keep_said,
            warnings,
        })
    }

    /// Whether a reset between two exchanges is no failed play. The client's side has a word of its own for it.
    pub(crate) fn forgives_resets(&self) -> bool {
        self.may_leave || self.side == Side::Client
    }

    /// Whether it goes over to TLS somewhere.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.program.ops.iter().any(|op| matches!(op, Op::Tls(Tls::Start { .. })))
    }

    /// Whether TLS ends somewhere, and clear text goes on.
    #[must_use]
    pub fn stops_tls(&self) -> bool {
        self.program.ops.iter().any(|op| matches!(op, Op::Tls(Tls::Stop)))
    }

    /// Whether it has several connections, at once or one after the other.
    #[must_use]
    pub fn spans(&self) -> bool {
        self.program.spans
    }

    /// The lines of its messages and files, of both sides, in their order.
    #[must_use]
    pub fn lines(&self) -> Vec<usize> {
        let messages = self.program.messages.iter().map(|message| message.place.line);
        let mut lines: Vec<usize> = messages.chain(self.program.files.iter().map(|file| file.place.line)).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    /// The lines with which blocks begin that the other side may begin at any time.
    pub fn at_any_time(&self) -> impl Iterator<Item = usize> {
        self.program.asides.iter().map(|aside| self.program.places[aside.begin].line)
    }

    /// Whether a client may play it again over the connection over which it was played: nothing in it is about the beginning or
    /// the end of a connection. The client speaks first, neither side closes, stops sending or resets, and it does not go over to
    /// TLS. Over datagrams there is no connection.
    #[must_use]
    pub fn repeats(&self) -> bool {
        if self.carrier == Carrier::Datagram {
            return true;
        }
        let is_about_the_connection = |op: &Op| matches!(op, Op::Do(_) | Op::Expect(_) | Op::Tls(_) | Op::Connect(_));
        if self.program.ops.iter().any(is_about_the_connection) {
            return false;
        }
        program::may_begin(&self.program, 0).into_iter().all(|first| match first {
            First::Line(message) => self.program.messages[message].side == self.side,
            First::File(file) => self.program.files[file].side == self.side,
            First::End => true,
            First::Expect(_) | First::Do(_) | First::Tls | First::Connect | First::Choose | First::Wrong => false,
        })
    }

    /// Whose side it plays.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// What carries it.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// Whether bytes could be a message that this side says, whatever its holes hold: what a server that talks to
    /// another one hears.
    #[must_use]
    pub fn could_say(&self, bytes: &[u8]) -> bool {
        matcher::resemble(self.program.messages.iter().filter(|message| message.side == self.side), bytes)
    }

    /// What is allowed but probably not meant, seen from this side.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The transcript's name and text.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The same with another time to wait.
    #[must_use]
    pub fn waiting(self, wait: Duration) -> Self {
        Self { wait: Some(wait), ..self }
    }

    /// How long it waits for the other side.
    #[must_use]
    pub fn wait(&self) -> Option<Duration> {
        self.wait
    }
}

/// What is not shown: the secrets, what is made of them before a play, and the slots of what each play makes of them.
fn hidden_values(program: &mut Program, transcript: &Transcript, options: &PlayOptions) -> (Arc<[Secret]>, Vec<usize>) {
    let names: Vec<&str> = options.secrets.iter().map(|secret| secret.name.as_str()).collect();
    let given: Vec<&str> = options.values.keys().chain(&options.columns).map(String::as_str).collect();
    let made = made_of_secrets(&transcript.body, &names, &given);
    let known = known_secrets(&transcript.body, &made, &options.values);
    let own = program.slots.iter().enumerate().filter(|(_, name)| made.contains(*name)).map(|(slot, _)| slot);
    let of_rows = program.given.iter().enumerate().filter(|(_, name)| made.contains(*name));
    let hidden: Vec<usize> = own.chain(of_rows.map(|(index, _)| given_slot(index))).collect();
    if !hidden.is_empty() {
        // An account of what was said before needs them where the play itself does no more.
        program.live.fill(true);
        program.needed.clear();
    }
    (options.secrets.iter().cloned().chain(known).collect(), hidden)
}

/// Why a side cannot say, hear or tell apart what a program has, over whatever carries it.
fn unplayable(program: &Program, transcript: &Transcript, options: &PlayOptions) -> Vec<Diagnostic> {
    let source = &transcript.source;
    let mut findings = Vec::new();
    findings.extend(sayable(program, source, options));
    findings.extend(hearable(program, options));
    findings.extend(valued_too_late(program, source, options.side));
    if !options.carrier.keeps_bounds() {
        let gap = transcript.settings.gap.is_some();
        for (side, listening) in [(options.side.other(), true), (options.side, false)] {
            findings.extend(program::unclear_ends(program, source, side, gap, listening));
        }
    }
    findings.extend(not_listened(program, options.side));
    findings
}

/// Opens every file before a socket is opened.
fn open_files(program: &Program, options: &PlayOptions, findings: &mut Vec<Diagnostic>) -> Vec<Arc<dyn File>> {
    let mut files = Vec::new();
    for message in &program.files {
        let opened = match &options.files {
            Some(folder) => folder.open(&message.path),
            None => Err(io::Error::other("no folder to read files from is given")),
        };
        match opened {
            Ok(file) if options.carrier.keeps_bounds() && file.len() > DATAGRAM => {
                let text = format!("`{}` has {} bytes, and a datagram holds {DATAGRAM}", message.path, file.len());
                findings.push(Diagnostic::error(message.path_place, text).help("use TCP, or a smaller file"));
            }
            Ok(file) => files.push(file),
            Err(why) => {
                let text = format!("`{}` cannot be read: {why}", message.path);
                let help = "files are looked for below the folder that the transcript stands in";
                findings.push(Diagnostic::error(message.path_place, text).help(help));
            }
        }
    }
    files
}
