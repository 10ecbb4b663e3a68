//! The text of a transcript as a tree: what was written, before anyone asks from which side it is played.

mod blocks;
mod duration;
mod encoding;
mod foreign;
mod heads;
mod include;
mod line;
mod meant;
mod nearest;
mod open;
mod parse;
mod repeat_count;
mod setting_meant;
mod settings;
mod side_mark;
mod size;
mod template;
mod tls;
mod unknown;

use std::sync::Arc;
use std::time::Duration;

pub use nearest::nearest;
pub(crate) use parse::{read, said_by};
pub(crate) use setting_meant::{is_name, setting_meant};
pub(crate) use unknown::{KEYWORDS, bare_bytes};

use crate::Side;
use crate::diagnostic::{Diagnostic, Severity, Source, Span};
use crate::function::Function;
use crate::made::Made;
use crate::pattern::Expressions;

/// Whether a word is a duration as transcripts have it.
pub(crate) fn is_duration(word: &str) -> bool {
    duration::duration(word).is_some()
}

/// The parts of a payload, columns counted from its beginning; `None` if it is not well formed.
pub(crate) fn payload_parts(payload: &str, form: Form) -> Option<Vec<TemplatePart>> {
    let (at, mut expressions, mut findings) = (template::At { line: 1, column: 1 }, Expressions::default(), Vec::new());
    let template = match form {
        Form::Hex => template::hex(payload, at, &mut expressions, &mut findings),
        Form::Text | Form::Raw => template::text(payload, at, &mut expressions, &mut findings),
    };
    findings.is_empty().then_some(template.parts)
}

/// What a hole accepts, names as they are written.
pub(crate) type Pattern = crate::pattern::Pattern<String>;

/// What a text says, and what is wrong with its statements one by one.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) source: Arc<Source>,
    pub(crate) settings: Settings,
    pub(crate) body: Vec<Statement>,
    pub(crate) findings: Vec<Diagnostic>,
    /// Whether every block is closed. Where one ends that is not is not known, nor what stands in it and what behind.
    pub(crate) is_closed: bool,
}

/// Most findings of one kind that are shown to a person.
pub const MOST_SHOWN: usize = 100;

/// A transcript that cannot be played, with every reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The text it is about.
    pub source: Arc<Source>,
    /// What is wrong, in the order of the lines; at least one error.
    pub findings: Vec<Diagnostic>,
}

impl Refused {
    pub(crate) fn new(source: &Arc<Source>, mut findings: Vec<Diagnostic>) -> Self {
        findings.sort_by_key(|finding| (finding.line, finding.column));
        findings.dedup();
        Self { source: Arc::clone(source), findings }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for finding in self.findings.iter().take(MOST_SHOWN) {
            f.write_str(&finding.render(&self.source))?;
        }
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let name = self.source.name();
        match self.findings.len().saturating_sub(MOST_SHOWN) {
            0 if errors > 1 => writeln!(f, "{name}: {errors} errors")?,
            0 => {}
            more => writeln!(f, "{name}: {errors} errors; {more} more are not shown")?,
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}

/// What holds for a whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How text lines end.
    pub eol: Eol,
    /// How long an unfinished line may be quiet before it counts as a line.
    pub gap: Option<Duration>,
    /// How long to wait for the other side, where the file says so.
    pub timeout: Option<Duration>,
    /// Whether ASCII letters of literal text match in either case.
    pub ignore_case: bool,
    /// The address that the file names, as it is written, for whoever is given no other.
    pub at: Option<At>,
}

/// An address that a file names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// Where it is written.
    pub place: Span,
    /// As it is written.
    pub address: String,
}

/// How text lines end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Eol {
    /// LF or CRLF is accepted, and the peer's last one is sent.
    #[default]
    Any,
    /// LF; a CR is text.
    Lf,
    /// CRLF; a lone LF is wrong.
    CrLf,
    /// Nothing: a line ends at the gap, at the end, or with its datagram.
    None,
}

