//! A transcript made ready to be played from one side: every reason why it cannot be is found here, before a socket
//! is opened.

mod columns;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use columns::Columns;

use crate::Side;
use crate::carrier::Carrier;
use crate::diagnostic::{Diagnostic, Severity, Source};
use crate::file::{File, Files};
use crate::made::Fresh;
use crate::notation::show_hiding;
use crate::program::{
    self, Arm, Depends, First, Message, Op, Outside, Pattern, Piece, PieceKind, Plan, Program, StreamAction, Unwritten,
    matcher,
};
use crate::secret::Secret;
use crate::syntax::{Eol, Form, Refused, Tls};
use crate::transcript::Transcript;
use crate::values::Scratch;

/// How long a client waits for its server, unless told otherwise.
pub const CLIENT_WAIT: Duration = Duration::from_secs(5);
/// How long a server waits for its clients, unless told otherwise.
pub const SERVER_WAIT: Duration = Duration::from_secs(300);

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
    /// Take the branch that begins with this line, where a choice of ours would take another one.
    pub branch: Option<usize>,
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
            branch: None,
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
        if let Some(line) = options.branch {
            program.force(line);
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
            secrets: options.secrets.clone().into(),
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

    /// The same with another patience.
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

/// Why this carrier cannot have it.
fn over_carrier(program: &Program, carrier: Carrier) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    match carrier {
        Carrier::Stream => {}
        Carrier::Datagram => findings.extend(over_datagrams(program)),
        Carrier::Packet => findings.extend(over_packets(program)),
        Carrier::Messages => findings.extend(over_messages(program)),
    }
    if carrier.keeps_bounds() {
        findings.extend(too_long_for_datagrams(program));
    }
    findings
}

/// Most bytes of a datagram over IPv4 (RFC 768, RFC 791).
pub(crate) const DATAGRAM: u64 = 65_507;

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

/// The messages that we may come to say.
fn said(program: &Program) -> Vec<usize> {
    let mut unreached = vec![true; program.ops.len()];
    let mut open = vec![0];
    let mut messages = Vec::new();
    while let Some(pc) = open.pop() {
        if !std::mem::replace(&mut unreached[pc], false) {
            continue;
        }
        match &program.ops[pc] {
            Op::Say(message) => {
                messages.push(*message);
                open.push(pc + 1);
            }
            Op::AnyOrder(order) => {
                let order = &program.orders[*order];
                if order.ours {
                    messages.extend_from_slice(&order.messages);
                }
                open.push(pc + 1);
            }
            Op::End | Op::Forbidden | Op::Return => {}
            Op::Jump(to) => open.push(*to),
            Op::Choose(table) => open.extend(program.tables[*table].starts()),
            Op::Again { body, .. } => open.extend([*body, pc + 1]),
            Op::Choice(index) => {
                let choice = &program.choices[*index];
                match (&choice.ours, &choice.kind) {
                    (Some(Plan::Turns { turns, .. }), _) => open.extend(turns.iter().map(|(start, _)| *start)),
                    (_, program::Fork::Loop { body, after, .. }) => open.extend([*body, *after]),
                    (_, program::Fork::Either { branches, .. }) => open.extend(branches),
                }
            }
            _ => open.push(pc + 1),
        }
    }
    messages.sort_unstable();
    messages
}

/// What we must say needs a value, must fit on its line, and must not be heard as something else.
fn sayable(program: &Program, source: &Source, options: &PlayOptions) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for index in said(program) {
        let message = &program.messages[index];
        let mut missing = false;
        for piece in &message.pieces {
            if let PieceKind::Capture { slot, defaults, tour, unwritten: None, .. } = &piece.kind {
                let name = slot.map_or("_", |slot| program.name(slot));
                if defaults.is_empty() {
                    missing = true;
                    findings.push(no_value(options.side, piece, name));
                } else if defaults.len() > 1 && tour.is_none() {
                    let text = format!("outside a loop only the first of the {} defaults is said", defaults.len());
                    findings.push(Diagnostic::warning(piece.place, text).help("put the line into a `repeat`"));
                }
            }
            if message.form == Form::Text && options.carrier == Carrier::Stream && holds_lf(&piece.kind) {
                findings.push(
                    Diagnostic::error(piece.place, "a value with a line ending in it cannot stand in a text line")
                        .help("say it with `raw:`"),
                );
            }
        }
        if missing {
            continue;
        }
        for (piece, default, rival) in program::misheard(program, index, Depends::Nothing, &mut Scratch::new()) {
            let line = source.mention(program.messages[rival].place.line);
            findings.push(misheard(message, message.pieces.get(piece), default, &line, &options.secrets));
        }
    }
    findings
}

fn no_value(side: Side, piece: &Piece, name: &str) -> Diagnostic {
    let message = format!("the {side} must say {{{name}}}, but nothing gives it a value");
    let help =
        if name == "_" { "write {_=…}".to_owned() } else { format!("write {{{name}=…}} or pass --set {name}=…") };
    Diagnostic::error(piece.place, message).help(help)
}

