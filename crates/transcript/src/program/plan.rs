//! How the side that speaks first at a choice goes: round a loop as often as the longest list of defaults that it sends
//! there, through an `either` branch by branch.

use super::{First, Fork, Op, PieceKind, Places, Plan, Program, StreamAction, choices};
use crate::Side;
use crate::syntax::{Statement, StatementKind};

/// Marks the choices that are ours and plans how we take them.
pub(super) fn choose(program: &mut Program, body: &[Statement], side: Side, places: &Places) {
    let ours: Vec<bool> = program
        .choices
        .iter()
        .map(|choice| {
            let votes: Vec<bool> = choice.arms.iter().filter_map(|arm| choices::is_ours(program, arm, side)).collect();
            // Where nobody says anything, whoever closes chooses.
            votes.first().copied().unwrap_or_else(|| {
                !choice.arms.iter().any(|arm| matches!(arm.first, First::Expect(StreamAction::Close)))
            })
        })
        .collect();
    let mut planner = Planner { program, ours, side, places, enter: vec![] };
    planner.block(body);
}

struct Planner<'a> {
    program: &'a mut Program,
    ours: Vec<bool>,
    side: Side,
    places: &'a Places,
    /// The `Enter` operations of the loops around.
    enter: Vec<usize>,
}

impl Planner<'_> {
    fn block(&mut self, body: &[Statement]) {
        for statement in body {
            match &statement.kind {
                StatementKind::Repeat { times, body } => self.repeat(statement, *times, body),
                StatementKind::Together { body } | StatementKind::Aside { body } => self.block(body),
                StatementKind::Not { .. } | StatementKind::Maybe { .. } => {
                    if let Some(&choice) = self.places.choices.get(&statement.place.line)
                        && self.ours[choice]
                    {
                        match &statement.kind {
                            StatementKind::Maybe { body } => self.either(choice, [body.as_slice(), &[]].into_iter()),
                            _ => self.not(choice),
                        }
                    }
                }
                StatementKind::Either { branches } => {
                    if let Some(&choice) = self.places.choices.get(&statement.place.line)
                        && self.ours[choice]
                    {
                        self.either(choice, branches.iter().map(|branch| branch.body.as_slice()));
                    }
                    branches.iter().for_each(|branch| self.block(&branch.body));
                }
                StatementKind::Choose { cases, .. } => cases.iter().for_each(|case| self.block(&case.body)),
                _ => {}
            }
        }
    }

    fn repeat(&mut self, statement: &Statement, times: Option<u32>, body: &[Statement]) {
        let place = statement.place;
        let enter = self.places.loops.get(&place.line).copied();
        if times.is_none()
            && let Some(&choice) = self.places.choices.get(&place.line)
            && self.ours[choice]
            && let Some(enter) = enter
        {
            let rounds = self.weight(body);
            let counter = self.counter(enter);
            self.program.choices[choice].ours = Some(Plan::Repeat { counter, times: rounds });
        }
        self.enter.extend(enter);
        self.block(body);
        if enter.is_some() {
            self.enter.pop();
        }
    }

    fn either<'b>(&mut self, choice: usize, bodies: impl Iterator<Item = &'b [Statement]>) {
        let Fork::Either { branches, .. } = &self.program.choices[choice].kind else { return };
        let starts = branches.clone();
        let bodies: Vec<&[Statement]> = bodies.collect();
        let mut turns: Vec<_> = starts
            .iter()
            .zip(&bodies)
            .filter(|(_, body)| self.can_say(body))
            .map(|(&start, body)| (start, self.weight(body)))
            .collect();
        if turns.is_empty() {
            // Nothing can be said; `Script::prepare` reports the first branch.
            turns.extend(starts.first().map(|&start| (start, 1)));
        }
        let counter = self.enter.last().copied().map(|enter| self.counter(enter));
        self.program.choices[choice].ours = Some(Plan::Turns { counter, turns });
    }

    /// What must not come is never said.
    fn not(&mut self, choice: usize) {
        if let Fork::Either { branches, .. } = &self.program.choices[choice].kind
            && let Some(&without) = branches.last()
        {
            self.program.choices[choice].ours = Some(Plan::Turns { counter: None, turns: vec![(without, 1)] });
        }
    }

    fn counter(&mut self, enter: usize) -> usize {
        let counter = self.program.counters;
        self.program.counters += 1;
        if let Op::Enter(counters) = &mut self.program.ops[enter] {
            counters.push(counter);
        }
        counter
    }

    /// How many rounds it takes to say everything that a body can say: the longest list of defaults sent directly in
    /// it, or all turns of an `either` in it; at least one.
    fn weight(&self, body: &[Statement]) -> u32 {
        body.iter()
            .map(|statement| match &statement.kind {
                StatementKind::Message { .. } => self.longest_list(statement),
                StatementKind::Together { body } | StatementKind::AnyOrder { body } => self.weight(body),
                StatementKind::Maybe { body } => {
                    let ours = self.places.choices.get(&statement.place.line).is_some_and(|&choice| self.ours[choice]);
                    if ours { self.weight(body).saturating_add(1) } else { self.weight(body) }
                }
                StatementKind::Either { branches } => {
                    let each = branches
                        .iter()
                        .filter(|branch| self.can_say(&branch.body))
                        .map(|branch| self.weight(&branch.body));
                    let ours = self.places.choices.get(&statement.place.line).is_some_and(|&choice| self.ours[choice]);
                    if ours { each.sum() } else { each.max().unwrap_or(1) }
                }
                StatementKind::Choose { cases, .. } => {
                    cases.iter().map(|case| self.weight(&case.body)).max().unwrap_or(1)
                }
                _ => 1,
            })
            .max()
            .unwrap_or(1)
            .max(1)
    }

    fn longest_list(&self, statement: &Statement) -> u32 {
        let Some(message) = self.message_of(statement) else { return 1 };
        if message.side != self.side {
            return 1;
        }
        message
            .pieces
            .iter()
            .map(|piece| match &piece.kind {
                PieceKind::Capture { defaults, .. } => u32::try_from(defaults.len()).unwrap_or(u32::MAX),
                _ => 1,
            })
            .max()
            .unwrap_or(1)
    }

    fn can_say(&self, body: &[Statement]) -> bool {
        if let [Statement { kind: StatementKind::Not { .. }, .. }] = body {
            return false;
        }
        body.iter().all(|statement| match &statement.kind {
            StatementKind::Message { .. } => self
                .message_of(statement)
                .is_none_or(|message| message.side != self.side || message.missing().is_none()),
            StatementKind::Together { body }
            | StatementKind::AnyOrder { body }
            | StatementKind::Repeat { body, .. } => self.can_say(body),
            StatementKind::Either { branches } => {
                let ours = self.places.choices.get(&statement.place.line).is_some_and(|&choice| self.ours[choice]);
                let mut each = branches.iter().map(|branch| self.can_say(&branch.body));
                if ours { each.any(|can| can) } else { each.all(|can| can) }
            }
            StatementKind::Choose { cases, .. } => cases.iter().all(|case| self.can_say(&case.body)),
            _ => true,
        })
    }

    fn message_of(&self, statement: &Statement) -> Option<&super::Message> {
        self.places.messages.get(&statement.place.line).map(|&message| &self.program.messages[message])
    }
}
