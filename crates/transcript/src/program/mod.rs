//! A transcript compiled for one side: a flat list of operations that the player walks. Below this point client and
//! server are "we" and "they".

mod branches;
mod choices;
mod compile;
mod fast_path;
mod keys;
mod literals;
mod liveness;
pub(crate) mod matcher;
mod overlap;
mod plan;
mod prefix;

use std::collections::HashMap;
use std::time::Duration;

use crate::Side;
use crate::diagnostic::Span;
use crate::function::Function;
use crate::made::Made;
use crate::pattern::Count;
use crate::syntax::{Form, Tls};
use crate::values::given_index;

/// What a hole accepts, names as slots.
pub(crate) type Pattern = crate::pattern::Pattern<Box<Count>>;

pub(crate) use branches::{Branch, BranchOf, branches};
pub(crate) use choices::{first_of_all, may_begin, misheard};
pub(crate) use compile::{Outside, compile};
pub(crate) use fast_path::{
    Answer, AnswerPart, Bookkeeping, CHUNK, FastPath, KnownExchange, QuickMatch, Text, TextForm,
    find as find_fast_paths,
};
pub(crate) use keys::{KeyMatch, Keys};
pub(crate) use literals::{Found, Literals};
pub(crate) use prefix::unclear_ends;

/// An operation's index in [`Program::ops`].
pub(crate) type Pc = usize;

/// Text of a transcript, which stands in memory once however many messages hold it.
pub(crate) type Literal = std::sync::Arc<[u8]>;

/// Most bytes that one message may come to when its values are filled in. A transcript's own text is never longer.
pub const MOST_SAID: usize = 2 * crate::values::MOST_VALUES;

/// What the player walks.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    /// Where each operation stands in the text.
    pub(crate) places: Vec<Span>,
    pub(crate) messages: Vec<Message>,
    pub(crate) choices: Vec<Choice>,
    pub(crate) orders: Vec<Order>,
    pub(crate) files: Vec<FileMessage>,
    /// The names whose values are kept while playing.
    pub(crate) slots: Vec<String>,
    /// The names whose values each play is given, and behind them those whose values are made of these.
    pub(crate) given: Vec<String>,
    /// How those are made, in their order.
    pub(crate) recipes: Vec<Recipe>,
    /// Where each `choose` goes on.
    pub(crate) tables: Vec<Table>,
    /// Whether it has several connections, at once or one after the other.
    pub(crate) spans: bool,
    /// How many counters a play needs: rounds, turns and tours of defaults.
    pub(crate) counters: usize,
    /// What the other side may begin at any time.
    pub(crate) asides: Vec<Aside>,
    /// Those of them that are no lines.
    pub(crate) framed_asides: Vec<Aside>,
    /// The counter that has where a play goes on behind such, counted from 1; there is one if there are any.
    pub(crate) returns: usize,
    /// By operation: whether any value that it or a later one reads may be set before it.
    pub(crate) live: Vec<bool>,
    /// The same by value, one bit for each slot; empty if there are more slots than bits.
    pub(crate) needed: Vec<u128>,
}

#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// We say a message.
    Say(usize),
    /// They say one.
    Hear(usize),
    /// What we do.
    Do(StreamAction),
    /// What they do.
    Expect(StreamAction),
    /// We pause.
    Pause(Duration),
    /// They may pause: what we hear next may take so much longer.
    ExtraWait(Duration),
    /// A slot takes a value.
    Set {
        slot: usize,
        value: Vec<Piece>,
    },
    /// A slot takes what a function makes of a value.
    Let {
        slot: usize,
        function: Function,
        /// The key of a keyed digest; else empty.
        key: Vec<Piece>,
        value: Vec<Piece>,
    },
    /// TLS begins or ends.
    Tls(Tls),
    /// We send a file, or they do.
    File(usize),
    /// Lines of one side that may come in any order: the operation is done when all of them are said.
    AnyOrder(usize),
    /// A loop, or lines in any order, are entered: their counters start again.
    Enter(Vec<usize>),
    /// The play may branch here.
    Choice(usize),
    /// A value decides where it goes on.
    Choose(usize),
    /// It goes on over this connection.
    On(u8),
    /// A connection is opened.
    Connect(Connect),
    /// We begin to listen at a port, whose number a slot gets, for this connection.
    Listen {
        slot: usize,
        connection: u8,
    },
    /// The end of a counted round.
    Again {
        counter: usize,
        times: u32,
        body: Pc,
    },
    Jump(Pc),
    /// What follows goes into one write, and over datagrams into one datagram.
    Together,
    Apart,
    /// What came must not come.
    Forbidden,
    /// The end of what came at any time: back to where the play waited.
    Return,
    /// Stands for a line that was refused; such a program is never played.
    Wrong,
    End,
}

