//! What may come first where a play branches, who speaks there, and whether a listener can tell the branches apart.

use std::collections::HashSet;
use std::time::Duration;

use super::{
    Arm, Choice, Depends, First, Fork, Op, Pattern, Pc, PieceKind, Program, Shape, Step, StreamAction, matcher,
};
use crate::Side;
use crate::diagnostic::{Diagnostic, Source, Span};
use crate::syntax::{Form, Tls};
use crate::values::Scratch;

/// Most branches that one choice may have.
const MOST_ARMS: usize = crate::limits::BRANCHES;
/// Most pairs of branches that are compared, over all choices of a file.
const MOST_PAIRS: usize = 4 * MOST_ARMS * MOST_ARMS;

/// Fills in the arms of every choice and checks them.
pub(super) fn resolve(program: &mut Program, source: &Source) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let spoken = Spoken::of(program);
    let (mut pairs, mut compared) = (0, Compared::default());
    for pc in 0..program.ops.len() {
        let Op::Choice(index) = program.ops[pc] else { continue };
        let Search { arms, empty_round, overflow, .. } = Search::from(program, pc);
        let place = program.choices[index].place;
        if empty_round {
            let message = "this loop can go round without anything being said";
            findings.push(Diagnostic::error(place, message).help("give every way through it a line"));
        }
        pairs += arms.len() * arms.len();
        if overflow || pairs > MOST_PAIRS {
            findings.push(too_many_arms(program, index, &arms, overflow));
            // Others would be as large, and looking at each of them takes long.
            break;
        }
        if program.choices[index].is_own_maybe {
            if let Some(Arm { first: First::Wrong, .. }) = arms.first() {
                continue;
            }
        } else {
            check(program, source, &spoken, index, &arms, &mut compared, &mut findings);
        }
        let extra_wait = arms.iter().map(|arm| extra_wait(program, arm)).max().unwrap_or_default();
        let forms = arms.iter().filter_map(|arm| match arm.first {
            First::Line(message) => Some(program.messages[message].form),
            _ => None,
        });
        let (has_text, has_lines) = forms.fold((false, false), |(text, _), form| (text || form == Form::Text, true));
        let Choice { kind, arms: filled, extra_wait: longest, has_text: text, has_lines: lines, .. } =
            &mut program.choices[index];
        (*text, *lines) = (has_text, has_lines);
        *longest = extra_wait;
        *filled = arms;
        if let Fork::Loop { after, ends_file, .. } = kind {
            let mut after = *after;
            while let Op::Jump(to) = program.ops[after] {
                after = to;
            }
            *ends_file = matches!(program.ops[after], Op::End);
        }
    }
    for order in &program.orders {
        wide_above_narrow(program, source, &order.messages, &mut findings);
    }
    hidden_asides(program, source, &mut findings);
    set_rivals(program);
    findings
}

/// What has too many arms is what stands there: each kind has a help of its own.
fn too_many_arms(program: &Program, choice: usize, arms: &[Arm], overflow: bool) -> Diagnostic {
    let Choice { place, kind, .. } = &program.choices[choice];
    let is_of_nots = arms.iter().any(|arm| matches!(program.ops.get(arm.pc + 1), Some(Op::Forbidden)));
    let branches = match kind {
        Fork::Either { branches, .. } => branches.len(),
        Fork::Loop { .. } => 0,
    };
    let message = match (overflow, is_of_nots) {
        (true, _) => format!("this choice has more than {MOST_ARMS} ways"),
        (false, true) => {
            format!("the `not` lines up to here are too many together: {} lines are looked at here", arms.len())
        }
        (false, false) => {
            let ways = arms.len();
            format!("the choices up to here have too many ways together: more than {ways} lines may come first here")
        }
    };
    let help = match kind {
        Fork::Loop { .. } => {
            "at a loop without a number the first lines of all that may follow it count too: write the number \
             (`repeat 3`), put a line between the loops that always comes, or split the conversation"
        }
        Fork::Either { .. } if is_of_nots => {
            "each `not` is looked at together with all that stand below it: write several as one with an expression \
             (`not S: {_:/one|two/}`), put a line between them that always comes, or split the conversation"
        }
        Fork::Either { .. } if branches > MOST_ARMS => {
            "let a hole take what differs, and `choose` by its value: `choose` may have any number of ways"
        }
        Fork::Either { .. } => {
            "what may be left out is looked at together with all that may follow it: put a line between that always \
             comes, or split the conversation"
        }
    };
    Diagnostic::error(*place, message).help(help)
}

