//! Where a play stands: what may come there, and which branches its counters leave open.

use super::Play;
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
    arms.filter(|arm| allowed(play, &arm.path) && !script.program.is_forbidden(arm.pc))
}

/// Whether the counters let a play take this branch.
pub(super) fn allowed(play: &Play, path: &[PathStep]) -> bool {
    path.iter().all(|step| match step {
        PathStep::Again { counter, times, more } => (play.counters[*counter] + 1 < *times) == *more,
        PathStep::Run(_) => true,
    })
}
