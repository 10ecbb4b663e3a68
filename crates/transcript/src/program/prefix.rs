//! Where one of several `raw` or `hex` messages begins like another, with what its holes may hold: on a stream nothing but a pause tells a listener that
//! the shorter one is all there is.

use std::collections::HashSet;

use super::overlap::Overlap;
use super::{Aside, First, Message, Op, Pattern, Piece, PieceKind, Program, matcher};
use crate::Side;
use crate::diagnostic::{Diagnostic, Source};
use crate::syntax::Form;

/// What two messages, which a listener tries in this order, have to do with each other.
#[derive(Debug, PartialEq, Eq)]
enum Pair {
    /// Their bytes tell them apart.
    Apart,
    /// The first takes whatever begins the second, which is never reached.
    Hidden,
    /// The first takes what some of the second begins with.
    Taken,
    /// The second is whole, and the first is still waited for, which it is not.
    Waits,
    /// The one ends where the other goes on, and no byte tells which it is.
    Unclear,
}

/// Bytes of a message whose place is known.
#[derive(Clone, Copy)]
enum Run<'a> {
    Text(&'a [u8]),
    Any(usize),
}

impl Run<'_> {
    fn length(&self) -> usize {
        match self {
            Self::Text(bytes) => bytes.len(),
            Self::Any(count) => *count,
        }
    }

    fn after(self, count: usize) -> Self {
        match self {
            Self::Text(bytes) => Self::Text(&bytes[count..]),
            Self::Any(length) => Self::Any(length - count),
        }
    }
}

/// Looks for such messages among those of `side`, as `gap` says whether a pause ends one.
pub(crate) fn unclear_ends(
    program: &Program,
    source: &Source,
    side: Side,
    gap: bool,
    listening: bool,
) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let mut seen = HashSet::new();
    let mut looks = MOST_OVERLAPS;
    for (earlier, later, ordered) in alike_side_by_side(program, side) {
        if !seen.insert((earlier, later)) {
            continue;
        }
        let (first, second) = (&program.messages[earlier], &program.messages[later]);
        let (above, below) = (source.mention(first.place.line), source.mention(second.place.line));
        match pair(first, second, gap, &mut looks, || goes_on(program, later)) {
            Pair::Hidden if ordered && listening => {
                let text = format!("this line is never reached: {above} takes what begins it");
                let help = match gap {
                    true => "put the longer one above the shorter one",
                    false => {
                        "put the longer one above the shorter one, and write `gap 100ms` at the top of the file, so \
                         that a pause ends the shorter one"
                    }
                };
                findings.push(Diagnostic::warning(second.place, text).help(help));
            }
            Pair::Hidden | Pair::Taken if listening => {
                let text = format!("this line may take what begins {below}, which is then not heard");
                let help = match gap {
                    true => format!("put {below} above it, or let the two differ before this one ends"),
                    false => format!(
                        "let the two differ before this one ends, or put {below} above it and write `gap 100ms` at \
                         the top of the file"
                    ),
                };
                findings.push(Diagnostic::warning(first.place, text).help(help));
            }
            Pair::Unclear if !gap => {
                let (short, long) = if first_is_shorter(first, second) { (first, second) } else { (second, first) };
                let long = source.mention(long.place.line);
                let text = format!("where this message ends cannot be told: {long} begins just like it");
                let finding = if listening { Diagnostic::error } else { Diagnostic::warning };
                findings.push(finding(short.place, text).help(
                    "write `gap 100ms` at the top, so that a pause ends it, or let the two differ before one of \
                     them ends; over UDP each is a datagram of its own",
                ));
            }
            Pair::Waits if !gap && listening => {
                let text = format!("this line is not heard by itself: {above} is tried first, and more of it may come");
                findings.push(Diagnostic::warning(second.place, text).help(format!("put it above {above}")));
            }
            Pair::Apart | Pair::Hidden | Pair::Taken | Pair::Unclear | Pair::Waits => {}
        }
    }
    findings
}