/// Most lines in any order that are compared with each other.
const MOST_IN_ANY_ORDER: usize = 300;

/// Of lines in any order the first that fits is taken: a wide one takes what a narrow one below it waits for.
fn wide_above_narrow(program: &Program, source: &Source, messages: &[usize], findings: &mut Vec<Diagnostic>) {
    for (at, &narrow) in messages.iter().enumerate().take(MOST_IN_ANY_ORDER) {
        let takes_example = |one: usize, other: usize| {
            let (one, other) = (&program.messages[one], &program.messages[other]);
            Some(one.depends == Depends::Nothing && matcher::matches(one, &example(other)?))
        };
        let takes = |wide: &&usize| {
            hides(program, **wide, narrow) && !hides(program, narrow, **wide)
                || takes_example(**wide, narrow) == Some(true) && takes_example(narrow, **wide) == Some(false)
        };
        if let Some(&wide) = messages[..at].iter().find(takes) {
            let (wide, narrow) = (program.messages[wide].place, program.messages[narrow].place);
            let narrow = source.mention(narrow.line);
            let text = format!("this line may take what {narrow} waits for, and then that one never comes");
            let help = format!("put {narrow} above it: of lines in any order the first that fits is taken");
            findings.push(Diagnostic::warning(wide, text).help(help));
        }
    }
}

/// The path from a fork to each first statement, depth first and in the listener's order.
struct Search<'a> {
    program: &'a Program,
    arms: Vec<Arm>,
    path: Vec<Step>,
    /// Choices on the path to here: meeting one again means that a round said nothing.
    above: HashSet<Pc>,
    empty_round: bool,
    overflow: bool,
}

impl<'a> Search<'a> {
    /// What was found from an operation on.
    fn from(program: &'a Program, start: Pc) -> Self {
        let mut search =
            Search { program, arms: vec![], path: vec![], above: HashSet::new(), empty_round: false, overflow: false };
        search.walk(start);
        search
    }

    fn arm(&self, first: First, pc: Pc) -> Arm {
        let last = self.path.iter().rev().find_map(|step| match step {
            Step::Run(pc) => match self.program.ops[*pc] {
                Op::Together => Some(true),
                Op::Apart => Some(false),
                _ => None,
            },
            Step::Again { .. } => None,
        });
        Arm { path: self.path.clone(), first, pc, together: last.unwrap_or(false) }
    }

    fn walk(&mut self, mut pc: Pc) {
        let depth = self.path.len();
        loop {
            if self.arms.len() >= MOST_ARMS || self.above.len() > MOST_ARMS {
                self.overflow = true;
                break;
            }
            let first = match &self.program.ops[pc] {
                Op::Say(message) | Op::Hear(message) => First::Line(*message),
                Op::File(file) => First::File(*file),
                Op::Tls(_) => First::Tls,
                Op::AnyOrder(order) => {
                    for &message in &self.program.orders[*order].messages {
                        self.arms.push(self.arm(First::Line(message), pc));
                    }
                    break;
                }
                Op::Do(action) => First::Do(*action),
                Op::Expect(action) => First::Expect(*action),
                Op::Connect(_) => First::Connect,
                Op::Choose(_) => First::Choose,
                Op::Wrong | Op::Forbidden => First::Wrong,
                Op::End | Op::Return => First::End,
                Op::Pause(_)
                | Op::ExtraWait(_)
                | Op::Set { .. }
                | Op::Let { .. }
                | Op::Enter(_)
                | Op::On(_)
                | Op::Listen { .. }
                | Op::Together
                | Op::Apart => {
                    self.path.push(Step::Run(pc));
                    pc += 1;
                    continue;
                }
                Op::Jump(to) => {
                    pc = *to;
                    continue;
                }
                Op::Again { .. } | Op::Choice(_) => {
                    if self.above.insert(pc) {
                        self.fork(pc);
                        self.above.remove(&pc);
                    } else {
                        self.empty_round = true;
                    }
                    break;
                }
            };
            self.arms.push(self.arm(first, pc));
            break;
        }
        self.path.truncate(depth);
    }

