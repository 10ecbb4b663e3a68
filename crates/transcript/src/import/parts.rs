//! The parts of a page with marks in them: which are sessions, which belong together, and what is left over.

use super::{Item, Session};
use crate::side::Side;

/// More parts than this, left out around one session, are counted.
const MOST_TOLD: usize = 6;

/// Marked lines up to a heading, a fence, or the text of the page.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) items: Vec<Item>,
    pub(super) left_out: Option<(usize, String)>,
    /// The heading above it, where nothing else stands between it and the part before.
    pub(super) alone: Option<Item>,
    /// The line that ended the part before.
    pub(super) ended: Option<usize>,
}

/// A part in which one side speaks and the other does not.
pub(super) struct OneSided {
    pub(super) session: Session,
    ended: Option<usize>,
    side: Side,
}

/// What the parts of a page come to.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) found: Vec<Session>,
    pub(super) one_sided: Vec<OneSided>,
}

impl Parts {
    pub(super) fn of(parts: Vec<Part>) -> Self {
        let mut all = Self::default();
        let mut last: Option<(Part, (bool, bool))> = None;
        for mut part in parts {
            let speakers = part.speakers();
            if let Some((before, spoke)) = &mut last {
                // Where one side is missing it was no heading.
                let is_one = [*spoke, speakers].iter().any(|(client, server)| client != server);
                if let Some(heading) = part.alone.take().filter(|_| is_one) {
                    before.items.push(heading);
                    before.items.append(&mut part.items);
                    before.left_out = before.left_out.take().or(part.left_out);
                    *spoke = (spoke.0 || speakers.0, spoke.1 || speakers.1);
                    continue;
                }
            }
            if let Some((whole, _)) = last.replace((part, speakers)) {
                all.push(whole);
            }
        }
        if let Some((whole, _)) = last {
            all.push(whole);
        }
        all
    }

    fn push(&mut self, part: Part) {
        let session = Session { left_out: part.left_out, ..Session::of(part.items) };
        let side = match session.speakers() {
            (true, true) => return self.found.push(session),
            (false, false) => return,
            (true, false) => Side::Client,
            (false, true) => Side::Server,
        };
        self.one_sided.push(OneSided { session, ended: part.ended, side });
    }

    /// What only one side says: where, and what to tell.
    pub(super) fn left(&self) -> Vec<(usize, String)> {
        let tell = |one: &OneSided| {
            let why = match one.ended {
                Some(line) => format!("line {line} ends the session above it"),
                None => "it is not near the rest".to_owned(),
            };
            (one.session.items[0].line, format!("what only the {side} says there is left out: {why}", side = one.side))
        };
        self.one_sided.iter().map(tell).collect()
    }
}

impl Part {
    /// Its items are there again behind it.
    fn speakers(&mut self) -> (bool, bool) {
        let session = Session::of(std::mem::take(&mut self.items));
        let speakers = session.speakers();
        self.items = session.items;
        speakers
    }
}

/// What is left out next to the session of that number (from 0), of those that begin at these lines.
pub(super) fn around(left: &[(usize, String)], begins: &[usize], number: usize) -> Vec<(usize, String)> {
    let from = if number == 0 { 0 } else { begins[number] };
    let to = begins.get(number + 1).copied().unwrap_or(usize::MAX);
    let mut told: Vec<(usize, String)> = left.iter().filter(|(line, _)| (from..to).contains(line)).cloned().collect();
    if told.len() > MOST_TOLD {
        let (line, further) = (told[MOST_TOLD].0, told.len() - MOST_TOLD);
        told.truncate(MOST_TOLD);
        told.push((line, format!("{further} further parts, in which one side speaks, are left out")));
    }
    told
}
