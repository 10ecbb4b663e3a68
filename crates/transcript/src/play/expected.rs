//! Where a play stands: what may come there, and which branches its counters leave open.

use super::{Part, Play};
use crate::program::{Arm, First, Op, Pc, Step as PathStep, StreamAction};
use crate::script::Script;

/// The messages that would be right where a play stands.
pub(super) fn expected_messages(script: &Script, play: &Play) -> Vec<usize> {
    match &script.program.ops[play.pc] {
        Op::Hear(message) => vec![*message],
        Op::AnyOrder(order) => {
            let order = &script.program.orders[*order];
            (0..order.messages.len())
                .filter(|&index| !play.has_come(order, index))
                .map(|index| order.messages[index])
                .collect()
        }
        Op::Choice(index) => right_arms(script, play, *index)
            .filter_map(|arm| match arm.first {
                First::Line(message) => Some(message),
                _ => None,
            })
            .collect(),
        _ => vec![],
    }
}

/// What the other side might do there instead of saying something: end its direction, or reset the connection.
pub(super) fn expected_actions(script: &Script, play: &Play) -> Vec<(StreamAction, Pc)> {
    match &script.program.ops[play.pc] {
        Op::Expect(action) => vec![(*action, play.pc)],
        Op::Choice(index) => right_arms(script, play, *index)
            .filter_map(|arm| match arm.first {
                First::Expect(action) => Some((action, arm.pc)),
                _ => None,
            })
            .collect(),
        _ => vec![],
    }
}

/// The branches of a choice that the other side may take. What must not come is waited for only to be told.
fn right_arms<'s>(script: &'s Script, play: &'s Play, choice: usize) -> impl Iterator<Item = &'s Arm> {
    let arms = script.program.choices[choice].arms.iter();
    arms.filter(|arm| is_open(script, play, &arm.path) && !script.program.is_forbidden(arm.pc))
}

/// Whether the counters let a play take this branch.
pub(super) fn allowed(play: &Play, path: &[PathStep]) -> bool {
    path.iter().all(|step| match step {
        PathStep::Again { counter, times, more } => (play.counters[*counter] + 1 < *times) == *more,
        PathStep::Run(_) => true,
    })
}

/// The same, where the play may stand in a datagram of several lines: while more of it is to come that is a part of it, and
/// behind its end none.
pub(super) fn is_open(script: &Script, play: &Play, path: &[PathStep]) -> bool {
    allowed(play, path)
        && match play.part {
            Part::Nothing => true,
            Part::Some => is_inside(script, path).is_none(),
            Part::All => is_inside(script, path).is_some(),
        }
}

/// Whether the statement behind this path is part of a datagram of several lines; none where the path says nothing of it.
pub(super) fn is_inside(script: &Script, path: &[PathStep]) -> Option<bool> {
    path.iter().rev().find_map(|step| match step {
        PathStep::Run(pc) => match script.program.ops[*pc] {
            Op::Together => Some(true),
            Op::Apart => Some(false),
            _ => None,
        },
        PathStep::Again { .. } => None,
    })
}