/// The pairs of messages of a side that are no lines, wherever several of them may come, of which one may begin like the other: and
/// whether each may come again, so that one may hide another for good.
fn alike_side_by_side(program: &Program, side: Side) -> Vec<(usize, usize, bool)> {
    let framed = |message: &usize| {
        let message: &Message = &program.messages[*message];
        message.side == side && message.form != Form::Text
    };
    // What may come at any time is compared once with each that is awaited, and once with each other.
    let asides: Vec<&Aside> = program.asides.iter().filter(|aside| framed(&aside.message) && !program.spans).collect();
    let beginnings = Beginnings::of(program, asides.iter().map(|aside| aside.message));
    let (mut pairs, mut most, mut with_asides) = (Vec::new(), 0, 0);
    for (pc, op) in program.ops.iter().enumerate() {
        let (messages, ordered): (Vec<usize>, bool) = match op {
            Op::Choice(choice) => {
                let lines = program.choices[*choice].arms.iter().filter_map(|arm| match arm.first {
                    First::Line(message) => Some(message),
                    _ => None,
                });
                (lines.filter(framed).collect(), true)
            }
            Op::AnyOrder(order) => (program.orders[*order].messages.iter().copied().filter(framed).collect(), false),
            Op::Hear(message) if framed(message) => (vec![*message], true),
            _ => continue,
        };
        pairs.extend(alike(program, &messages).into_iter().map(|(earlier, later)| (earlier, later, ordered)));
        // Such is tried behind what is awaited, but for where such is heard.
        if messages.is_empty() || program.is_inside_aside(pc) {
            continue;
        }
        let there = asides.partition_point(|aside| aside.after <= pc);
        if there == 0 {
            continue;
        }
        most = most.max(there);
        for &message in &messages {
            if with_asides >= MOST_PAIRS {
                break;
            }
            let near = beginnings.alike(&beginning(&program.messages[message])).into_iter();
            let before = pairs.len();
            pairs.extend(near.filter(|at| *at < there).map(|at| (message, asides[at].message, ordered)));
            with_asides += pairs.len() - before;
        }
    }
    let asides: Vec<usize> = asides[..most].iter().map(|aside| aside.message).collect();
    pairs.extend(alike(program, &asides).into_iter().map(|(earlier, later)| (earlier, later, true)));
    pairs
}