    /// All paths from a fork, or from the end of a counted round.
    fn fork(&mut self, pc: Pc) {
        match &self.program.ops[pc] {
            Op::Again { counter, times, body } => {
                for (more, to) in [(false, pc + 1), (true, *body)] {
                    self.path.push(Step::Again { counter: *counter, times: *times, more });
                    self.walk(to);
                    self.path.pop();
                }
            }
            Op::Choice(index) => match &self.program.choices[*index].kind {
                Fork::Loop { body, after, .. } => {
                    self.walk(*after);
                    self.walk(*body);
                }
                Fork::Either { branches, .. } => branches.iter().for_each(|&branch| self.walk(branch)),
            },
            _ => {}
        }
    }
}

/// The lines that begin the ways of the choice that was compared last. Of choices that follow each other directly each has some of the
/// lines of the one above it, and no pair that was not compared there: to compare them at each would grow with their third power.
#[derive(Default)]
struct Compared {
    /// Each line, where it stands, and whether it depends on the rounds so far.
    lines: Vec<(usize, Pc, bool)>,
}

impl Compared {
    /// Goes on to another choice; whether its lines are still to be compared.
    fn is_new(&mut self, arms: &[Arm]) -> bool {
        let line = |arm: &Arm| match arm.first {
            First::Line(message) => Some((message, arm.pc, arm.is_of_a_round())),
            _ => None,
        };
        let lines: Vec<_> = arms.iter().filter_map(line).collect();
        let known = self.lines.ends_with(&lines) || self.lines.starts_with(&lines);
        self.lines = lines;
        !known
    }
}

impl Arm {
    /// Whether it needs another round of a counted loop, or that there is none: such ways exclude each other.
    fn is_of_a_round(&self) -> bool {
        self.path.iter().any(|step| matches!(step, Step::Again { .. }))
    }
}

fn check(
    program: &Program,
    source: &Source,
    spoken: &Spoken,
    choice: usize,
    arms: &[Arm],
    compared: &mut Compared,
    findings: &mut Vec<Diagnostic>,
) {
    if arms.iter().any(|arm| arm.first == First::Wrong) {
        return;
    }
    if let Some(finding) = begins_with_no_line(program, choice, arms) {
        return findings.push(finding);
    }
    forbidden_alone(program, arms, findings);
    findings.extend(both_wait(program, choice, arms));
    let place = program.choices[choice].place;
    match lines_differ(program, source, place, arms) {
        Some(finding) => findings.push(finding),
        None if compared.is_new(arms) => hidden_lines(program, source, spoken, arms, findings),
        None => {}
    }
}

