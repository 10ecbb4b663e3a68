//! The branches of choices of ours: which were not taken, and how to take one that would not be.

use std::collections::{BTreeMap, BTreeSet};

use super::{Choice, Fork, Pc, PieceKind, Plan, Program, Table};

/// A branch, from its first operation on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Branch {
    pub(crate) start: Pc,
    /// The branch in which it stands, by its place among all.
    pub(crate) parent: Option<usize>,
    pub(crate) of: BranchOf,
}

/// What it is a branch of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BranchOf {
    /// A choice.
    Choice(usize),
    /// A `choose`: the slot of the name whose value leads there, and that value; none for all others.
    Case { slot: usize, value: Option<Box<[u8]>>, table: usize },
}

/// The branches of choices and of each `choose`, in the order of their operations.
pub(crate) fn branches(program: &Program) -> Vec<Branch> {
    let mut all: Vec<(Pc, Pc, BranchOf)> = Vec::new();
    for (index, choice) in program.choices.iter().enumerate() {
        let Fork::Either { branches, after } = &choice.kind else { continue };
        let ends = branches.iter().skip(1).chain([after]);
        all.extend(branches.iter().zip(ends).map(|(&start, &end)| (start, end, BranchOf::Choice(index))));
    }
    for (index, table) in program.tables.iter().enumerate() {
        let PieceKind::Value(slot) = table.key.kind else { continue };
        let cases = table.cases.iter().map(|(value, &start)| (start, Some(value.clone())));
        let mut cases: Vec<_> = cases.chain(table.otherwise.map(|start| (start, None))).collect();
        cases.sort_unstable_by_key(|(start, _)| *start);
        let ends: Vec<Pc> = cases.iter().skip(1).map(|(start, _)| *start).chain([table.after]).collect();
        let ranges = cases.into_iter().zip(ends);
        all.extend(ranges.map(|((start, value), end)| (start, end, BranchOf::Case { slot, value, table: index })));
    }
    // Of two that begin at the same operation the longer one holds the other.
    all.sort_by_key(|(start, end, _)| (*start, std::cmp::Reverse(*end)));
    let mut around: Vec<(usize, Pc)> = Vec::new();
    let mut branches = Vec::new();
    for (index, (start, end, of)) in all.into_iter().enumerate() {
        while around.last().is_some_and(|(_, end)| *end <= start) {
            around.pop();
        }
        branches.push(Branch { start, parent: around.last().map(|(index, _)| *index), of });
        around.push((index, end));
    }
    branches
}

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

    /// Plans every choice of ours so that the branches are taken that begin with these lines. Of branches of which one play
    /// takes only one, that is the first.
    pub(crate) fn force(&mut self, lines: &[usize]) {
        let wanted = self.starts_at(lines);
        self.lead(&wanted);
        for (choice, branch) in self.ways_to(&wanted) {
            if let Some(Plan::Turns { counter, turns }) = &mut self.choices[choice].ours {
                (*counter, *turns) = (None, vec![(branch, 1)]);
            }
        }
    }

    /// Where the branches begin that begin with these lines, in their order.
    fn starts_at(&self, lines: &[usize]) -> BTreeSet<Pc> {
        let starts = self.choices.iter().flat_map(|choice| match &choice.kind {
            Fork::Either { branches, .. } => branches.as_slice(),
            Fork::Loop { .. } => &[],
        });
        let starts = starts.chain(self.tables.iter().flat_map(Table::starts));
        let mut left: BTreeSet<usize> = lines.iter().copied().collect();
        starts.copied().filter(|&start| left.remove(&self.places[start].line)).collect()
    }

    /// The branch of each choice that leads to one of these operations; those go first that stand first.
    fn ways_to(&self, wanted: &BTreeSet<Pc>) -> BTreeMap<usize, Pc> {
        let mut choices: Vec<(Pc, Pc, usize)> = Vec::new();
        for (index, choice) in self.choices.iter().enumerate() {
            if let Fork::Either { branches, after } = &choice.kind
                && let Some(&first) = branches.first()
            {
                choices.push((first, *after, index));
            }
        }
        choices.sort_unstable();
        let mut choices = choices.into_iter().peekable();
        // The choices that begin above an operation, and do not end there.
        let mut around: Vec<(Pc, usize)> = Vec::new();
        let mut ways = BTreeMap::new();
        for &wanted in wanted {
            while let Some((_, after, index)) = choices.next_if(|(first, ..)| *first <= wanted) {
                around.push((after, index));
            }
            around.retain(|(after, _)| wanted < *after);
            let to = around.iter().filter_map(|(_, index)| Some((*index, branch_to(&self.choices[*index], wanted)?)));
            let to: Vec<(usize, Pc)> = to.collect();
            if to.iter().all(|(index, branch)| ways.get(index).is_none_or(|other| other == branch)) {
                ways.extend(to);
            }
        }
        ways
    }

    /// Has every `choose` around an operation take the branch that leads there: whoever gives its name a value gives it the right one.
    fn lead(&mut self, wanted: &BTreeSet<Pc>) {
        let Self { tables, messages, .. } = self;
        // By the slot of each name: who asks for a value, and for which.
        let mut asked: BTreeMap<usize, (&Table, Option<&[u8]>)> = BTreeMap::new();
        // A case that is wanted itself goes before one that only leads to another branch.
        for is_itself in [true, false] {
            for table in tables.iter() {
                let PieceKind::Value(slot) = table.key.kind else { continue };
                let cases = table.cases.iter().map(|(value, &start)| (start, Some(&**value)));
                let cases = cases.chain(table.otherwise.map(|start| (start, None)));
                let case = if is_itself {
                    cases.filter(|(start, _)| wanted.contains(start)).min_by_key(|(start, _)| *start)
                } else {
                    // A `choose` that ended before has cases that begin above it too: taking one of them does no harm.
                    let first = table.starts().min().and_then(|first| wanted.range(first..).next());
                    cases.filter(|(start, _)| Some(start) <= first).max_by_key(|(start, _)| *start)
                };
                if let Some((_, value)) = case {
                    asked.entry(slot).or_insert((table, value));
                }
            }
        }
        for piece in messages.iter_mut().flat_map(|message| &mut message.pieces) {
            if let PieceKind::Capture { slot: Some(captured), defaults, pattern, .. } = &mut piece.kind
                && let Some((table, value)) = asked.get(captured)
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

/// The branch of a choice in which an operation stands.
fn branch_to(choice: &Choice, wanted: Pc) -> Option<Pc> {
    let Fork::Either { branches, after } = &choice.kind else { return None };
    let branch = branches[..branches.partition_point(|&start| start <= wanted)].last().copied()?;
    (wanted < *after).then_some(branch)
}