fn misheard(
    message: &Message,
    // An empty line has none.
    piece: Option<&Piece>,
    default: usize,
    line: &str,
    secrets: &[Secret],
) -> Diagnostic {
    let text = match piece.map(|piece| &piece.kind) {
        Some(PieceKind::Capture { defaults, .. }) => show_hiding(&defaults[default], secrets),
        _ => {
            let literals = message.pieces.iter().filter_map(|piece| match &piece.kind {
                PieceKind::Literal(literal) => Some(&literal[..]),
                _ => None,
            });
            show_hiding(&literals.collect::<Vec<_>>().concat(), secrets)
        }
    };
    let place = piece.map_or(message.place, |piece| piece.place);
    Diagnostic::error(place, format!("`{text}` would be heard as {line}"))
        .help("at a choice the first line that fits is taken: say something that only this one takes")
}

/// Whether some name may have a value with a line ending in it.
fn may_break_lines(program: &Program, eol: Eol) -> bool {
    let holes = |message: &Message| message.pieces.iter().any(|piece| matches!(piece.kind, PieceKind::Capture { .. }));
    eol == Eol::None
        || program.ops.iter().any(|op| matches!(op, Op::Set { .. } | Op::Let { .. }))
        || program.messages.iter().any(|message| {
            message.form != Form::Text && holes(message) || message.pieces.iter().any(|piece| holds_lf(&piece.kind))
        })
}

fn holds_lf(kind: &PieceKind) -> bool {
    match kind {
        PieceKind::Literal(bytes) => bytes.contains(&b'\n'),
        PieceKind::Capture { defaults, unwritten, .. } => {
            defaults.iter().any(|default| default.contains(&b'\n'))
                || match unwritten.as_deref() {
                    Some(Unwritten::Repeated(bytes)) => bytes.contains(&b'\n'),
                    Some(Unwritten::Made(made)) => made.may_break_lines(),
                    None => false,
                }
        }
        _ => false,
    }
}

/// What we must hear must say where each hole ends.
fn hearable(program: &Program, options: &PlayOptions) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for message in program.messages.iter().filter(|message| message.side != options.side) {
        let pattern_of = |piece: &Piece| match &piece.kind {
            PieceKind::Capture { pattern, .. } | PieceKind::Same { pattern, .. } => Some(pattern.clone()),
            _ => None,
        };
        for pair in message.pieces.windows(2) {
            let (Some(first), Some(second)) = (pattern_of(&pair[0]), pattern_of(&pair[1])) else { continue };
            // A line is whole when it is looked at; of other bytes more may come that belong to the first.
            let is_told = first.has_length() || message.form == Form::Text && first.ends_itself();
            let takes_all = matches!((&first, &second), (Pattern::Int, Pattern::Int) | (Pattern::Word, Pattern::Word));
            if is_told && !takes_all {
                continue;
            }
            let finding = if takes_all {
                Diagnostic::error(pair[1].place, "the hole before this one takes all that this one could take")
                    .help("put text between them, or give the first an expression that ends earlier: {a:/[0-9]{2}/}")
            } else {
                let help = match message.form {
                    Form::Text => {
                        "put text between them, or let the first say where it ends, as {a:int}, {a:word}, {a:8 bytes} and {a:/[a-z]*/} do"
                    }
                    Form::Raw | Form::Hex => "put text between them, or write the first as {name:8 bytes}",
                };
                Diagnostic::error(pair[1].place, "where one hole ends and the next begins cannot be told").help(help)
            };
            findings.push(finding);
        }
        let framed = message.form != Form::Text && options.carrier == Carrier::Stream;
        if framed
            && !message.to_end
            && let Some(last) = message.pieces.last()
            && pattern_of(last).is_some_and(|pattern| !pattern.has_length())
        {
            let text = "where this hole ends cannot be told";
            let help = format!(
                "put text behind it, write {{name:8 bytes}}, or let `{0} closes` or `{0} stops sending` follow",
                message.side.letter()
            );
            findings.push(Diagnostic::error(last.place, text).help(help));
        }
    }
    findings
}

/// What may come where the way forks is compared before anything of a way is done: a value that the way itself gives is not
/// there yet.
fn valued_too_late(program: &Program, source: &Source, side: Side) -> Vec<Diagnostic> {
    let mut findings: Vec<Diagnostic> = Vec::new();
    let heard = |arm: &Arm| match arm.first {
        First::Line(message) => Some(&program.messages[message]).filter(|message| message.side != side),
        _ => None,
    };
    for choice in program.choices.iter().filter(|choice| choice.arms.len() > 1) {
        for (arm, message) in choice.arms.iter().filter_map(|arm| Some((arm, heard(arm)?))) {
            let given = program.given_on(arm);
            let late = message.pieces.iter().find_map(|piece| {
                let slot = match &piece.kind {
                    PieceKind::Value(slot) => *slot,
                    PieceKind::Capture { pattern: Pattern::BytesOf(count), .. } => count.slot,
                    _ => return None,
                };
                given.contains(&slot).then_some((piece, slot))
            });
            let Some((piece, slot)) = late else { continue };
            if findings.iter().any(|finding| finding.line == piece.place.line) {
                continue;
            }
            let name = program.name(slot);
            let fork = source.mention(choice.place.line);
            let message = format!(
                "the {side} must tell this line from others at {fork}, and {{{name}}} gets its value behind that"
            );
            let help =
                format!("give {name} its value above {fork}, or let a line stand before it that tells what this is");
            findings.push(Diagnostic::error(piece.place, message).help(help));
        }
    }
    findings
}