/// A loop of one side's lines, and behind it an end of the other side: that one does not know when the last line was said, and
/// both wait.
fn both_wait(program: &Program, choice: usize, arms: &[Arm]) -> Option<Diagnostic> {
    let Fork::Loop { body, after, .. } = program.choices[choice].kind else { return None };
    let says = |ours: bool| {
        let mut lines = arms.iter().filter(|arm| matches!(arm.first, First::Line(_)));
        lines.any(|arm| matches!(program.ops[arm.pc], Op::Say(_)) == ours)
    };
    let ends_inside = program.ops.get(body..after)?.iter().any(|op| matches!(op, Op::Do(_) | Op::Expect(_)));
    let end = arms.iter().find(|arm| match arm.first {
        First::Do(_) => says(false),
        First::Expect(_) => says(true),
        _ => false,
    })?;
    if ends_inside {
        return None;
    }
    let text = "who ends here does not know that the loop above is over: its lines are the other side's, and both wait";
    let help = "end the loop by a line of the other side (such as `C: quit`), let the other side end here, or write how many \
                rounds there are (`repeat 3`)";
    Some(Diagnostic::warning(program.places[end.pc], text).help(help))
}

/// A branch that begins with what no listener can tell from the others.
fn begins_with_no_line(program: &Program, choice: usize, arms: &[Arm]) -> Option<Diagnostic> {
    let Choice { place, connection, .. } = program.choices[choice];
    let several = arms.len() > 1;
    let by_a_line = "let a line stand before it";
    if let Some(arm) = arms.iter().find(|arm| several && arm.first == First::Tls) {
        let word = if matches!(program.ops[arm.pc], Op::Tls(Tls::Stop)) { "stoptls" } else { "starttls" };
        let message = format!("`{word}` cannot begin a way: neither side says anything that tells it from the others");
        return Some(Diagnostic::error(place, message).help(by_a_line));
    }
    if several && arms.iter().any(|arm| matches!(program.ops[arm.pc], Op::Return)) {
        let message = "nothing tells where this ends: behind it the play goes on where it was";
        let help = "let a line that always comes be the last in `at any time`, such as an empty one";
        return Some(Diagnostic::error(place, message).help(help));
    }
    if let Some(file) = arms.iter().filter(|_| several).find_map(|arm| match arm.first {
        First::File(file) => Some(&program.files[file]),
        _ => None,
    }) {
        let message = "a file cannot begin a way: a listener could not tell it from the others";
        return Some(Diagnostic::error(file.place, message).help(by_a_line));
    }
    if let Some(arm) = arms.iter().find(|arm| several && matches!(arm.first, First::Connect | First::Choose)) {
        let (word, why) = match arm.first {
            First::Connect => ("connects", "who listens could not tell it from the others"),
            _ => ("choose", "neither side says anything that tells it from the others"),
        };
        let message = format!("`{word}` cannot begin a way: {why}");
        return Some(Diagnostic::error(program.places[arm.pc], message).help(by_a_line));
    }
    let elsewhere = |arm: &&Arm| program.connection_of(arm).is_some_and(|other| other != connection);
    arms.iter().find(elsewhere).map(|arm| {
        let message = "the ways from here begin over different connections: which of them comes first cannot be told";
        let help = "let each way begin with a line of the same connection";
        Diagnostic::error(program.places[arm.pc], message).help(help)
    })
}

/// Lines that begin the branches, of both sides or framed in different ways.
fn lines_differ(program: &Program, source: &Source, place: Span, arms: &[Arm]) -> Option<Diagnostic> {
    let lines: Vec<_> = arms
        .iter()
        .filter_map(|arm| match arm.first {
            First::Line(message) => Some(&program.messages[message]),
            _ => None,
        })
        .collect();
    let first = lines.first()?;
    if let Some(other) = lines.iter().find(|line| line.side != first.side) {
        let message = format!(
            "either side could speak first here: the {} at {}, the {} at {}",
            first.side,
            source.mention(first.place.line),
            other.side,
            source.mention(other.place.line)
        );
        return Some(Diagnostic::error(place, message).help("let the lines that begin the ways be one side's"));
    }
    let framed = |form: Form| form == Form::Text;
    let other = lines.iter().find(|line| framed(line.form) != framed(first.form))?;
    let (text, raw) = if framed(first.form) { (first, other) } else { (other, first) };
    let message = format!(
        "{} is a text line and {} is not: where a line ends cannot be told here",
        source.mention(text.place.line),
        source.mention(raw.place.line)
    );
    Some(Diagnostic::error(place, message).help("frame the lines that begin the ways alike"))
}

