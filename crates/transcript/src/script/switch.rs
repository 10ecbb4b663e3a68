//! A script that goes another way without being made ready anew: what one branch changes is put in place, and taken back.

use std::collections::{BTreeSet, HashMap};

use super::Script;
use super::sayable::{holds_lf, said};
use crate::program::{self, Branch, BranchOf, Depends, FastPath, PieceKind, Plan, branches};
use crate::syntax::Form;
use crate::values::Scratch;

/// Longest value that is put in the place of a default: a datagram has room for it beside other text.
const LONGEST: usize = 1024;

/// A script, and how to turn it to a branch.
#[derive(Debug)]
pub(crate) struct Switch {
    script: Script,
    branches: Vec<Branch>,
    /// By the line with which each begins.
    by_line: HashMap<usize, usize>,
    /// By the slot of a name: where its defaults stand, by message and piece.
    captures: HashMap<usize, Vec<(usize, usize)>>,
    /// Lines that the script was not made ready to say, and that may not be said.
    unsayable: BTreeSet<usize>,
    /// What is to be put back.
    plans: Vec<(usize, Plan)>,
    defaults: Vec<Replaced>,
}

/// A hole, by message and piece, and its own defaults.
type Replaced = ((usize, usize), Vec<Vec<u8>>);

impl Switch {
    pub(crate) fn new(script: &Script) -> Self {
        let mut script = script.clone();
        let program = &mut script.program;
        // Known answers have defaults in them.
        program.choices.iter_mut().for_each(|choice| choice.fast_path = FastPath::default());
        program.messages.iter_mut().for_each(|message| message.fast_path = FastPath::default());
        let branches = branches(program);
        let mut by_line = HashMap::new();
        for (index, branch) in branches.iter().enumerate() {
            by_line.entry(program.places[branch.start].line).or_insert(index);
        }
        let mut captures: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        for (message, pieces) in program.messages.iter().map(|message| &message.pieces).enumerate() {
            for (index, piece) in pieces.iter().enumerate() {
                if let PieceKind::Capture { slot: Some(slot), .. } = piece.kind {
                    captures.entry(slot).or_default().push((message, index));
                }
            }
        }
        let unsayable = unsayable(&script);
        Self { script, branches, by_line, captures, unsayable, plans: vec![], defaults: vec![] }
    }

    pub(crate) fn script(&self) -> &Script {
        &self.script
    }

    /// Whether it was right to say these lines.
    pub(crate) fn may_say(&self, lines: &BTreeSet<usize>) -> bool {
        self.unsayable.is_empty() || lines.iter().all(|line| !self.unsayable.contains(line))
    }

    /// Has it go to the branch that begins with this line; whether it can without being made ready for that.
    pub(crate) fn turn_to(&mut self, line: usize) -> bool {
        let mut next = self.by_line.get(&line).copied();
        // By the slot of each name: the value that it is to have.
        let mut asked = HashMap::new();
        while let Some(index) = next {
            let branch = &self.branches[index];
            next = branch.parent;
            match &branch.of {
                BranchOf::Choice(choice) => {
                    if let Some(plan @ Plan::Turns { .. }) = &mut self.script.program.choices[*choice].ours {
                        let way = Plan::Turns { counter: None, turns: vec![(branch.start, 1)] };
                        self.plans.push((*choice, std::mem::replace(plan, way)));
                    }
                }
                BranchOf::Case { table, slot, value } => {
                    let (table, slot, value) = (*table, *slot, value.clone());
                    // Two that ask for the same name: which value it may have is found with both at hand.
                    let leads = match asked.insert(slot, value.clone()) {
                        Some(other) => other == value,
                        None => self.lead(table, slot, value.as_deref()),
                    };
                    if !leads {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Gives a name the value that leads to a way of a `choose`.
    fn lead(&mut self, table: usize, slot: usize, value: Option<&[u8]>) -> bool {
        let Script { program, side, .. } = &mut self.script;
        let is_plain = |value: &[u8]| value.len() <= LONGEST && memchr::memchr2(b'\r', b'\n', value).is_none();
        if value.is_some_and(|value| !is_plain(value)) {
            return false;
        }
        for &(message, piece) in self.captures.get(&slot).map_or(&[][..], Vec::as_slice) {
            let PieceKind::Capture { pattern, defaults, .. } = &mut program.messages[message].pieces[piece].kind else {
                continue;
            };
            let leading = match value {
                Some(value) if pattern.accepts(value) => vec![value.to_vec()],
                None => {
                    let cases = &program.tables[table].cases;
                    defaults.iter().filter(|default| !cases.contains_key(default.as_slice())).cloned().collect()
                }
                Some(_) => vec![],
            };
            if leading.is_empty() {
                continue;
            }
            let before = std::mem::replace(defaults, leading);
            self.defaults.push(((message, piece), before));
            if program.messages[message].side == *side
                && !program::misheard(program, message, Depends::Nothing, &mut Scratch::new()).is_empty()
            {
                return false;
            }
        }
        true
    }

    /// Has it go as it did before.
    pub(crate) fn turn_back(&mut self) {
        for ((message, piece), before) in self.defaults.drain(..).rev() {
            if let PieceKind::Capture { defaults, .. } = &mut self.script.program.messages[message].pieces[piece].kind {
                *defaults = before;
            }
        }
        for (choice, before) in self.plans.drain(..).rev() {
            self.script.program.choices[choice].ours = Some(before);
        }
    }
}

/// The lines of ours that the script was not made ready to say, as it does not come to them by itself, and that something speaks against.
fn unsayable(script: &Script) -> BTreeSet<usize> {
    let program = &script.program;
    let ready = said(program);
    let speaks_against = |index: usize| {
        let message = &program.messages[index];
        message.missing().is_some()
            || message.form == Form::Text && message.pieces.iter().any(|piece| holds_lf(&piece.kind))
            || !program::misheard(program, index, Depends::Nothing, &mut Scratch::new()).is_empty()
    };
    let ours = (0..program.messages.len()).filter(|&index| program.messages[index].side == script.side);
    let wrong = ours.filter(|index| ready.binary_search(index).is_err() && speaks_against(*index));
    wrong.map(|index| program.messages[index].place.line).collect()
}