/// Where the other side connects to a port, we listen there: that is begun where we say its number.
fn not_listened(program: &Program, side: Side) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let Op::Connect(program::Connect { connection, ours: false, to: Some(slot) }) = op else { continue };
        let is_begun = |op: &Op| matches!(op, Op::Listen { connection: other, .. } if other == connection);
        if !program.ops.iter().any(is_begun) {
            let name = program.name(*slot);
            let message = format!("the {side} must listen at port {{{name}}}, and no line of it says that port first");
            let help =
                format!("let a line of `{}:` above say {{{name}}}: sockeye takes a port that is free", side.letter());
            findings.push(Diagnostic::error(*place, message).help(help));
        }
    }
    findings
}

/// No message may be longer than a datagram, nor may those be that go into one.
fn too_long_for_datagrams(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    // The messages of the `together` at hand: where it stands, and their length.
    let mut together: Option<usize> = None;
    for (op, place) in program.ops.iter().zip(&program.places) {
        let length = match op {
            Op::Together => {
                together = Some(0);
                continue;
            }
            Op::Apart => {
                together = None;
                continue;
            }
            Op::Say(message) | Op::Hear(message) => {
                matcher::text_length(&program.messages[*message].pieces, &Scratch::default()).unwrap_or(usize::MAX)
            }
            _ => continue,
        };
        let before = together.unwrap_or(0);
        let all = before.saturating_add(length);
        if together.is_some() {
            together = Some(all);
        }
        // Of a block it is said once.
        if all as u64 > DATAGRAM && before as u64 <= DATAGRAM {
            let text = format!("a datagram holds {DATAGRAM} bytes, and this one would have {all}");
            findings.push(Diagnostic::error(*place, text).help("say it in parts, or use TCP"));
        }
    }
    findings
}

/// Messages end in both directions at once, and TLS is what they are in.
fn over_messages(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let (text, help) = match op {
            Op::Do(StreamAction::StopSending) | Op::Expect(StreamAction::StopSending) => {
                ("a WebSocket ends in both directions at once: `stops sending` has no meaning there", "write `closes`")
            }
            Op::Tls(Tls::Start { .. }) => {
                ("a WebSocket does not go over to TLS: `starttls` has no meaning there", "write wss://")
            }
            Op::Tls(Tls::Stop) => {
                ("TLS stays around a WebSocket: `stoptls` has no meaning there", "leave it out, or write tcp://")
            }
            _ => continue,
        };
        findings.push(Diagnostic::error(*place, text).help(help));
    }
    findings
}

/// Datagrams have no beginning of a connection, no half-close and no reset.
/// What has no meaning over packets of a connection.
fn over_packets(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let act = match op {
            Op::Do(StreamAction::Reset) => "resets",
            Op::Tls(Tls::Start { .. }) => "starttls",
            Op::Tls(Tls::Stop) => "stoptls",
            Op::Connect(_) => "connects",
            _ => continue,
        };
        findings.push(
            Diagnostic::error(*place, format!("`{act}` has no meaning over packets of a Unix socket"))
                .help("leave it out, or use TCP"),
        );
    }
    findings
}

fn over_datagrams(program: &Program) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    for (op, place) in program.ops.iter().zip(&program.places) {
        let act = match op {
            Op::Do(StreamAction::StopSending) | Op::Expect(StreamAction::StopSending) => "stops sending",
            Op::Do(StreamAction::Reset) | Op::Expect(StreamAction::Reset) => "resets",
            Op::Tls(Tls::Start { .. }) => "starttls",
            Op::Tls(Tls::Stop) => "stoptls",
            Op::Connect(_) => "connects",
            _ => continue,
        };
        findings.push(
            Diagnostic::error(*place, format!("`{act}` has no meaning over datagrams"))
                .help("leave it out, or use TCP"),
        );
    }
    for choice in &program.choices {
        let end = choice.arms.iter().find(|arm| matches!(arm.first, First::Expect(StreamAction::Close)));
        if let Some(end) = end.filter(|_| choice.arms.len() > 1) {
            findings.push(
                Diagnostic::error(program.places[end.pc], "over datagrams nobody hears that the other side closes")
                    .help("say how many lines there are (repeat 3), or end them by a line; or use TCP"),
            );
        }
    }
    for first in program::may_begin(program, 0) {
        let (side, place) = match first {
            First::Line(message) => (program.messages[message].side, program.messages[message].place),
            First::File(file) => (program.files[file].side, program.files[file].place),
            _ => continue,
        };
        if side == Side::Server {
            findings.push(
                Diagnostic::error(place, "a server cannot speak first over datagrams")
                    .help("begin with a line of the client"),
            );
        }
    }
    findings
}
