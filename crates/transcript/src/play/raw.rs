//! `raw` and `hex` messages: which of several is at hand, as far as its bytes have come.

use std::ops::Range;

use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::carrier::Carrier;
use crate::program::matcher::{self, MatchResult};
use crate::program::{KeyMatch, Message, Order};
use crate::values::{PartialMatch, Progress};

/// What a look at the messages that may be coming came to.
#[derive(Default)]
struct Look {
    /// The first that is whole, or a longer one that begins like it and holds nothing but text: which, and how long.
    best: Option<(usize, usize)>,
    /// One that is not whole yet would be taken instead.
    may_become_longer: bool,
    /// Whose captures stand in the scratch.
    walked_last: Option<usize>,
}

impl<W: Watch> Walk<'_, W> {
    /// The same as [`Self::first_at_hand`]; what may come at any time is tried behind them, and if it is that, the play goes on
    /// there.
    pub(super) fn raw_at_hand(
        &mut self,
        play: &mut Play,
        count: usize,
        order: Option<&Order>,
        candidate: impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let messages = &self.script.program.messages;
        let mut asides = self.framed_asides(play);
        // Nothing has come, and what is awaited is not empty: what may come at any time is not looked at yet.
        let is_needed = |index| candidate(play, index).is_none_or(|(message, _)| messages[message].has_text());
        if self.rest().is_empty() && !self.datagram && count > 0 && !asides.is_empty() && (0..count).all(is_needed) {
            asides = &[];
        }
        let order = order.filter(|_| asides.is_empty());
        let candidate = |play: &Play, index: usize| match index.checked_sub(count) {
            None => candidate(play, index),
            Some(aside) => asides.get(aside).map(|aside| (aside.message, aside.together)),
        };
        match self.first_at_hand(play, count + asides.len(), order, candidate)? {
            Some((index, length)) if index >= count => {
                let part = play.part;
                self.take(play, length, length)?;
                play.part = part;
                Err(self.begin_aside(play, &asides[index - count]))
            }
            found => Ok(found),
        }
    }

    /// Which of several `raw` and `hex` messages is at hand, and how long it is; `None` if none of them. The first that
    /// fits is taken, but not while one that may still come begins just like it: then the longer one, or the shorter
    /// one once the other side was quiet for the gap, has ended, or is out of time.
    fn first_at_hand(
        &mut self,
        play: &mut Play,
        count: usize,
        order: Option<&Order>,
        candidate: impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        if play.after_gap {
            let script = self.script;
            let mut messages = (0..count).filter_map(|index| Some(&script.program.messages[candidate(play, index)?.0]));
            let may_be_its_own = messages.any(Message::begins_with_ending);
            self.late_ending_before_raw(play, may_be_its_own)?;
        }
        let mut partial = if play.partial.is_empty() {
            let Some(partial) = self.candidates(play, count, order, &candidate) else { return Err(self.wait(play)) };
            partial
        } else {
            std::mem::take(&mut play.partial)
        };
        let Look { best, may_become_longer, walked_last } = self.look_at(play, &mut partial, &candidate);
        let Some((index, length)) = best else {
            if !may_become_longer {
                return Ok(None);
            }
            // Where nothing has come, nothing is kept.
            if self.rest().is_empty() {
                self.scratch.partial = partial;
            } else {
                play.partial = partial;
            }
            return Err(self.wait(play));
        };
        if may_become_longer && !self.is_decided(play) {
            play.partial = partial;
            return Err(self.wait(play));
        }
        self.scratch.partial = partial;
        // What the last of them captured is not what this one did.
        if walked_last != Some(index)
            && let Some((message, together)) = candidate(play, index)
        {
            self.match_raw(&self.script.program.messages[message], together, &mut Progress::default());
        }
        Ok(Some((index, length)))
    }

    /// The messages that may be coming, by their first text; `None` if too little has come to find them among many.
    fn candidates(
        &mut self,
        play: &Play,
        count: usize,
        order: Option<&Order>,
        candidate: &impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Option<Vec<PartialMatch>> {
        let messages = &self.script.program.messages;
        let rest = self.rest();
        let found = &mut self.scratch.found;
        match order.and_then(|order| Some((order, order.keys.as_ref()?))) {
            Some((order, keys)) => {
                let missing = |bits: Range<usize>| play.missing(order, bits);
                // Between datagrams nothing has come, as on a stream.
                let carrier = if self.datagram { Carrier::Datagram } else { Carrier::Stream };
                if keys.of_part(rest, carrier, missing, found) == KeyMatch::Partial {
                    return None;
                }
            }
            None => {
                found.clear();
                found.extend(0..count);
            }
        }
        let mut partial = std::mem::take(&mut self.scratch.partial);
        partial.clear();
        let all = found.iter().map(|&candidate| PartialMatch { candidate, whole: None, progress: Progress::default() });
        partial.extend(all.filter(|one| {
            let message = candidate(play, one.candidate).map(|(message, _)| &messages[message]);
            message.is_some_and(|message| message.may_begin(rest))
        }));
        Some(partial)
    }

    /// Looks at the bytes that have come as each of some messages. Those that they are not are left out.
    fn look_at(
        &mut self,
        play: &Play,
        partial: &mut Vec<PartialMatch>,
        candidate: &impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Look {
        let messages = &self.script.program.messages;
        let is_text = |index: usize| candidate(play, index).is_some_and(|(message, _)| !messages[message].has_holes());
        let mut look = Look::default();
        partial.retain_mut(|one| {
            let Some((message, together)) = candidate(play, one.candidate) else { return false };
            let walked = match one.whole {
                Some(length) => MatchResult::Whole(length),
                None => {
                    look.walked_last = Some(one.candidate);
                    self.match_raw(&messages[message], together, &mut one.progress)
                }
            };
            match walked {
                MatchResult::Whole(length) => {
                    one.whole = Some(length);
                    let better = |(best, shorter)| length > shorter && is_text(best) && is_text(one.candidate);
                    if look.best.is_none_or(better) {
                        look.best = Some((one.candidate, length));
                    }
                }
                MatchResult::Partly => {
                    look.may_become_longer |= look.best.is_none_or(|(best, _)| is_text(best) && is_text(one.candidate));
                }
                MatchResult::Differs { .. } => return false,
            }
            true
        });
        look
    }

    fn match_raw(&mut self, message: &Message, together: bool, progress: &mut Progress) -> MatchResult {
        let rest = self.rest();
        // Over datagrams a message is the whole datagram, inside `together` a part of one.
        let whole = if self.datagram { !together || message.to_end } else { self.input.ended && message.to_end };
        let walked = matcher::raw_matches(message, rest, whole, progress, self.scratch);
        match walked {
            MatchResult::Partly if self.datagram => MatchResult::Differs { piece: 0, at: rest.len() },
            MatchResult::Whole(length) if self.datagram && !together && length < rest.len() => {
                MatchResult::Differs { piece: message.pieces.len().saturating_sub(1), at: length }
            }
            other => other,
        }
    }
}