/// One statement and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Statement {
    /// The statement's text without its indent.
    pub(crate) place: Span,
    pub(crate) kind: StatementKind,
    /// Over which connection it is said or done: the 2 of `C2:`. A block has that of its first line.
    pub(crate) connection: u8,
}

/// The connection that a play begins with.
pub(crate) const FIRST: u8 = 1;
/// The highest number that a connection has.
pub(crate) const MOST_CONNECTIONS: u8 = crate::limits::CONNECTIONS;

/// Where TLS begins or ends, for both sides at once.
#[derive(Debug, Clone)]
pub(crate) enum Tls {
    /// The handshake, the client's side of it by C; what is spoken inside, the most wanted first (ALPN).
    Start { alpn: Vec<String> },
    /// Both say that they are done (close_notify), and go on in clear.
    Stop,
}

#[derive(Debug, Clone)]
pub(crate) enum StatementKind {
    Message {
        side: Side,
        form: Form,
        template: Template,
    },
    /// A line that must not come here.
    Not {
        side: Side,
        form: Form,
        template: Template,
    },
    Act {
        side: Side,
        act: Act,
    },
    /// A connection is opened, by this side.
    Connects {
        side: Side,
        /// The name whose value is the port, where that is not the one of the conversation.
        to: Option<Template>,
    },
    /// TLS begins or ends.
    Tls(Tls),
    /// The bytes of a file, by its path below the transcript's folder.
    File {
        side: Side,
        path: String,
        path_place: Span,
    },
    Set {
        name: String,
        template: Template,
    },
    /// A name whose value is new for whoever says it first.
    Fresh {
        name: String,
        made: Made,
    },
    Let {
        name: String,
        function: Function,
        /// The name that holds the key of a keyed digest.
        key: Option<Template>,
        template: Template,
    },
    Repeat {
        times: Option<u32>,
        body: Vec<Statement>,
    },
    Either {
        branches: Vec<Branch>,
    },
    AnyOrder {
        body: Vec<Statement>,
    },
    Together {
        body: Vec<Statement>,
    },
    /// The value of a name decides how it goes on.
    Choose {
        name: Template,
        cases: Vec<Case>,
    },
    /// Lines of one side that may be left out.
    Maybe {
        body: Vec<Statement>,
    },
    /// What the other side may begin at any time from here on.
    Aside {
        body: Vec<Statement>,
    },
    /// A line that was reported and skipped. A transcript that has one is never played.
    Wrong,
}

/// Every one of some statements, and of those in their blocks, in the order of the text.
pub(crate) fn throughout(body: &[Statement]) -> impl Iterator<Item = &Statement> {
    let mut open = vec![body.iter()];
    std::iter::from_fn(move || {
        loop {
            let Some(statement) = open.last_mut()?.next() else {
                open.pop();
                continue;
            };
            let begin = open.len();
            open.extend(statement.kind.bodies().map(<[Statement]>::iter));
            // The first of its blocks comes first.
            open[begin..].reverse();
            return Some(statement);
        }
    })
}

/// Whether both sides do nothing but wait: played, that passes against everyone.
pub(crate) fn only_waits(body: &[Statement]) -> bool {
    throughout(body).all(|statement| match &statement.kind {
        StatementKind::Act { act, .. } => matches!(act, Act::Waits(_)),
        StatementKind::Set { .. } | StatementKind::Let { .. } | StatementKind::Fresh { .. } => true,
        kind => kind.bodies().next().is_some(),
    })
}