/// Lines that one above them takes first.
fn hidden_lines(program: &Program, source: &Source, spoken: &Spoken, arms: &[Arm], findings: &mut Vec<Diagnostic>) {
    let mut seen: Vec<(usize, Pc)> = Vec::new();
    for arm in arms {
        let First::Line(message) = arm.first else { continue };
        // Of lines in any order each is taken once, so that none hides another for good.
        let mut hiders = seen.iter().filter(|&&(earlier, pc)| {
            pc != arm.pc
                && hides(program, earlier, message)
                && !one_or_the_other(program, spoken, (earlier, pc), (message, arm.pc))
        });
        let first = hiders.next();
        // A `not` behind it forbids the line where the first may be left out: that choice is not compared again.
        let is_reached = first.is_none_or(|&(_, pc)| program.is_forbidden(pc));
        let forbidding = if is_reached { None } else { hiders.find(|&&(_, pc)| program.is_forbidden(pc)) };
        let hidden = &program.messages[message];
        for &(earlier, pc) in first.into_iter().chain(forbidding) {
            let hider = source.mention(program.messages[earlier].place.line);
            if program.is_forbidden(pc) {
                findings.push(never_allowed(hidden.place, hidden.side, &hider));
            } else {
                findings.push(never_reached(hidden.place, &hider, hides(program, message, earlier)));
            }
        }
        if first.is_some_and(|&(_, pc)| program.is_forbidden(pc)) {
            continue;
        }
        if !arm.is_of_a_round() {
            seen.push((message, arm.pc));
        }
    }
}

/// A line that one above it takes; `is_same` if it would take that one as well.
fn never_reached(line: Span, hider: &str, is_same: bool) -> Diagnostic {
    let help = match is_same {
        true => format!("both take the same: leave one of them out, or let it differ from {hider}"),
        false => "put the narrower line above the wider one".to_owned(),
    };
    Diagnostic::warning(line, format!("this line is never reached: {hider} takes it first")).help(help)
}

/// The lines of the text at which each side says something, in their order.
struct Spoken([Vec<usize>; 2]);

impl Spoken {
    fn of(program: &Program) -> Self {
        let mut lines = [vec![], vec![]];
        for message in &program.messages {
            lines[message.side as usize].push(message.place.line);
        }
        lines.iter_mut().for_each(|lines| lines.sort_unstable());
        Self(lines)
    }

    /// Whether the other side says something between two lines of one.
    fn parts(&self, side: Side, above: usize, below: usize) -> bool {
        let lines = &self.0[side.other() as usize];
        lines.get(lines.partition_point(|line| *line <= above)).is_some_and(|line| *line < below)
    }
}

/// Two lines that take the same, each the only line of a `maybe`, and between them a line of the other side: the first may come that
/// late. Behind it the second is still awaited, and it does not matter which was meant.
fn one_or_the_other(program: &Program, spoken: &Spoken, first: (usize, Pc), second: (usize, Pc)) -> bool {
    // Behind such a line stand the jumps of the two ways, to behind both.
    let is_left_out_alone = |pc: Pc| {
        let is_jump = |op: Option<&Op>| matches!(op, Some(Op::Jump(to)) if *to == pc + 3);
        is_jump(program.ops.get(pc + 1)) && is_jump(program.ops.get(pc + 2))
    };
    let (above, below) = (&program.messages[first.0], &program.messages[second.0]);
    is_left_out_alone(first.1)
        && is_left_out_alone(second.1)
        && spoken.parts(below.side, above.place.line, below.place.line)
        && hides(program, second.0, first.0)
}

