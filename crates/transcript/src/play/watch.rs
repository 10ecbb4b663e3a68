//! Who wants to know of each line what became of it, and when: for those who do not, nothing of it is there.

use crate::moment::Moment;

/// Is told of each message as a play is done with it. What is not of interest is left out; for `()`, which wants nothing,
/// [`super::Play::step_watched`] is [`super::Play::step`].
pub trait Watch {
    /// We said the message, or the file, of this line.
    fn said(&mut self, line: usize, now: Moment) {
        let _ = (line, now);
    }

    /// The other side said the message, or the file, of this line: all of it has come.
    fn heard(&mut self, line: usize, now: Moment) {
        let _ = (line, now);
    }

    /// At a choice of ours the branch was taken that begins at this line.
    fn took(&mut self, line: usize) {
        let _ = line;
    }
}

impl Watch for () {}

/// An exchange: a run of lines of ours, and the run of theirs behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// The first line of our run.
    pub asked: usize,
    /// When the last line of our run was said: the time of the step that put it into its output.
    pub asked_at: Moment,
    /// The last line of their run.
    pub answered: usize,
    /// When the last byte of their run had come: the time of the step that heard it.
    pub answered_at: Moment,
}

/// Gathers the exchanges of a play as they end. How long a run of theirs is may only be known by what follows it: an
/// exchange is told when we speak again, or by [`Self::end`], with the moments at which it was.
#[derive(Debug, Clone, Default)]
pub struct Exchanges {
    asked: Option<(usize, Moment)>,
    answered: Option<(usize, Moment)>,
    finished: Vec<Exchange>,
}

impl Exchanges {
    /// Those that ended since [`Self::clear`].
    #[must_use]
    pub fn finished(&self) -> &[Exchange] {
        &self.finished
    }

    /// Forgets those that ended; the memory stays.
    pub fn clear(&mut self) {
        self.finished.clear();
    }

    /// The play is over as written: what was answered last is an exchange too. Ready for another play.
    pub fn end(&mut self) {
        self.finish();
        self.asked = None;
    }

    /// The play failed: what was not answered whole is no exchange. Ready for another play.
    pub fn abandon(&mut self) {
        (self.asked, self.answered) = (None, None);
    }

    fn finish(&mut self) {
        if let (Some((asked, asked_at)), Some((answered, answered_at))) = (self.asked, self.answered.take()) {
            self.finished.push(Exchange { asked, asked_at, answered, answered_at });
            self.asked = None;
        }
    }
}

impl Watch for Exchanges {
    fn said(&mut self, line: usize, now: Moment) {
        self.finish();
        // Of a run of ours the name is that of its first line, and the moment that of its last.
        let first = self.asked.map_or(line, |(first, _)| first);
        self.asked = Some((first, now));
    }

    fn heard(&mut self, line: usize, now: Moment) {
        if self.asked.is_some() {
            self.answered = Some((line, now));
        }
    }
}