impl StatementKind {
    /// The statements of each block in it.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = &[Statement]> {
        let (body, branches, cases): (Option<&[Statement]>, &[Branch], &[Case]) = match self {
            Self::Repeat { body, .. }
            | Self::AnyOrder { body }
            | Self::Together { body }
            | Self::Maybe { body }
            | Self::Aside { body } => (Some(body), &[], &[]),
            Self::Either { branches } => (None, branches, &[]),
            Self::Choose { cases, .. } => (None, &[], cases),
            Self::Message { .. }
            | Self::Not { .. }
            | Self::Act { .. }
            | Self::Connects { .. }
            | Self::Tls(_)
            | Self::File { .. }
            | Self::Set { .. }
            | Self::Fresh { .. }
            | Self::Let { .. }
            | Self::Wrong => (None, &[], &[]),
        };
        let branches = branches.iter().map(|branch| &branch.body[..]);
        body.into_iter().chain(branches).chain(cases.iter().map(|case| &case.body[..]))
    }
}

impl Statement {
    /// The text and holes in it, but for those of its blocks.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &Template> {
        let (key, template) = match &self.kind {
            StatementKind::Message { template, .. }
            | StatementKind::Not { template, .. }
            | StatementKind::Set { template, .. } => (None, Some(template)),
            StatementKind::Let { key, template, .. } => (key.as_ref(), Some(template)),
            StatementKind::Connects { to, .. } => (None, to.as_ref()),
            StatementKind::Choose { name, .. } => (None, Some(name)),
            StatementKind::Act { .. }
            | StatementKind::Tls(_)
            | StatementKind::File { .. }
            | StatementKind::Fresh { .. }
            | StatementKind::Repeat { .. }
            | StatementKind::Either { .. }
            | StatementKind::AnyOrder { .. }
            | StatementKind::Together { .. }
            | StatementKind::Maybe { .. }
            | StatementKind::Aside { .. }
            | StatementKind::Wrong => (None, None),
        };
        key.into_iter().chain(template)
    }

    /// The name to which a `set` or a `let` gives its value.
    pub(crate) fn sets(&self) -> Option<&str> {
        match &self.kind {
            StatementKind::Set { name, .. } | StatementKind::Let { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// How a message is framed on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Text and a line ending.
    Text,
    /// Exactly these bytes, written as text.
    Raw,
    /// Exactly these bytes, written as pairs of hex digits.
    Hex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Closes,
    StopsSending,
    Resets,
    Waits(Duration),
}

impl Act {
    /// How it is written, if it ends the play.
    pub(crate) fn that_ends(self) -> Option<&'static str> {
        match self {
            Self::Closes => Some("closes"),
            Self::Resets => Some("resets"),
            Self::StopsSending | Self::Waits(_) => None,
        }
    }
}

/// One branch of an `either`.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// The `either` or `or` that begins it.
    pub(crate) place: Span,
    pub(crate) body: Vec<Statement>,
}

/// One case of a `choose`.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The `is` or `else` that begins it.
    pub(crate) place: Span,
    /// None for all values that no other case has.
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) body: Vec<Statement>,
}

/// A payload: bytes with holes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) parts: Vec<TemplatePart>,
}

impl Template {
    /// Its holes, and where each stands.
    pub(crate) fn holes(&self) -> impl Iterator<Item = (&Hole, Span)> {
        self.parts.iter().filter_map(|part| match &part.kind {
            TemplatePartKind::Hole(hole) => Some((hole, part.place)),
            TemplatePartKind::Literal(_) => None,
        })
    }

    /// The names that stand in it: those of holes, and those that count bytes.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.holes().flat_map(|(hole, _)| {
            let count = if let Pattern::BytesOf(count) = &hole.pattern { Some(count.as_str()) } else { None };
            Some(hole.name.as_str()).filter(|name| *name != "_").into_iter().chain(count)
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplatePart {
    pub(crate) place: Span,
    pub(crate) kind: TemplatePartKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplatePartKind {
    Literal(Vec<u8>),
    Hole(Hole),
}

/// `{name:pattern=default|default}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hole {
    pub(crate) name: String,
    pub(crate) pattern: Pattern,
    pub(crate) defaults: Vec<Sample>,
    /// Whether the default is said again and again, up to the length of the hole.
    pub(crate) is_repeated: bool,
}

/// One default of a hole, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) place: Span,
    pub(crate) bytes: Vec<u8>,
}
