//! Where a play stands without any value that it still needs: there it costs no memory.

use super::{Connect, Fork, Op, Pattern, Pc, Piece, PieceKind, Program};
use crate::values::given_index;

/// Fills in [`Program::live`]: a backward pass to the fixed point.
pub(super) fn mark_live(program: &mut Program) {
    // More names than bits: take every value for live rather than be wrong.
    if program.slots.len() > 128 {
        program.live = vec![true; program.ops.len()];
        return;
    }
    let mut live = vec![0_u128; program.ops.len()];
    loop {
        let mut changed = false;
        // What is read behind any place at which the other side may begin something else.
        let waiting = match program.asides.first() {
            Some(aside) => {
                (aside.after..live.len()).filter(|&pc| program.waits_at(pc)).fold(0, |mask, pc| mask | live[pc])
            }
            None => 0,
        };
        // What the first of them read, the first two, and so on: they stand above each place that they concern.
        let begun: Vec<u128> = program
            .asides
            .iter()
            .scan(0, |mask, aside| {
                *mask |= live[aside.begin];
                Some(*mask)
            })
            .collect();
        for pc in (0..program.ops.len()).rev() {
            let mut after = successors(program, pc).into_iter().fold(0, |mask, next| mask | live[next]);
            if program.waits_at(pc) {
                after |= program.asides_at(pc).len().checked_sub(1).map_or(0, |last| begun[last]);
            } else if let Op::Return = program.ops[pc] {
                after |= waiting;
            }
            let (uses, gives) = touched(program, pc);
            let before = (after & !gives) | uses;
            changed |= before != live[pc];
            live[pc] = before;
        }
        if !changed {
            break;
        }
    }
    program.live = live.iter().map(|&mask| mask != 0).collect();
    program.needed = live;
}

impl Program {
    /// Whether the other side speaks, or ends, at an operation.
    fn waits_at(&self, pc: Pc) -> bool {
        match &self.ops[pc] {
            Op::Hear(_) | Op::Expect(_) => true,
            Op::AnyOrder(order) => !self.orders[*order].ours,
            // Whose they are is not looked at: too much is kept rather than too little.
            Op::Choice(_) => true,
            _ => false,
        }
    }
}

fn successors(program: &Program, pc: Pc) -> Vec<Pc> {
    match &program.ops[pc] {
        Op::End | Op::Forbidden | Op::Return => vec![],
        Op::Jump(to) => vec![*to],
        Op::Again { body, .. } => vec![*body, pc + 1],
        Op::AnyOrder(_) => vec![pc, pc + 1],
        Op::Choose(table) => program.tables[*table].starts().copied().collect(),
        Op::Choice(index) => {
            let choice = &program.choices[*index];
            // A first line's rivals are compared before it is said; their values count as read here.
            let mut next = match &choice.kind {
                Fork::Loop { body, after, .. } => vec![*body, *after],
                Fork::Either { branches, .. } => branches.clone(),
            };
            next.extend(choice.arms.iter().map(|arm| arm.pc));
            next
        }
        _ => vec![pc + 1],
    }
}

/// The slots that an operation reads, and those that it gives a new value first.
fn touched(program: &Program, pc: Pc) -> (u128, u128) {
    match &program.ops[pc] {
        Op::Say(message) | Op::Hear(message) => {
            let (mut uses, gives) = of_pieces(&program.messages[*message].pieces);
            for &rival in &program.messages[*message].rivals {
                uses |= of_pieces(&program.messages[rival].pieces).0;
            }
            (uses, gives)
        }
        Op::Choose(table) => (of_pieces(std::slice::from_ref(&program.tables[*table].key)).0, 0),
        Op::Connect(Connect { to: Some(slot), .. }) if given_index(*slot).is_none() => (1 << slot, 0),
        Op::Listen { slot, .. } if given_index(*slot).is_none() => (0, 1 << slot),
        Op::Set { slot, value } => (of_pieces(value).0, 1 << slot),
        Op::Let { slot, key, value, .. } => (of_pieces(key).0 | of_pieces(value).0, 1 << slot),
        Op::AnyOrder(order) => {
            let messages = program.orders[*order].messages.iter();
            let masks = messages.map(|&message| of_pieces(&program.messages[message].pieces));
            // What one of them gives must be kept until all have come.
            (masks.fold(0, |uses, (more, gives)| uses | more | gives), 0)
        }
        _ => (0, 0),
    }
}

fn of_pieces(pieces: &[Piece]) -> (u128, u128) {
    // What a play is given is always there, and kept apart.
    let bit = |slot: usize| if given_index(slot).is_some() { 0 } else { 1 << slot };
    let (mut uses, mut gives) = (0, 0);
    for piece in pieces {
        if let PieceKind::Capture { pattern: Pattern::BytesOf(count), .. }
        | PieceKind::Same { pattern: Pattern::BytesOf(count), .. } = &piece.kind
        {
            uses |= bit(count.slot);
        }
        match &piece.kind {
            PieceKind::Value(slot) => uses |= bit(*slot),
            PieceKind::Capture { slot: Some(slot), .. } => gives |= 1 << slot,
            _ => {}
        }
    }
    (uses, gives)
}