/// A connection that is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) connection: u8,
    /// Whether we open it.
    pub(crate) ours: bool,
    /// The slot that has the port, where it is not that of the conversation.
    pub(crate) to: Option<usize>,
}

/// The cases of a `choose`.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) place: Span,
    /// What decides: a value, or text that is known before.
    pub(crate) key: Piece,
    pub(crate) cases: HashMap<Box<[u8]>, Pc>,
    /// Where it goes on for all other values.
    pub(crate) otherwise: Option<Pc>,
    /// Behind all of them.
    pub(crate) after: Pc,
}

impl Table {
    /// Where its cases begin.
    pub(crate) fn starts(&self) -> impl Iterator<Item = &Pc> {
        self.cases.values().chain(&self.otherwise)
    }

    /// Where it may go on: one of its ways, if what decides is known before a play.
    pub(crate) fn may_go(&self) -> Vec<Pc> {
        match &self.key.kind {
            PieceKind::Literal(value) => self.cases.get(&**value).copied().or(self.otherwise).into_iter().collect(),
            _ => self.starts().copied().collect(),
        }
    }
}

/// What the other side may begin at any time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aside {
    /// Its first line.
    pub(crate) message: usize,
    /// That line's operation.
    pub(crate) begin: Pc,
    /// The first operation behind it: from there on it may come.
    pub(crate) after: Pc,
    /// Whether it begins a datagram of several lines.
    pub(crate) together: bool,
}

/// An act that changes the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum StreamAction {
    Close,
    StopSending,
    Reset,
}

#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) place: Span,
    pub(crate) side: Side,
    pub(crate) form: Form,
    pub(crate) pieces: Vec<Piece>,
    /// Whether ASCII letters of its literal text match in either case.
    pub(crate) fold: bool,
    /// The common shapes, matched without looking at the pieces.
    pub(crate) shape: Shape,
    /// Messages that a listener tries before this one, at the choices where this one may be said.
    pub(crate) rivals: Vec<usize>,
    pub(crate) depends: Depends,
    /// What follows a raw message that ends in an open hole: the end of their stream.
    pub(crate) to_end: bool,
    /// Where it is all that may come: the path from it back to itself.
    pub(crate) fast_path: FastPath,
}

/// What decides the bytes that a message is, beside its defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depends {
    /// Nothing: they are known before a play begins.
    Nothing,
    /// The values that the play is given.
    Given,
    /// What was heard or given a value while playing.
    Play,
}

/// How a value is made of those that a play is given.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// None for a `set`.
    pub(crate) function: Option<Function>,
    /// The key of a keyed digest; else empty.
    pub(crate) key: Vec<Piece>,
    pub(crate) value: Vec<Piece>,
}

/// A file that is said as it stands.
#[derive(Debug, Clone)]
pub(crate) struct FileMessage {
    pub(crate) place: Span,
    pub(crate) side: Side,
    /// Below the transcript's folder.
    pub(crate) path: String,
    pub(crate) path_place: Span,
}