/// Of what may come at any time the first that fits is taken: a wide line hides those below it.
fn hidden_asides(program: &Program, source: &Source, findings: &mut Vec<Diagnostic>) {
    // Those of either side: they are skipped where they stand, and end with a return.
    let begun = program.ops.iter().enumerate().filter_map(|(pc, op)| match op {
        Op::Jump(after) if matches!(program.ops.get(after.checked_sub(1)?), Some(Op::Return)) => Some(pc + 1),
        _ => None,
    });
    let mut seen: Vec<(usize, bool)> = Vec::new();
    for begin in begun.take(MOST_IN_ANY_ORDER) {
        let together = matches!(program.ops.get(begin), Some(Op::Together));
        let Some(Op::Say(message) | Op::Hear(message)) = program.ops.get(begin + usize::from(together)) else {
            continue;
        };
        let line = &program.messages[*message];
        // Bytes that are no lines are compared where a play is prepared.
        if line.form != Form::Text {
            continue;
        }
        // A datagram of several lines is another one than that of a single line.
        let takes = |&&(earlier, block): &&(usize, bool)| {
            block == together && program.messages[earlier].side == line.side && hides(program, earlier, *message)
        };
        if let Some(&(hider, _)) = seen.iter().find(takes) {
            let is_same = hides(program, *message, hider);
            let hider = source.mention(program.messages[hider].place.line);
            findings.push(never_reached(line.place, &hider, is_same));
        }
        seen.push((*message, together));
    }
}

/// A line that a `not` above it takes: whatever comes must fit the line that stands there anyway.
fn never_allowed(line: Span, side: Side, forbidden: &str) -> Diagnostic {
    let text = format!("this line is never reached: {forbidden} forbids whatever it takes");
    let help = format!(
        "leave {forbidden} out, as what comes must fit this line anyway; or let its hole take less, such as \
         `not {0}: {{_:/ERR.*/}}`",
        side.letter()
    );
    Diagnostic::warning(line, text).help(help)
}

impl Program {
    /// The slots that get a value on the path from the fork to what comes first.
    pub(crate) fn given_on(&self, arm: &Arm) -> Vec<usize> {
        let gives = |step: &Step| match step {
            Step::Run(pc) => match self.ops[*pc] {
                Op::Set { slot, .. } | Op::Let { slot, .. } => Some(slot),
                _ => None,
            },
            Step::Again { .. } => None,
        };
        arm.path.iter().filter_map(gives).collect()
    }

    /// The connection over which a branch begins, where it is not that of the choice itself.
    fn connection_of(&self, arm: &Arm) -> Option<u8> {
        arm.path.iter().rev().find_map(|step| match step {
            Step::Run(pc) => match self.ops[*pc] {
                Op::On(connection) => Some(connection),
                _ => None,
            },
            Step::Again { .. } => None,
        })
    }
}

/// Of a line that must not come it is known that it did not when something else came.
fn forbidden_alone(program: &Program, arms: &[Arm], findings: &mut Vec<Diagnostic>) {
    let forbidden = arms.iter().find(|arm| program.is_forbidden(arm.pc));
    let is_known = |arm: &Arm| !program.is_forbidden(arm.pc) && arm.first != First::End;
    if let Some(forbidden) = forbidden
        && !arms.iter().any(is_known)
    {
        let side = match forbidden.first {
            First::Line(message) => program.messages[message].side.letter(),
            _ => 'S',
        };
        let message = "nothing follows that tells that this line did not come";
        let help = format!("write the line that comes instead below it, or `{side} closes`");
        findings.push(Diagnostic::error(program.places[forbidden.pc], message).help(help));
    }
}

/// A message with the first of each hole's defaults; none if a hole has none.
fn example(message: &super::Message) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for piece in &message.pieces {
        match &piece.kind {
            PieceKind::Literal(literal) => bytes.extend_from_slice(literal),
            PieceKind::Capture { defaults, .. } => bytes.extend_from_slice(defaults.first()?),
            _ => return None,
        }
    }
    Some(bytes)
}

