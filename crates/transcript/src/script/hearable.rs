//! Why a side cannot hear what it has to: where a hole ends cannot be told, a line is told from others by a value that comes
//! too late, or nothing listens where the other side connects.

use super::PlayOptions;
use crate::Side;
use crate::carrier::Carrier;
use crate::diagnostic::{Diagnostic, Source};
use crate::program::{self, Arm, First, Op, Pattern, Piece, PieceKind, Program};
use crate::syntax::Form;

/// What we must hear must say where each hole ends.
pub(super) fn hearable(program: &Program, options: &PlayOptions) -> Vec<Diagnostic> {
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

/// What may come where a play branches is compared before anything of a branch is done: a value that the branch itself gives is not
/// there yet.
pub(super) fn valued_too_late(program: &Program, source: &Source, side: Side) -> Vec<Diagnostic> {
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
pub(super) fn not_listened(program: &Program, side: Side) -> Vec<Diagnostic> {
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