/// Lines that may come in any order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// In the order of the text, which is the order in which we say them.
    pub(crate) messages: Vec<usize>,
    /// The first of its counters. Ours counts what is said; theirs have one bit for each line that came.
    pub(crate) counter: usize,
    pub(crate) ours: bool,
    /// What it is looked for in, if there is nothing but text to hear.
    pub(crate) literals: Option<Literals>,
    /// The same, if there is more.
    pub(crate) keys: Option<Keys>,
    /// The counter of those that came.
    pub(crate) came: usize,
}

impl Order {
    /// Where a play notes that a line has come, by the line's place in the block.
    pub(crate) fn bit(&self, index: usize) -> usize {
        match (&self.literals, &self.keys) {
            (Some(literals), _) => literals.rank(index),
            (None, Some(keys)) => keys.rank(index),
            (None, None) => index,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) place: Span,
    pub(crate) kind: PieceKind,
}

#[derive(Debug, Clone)]
pub(crate) enum PieceKind {
    Literal(Literal),
    /// The value that a slot has.
    Value(usize),
    /// Heard, the slot takes what stands there; said, it takes a default.
    Capture {
        slot: Option<usize>,
        pattern: Pattern,
        defaults: Vec<Vec<u8>>,
        /// The counter by which several defaults are said in turn.
        rotation: Option<usize>,
        /// What is said where there are no defaults.
        generated: Option<Box<Generated>>,
    },
    /// Said, the slot's value; heard, what stands there must equal what the same message gave the slot.
    Same {
        slot: usize,
        pattern: Pattern,
    },
}

/// What a hole says that is not written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Generated {
    /// These bytes again and again, up to the length of the hole.
    Repeated(Vec<u8>),
    /// A value that is new each time.
    Made(Made),
}

/// How a message is matched.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    /// These bytes.
    Exact(Literal),
    /// One capture of any bytes between two literals.
    OneHole { before: Literal, after: Literal, slot: Option<usize>, pattern: Pattern },
    /// Text and values, and no hole.
    Filled,
    /// Piece by piece.
    General,
}

#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) place: Span,
    pub(crate) kind: Fork,
    /// The connection on which it stands.
    pub(crate) connection: u8,
    /// In the order in which a listener tries them.
    pub(crate) arms: Vec<Arm>,
    /// How we go on if the choice is ours; `None` if it is theirs.
    pub(crate) ours: Option<Plan>,
    /// How much longer than usual the first line may take.
    pub(crate) extra_wait: Duration,
    /// Whether some branch begins with a text line, and whether some begins with a line at all.
    pub(crate) has_text: bool,
    pub(crate) has_lines: bool,
    /// In the order of the arms; empty if no branch is a round.
    pub(crate) fast_path: FastPath,
    /// It is about lines of ours that may be left out: the other side may speak next, and that is no question of who
    /// speaks first.
    pub(crate) is_own_maybe: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Fork {
    /// An uncounted loop; `ends_file` if nothing but the end follows it.
    Loop { body: Pc, after: Pc, ends_file: bool },
    Either {
        branches: Vec<Pc>,
        /// Behind all of them.
        after: Pc,
    },
}

/// One branch of a choice: what is done on the path to its first statement, and that statement.
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    pub(crate) path: Vec<Step>,
    pub(crate) first: First,
    /// Whether the first statement begins a `together`: over datagrams it is a part of one.
    pub(crate) together: bool,
    /// The first statement's operation.
    pub(crate) pc: Pc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum First {
    /// A message, ours or theirs.
    Line(usize),
    /// A file, ours or theirs.
    File(usize),
    /// TLS begins or ends.
    Tls,
    /// An act of ours.
    Do(StreamAction),
    /// An act of theirs.
    Expect(StreamAction),
    /// The end of the file.
    End,
    /// A connection is opened.
    Connect,
    /// A value decides.
    Choose,
    /// A line that was refused.
    Wrong,
}

/// What stands between a choice and a first statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Do what the operation says: `set`, `waits`, entering a loop.
    Run(Pc),
    /// The end of a counted round; this branch needs another round to follow, or none.
    Again { counter: usize, times: u32, more: bool },
}

