//! `raw` and `hex` messages: which of several is at hand, as far as its bytes have come.

use std::ops::Range;

use super::walk::{Stop, Walk};
use super::{Play, Watch};
use crate::carrier::Carrier;
use crate::program::matcher::{self, Walked};
use crate::program::{KeyMatch, Message, Order};
use crate::values::{Coming, Progress};

impl<W: Watch> Walk<'_, W> {
    /// The same as [`Self::first_at_hand`]; what may come at any time is tried behind them, and if it is that, the play goes on
    /// there.
    pub(super) fn run_at_hand(
        &mut self,
        play: &mut Play,
        count: usize,
        order: Option<&Order>,
        candidate: impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let asides = self.framed_asides(play);
        let order = order.filter(|_| asides.is_empty());
        let candidate = |play: &Play, index: usize| match index.checked_sub(count) {
            None => candidate(play, index),
            Some(aside) => asides.get(aside).map(|aside| (aside.message, aside.together)),
        };
        match self.first_at_hand(play, count + asides.len(), order, candidate)? {
            Some((index, length)) if index >= count => {
                self.take(play, length, length)?;
                Err(self.begin_aside(play, asides[index - count]))
            }
            found => Ok(found),
        }
    }

    /// Which of several `raw` and `hex` messages is at hand, and how long it is; `None` if none of them. The first that
    /// fits is taken, but not while one that may still come begins just like it: then the longer one, or the shorter
    /// one once the other side was quiet for the gap, has ended, or is out of time.
    pub(super) fn first_at_hand(
        &mut self,
        play: &mut Play,
        count: usize,
        order: Option<&Order>,
        candidate: impl Fn(&Play, usize) -> Option<(usize, bool)>,
    ) -> Result<Option<(usize, usize)>, Stop> {
        let script = self.script;
        if play.after_gap {
            let mut messages = (0..count).filter_map(|index| Some(&script.program.messages[candidate(play, index)?.0]));
            let may_be_its_own = messages.any(Message::begins_with_ending);
            self.late_ending_before_run(play, may_be_its_own)?;
        }
        let keys = order.and_then(|order| Some((order, order.keys.as_ref()?)));
        let waited = !play.coming.is_empty();
        let mut coming = std::mem::take(if waited { &mut play.coming } else { &mut self.scratch.coming });
        if !waited {
            coming.clear();
            let mut found = std::mem::take(&mut self.scratch.found);
            let rest = self.rest();
            match keys {
                Some((order, keys)) => {
                    let missing = |bits: Range<usize>| play.missing(order, bits);
                    // Between datagrams nothing has come, as on a stream.
                    let carrier = if self.datagram { Carrier::Datagram } else { Carrier::Stream };
                    if keys.of_part(rest, carrier, missing, &mut found) == KeyMatch::Partial {
                        (self.scratch.found, self.scratch.coming) = (found, coming);
                        return Err(self.wait(play));
                    }
                }
                None => {
                    found.clear();
                    found.extend(0..count);
                }
            }
            let all = found.iter().map(|&candidate| Coming { candidate, whole: None, progress: Progress::default() });
            coming.extend(all.filter(|one| {
                let message = candidate(play, one.candidate).map(|(message, _)| &script.program.messages[message]);
                message.is_some_and(|message| message.may_begin(rest))
            }));
            self.scratch.found = found;
        }
        // The first that is whole, or a longer one that begins like it and holds nothing but text.
        let mut best: Option<(usize, usize)> = None;
        let mut may_become_longer = false;
        // Whose captures stand in the scratch.
        let mut walked_last = None;
        let is_text = |index: usize| {
            candidate(play, index).is_some_and(|(message, _)| !script.program.messages[message].has_holes())
        };
        coming.retain_mut(|one| {
            let Some((message, together)) = candidate(play, one.candidate) else { return false };
            let walked = match one.whole {
                Some(length) => Walked::Whole(length),
                None => {
                    walked_last = Some(one.candidate);
                    self.run_of(&script.program.messages[message], together, &mut one.progress)
                }
            };
            match walked {
                Walked::Whole(length) => {
                    one.whole = Some(length);
                    let better = |(best, shorter)| length > shorter && is_text(best) && is_text(one.candidate);
                    if best.is_none_or(better) {
                        best = Some((one.candidate, length));
                    }
                }
                Walked::Partly => {
                    may_become_longer |= best.is_none_or(|(best, _)| is_text(best) && is_text(one.candidate));
                }
                Walked::Differs { .. } => return false,
            }
            true
        });
        let Some((index, length)) = best else {
            if !may_become_longer {
                return Ok(None);
            }
            // Where nothing has come, nothing is kept.
            if self.rest().is_empty() {
                self.scratch.coming = coming;
            } else {
                play.coming = coming;
            }
            return Err(self.wait(play));
        };
        if may_become_longer && !self.is_decided(play) {
            play.coming = coming;
            return Err(self.wait(play));
        }
        self.scratch.coming = coming;
        // What the last of them captured is not what this one did.
        if walked_last != Some(index)
            && let Some((message, together)) = candidate(play, index)
        {
            self.run_of(&script.program.messages[message], together, &mut Progress::default());
        }
        Ok(Some((index, length)))
    }

    pub(super) fn run_of(&mut self, message: &Message, together: bool, progress: &mut Progress) -> Walked {
        let rest = self.rest();
        // Over datagrams a message is the whole datagram, inside `together` a part of one.
        let whole = if self.datagram { !together || message.to_end } else { self.input.ended && message.to_end };
        let walked = matcher::run_matches(message, rest, whole, progress, self.scratch);
        match walked {
            Walked::Partly if self.datagram => Walked::Differs { piece: 0, at: rest.len() },
            Walked::Whole(length) if self.datagram && !together && length < rest.len() => {
                Walked::Differs { piece: message.pieces.len().saturating_sub(1), at: length }
            }
            other => other,
        }
    }
}
