//! The branches of choices of ours: which were not taken, and how to take one that would not be.

use std::collections::BTreeSet;

use super::{Choice, Fork, Pc, PieceKind, Plan, Program, Table};

impl Program {
    /// The lines with which the branches begin that were not taken, at choices of ours.
    pub(crate) fn untaken(&self, taken: &BTreeSet<usize>) -> Vec<usize> {
        let ours = self.choices.iter().filter(|choice| choice.ours.is_some());
        let branches = ours.flat_map(|choice| match &choice.kind {
            Fork::Either { branches, .. } => branches.as_slice(),
            Fork::Loop { .. } => &[],
        });
        // What must not come is never said, and what comes instead is what the file goes on with.
        let forbidden = branches.clone().filter(|&&branch| self.is_forbidden(branch));
        let forbidden: BTreeSet<usize> = forbidden.map(|&branch| self.places[branch].line).collect();
        let branches = branches.filter(|&&branch| !forbidden.contains(&self.places[branch].line));
        let cases = self.tables.iter().flat_map(Table::starts);
        let lines = branches.chain(cases).map(|&branch| self.places[branch].line);
        lines.filter(|line| !taken.contains(line)).collect()
    }

    /// Plans every choice of ours so that the branch is taken that begins with a line.
    pub(crate) fn force(&mut self, line: usize) {
        let starts = self.choices.iter().flat_map(|choice| match &choice.kind {
            Fork::Either { branches, .. } => branches.as_slice(),
            Fork::Loop { .. } => &[],
        });
        let starts = starts.chain(self.tables.iter().flat_map(Table::starts));
        let Some(wanted) = starts.copied().find(|&start| self.places[start].line == line) else { return };
        self.lead(wanted);
        for choice in &mut self.choices {
            let branch = branch_to(choice, wanted);
            if let (Some(branch), Some(Plan::Turns { counter, turns })) = (branch, &mut choice.ours) {
                (*counter, *turns) = (None, vec![(branch, 1)]);
            }
        }
    }

    /// Has every `choose` around an operation take the branch that leads there: whoever gives its name a value gives it the right one.
    fn lead(&mut self, wanted: Pc) {
        let Self { tables, messages, .. } = self;
        for table in tables.iter() {
            let PieceKind::Value(slot) = table.key.kind else { continue };
            let starts = table.cases.iter().map(|(value, &start)| (start, Some(value)));
            let branch = starts.chain(table.otherwise.map(|start| (start, None))).filter(|(start, _)| *start <= wanted);
            // A `choose` that ended before has cases that begin above it too: taking one of them does no harm.
            let Some((_, value)) = branch.max_by_key(|(start, _)| *start) else { continue };
            for piece in messages.iter_mut().flat_map(|message| &mut message.pieces) {
                if let PieceKind::Capture { slot: Some(captured), defaults, pattern, .. } = &mut piece.kind
                    && *captured == slot
                {
                    let other = |default: &Vec<u8>| !table.cases.contains_key(default.as_slice());
                    match value {
                        // What the hole does not take leads nowhere: then it stays as it is, and the branch is not played.
                        Some(value) if pattern.accepts(value) => *defaults = vec![value.to_vec()],
                        None if defaults.iter().any(other) => defaults.retain(other),
                        _ => {}
                    }
                }
            }
        }
    }
}

/// The branch of a choice in which an operation stands.
fn branch_to(choice: &Choice, wanted: Pc) -> Option<Pc> {
    let Fork::Either { branches, after } = &choice.kind else { return None };
    let branch = branches.iter().copied().rfind(|&start| start <= wanted)?;
    (wanted < *after).then_some(branch)
}