/// How we choose.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// Go round so often, then leave.
    Repeat { counter: usize, times: u32 },
    /// Take the branches in turn, each as often as it says; without a counter always the first that can be said.
    Turns { counter: Option<usize>, turns: Vec<(Pc, u32)> },
}

/// Where statements went, by their line: a line holds one statement.
#[derive(Debug, Default)]
struct Places {
    /// The choice of each uncounted `repeat` and each `either`.
    choices: HashMap<usize, usize>,
    /// The `Enter` operation of each `repeat`.
    loops: HashMap<usize, Pc>,
    messages: HashMap<usize, usize>,
}

impl Program {
    /// The name whose value a slot has.
    pub(crate) fn name(&self, slot: usize) -> &str {
        let name = match given_index(slot) {
            Some(index) => self.given.get(index),
            None => self.slots.get(slot),
        };
        name.map_or("_", String::as_str)
    }
}

/// Those of the asides that have begun where a play stands; they stand in the order of the text.
fn begun_before(asides: &[Aside], pc: Pc) -> &[Aside] {
    &asides[..asides.partition_point(|aside| aside.after <= pc)]
}

impl Program {
    /// What may be begun at any time where a play stands.
    pub(crate) fn asides_at(&self, pc: Pc) -> &[Aside] {
        begun_before(&self.asides, pc)
    }

    /// Those of them that are no lines.
    pub(crate) fn framed_asides_at(&self, pc: Pc) -> &[Aside] {
        begun_before(&self.framed_asides, pc)
    }

    /// Whether an operation is a part of what may come at any time.
    pub(crate) fn is_inside_aside(&self, pc: Pc) -> bool {
        let begun = self.asides.partition_point(|aside| aside.begin <= pc);
        begun.checked_sub(1).is_some_and(|last| pc < self.asides[last].after)
    }

    /// Where a way goes on that begins with nothing but jumps.
    pub(crate) fn behind_jumps(&self, mut pc: Pc) -> Pc {
        loop {
            match &self.ops[pc] {
                Op::Enter(counters) if counters.is_empty() => pc += 1,
                Op::Jump(to) if *to > pc => pc = *to,
                _ => return pc,
            }
        }
    }

    /// Whether a branch is a line that must not come, and nothing else.
    pub(crate) fn is_forbidden(&self, branch: Pc) -> bool {
        matches!(self.ops.get(branch + 1), Some(Op::Forbidden))
    }
}

impl Message {
    /// Whether its own text begins with a line ending.
    pub(crate) fn begins_with_ending(&self) -> bool {
        matches!(self.pieces.first().map(|piece| &piece.kind),
            Some(PieceKind::Literal(text)) if matches!(text[..], [b'\n' | b'\r', ..]))
    }

    /// Whether some text stands in it: then it is never empty.
    pub(crate) fn has_text(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(&piece.kind, PieceKind::Literal(text) if !text.is_empty()))
    }

    /// Whether its first text speaks against bytes: of many messages that is known of most at a glance.
    pub(crate) fn may_begin(&self, bytes: &[u8]) -> bool {
        match self.pieces.first().map(|piece| &piece.kind) {
            Some(PieceKind::Literal(text)) if !self.fold => {
                let common = text.len().min(bytes.len());
                text[..common] == bytes[..common]
            }
            _ => true,
        }
    }

    /// Whether it has a hole that is filled as it is heard.
    pub(crate) fn has_holes(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece.kind, PieceKind::Capture { .. } | PieceKind::Same { .. }))
    }

    /// Whether some default is needed to say it, and none is given: the first such piece.
    pub(crate) fn missing(&self) -> Option<&Piece> {
        self.pieces.iter().find(
            |piece| matches!(&piece.kind, PieceKind::Capture { defaults, generated: None, .. } if defaults.is_empty()),
        )
    }
}