/// The text that a message begins with.
fn beginning(message: &Message) -> Vec<u8> {
    match message.pieces.first().map(|piece| &piece.kind) {
        Some(PieceKind::Literal(bytes)) if message.fold => bytes.to_ascii_lowercase(),
        Some(PieceKind::Literal(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// The beginnings of messages in the order of their text: those of which one begins the other stand side by side.
struct Beginnings {
    sorted: Vec<(Vec<u8>, usize)>,
    /// By place in that order: the longest one above that begins it.
    shorter: Vec<Option<usize>>,
}

impl Beginnings {
    fn of(program: &Program, messages: impl Iterator<Item = usize>) -> Self {
        let texts = messages.map(|message| beginning(&program.messages[message])).enumerate();
        let mut sorted: Vec<(Vec<u8>, usize)> = texts.map(|(at, text)| (text, at)).collect();
        sorted.sort();
        let (mut above, mut shorter): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
        for (place, (text, _)) in sorted.iter().enumerate() {
            while above.last().is_some_and(|other| !text.starts_with(&sorted[*other].0)) {
                above.pop();
            }
            shorter.push(above.last().copied());
            above.push(place);
        }
        Self { sorted, shorter }
    }

    /// Which of them begin like a text, or are begun by it.
    fn alike(&self, text: &[u8]) -> Vec<usize> {
        let from = self.sorted.partition_point(|(other, _)| other.as_slice() < text);
        let longer = self.sorted[from..].iter().take_while(|(other, _)| other.starts_with(text));
        let mut found: Vec<usize> = longer.map(|(_, at)| *at).collect();
        let mut place = from.checked_sub(1);
        while let Some(at) = place {
            if text.starts_with(&self.sorted[at].0) {
                found.push(self.sorted[at].1);
            }
            place = self.shorter[at];
        }
        found.sort_unstable();
        found
    }
}

/// Most pairs of messages with holes that are looked at with what their holes may hold.
const MOST_OVERLAPS: usize = 1000;

/// Most pairs of messages of a choice that are compared byte by byte.
const MOST_PAIRS: usize = 100_000;

/// The pairs of messages, the earlier one first, of which one may begin like the other. Few of many do: in the order of the
/// text that they begin with, such ones stand side by side.
fn alike(program: &Program, messages: &[usize]) -> Vec<(usize, usize)> {
    let beginnings = Beginnings::of(program, messages.iter().copied());
    let mut pairs = Vec::new();
    for (place, &(_, at)) in beginnings.sorted.iter().enumerate() {
        let shorter = std::iter::successors(beginnings.shorter[place], |&above| beginnings.shorter[above]);
        let others = shorter.map(|above| beginnings.sorted[above].1);
        pairs.extend(others.map(|other| (other.min(at), other.max(at))));
        if pairs.len() > MOST_PAIRS {
            break;
        }
    }
    pairs.sort_unstable_by_key(|&(earlier, later)| (later, earlier));
    pairs.into_iter().map(|(earlier, later)| (messages[earlier], messages[later])).collect()
}

/// Of two that no byte tells apart: with a hole in one of them it is the second, for else the first takes what begins it.
fn first_is_shorter(first: &Message, second: &Message) -> bool {
    let length = |message: &Message| runs(message).0.iter().map(Run::length).sum::<usize>();
    !first.has_holes() && !second.has_holes() && length(first) < length(second)
}

/// Whether one message is written just as another begins, holes of any length included, and ends with text.
fn begins(short: &Message, long: &Message) -> bool {
    let Some((Piece { kind: PieceKind::Literal(last), .. }, front)) = short.pieces.split_last() else { return false };
    let fold = short.fold || long.fold;
    let same = |(one, other): (&Piece, &Piece)| match (&one.kind, &other.kind) {
        (PieceKind::Literal(one), PieceKind::Literal(other)) => matcher::same(one, other, fold),
        (PieceKind::Capture { pattern: one, .. }, PieceKind::Capture { pattern: other, .. }) => match (one, other) {
            (Pattern::Any, Pattern::Any) | (Pattern::Word, Pattern::Word) | (Pattern::Int, Pattern::Int) => true,
            (Pattern::Bytes(one), Pattern::Bytes(other)) => one == other,
            _ => false,
        },
        _ => false,
    };
    let Some(Piece { kind: PieceKind::Literal(there), .. }) = long.pieces.get(front.len()) else { return false };
    let is_longer = there.len() > last.len() || long.pieces.len() > short.pieces.len();
    is_longer
        && there.len() >= last.len()
        && matcher::same(last, &there[..last.len()], fold)
        && front.iter().zip(&long.pieces).all(same)
}

fn pair(first: &Message, second: &Message, gap: bool, looks: &mut usize, second_goes_on: impl Fn() -> bool) -> Pair {
    let known = pair_by_places(first, second);
    if known != Pair::Apart || !(first.has_holes() || second.has_holes()) || *looks == 0 {
        return known;
    }
    *looks -= 1;
    let overlap = Overlap::of(first, second);
    // The bytes behind the second tell, and they come without a word of the listener.
    let is_told = (overlap.second_ends || overlap.first_waits) && second_goes_on();
    match overlap {
        Overlap { first_ends: false, .. } if is_told => Pair::Apart,
        // A pause ends the second; it does not help where the first is taken too early.
        Overlap { second_ends: true, first_ends, .. } if !(is_told || gap && first_ends) => Pair::Unclear,
        Overlap { first_ends: true, .. } => Pair::Taken,
        Overlap { first_waits: true, .. } => Pair::Waits,
        _ => Pair::Apart,
    }
}

/// Whether the side that says a message goes on with another one.
fn goes_on(program: &Program, message: usize) -> bool {
    let is_it = |op: &Op| matches!(op, Op::Hear(other) | Op::Say(other) if *other == message);
    let Some(pc) = program.ops.iter().position(is_it) else { return false };
    let side = program.messages[message].side;
    let next = super::may_begin(program, pc + 1);
    let is_same = |first: &First| matches!(first, First::Line(other) if program.messages[*other].side == side);
    !next.is_empty() && next.iter().all(is_same)
}

/// The same, as far as the places of bytes are known.
fn pair_by_places(first: &Message, second: &Message) -> Pair {
    let ((a, a_ends), (b, b_ends)) = (runs(first), runs(second));
    // Where the length of a hole is not known, all that is known is that they are written alike.
    if !a_ends && begins(first, second) {
        return Pair::Hidden;
    }
    if !b_ends && begins(second, first) {
        return Pair::Unclear;
    }
    let fold = first.fold || second.fold;
    let (mut a, mut b) = (a.into_iter(), b.into_iter());
    let (mut left, mut right) = (a.next(), b.next());
    // Whether the first takes all that the second says as far as it goes.
    let mut covers = true;
    while let (Some(one), Some(other)) = (left, right) {
        let common = one.length().min(other.length());
        if let (Run::Text(one), Run::Text(other)) = (one, other)
            && !matcher::same(&one[..common], &other[..common], fold)
        {
            return Pair::Apart;
        }
        covers &= !matches!((one, other), (Run::Text(_), Run::Any(_)));
        left = if common < one.length() { Some(one.after(common)) } else { a.next() };
        right = if common < other.length() { Some(other.after(common)) } else { b.next() };
    }
    match (left, right) {
        (None, Some(_)) if a_ends => {
            if !first.has_holes() && !second.has_holes() {
                Pair::Unclear
            } else if covers {
                Pair::Hidden
            } else {
                Pair::Apart
            }
        }
        // A hole follows, whatever it holds.
        (None, None) if a_ends && !b_ends && covers && !first.to_end && second.has_holes() => Pair::Hidden,
        (Some(_), None) if b_ends => Pair::Unclear,
        _ => Pair::Apart,
    }
}

/// The bytes of a message as far as their places are known, and whether that is all of it.
fn runs(message: &Message) -> (Vec<Run<'_>>, bool) {
    let mut runs = Vec::new();
    for Piece { kind, .. } in &message.pieces {
        match kind {
            PieceKind::Literal(bytes) if bytes.is_empty() => {}
            PieceKind::Literal(bytes) => runs.push(Run::Text(bytes)),
            PieceKind::Capture { pattern: Pattern::Bytes(0), .. } => {}
            PieceKind::Capture { pattern: Pattern::Bytes(count), .. } => runs.push(Run::Any(*count)),
            PieceKind::Capture { pattern: Pattern::Number(number), .. } if number.length().is_some() => {
                runs.push(Run::Any(number.length().unwrap_or(0)));
            }
            _ => return (runs, false),
        }
    }
    (runs, true)
}
