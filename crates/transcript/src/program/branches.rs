//! The branches of choices of ours: which were not taken, and how to take one that would not be.

use std::collections::BTreeSet;

use super::{Choice, Fork, Pc, Plan, Program};

impl Program {
    /// The lines with which the branches begin that were not taken, at choices of ours.
    pub(crate) fn untaken(&self, taken: &BTreeSet<usize>) -> Vec<usize> {
        let ours = self.choices.iter().filter(|choice| choice.ours.is_some());
        let branches = ours.flat_map(|choice| match &choice.kind {
            Fork::Either { branches, .. } => branches.as_slice(),
            Fork::Loop { .. } => &[],
        });
        // What must not come is never said.
        let branches = branches.filter(|&&branch| !self.is_forbidden(branch));
        branches.map(|&branch| self.places[branch].line).filter(|line| !taken.contains(line)).collect()
    }

    /// Plans every choice of ours so that the branch is taken that begins with a line.
    pub(crate) fn force(&mut self, line: usize) {
        let starts = self.choices.iter().flat_map(|choice| match &choice.kind {
            Fork::Either { branches, .. } => branches.as_slice(),
            Fork::Loop { .. } => &[],
        });
        let Some(wanted) = starts.copied().find(|&start| self.places[start].line == line) else { return };
        for choice in &mut self.choices {
            let way = way_to(choice, wanted);
            if let (Some(way), Some(Plan::Turns { counter, turns })) = (way, &mut choice.ours) {
                (*counter, *turns) = (None, vec![(way, 1)]);
            }
        }
    }
}

/// The branch of a choice in which an operation stands.
fn way_to(choice: &Choice, wanted: Pc) -> Option<Pc> {
    let Fork::Either { branches, after } = &choice.kind else { return None };
    let way = branches.iter().copied().rfind(|&start| start <= wanted)?;
    (wanted < *after).then_some(way)
}
