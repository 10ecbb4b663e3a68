//! Branches that exclude each other, such as the ways of one `choose`: each has a play of its own, and both ends are made ready once
//! for all of them. A play costs what is said on its way, however many ways there are.

use super::{Bounds, MOST_BYTES, MOST_STEPS, play_within};
use crate::play::Ending;
use crate::script::{Script, Switch};

/// What came of going one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BranchOutcome {
    /// Both ends agree on it.
    Agreed,
    /// Both ends agree, and this branch was not come to.
    NotReached,
    /// They do not agree, or may not be played so: ends that are made ready for this branch tell.
    Unknown,
}

/// Both ends of a transcript, which go one way after the other.
#[derive(Debug)]
pub struct Branches {
    client: Switch,
    server: Switch,
    plays: usize,
}

impl Branches {
    /// Both ends, made ready for no branch.
    #[must_use]
    pub fn new(client: &Script, server: &Script) -> Self {
        Self { client: Switch::new(client), server: Switch::new(server), plays: 0 }
    }

    /// Plays the branch that begins with this line, whole and byte by byte.
    pub fn play(&mut self, line: usize) -> BranchOutcome {
        let is_ready = self.client.turn_to(line) && self.server.turn_to(line);
        let way = if is_ready { self.go(line) } else { BranchOutcome::Unknown };
        self.client.turn_back();
        self.server.turn_back();
        way
    }

    /// How many plays there were.
    #[must_use]
    pub fn plays(&self) -> usize {
        self.plays
    }

    fn go(&mut self, line: usize) -> BranchOutcome {
        let mut was_taken = true;
        for most in [usize::MAX, 1] {
            self.plays += 1;
            let (client, server) = (self.client.script(), self.server.script());
            let bounds = Bounds { steps: MOST_STEPS, bytes: MOST_BYTES };
            let (ends, _) = play_within(&bounds, client, server, |all| all.min(most));
            let both = [(&ends[0], &self.client), (&ends[1], &self.server)];
            let agreed = both.iter().all(|(end, switch)| {
                end.ending.as_ref().is_some_and(Ending::is_success) && switch.may_say(&end.taken.said)
            });
            if !agreed {
                return BranchOutcome::Unknown;
            }
            was_taken &= both.iter().any(|(end, _)| end.taken.branches.contains(&line));
        }
        if was_taken { BranchOutcome::Agreed } else { BranchOutcome::NotReached }
    }
}