/// Whether the earlier message takes whatever the later one would.
fn hides(program: &Program, earlier: usize, later: usize) -> bool {
    let (earlier, later) = (&program.messages[earlier], &program.messages[later]);
    match (&earlier.shape, &later.shape) {
        (Shape::OneHole { before, after, pattern: Pattern::Any, .. }, _) if before.is_empty() && after.is_empty() => {
            true
        }
        (_, Shape::Exact(bytes)) if earlier.depends == Depends::Nothing => matcher::matches(earlier, bytes),
        (Shape::OneHole { before, after, pattern: Pattern::Any, .. }, _) => {
            // What begins and ends as it does, whatever stands between.
            let same = |a: &[u8], b: &[u8]| if earlier.fold { a.eq_ignore_ascii_case(b) } else { a == b };
            let [first, .., last] = &later.pieces[..] else { return false };
            let begins = match &first.kind {
                PieceKind::Literal(text) => text.get(..before.len()).is_some_and(|head| same(head, before)),
                _ => before.is_empty(),
            };
            let ends = match &last.kind {
                PieceKind::Literal(text) => {
                    text.len().checked_sub(after.len()).is_some_and(|from| same(&text[from..], after))
                }
                _ => after.is_empty(),
            };
            begins && ends
        }
        _ => false,
    }
}

fn extra_wait(program: &Program, arm: &Arm) -> Duration {
    arm.path
        .iter()
        .filter_map(|step| match step {
            Step::Run(pc) => match program.ops[*pc] {
                Op::ExtraWait(time) => Some(time),
                _ => None,
            },
            Step::Again { .. } => None,
        })
        .sum()
}

/// Notes for every message which others a listener would try before it.
fn set_rivals(program: &mut Program) {
    let mut compared = Compared::default();
    // In the order in which they stand.
    for op in &program.ops {
        let Op::Choice(index) = op else { continue };
        let choice = &program.choices[*index];
        if !compared.is_new(&choice.arms) {
            continue;
        }
        let mut earlier: Vec<(usize, Pc)> = Vec::new();
        for arm in &choice.arms {
            let First::Line(message) = arm.first else { continue };
            // We say lines in any order as they are written: only the first of them is said at the choice itself.
            let said_later = match &program.ops[arm.pc] {
                Op::AnyOrder(order) => {
                    let order = &program.orders[*order];
                    order.ours && order.messages.first() != Some(&message)
                }
                _ => false,
            };
            for &(rival, pc) in &earlier {
                if rival != message && pc != arm.pc && !said_later {
                    program.messages[message].rivals.push(rival);
                }
            }
            earlier.push((message, arm.pc));
        }
    }
    for message in &mut program.messages {
        message.rivals.sort_unstable();
        message.rivals.dedup();
    }
}

/// Which defaults of a message would be heard as another line: the piece, the default's index and the rival. Looked at are
/// messages that depend on no more than is `known`; what a play was given stands in the scratch.
pub(crate) fn misheard(
    program: &Program,
    message: usize,
    known: Depends,
    scratch: &mut Scratch,
) -> Vec<(usize, usize, usize)> {
    let said = &program.messages[message];
    let mut found = Vec::new();
    if said.depends > known || said.rivals.is_empty() {
        return found;
    }
    let longest = said
        .pieces
        .iter()
        .map(|piece| if let PieceKind::Capture { defaults, .. } = &piece.kind { defaults.len() } else { 0 })
        .max()
        .unwrap_or(0)
        .max(1);
    for turn in 0..longest {
        let mut bytes = Vec::new();
        let mut last = (0, 0);
        for (index, piece) in said.pieces.iter().enumerate() {
            match &piece.kind {
                PieceKind::Literal(literal) => bytes.extend_from_slice(literal),
                PieceKind::Capture { defaults, .. } if !defaults.is_empty() => {
                    last = (index, turn % defaults.len());
                    bytes.extend_from_slice(&defaults[last.1]);
                }
                PieceKind::Value(slot) => bytes.extend_from_slice(scratch.value(*slot).unwrap_or_default()),
                _ => {}
            }
        }
        for &rival in &said.rivals {
            let rival_message = &program.messages[rival];
            if rival_message.depends <= known && matcher::line_matches(rival_message, &bytes, scratch) {
                found.push((last.0, last.1, rival));
                break;
            }
        }
    }
    found
}

/// What may come first from an operation on; into a `choose` it does not look.
pub(crate) fn may_begin(program: &Program, start: Pc) -> Vec<First> {
    Search::from(program, start).arms.into_iter().map(|arm| arm.first).collect()
}

/// What may come first of all, whichever way a `choose` takes that stands before it.
pub(crate) fn first_of_all(program: &Program) -> Vec<First> {
    let (mut open, mut seen, mut found) = (vec![0], HashSet::new(), Vec::new());
    while let Some(start) = open.pop() {
        for arm in Search::from(program, start).arms {
            match program.ops.get(arm.pc) {
                Some(Op::Choose(table)) => {
                    let ways = program.tables[*table].may_go().into_iter().map(|start| program.behind_jumps(start));
                    open.extend(ways.filter(|way| seen.insert(*way)));
                }
                _ => found.push(arm.first),
            }
        }
    }
    found
}

/// Whether an arm begins with something of ours.
pub(super) fn is_ours(program: &Program, arm: &Arm, side: crate::Side) -> Option<bool> {
    match arm.first {
        First::Line(message) => Some(program.messages[message].side == side),
        First::File(file) => Some(program.files[file].side == side),
        First::Do(StreamAction::Close)
        | First::Expect(StreamAction::Close)
        | First::End
        | First::Tls
        | First::Connect
        | First::Choose
        | First::Wrong => None,
        First::Do(_) => Some(true),
        First::Expect(_) => Some(false),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;
    use crate::script::{PlayOptions, Script};
    use crate::{Carrier, Transcript};

    /// What stands there, and how the one with a number is written.
    type Kind = (&'static str, fn(usize) -> String);

    /// How many pairs of lines are compared in what follows `C: a`, and comes so often.
    fn pairs(count: usize, block: impl Fn(usize) -> String) -> usize {
        let text = format!("C: a\n{}S: ok\n", (0..count).map(block).collect::<String>());
        let transcript = Transcript::parse("t.talk", text.as_bytes(), &[]).unwrap();
        let script = Script::prepare(&transcript, &PlayOptions::new(Side::Client, Carrier::Stream)).unwrap();
        let mut compared = Compared::default();
        let choices = script.program.choices.iter().filter(|choice| compared.is_new(&choice.arms));
        choices.map(|choice| choice.arms.len() * choice.arms.len()).sum()
    }

    #[test]
    fn lines_of_choices_in_a_row_are_compared_once() {
        let kinds: &[Kind] = &[
            ("not", |i| format!("not S: no {i}\n")),
            ("maybe", |i| format!("maybe\n  S: m {i}\nend\n")),
            ("loops", |i| format!("repeat\n  S: r {i}\nend\n")),
            ("either", |i| format!("either\n  S: a {i}\nor\n  S: b {i}\nor\nend\n")),
        ];
        for &(kind, block) in kinds {
            let (once, twice) = (pairs(30, block), pairs(60, block));
            assert!(once >= 30 * 30 && twice <= 4 * once, "{kind}: {once} pairs, then {twice}");
        }
        // What a line that always comes parts is compared on both sides of it.
        let parted = pairs(2, |i| format!("maybe\n  S: a{i}\nend\nS: b{i}\n"));
        assert_eq!(parted, 4 + 4);
    }
}
